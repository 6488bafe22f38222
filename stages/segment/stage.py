"""segment: one episode in, its `events` rows out, at four nested levels.

In: signals and the `alignments` row. Out: rows of L3 (task), L2 (subtask: approach, transport, retract, by gripper), L1
(action) and L0 (segment). Levels nest because the boundaries of each are a subset of those of the next finer one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.ids import event_id
from stages.episode import Signal
from stages.segment.config import SegmentConfig
from stages.segment.evidence import (
    GRIPPER_KINDS,
    Candidate,
    GripperChange,
    gripper_candidates,
    gripper_changes,
    rest_candidates,
    rests,
    turns,
)
from stages.segment.motion import ArmMotion, arm_motions, step
from stages.segment.primitives import Label, label
from stages.segment.selection import Chosen, choose

Row = dict[str, Any]
Float = npt.NDArray[np.float64]
COARSE_FIRST = ("L3", "L2", "L1", "L0")


def event_rows(
    episode_id: str, signals: Mapping[str, Signal], alignment: Mapping[str, Any], config: SegmentConfig
) -> list[Row]:
    """All events of an episode, track `all`."""
    times = np.asarray(alignment["time_s"], dtype=np.float64)
    log_times = np.asarray(alignment["signal_time_s"], dtype=np.float64)
    motions = arm_motions(signals, log_times, config)
    frames, rate = len(times), 1.0 / step(times)
    changes = sorted((c for m in motions for c in gripper_changes(m, config)), key=lambda c: (c.start, c.arm))
    chosen = choose(_candidates(motions, changes, rate, config), frames, rate, config)
    _join_rests(chosen["L1"], motions, changes, frames, rate, config)
    chosen["L3"] = {}
    rows: list[Row] = []
    parents: list[tuple[int, str]] = []
    for level in COARSE_FIRST:
        edges = [0, *sorted(chosen[level]), frames]
        starts: list[tuple[int, str]] = []
        for start, end in pairwise(edges):
            name = event_id(episode_id, level, float(times[start]))
            starts.append((start, name))
            found = _label(level, motions, changes, start, end, frames, rate, config)
            rows.append(
                {
                    "event_id": name,
                    "episode_id": episode_id,
                    "level": level,
                    "track": "all",
                    "origin": "machine",
                    "parent_id": parents[bisect_right(parents, start, key=lambda p: p[0]) - 1][1] if parents else None,
                    "start_frame": start,
                    "end_frame": end,
                    "start_s": float(times[start]),
                    "end_s": float(times[end]) if end < frames else float(times[-1]) + 1.0 / rate,
                    "primitive": found.primitive,
                    "arms": list(found.arms),
                    "static": found.static,
                    "confidence": found.confidence * _edge_confidence(chosen[level], start, end),
                    "evidence": [*_evidence(chosen[level], start, "start"), *_evidence(chosen[level], end, "end")],
                }
            )
        parents = starts
    return rows


def _join_rests(
    chosen: Chosen,
    motions: list[ArmMotion],
    changes: list[GripperChange],
    frames: int,
    rate: float,
    config: SegmentConfig,
) -> None:
    """Drop L1 boundaries that part one rest from the next, where the stir between them was too short for a span."""
    edges = [0, *sorted(chosen), frames]
    still = [label(motions, changes, a, b, rate, config).static for a, b in pairwise(edges)]
    for frame, before, after in zip(edges[1:-1], still, still[1:], strict=False):
        if before and after and chosen[frame][0].kind not in GRIPPER_KINDS:
            del chosen[frame]


def _candidates(
    motions: list[ArmMotion], changes: list[GripperChange], rate: float, config: SegmentConfig
) -> list[Candidate]:
    speed = np.max([m.speed for m in motions], axis=0)
    short = max(2, round(config.min_gripper_s * rate))
    found = [c for change in changes for c in gripper_candidates(change, short)]
    still = rests(speed, config, max(2, round(config.min_pause_s * rate)))
    return found + rest_candidates(still, len(speed), rate) + turns(speed, still, config)


def _label(
    level: str,
    motions: list[ArmMotion],
    changes: list[GripperChange],
    start: int,
    end: int,
    frames: int,
    rate: float,
    config: SegmentConfig,
) -> Label:
    found = label(motions, changes, start, end, rate, config)
    if level == "L3":
        return Label("task", found.arms, False, 1.0)
    if level == "L2":
        return Label(_subtask(changes, end, frames), found.arms, False, 0.7)
    return found


def _subtask(changes: list[GripperChange], end: int, frames: int) -> str:
    """An L2 span ends where a closing or an opening is over; the last one retracts if the hand has let go."""
    changes = [c for c in changes if c.acts]
    if not changes:
        return "unknown"
    if end >= frames:
        return "transport" if changes[-1].closes else "retract"
    last = min(changes, key=lambda c: (min(abs(c.end - end), abs(c.start - end)), c.start))
    return "approach" if last.closes else "transport"


def _edge_confidence(chosen: Chosen, start: int, end: int) -> float:
    """The weaker of the two boundaries; the ends of the episode are certain."""
    return min((chosen[f][0].strength for f in (start, end) if f in chosen), default=1.0)


def _evidence(chosen: Chosen, frame: int, edge: str) -> list[Row]:
    if frame not in chosen:
        return [{"edge": edge, "kind": "episode", "arm": "all", "strength": 1.0}]
    return [{"edge": edge, "kind": c.kind, "arm": c.arm, "strength": c.strength} for c in chosen[frame]]
