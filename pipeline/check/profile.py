"""The profile by which a source would be read, as YAML, ready to edit: what was told, and how sure that is, beside it.

In: a layout and its findings. Out: text that `ingest.profile=FILE` takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from stages.ingest.inference.guess import Finding
from stages.ingest.streams import HANDS, Layout, Stream

HEAD = """\
# How this source is read. Edit what is wrong, then build with --set ingest.profile=THIS_FILE.
# unit: rad, deg, m, mm, percent, raw (unknown). open, closed: values of the gripper at either end.
"""


def to_yaml(layout: Layout, findings: Sequence[Finding], robot: str) -> str:
    """The profile of a resolved layout."""
    arms: dict[str, dict[str, list[dict[str, Any]]]] = {}
    unsure = []
    for stream in layout.streams:
        kind = "gripper" if stream.kind == "hand" else stream.kind
        arms.setdefault(stream.arm, {}).setdefault(kind, []).append(_selector(stream))
        if stream.kind == "hand":
            unsure.append(f"# arm {stream.arm}: swap open and closed of the gripper if they are the wrong way round")
    value = {
        "name": robot if robot.replace("_", "").isalnum() else "my_robot",
        "match": {"robot_types": [robot]},
        "frame": layout.frame,
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
        place = {"columns": list(stream.columns)}
    if stream.kind not in HANDS:
        return {**place, "unit": stream.unit}
    return {**place, "open": _one(stream.open), "closed": _one(stream.closed)}


def _one(values: Sequence[float]) -> float | list[float]:
    return values[0] if len(set(values)) == 1 else list(values)
