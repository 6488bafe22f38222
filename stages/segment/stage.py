"""segment: one episode in, its `events` rows out, at four nested levels, for both arms together and for each.

In: signals and the `alignments` row. Out: rows of L3 (task), L2 (subtask), L1 (action) and L0 (segment). Levels nest
because the boundaries of each are kept by the next finer one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.events import PRIMITIVES
from schemas.ids import event_id
from stages.episode import Signal
from stages.segment.candidates import ARMS, KINDS, SIGNALS, Evidence
from stages.segment.config import SegmentConfig
from stages.segment.evidence import collect
from stages.segment.grammar import subtask_ends
from stages.segment.gripper import Change, changes_of, handovers, slips_of
from stages.segment.hand import Hand, spans_on
from stages.segment.motion import ArmMotion, arm_motions, grid
from stages.segment.primitives import RECOVERIES, label_segments, label_spans, label_subtasks, label_task
from stages.segment.selection import Nodes, choose, nodes_of, put_on

Row = dict[str, Any]
Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
COARSE_FIRST = ("L3", "L2", "L1", "L0")


@dataclass(frozen=True, slots=True)
class Level:
    """Spans of one level: frames[i] to frames[i + 1] is span i (int64[N + 1], from 0 to T); parent: number of the span
    one level up; primitive, recovery: numbers in PRIMITIVES, RECOVERIES; arms: bit i set where arm i of the track
    acts."""

    frames: Int
    parent: Int
    primitive: Int
    recovery: Int
    static: npt.NDArray[np.bool_]
    confidence: Float
    arms: Int


@dataclass(frozen=True, slots=True)
class Track:
    """One timeline: its arms, all evidence, the nodes that evidence makes on the frames, and its levels."""

    name: str
    arms: tuple[str, ...]
    evidence: Evidence
    nodes: Nodes
    levels: dict[str, Level]


@dataclass(frozen=True, slots=True)
class Timebase:
    """Of T frames: start on the canonical clock and time on the log's, float64[T], s; end: of the last frame."""

    start: Float
    log: Float
    end: float


def timebase(alignment: Mapping[str, Any]) -> Timebase:
    times = np.asarray(alignment["time_s"], dtype=np.float64)
    log = np.asarray(alignment["signal_time_s"], dtype=np.float64)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    return Timebase(times, log, float(times[-1]) + step)


def tracks_of(signals: Mapping[str, Signal], clock: Timebase, config: SegmentConfig) -> list[Track]:
    """`all`, and where there are two arms one of each as well."""
    points = grid(clock.log)
    motions = arm_motions(signals, points, config)
    changes = handovers([c for m in motions for c in changes_of(m, points, config)], config)
    tracks = [_track("all", motions, changes, points, clock, config)]
    if len(motions) > 1:
        for motion in motions:
            own = [c for c in changes if c.arm == motion.arm]
            tracks.append(_track(motion.arm, [motion], own, points, clock, config))
    return tracks


def _track(
    name: str,
    motions: Sequence[ArmMotion],
    changes: Sequence[Change],
    points: Float,
    clock: Timebase,
    config: SegmentConfig,
) -> Track:
    evidence = collect(motions, changes, points, config)
    nodes = nodes_of(evidence, clock.log, clock.start)
    ends = put_on(nodes, *subtask_ends(changes, evidence))
    l2 = choose(ends, (), clock.start, clock.end, config.strength_l2, config.min_l2_s, config.usual_l2_s)
    l1 = choose(nodes, l2, clock.start, clock.end, config.strength_l1, config.min_l1_s, config.usual_l1_s)
    l0 = choose(nodes, l1, clock.start, clock.end, config.strength_l0, config.min_l0_s, config.usual_l0_s)
    count = len(clock.start)
    cuts = {
        level: np.concatenate([[0], inner, [count]])
        for level, inner in zip(COARSE_FIRST, ([], l2, l1, l0), strict=True)
    }
    sure = np.zeros(count + 1)
    sure[nodes.frame] = nodes.strength
    sure[[0, count]] = 1.0
    hands = [Hand(m, changes, points) for m in motions]
    slips = np.sort(np.concatenate([slips_of(changes, m, points) for m in motions])) if motions else np.zeros(0)
    logged = np.append(clock.log, clock.log[-1] + clock.end - clock.start[-1])
    levels: dict[str, Level] = {}
    above = np.array([0, count])
    for level in COARSE_FIRST:
        frames = cuts[level].astype(np.int64)
        spans = spans_on(points, logged[frames[:-1]], logged[frames[1:]])
        if level == "L0":
            found = label_segments(hands, spans, slips, config)
        else:
            found = {"L3": label_task, "L2": label_subtasks, "L1": label_spans}[level](hands, spans, config)
        edges = np.minimum(sure[frames[:-1]], sure[frames[1:]])
        levels[level] = Level(
            frames,
            np.searchsorted(above, frames[:-1], side="right") - 1,
            found.primitive,
            found.recovery,
            found.static,
            found.confidence * edges,
            found.arms,
        )
        above = frames
    return Track(name, tuple(m.arm for m in motions), evidence, nodes, levels)


def event_rows(
    episode_id: str, signals: Mapping[str, Signal], alignment: Mapping[str, Any], config: SegmentConfig
) -> list[Row]:
    """All events of an episode, on every track."""
    clock = timebase(alignment)
    lead = float(clock.start[0] - clock.log[0])  # from the log's clock to the canonical one
    rows: list[Row] = []
    for track in tracks_of(signals, clock, config):
        said = _sayings(track, lead)
        starts = np.append(clock.start, clock.end)
        parents: list[str] = []
        for level, spans in track.levels.items():
            names = [event_id(episode_id, level, float(clock.start[f]), track.name) for f in spans.frames[:-1]]
            for i, (start, end) in enumerate(pairwise(spans.frames.tolist())):
                rows.append(
                    {
                        "event_id": names[i],
                        "episode_id": episode_id,
                        "level": level,
                        "track": track.name,
                        "origin": "machine",
                        "parent_id": parents[int(spans.parent[i])] if parents else None,
                        "start_frame": start,
                        "end_frame": end,
                        "start_s": float(starts[start]),
                        "end_s": float(starts[end]),
                        "primitive": PRIMITIVES[spans.primitive[i]],
                        "arms": [arm for bit, arm in enumerate(track.arms) if int(spans.arms[i]) >> bit & 1],
                        "static": bool(spans.static[i]),
                        "confidence": float(spans.confidence[i]),
                        "recovery": RECOVERIES[spans.recovery[i]] or None,
                        "evidence": [
                            {"edge": edge, **reason}
                            for edge, frame in (("start", start), ("end", end))
                            for reason in said.get(frame, [_END_OF_EPISODE | {"time_s": float(starts[frame])}])
                        ],
                    }
                )
            parents = names
    return rows


_END_OF_EPISODE = {"kind": "episode", "arm": "all", "signal": "none", "strength": 1.0}


def _sayings(track: Track, lead: float) -> dict[int, list[Row]]:
    """{frame: evidence of the boundary there, strongest first} of the track's finest level."""
    found: dict[int, list[Row]] = {}
    evidence, nodes = track.evidence, track.nodes
    chosen = set(track.levels["L0"].frames[1:-1].tolist())
    for number, frame in enumerate(nodes.frame.tolist()):
        if frame in chosen:
            own = range(int(nodes.first[number]), int(nodes.first[number + 1]))
            found[frame] = [
                {
                    "kind": KINDS[evidence.kind[i]],
                    "arm": ARMS[evidence.arm[i]],
                    "signal": SIGNALS.get(KINDS[evidence.kind[i]], "gripper"),
                    "time_s": float(evidence.time[i]) + lead,
                    "strength": float(evidence.strength[i]),
                }
                for i in sorted(own, key=lambda i: (-evidence.strength[i], evidence.time[i]))
            ]
    return found
