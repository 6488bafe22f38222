"""The profile by which a source would be read, as YAML, ready to edit: what was told, and how sure that is, beside it.

In: a layout and its findings. Out: text that `ingest.profile=FILE` takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from stages.ingest.inference.arms import Finding
from stages.ingest.streams import HANDS, Layout, Stream

HEAD = """\
# How this source is read. Edit what is wrong, then check and build with --set 'ingest.profile={SOURCE: THIS.yaml}'.
# unit: rad, deg, m, mm, percent, raw (unknown). open, closed: values of the gripper at either end.
"""


def to_yaml(layout: Layout, findings: Sequence[Finding], robot: str) -> str:
    """The profile of a resolved layout."""
    arms: dict[str, dict[str, list[dict[str, Any]]]] = {}
    unsure = []
    for stream in layout.streams:
        if stream.kind == "hand":  # not written: it would be a guess that nobody sees any more
            own = _selector(stream)
            ends = {"open": own.pop("open"), "closed": own.pop("closed")}
            unsure += [
                f"# arm {stream.arm} has a gripper of which nobody can tell which end is closed: watch the video, add",
                f"#   gripper: [{{{', '.join(f'{k}: {v}' for k, v in own.items())}, open: O, closed: C}}]",
                f"# to it, with O and C of {ends['open']} and {ends['closed']} the right way round.",
            ]
        else:
            arms.setdefault(stream.arm, {}).setdefault(stream.kind, []).append(_selector(stream))
    for arm in arms:
        if "gripper" not in arms[arm] and not unsure:
            unsure.append(f"# no gripper of arm {arm} is known. If it has one, name it in the arm, such as")
            unsure.append("#   gripper: [{column: observation.state, indices: [5], open: 70.0, closed: 2.0}]")
    value = {
        "name": robot if robot.replace("_", "").isalnum() else "my_robot",
        "match": {"robot_types": [robot]},
        "frame": layout.frame,
        "forward": layout.forward,
        "action_mode": layout.action_mode,
        "state": list(layout.state),
        "action": list(layout.action),
        "arms": arms,
    }
    told = [f"# {finding}" for finding in findings]
    return HEAD + "\n".join([*told, *unsure, ""]) + yaml.safe_dump(value, sort_keys=False, width=110)


def _selector(stream: Stream) -> dict[str, Any]:
    place: dict[str, Any]
    if len(stream.columns) == 1:
        place = {"column": stream.columns[0], "indices": [i for _, i in stream.places]}
    else:
        place = {"places": [list(p) for p in stream.places]}
    if stream.kind not in HANDS:
        return {**place, "unit": stream.unit}
    return {**place, "open": _one(stream.open), "closed": _one(stream.closed)}


def _one(values: Sequence[float]) -> float | list[float]:
    return values[0] if len(set(values)) == 1 else list(values)
