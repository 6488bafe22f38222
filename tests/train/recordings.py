"""Examples of episodes at hand, without a release."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.train.examples import Examples, Floats, assembled


@dataclass(frozen=True, slots=True)
class Recorded:
    """One episode: state [T, 11], environment [T, 17], action [T, 4]; its instruction; events as (first row, caption),
    none: the whole episode is one, captioned by the instruction."""

    state: Floats
    environment: Floats
    action: Floats
    task: str
    events: tuple[tuple[int, str], ...] = ()


def of_recordings(recordings: Iterable[Recorded], horizon: int, fps: float) -> Examples:
    columns: dict[str, list[Any]] = {}
    for episode, own in enumerate(recordings):
        count = len(own.state)
        events = own.events or ((0, own.task),)
        starts = [start for start, _ in events]
        captions = [caption for _, caption in events] + [""]
        for frame in range(count):
            at = int(np.searchsorted(starts, frame, side="right")) - 1
            end = starts[at + 1] if at + 1 < len(starts) else count
            rows = np.arange(frame, frame + horizon)
            row = {
                "state": own.state[frame],
                "environment": own.environment[frame],
                "action": own.action[np.minimum(rows, count - 1)],
                "action_valid": rows < count,
                "task": own.task,
                "caption": captions[at],
                "next_caption": captions[at + 1],
                "primitive": "move",
                "event_remaining_s": (end - frame) / fps,
                "remaining_s": (count - frame) / fps,
                "episode": f"lab/{episode:06d}",
                "event": f"lab/{episode:06d}/L1/{at:07d}",
                "clusters": [0, 0],
                "frame": frame,
                "fps": fps,
            }
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
    return assembled(columns)
