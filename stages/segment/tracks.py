"""The core of segment: an episode's timelines, each with its evidence and its nested levels.

In: signals, the episode's frames, people's labels. Out: one `Track` for both arms together and, where there are two,
one for each. Levels nest because the boundaries of each are kept by the next finer one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stages.episode import Signal
from stages.segment.boundaries.candidates import candidates
from stages.segment.boundaries.learned import delays, features, judged, moved
from stages.segment.boundaries.levels import cuts
from stages.segment.boundaries.selection import Nodes
from stages.segment.config import SegmentConfig
from stages.segment.evidence.candidates import Evidence
from stages.segment.evidence.collect import collect, of_arm
from stages.segment.kinematics.gripper import Change, changes_of, handovers, slips_of
from stages.segment.kinematics.motion import ArmMotion, arm_motions, grid
from stages.segment.labelling.hand import Hand, Spans, spans_on
from stages.segment.labelling.nesting import agree
from stages.segment.labelling.pictures import fastest_arm, seen_to_move
from stages.segment.labelling.primitives import CODE, Labels, label_spans, label_subtasks, label_task, with_local_events
from stages.segment.labels import COARSE_FIRST, Placed, impose

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
CALIBRATION = -1.28, 6.09
LABELLED = {"L3": label_task, "L2": label_subtasks, "L1": label_spans, "L0": label_spans}
Accepted = Mapping[str, Sequence[Placed]]  # level: people's spans


@dataclass(frozen=True, slots=True)
class Timebase:
    """Of T frames: start on the canonical clock and time on the log's, float64[T], s; end: of the last frame; pictures:
    float64[T] each, how much the picture of a camera changes into each frame."""

    start: Float
    log: Float
    end: float
    pictures: Sequence[Float] = ()


@dataclass(frozen=True, slots=True)
class Level:
    """Spans of one level: frames[i] to frames[i + 1] is span i (int64[N + 1], from 0 to T); parent: number of the span
    one level up; labels: what is done in each; confidence: how often such a span is right in its label and both
    boundaries, float64[N]."""

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
    given, arms = labels or {}, [_Arm(m, changes, points, config) for m in motions]
    tracks = [_track("all", arms, changes, points, clock, config, given.get("all", {}))]
    if len(arms) > 1:
        for arm in arms:
            name = arm.seen.motion.arm
            tracks.append(_track(name, [arm], arm.seen.changes, points, clock, config, given.get(name, {})))
    return tracks


class _Arm:
    """What is found once of an arm, for its own timeline and that of both: evidence, hand, slips (s)."""

    def __init__(self, motion: ArmMotion, changes: Sequence[Change], points: Float, config: SegmentConfig) -> None:
        self.seen = of_arm(motion, changes, points, config)
        self.hand = Hand(motion, changes, points)
        self.slips = slips_of(changes, motion, points)


def _said(labels: Labels, frames: Int, given: Sequence[Placed]) -> Bool:
    """bool[N]: spans of which people have said what is done there; `labels` then says so too."""
    said = np.zeros(len(frames) - 1, dtype=bool)
    for own in given:
        number = int(np.searchsorted(frames, own.start))
        if own.label.primitive and number < len(said) and frames[number] == own.start:
            labels.primitive[number], said[number] = CODE[own.label.primitive], True
    return said


def _calibrated(evidence: Float) -> Float:
    """From the strength of a span's label and weaker edge, 0 to 1, to how often such a span is right in label and both
    edges: fitted on half of the sample's tasks, checked on the other half (docs/segmentation.md)."""
    return np.asarray(1.0 / (1.0 + np.exp(-(CALIBRATION[0] + CALIBRATION[1] * evidence))))


def _track(
    name: str,
    arms: Sequence[_Arm],
    changes: Sequence[Change],
    points: Float,
    clock: Timebase,
    config: SegmentConfig,
    accepted: Accepted,
) -> Track:
    evidence = collect([a.seen for a in arms], changes, points, config)
    seen = candidates(evidence, [a.seen for a in arms], changes, points, clock.log, clock.start, clock.end)
    nodes, model = seen.nodes, config.model if name == "all" else None  # people's boundaries are those of both arms
    weighed = judged(nodes, features(seen, config), model) if model is not None and model.kind == "weights" else None
    found = cuts(nodes, seen.ends, clock.start, clock.end, config if weighed else config.untaught, weighed)
    strength, origin = nodes.strength, np.arange(len(clock.start) + 1)
    if weighed is not None:
        strength = np.maximum(strength, weighed.strength)
    if model is not None and any(model.shift_s.values()):
        found, source = moved(found, nodes, delays(evidence, nodes, model), clock.log)
        goes = {f: g for g, f in source.items()}
        nodes = replace(nodes, frame=np.array([goes.get(f, -1) for f in nodes.frame.tolist()], dtype=np.int64))
        origin[list(source)] = list(source.values())
    if any(accepted.values()):
        least = {"L3": config.min_l2_s, "L2": config.min_l2_s, "L1": config.min_l1_s, "L0": config.min_l0_s}
        found = impose(found, {level: accepted.get(level, ()) for level in COARSE_FIRST}, clock.start, clock.end, least)
    count = len(clock.start)
    sure = np.zeros(count + 1)
    sure[nodes.frame[nodes.frame >= 0]] = strength[nodes.frame >= 0]
    sure[[0, count]] = 1.0
    sure[[edge for own in accepted.values() for p in own for edge in (p.start, p.end)]] = 1.0
    hands = [a.hand for a in arms]
    slips = np.sort(np.concatenate([np.zeros(0), *(a.slips for a in arms)]))
    logged = np.append(clock.log, clock.log[-1] + clock.end - clock.start[-1])
    spans: dict[str, Spans] = {}
    labels: dict[str, Labels] = {}
    frames = {k: np.concatenate([[0], found.get(k, np.zeros(0)), [count]]).astype(np.int64) for k in COARSE_FIRST}
    parents = {"L3": np.zeros(1, dtype=np.int64)}
    for above, level in pairwise(COARSE_FIRST):
        parents[level] = np.searchsorted(frames[above], frames[level][:-1], side="right") - 1
    for level, label in LABELLED.items():
        seen_at = logged[np.maximum.accumulate(origin[frames[level]])]  # not where people mark it, where it shows
        spans[level] = spans_on(points, seen_at[:-1], seen_at[1:])
        labels[level] = label(hands, spans[level], config)
    fastest = fastest_arm([h.motion for h in hands], points, clock.log)
    labels["L0"] = with_local_events(hands, spans["L0"], labels["L0"], slips)
    for level in LABELLED:
        labels[level] = seen_to_move(labels[level], frames[level], clock.pictures, fastest, clock.start)
    said = {level: _said(labels[level], frames[level], accepted.get(level, ())) for level in ("L1", "L0")}
    labels["L1"], labels["L0"] = agree(
        labels["L1"], labels["L0"], parents["L0"], spans["L1"], spans["L0"], hands, (said["L1"], said["L0"])
    )
    levels: dict[str, Level] = {}
    for level, own in frames.items():
        seen_of = labels[level].confidence * np.minimum(sure[own[:-1]], sure[own[1:]])
        levels[level] = Level(own, parents[level], labels[level], seen_of if level == "L3" else _calibrated(seen_of))
    return Track(name, tuple(h.motion.arm for h in hands), evidence, nodes, levels, accepted)
