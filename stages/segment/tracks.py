"""The core of segment: an episode's timelines, each with its evidence and its nested levels.

In: signals, the episode's frames, people's labels. Out: one `Track` for both arms together and, where there are two,
one for each. Levels nest because the boundaries of each are kept by the next finer one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stages.episode import Signal
from stages.segment.candidates import Evidence
from stages.segment.config import SegmentConfig
from stages.segment.evidence import collect
from stages.segment.grammar import subtask_ends
from stages.segment.gripper import Change, changes_of, handovers, slips_of
from stages.segment.hand import Hand, spans_on
from stages.segment.labels import COARSE_FIRST, Placed, impose
from stages.segment.motion import ArmMotion, arm_motions, grid
from stages.segment.primitives import Labels, label_segments, label_spans, label_subtasks, label_task
from stages.segment.selection import Nodes, choose, nodes_of, put_on

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Accepted = Mapping[str, Sequence[Placed]]  # level: people's spans


@dataclass(frozen=True, slots=True)
class Timebase:
    """Of T frames: start on the canonical clock and time on the log's, float64[T], s; end: of the last frame."""

    start: Float
    log: Float
    end: float


@dataclass(frozen=True, slots=True)
class Level:
    """Spans of one level: frames[i] to frames[i + 1] is span i (int64[N + 1], from 0 to T); parent: number of the span
    one level up; labels: what is done in each; confidence: of that and of the span's two boundaries, float64[N]."""

    frames: Int
    parent: Int
    labels: Labels
    confidence: Float


@dataclass(frozen=True, slots=True)
class Track:
    """One timeline: its arms, all evidence, the nodes that evidence makes on the frames, its levels, and the labels of
    people that are in force."""

    name: str
    arms: tuple[str, ...]
    evidence: Evidence
    nodes: Nodes
    levels: dict[str, Level]
    accepted: Accepted


def tracks_of(
    signals: Mapping[str, Signal],
    clock: Timebase,
    config: SegmentConfig,
    labels: Mapping[str, Accepted] | None = None,
) -> list[Track]:
    """`all`, and where there are two arms one of each as well; labels: people's, by track."""
    points = grid(clock.log)
    motions = arm_motions(signals, points, config)
    changes = handovers([c for m in motions for c in changes_of(m, points, config)], motions, points, config)
    given = labels or {}
    tracks = [_track("all", motions, changes, points, clock, config, given.get("all", {}))]
    if len(motions) > 1:
        for motion in motions:
            own = [c for c in changes if c.arm == motion.arm]
            tracks.append(_track(motion.arm, [motion], own, points, clock, config, given.get(motion.arm, {})))
    return tracks


def _track(
    name: str,
    motions: Sequence[ArmMotion],
    changes: Sequence[Change],
    points: Float,
    clock: Timebase,
    config: SegmentConfig,
    accepted: Accepted,
) -> Track:
    evidence = collect(motions, changes, points, config)
    nodes = nodes_of(evidence, clock.log)
    cuts = _cuts(nodes, put_on(nodes, *subtask_ends(changes, evidence)), clock, config)
    if any(accepted.values()):
        least = {"L3": config.min_l2_s, "L2": config.min_l2_s, "L1": config.min_l1_s, "L0": config.min_l0_s}
        cuts = impose(cuts, {level: accepted.get(level, ()) for level in COARSE_FIRST}, clock.start, clock.end, least)
    count = len(clock.start)
    sure = np.zeros(count + 1)
    sure[nodes.frame] = nodes.strength
    sure[[0, count]] = 1.0
    sure[[edge for own in accepted.values() for p in own for edge in (p.start, p.end)]] = 1.0
    hands = [Hand(m, changes, points) for m in motions]
    slips = np.sort(np.concatenate([slips_of(changes, m, points) for m in motions])) if motions else np.zeros(0)
    logged = np.append(clock.log, clock.log[-1] + clock.end - clock.start[-1])
    levels: dict[str, Level] = {}
    above = np.array([0, count])
    for level in COARSE_FIRST:
        frames = np.concatenate([[0], cuts.get(level, above[:0]), [count]]).astype(np.int64)
        spans = spans_on(points, logged[frames[:-1]], logged[frames[1:]])
        if level == "L0":
            found = label_segments(hands, spans, slips, config)
        else:
            found = {"L3": label_task, "L2": label_subtasks, "L1": label_spans}[level](hands, spans, config)
        edges = np.minimum(sure[frames[:-1]], sure[frames[1:]])
        parent = np.searchsorted(above, frames[:-1], side="right") - 1
        levels[level] = Level(frames, parent, found, found.confidence * edges)
        above = frames
    return Track(name, tuple(m.arm for m in motions), evidence, nodes, levels, accepted)


def _cuts(nodes: Nodes, ends: Nodes, clock: Timebase, config: SegmentConfig) -> dict[str, Int]:
    """{level: inner boundaries}, each level's among those of the next finer one."""
    l2 = choose(ends, (), clock.start, clock.end, config.strength_l2, config.min_l2_s, config.usual_l2_s)
    l1 = choose(nodes, l2, clock.start, clock.end, config.strength_l1, config.min_l1_s, config.usual_l1_s)
    l0 = choose(nodes, l1, clock.start, clock.end, config.strength_l0, config.min_l0_s, config.usual_l0_s)
    return {"L2": l2, "L1": l1, "L0": l0}
