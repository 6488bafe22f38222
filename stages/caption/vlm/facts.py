"""What signals show of an event, in words for a model: numbers with their units, and nothing that is not measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from schemas.alignments import AlignmentRow
from schemas.events import EventRow
from stages.caption.signals.describe import Scene
from stages.episode import Signal

LEVELS = {"L0": "a local part of an action", "L1": "one action"}
LEAST_M, LEAST = 0.01, 0.05  # displacement and change of an opening that are worth a word
HELD = "something is held"


def task_line(said: str) -> str:
    return f"task: {said.strip() or 'not stated'}"


def facts(
    event: EventRow,
    scene: Scene,
    neighbours: tuple[str, str],
    signals: Mapping[str, Signal],
    alignment: AlignmentRow,
    thing: str,
) -> str:
    """Facts of an event, a line each. scene: what the signals captioner knows of it; neighbours: primitives before and
    after it ("" at the ends); thing: what the episode calls what is handled, "" where it has no name."""
    lines = [
        task_line(scene.said),
        f"level: {LEVELS[event['level']]}",
        f"time: {event['start_s']:.2f} to {event['end_s']:.2f} s",
        f"signals: {event['primitive']}" + (f", {event['recovery'].replace('_', ' ')}" if event["recovery"] else ""),
        f"arms that move: {', '.join(scene.arms) or 'none'}" + (" (it has one)" if scene.arms_of_robot == 1 else ""),
        *_hands(event, signals, alignment),
        *_ways(event, scene),
        f"held: {', '.join(event['holds'])}" if event["holds"] else "held: not proven",
        f"before: {neighbours[0] or 'nothing'}; after: {neighbours[1] or 'nothing'}",
    ]
    return "\n".join([*lines, f"object: {thing or 'not known'}"])


def _hands(event: EventRow, signals: Mapping[str, Signal], alignment: AlignmentRow) -> list[str]:
    times = np.asarray(alignment["signal_time_s"], dtype=np.float64)[event["start_frame"] : event["end_frame"]]
    lines = []
    for arm in ("single", "left", "right"):
        signal = signals.get(f"gripper/{arm}")
        if signal is None:
            continue
        opening = signal.at(times)[:, 0]
        first, last = float(opening[0]), float(opening[-1])
        name = "gripper" if arm == "single" else f"{arm} gripper"
        if abs(last - first) < LEAST:
            lines.append(f"{name}: {_percent(first)} open throughout")
            continue
        verb = "closes" if last < first else "opens"
        stalls = verb == "closes" and arm in event["holds"]
        lines.append(
            f"{name}: {verb} from {_percent(first)} to {_percent(last)}" + (f" and stalls: {HELD}" if stalls else "")
        )
    return lines


def _ways(event: EventRow, scene: Scene) -> list[str]:
    lines = []
    for arm, (x, y, z) in zip(event["arms"], scene.shift, strict=False):  # no shift where an arm has no pose in metres
        named = [f"{abs(z) * 100:.0f} cm {'up' if z > 0 else 'down'}"] if abs(z) >= LEAST_M else []
        sideways = float(np.hypot(x, y))
        named += [f"{sideways * 100:.0f} cm sideways"] if sideways >= LEAST_M else []
        name = "hand" if arm == "single" else f"{arm} hand"
        lines.append(f"{name}: goes {', '.join(named)}" if named else f"{name}: stays where it is")
    return lines


def _percent(opening: float) -> str:
    return f"{round(opening * 100 / 5) * 5:d} %"


def neighbours(own: Sequence[EventRow], number: int) -> tuple[str, str]:
    """Primitives of the events before and after the one of that number, of one level in order of time."""
    before = own[number - 1]["primitive"] if number else ""
    return before, own[number + 1]["primitive"] if number + 1 < len(own) else ""
