"""Candidates as a model learned from people's boundaries sees them, and where it puts them.

In: candidates of a timeline, a `SegmentModel`. Out: features of each node, all about 0 to 1, each with a name
that can be read: how strong each kind of evidence is at the node and near it, whether a hand holds something, how fast
the arm is before and after, what the untuned segmenter makes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from stages.segment.boundaries.candidates import Candidates
from stages.segment.boundaries.levels import cuts
from stages.segment.boundaries.selection import Nodes
from stages.segment.config import SegmentConfig
from stages.segment.evidence.candidates import ARMS, KINDS, Evidence, Float, Int
from stages.segment.evidence.candidates import near as near_any
from stages.segment.evidence.path import empty_at
from stages.segment.kinematics.motion import GRID_HZ, ArmMotion
from stages.segment.model import COMMON, SegmentModel

NEAR_S = 0.6  # evidence so near to a node may speak of the same moment
AROUND_S = 0.5  # speeds are means over so long before and after
MISSES_S = 0.2  # a node so near to the closing of a grasp that misses, or to the opening after it, is of that
ALONE_S = 1.5  # a node with nothing strong within this time is far from all others
STRONG = 0.5
FEATURES = (
    *(f"{kind} here" for kind in KINDS),
    *(f"{kind} near" for kind in KINDS),
    "strength", "both arms", "hand holds", "hand misses", "hand acts before", "hand acts after",
    "speed before", "speed after", "slower", "faster", "slowest", "gap before", "gap after",
    "L2 untuned", "L1 untuned", "L0 untuned", "L1 at scale 2", "L1 at scale 4",
)  # fmt: skip


def features(of: Candidates, config: SegmentConfig) -> Float:
    """float64[N, len(FEATURES)] of the nodes; config: of the untuned segmenter."""
    evidence, nodes, changes, points = of.evidence, of.nodes, of.changes, of.points
    count = len(nodes.frame)
    here, near = np.zeros((count, len(KINDS))), np.zeros((count, len(KINDS)))
    if not count:
        return np.zeros((0, len(FEATURES)))
    node = np.repeat(np.arange(count), np.diff(nodes.first))
    np.maximum.at(here, (node, evidence.kind), evidence.strength)
    for kind in range(len(KINDS)):
        own = evidence.kind == kind
        if own.any():
            near[:, kind] = _strongest(nodes.seen, evidence.time[own], evidence.strength[own])
    near = np.where(near > here, near, 0.0)
    both = np.zeros(count)
    np.maximum.at(both, node, (evidence.arm == ARMS.index("all")).astype(np.float64))
    acting = [c for c in changes if c.acts]
    holds = np.zeros(count, dtype=bool)
    for arm in {c.arm for c in acting}:
        holds |= ~empty_at(nodes.seen, [c for c in acting if c.arm == arm])
    begins, ends = np.sort([c.start for c in acting]), np.sort([c.end for c in acting])
    strong = nodes.seen[nodes.strength > STRONG]
    before, after = _speeds(nodes.seen, [a.motion for a in of.arms], points)
    columns = [
        nodes.strength,
        both,
        holds,
        near_any(nodes.seen, np.sort([t for c in acting if c.missed for t in (c.start, c.end)]), MISSES_S),
        _closeness(nodes.seen, ends, -1),
        _closeness(nodes.seen, begins, 1),
        np.minimum(before, 1.0),
        np.minimum(after, 1.0),
        np.clip(before - after, 0, 1),
        np.clip(after - before, 0, 1),
        np.minimum(np.minimum(before, after), 1.0),
        1.0 - _closeness(nodes.seen - 1e-3, strong, -1),
        1.0 - _closeness(nodes.seen + 1e-3, strong, 1),
    ]
    plain = config.untaught
    untuned, twice, four = (
        cuts(nodes, of.ends, of.starts, of.end, plain.model_copy(update={"scale": scale})) for scale in (1.0, 2.0, 4.0)
    )
    chosen = [np.isin(nodes.frame, frames) for frames in (*untuned.values(), twice["L1"], four["L1"])]
    return np.column_stack([here, near, *columns, *chosen])


def judged(nodes: Nodes, seen: Float, model: SegmentModel) -> Nodes:
    """The nodes, as strong as a person is likely to mark them; seen: their features."""
    weights = np.array([model.weights.get(name, 0.0) for name in FEATURES])
    return replace(nodes, strength=1.0 / (1.0 + np.exp(-(seen @ weights + model.bias))))


def delays(evidence: Evidence, nodes: Nodes, model: SegmentModel) -> Float:
    """float64[N]: how much later than each node people mark it, s, by the kind of its strongest evidence."""
    by_kind = np.array([model.shift_s.get(kind, model.shift_s.get(COMMON, 0.0)) for kind in KINDS])
    return by_kind[leaders(evidence, nodes)]


def leaders(evidence: Evidence, nodes: Nodes) -> Int:
    """int64[N]: number of the kind of each node's strongest evidence."""
    node = np.repeat(np.arange(len(nodes.frame)), np.diff(nodes.first))
    order = np.lexsort((evidence.time, -evidence.strength, node))
    return np.asarray(evidence.kind[order[nodes.first[:-1]]]) if len(nodes.frame) else np.zeros(0, dtype=np.int64)


def moved(found: Mapping[str, Int], nodes: Nodes, later: Float, log: Float) -> tuple[dict[str, Int], dict[int, int]]:
    """(boundaries of each level where people mark them, {frame there: frame at which it was seen}). Order and nesting
    stay; what is marked outside of the episode is gone. later: of each node, s; log: times of the frames."""
    every = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *found.values()]))
    which = np.searchsorted(nodes.frame, every)
    time = nodes.seen[which] + later[which]
    inside = (time > log[0]) & (time < log[-1])
    every, time, count = every[inside], time[inside], len(log)
    place = np.searchsorted((log[1:] + log[:-1]) / 2, time)
    steps = np.arange(len(place))
    place = np.maximum.accumulate(np.maximum(place, 1) - steps) + steps  # each one frame after the one before, at least
    place = np.minimum(place, count - len(place) + steps)
    to = dict(zip(every.tolist(), place.tolist(), strict=True))
    levels = {k: np.array([to[f] for f in own.tolist() if f in to], dtype=np.int64) for k, own in found.items()}
    return levels, {g: f for f, g in to.items()}


def _strongest(at: Float, times: Float, strengths: Float) -> Float:
    """Of evidence within NEAR_S of each moment, how strong the strongest is; times rise."""
    first, last = np.searchsorted(times, at - NEAR_S), np.searchsorted(times, at + NEAR_S)
    bounds = np.stack([first, np.maximum(last, first + 1)], axis=1).ravel()
    found = np.maximum.reduceat(np.append(strengths, [0.0, 0.0]), bounds)[::2]
    return np.where(last > first, found, 0.0)


def _closeness(at: Float, marks: Float, side: int) -> Float:
    """1 where a mark lies at a moment, 0 where the next one before (side -1) or after (1) is ALONE_S away or more."""
    if not len(marks):
        return np.zeros(len(at))
    place = np.searchsorted(marks, at, side="right") - 1 if side < 0 else np.searchsorted(marks, at)
    found = marks[np.clip(place, 0, len(marks) - 1)]
    known = (place >= 0) & (place < len(marks))
    return np.where(known, np.clip(1.0 - np.abs(found - at) / ALONE_S, 0.0, 1.0), 0.0)


def _speeds(at: Float, motions: Sequence[ArmMotion], points: Float) -> tuple[Float, Float]:
    """Mean scaled speed of the fastest arm over AROUND_S before and after each moment."""
    if not motions:
        return np.zeros(len(at)), np.zeros(len(at))
    way = np.append(0.0, np.cumsum(np.max([m.speed for m in motions], axis=0)))
    last, reach = len(way) - 1, round(AROUND_S * GRID_HZ)
    place = np.clip(np.round((at - points[0]) * GRID_HZ).astype(np.int64), 0, last)
    first, end = np.maximum(place - reach, 0), np.minimum(place + reach, last)
    return (
        (way[place] - way[first]) / np.maximum(place - first, 1),
        (way[end] - way[place]) / np.maximum(end - place, 1),
    )
