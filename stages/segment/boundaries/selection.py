"""From evidence to boundaries: at each level the set of frames that explains most evidence with spans of decent length.

In: evidence on the episode's frames, and the boundaries of the coarser level, which stay. Out: the chosen frames.
The choice maximises, over all sets of boundaries with spans no shorter than the minimum,

    sum over boundaries (strength - what the level asks)  -  sum over spans haste(length),

haste(d) = max(0, ln(usual / d)) ** 2 / 4: half of a log-normal prior, the side that forbids crowding; a long span
costs nothing, since the right density differs by task, nor does one in which fingers close or open. Dynamic programming
over the candidates: O(n w), n candidates, w of them within the usual length. Same input, same output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log

import numpy as np
import numpy.typing as npt

from stages.seconds import ROUNDING_S, at_least, longer
from stages.segment.evidence.candidates import Evidence

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
TOGETHER_S = 0.08  # candidates so near to each other speak of one boundary
HASTE = 0.25


@dataclass(frozen=True, slots=True)
class Nodes:
    """Places where a boundary may be: frame int64[N] (rising), seen float64[N] (s on the log's clock, as exact as the
    evidence), strength float64[N]; first int64[N + 1]: evidence of node i is rows first[i] to first[i + 1].
    until: {frame: frame} from where fingers begin to move to where they arrive: such a span is as short as it is."""

    frame: Int
    seen: Float
    strength: Float
    first: Int
    until: Mapping[int, int] = field(default_factory=dict)


def nodes_of(evidence: Evidence, log_times: Float) -> Nodes:
    """Evidence put on frames: neighbours within TOGETHER_S are one node, at the strongest of them, as strong as all of
    them together (one minus the product of their doubts). log_times: of the frames, s on the log's clock."""
    if not len(evidence):
        empty = np.zeros(0, dtype=np.int64)
        return Nodes(empty, np.zeros(0), np.zeros(0), np.zeros(1, dtype=np.int64))
    middles = (log_times[1:] + log_times[:-1]) / 2
    frames = np.searchsorted(middles, evidence.time - ROUNDING_S)
    apart = np.flatnonzero(longer(np.diff(evidence.time), TOGETHER_S)) + 1
    first = np.concatenate([[0], apart, [len(evidence)]])
    group = np.repeat(np.arange(len(first) - 1), np.diff(first))
    order = np.lexsort((evidence.time, -evidence.strength, group))
    leader = order[first[:-1]]
    doubt = np.add.reduceat(np.log1p(-np.minimum(evidence.strength, 0.999)), first[:-1])
    frame, seen, strength = frames[leader], evidence.time[leader], 1.0 - np.exp(doubt)
    keep = np.append(0, np.flatnonzero(np.diff(frame)) + 1)  # in a slow log nodes share a frame: they join the first
    if len(keep) < len(frame):
        strength = 1.0 - np.multiply.reduceat(1.0 - strength, keep)
        frame, seen, first = frame[keep], seen[keep], np.append(first[keep], len(evidence))
    return Nodes(frame, seen, strength, first)


def fingers(nodes: Nodes, starts: Float, ends: Float) -> Nodes:
    """The nodes with what changes of hands last: from starts[i] to ends[i], s on the evidence's clock."""
    if not len(nodes.frame) or not len(starts):
        return nodes
    first, last = (_nearest(nodes.seen, times) for times in (starts, ends))
    pairs = zip(nodes.frame[first].tolist(), nodes.frame[last].tolist(), strict=True)
    return replace(nodes, until={a: b for a, b in pairs if b > a})


def _nearest(seen: Float, times: Float) -> Int:
    place = np.clip(np.searchsorted(seen, times), 1, max(1, len(seen) - 1))
    before = np.maximum(place - 1, 0)
    place = np.minimum(place, len(seen) - 1)
    return np.where(at_least(seen[place] - times, times - seen[before]), before, place)


def put_on(nodes: Nodes, times: Float, strengths: Float) -> Nodes:
    """The nodes nearest to `times` (float64[N], s, the evidence's clock), with `strengths` in place of their own."""
    if not len(times) or not len(nodes.frame):
        return Nodes(nodes.frame[:0], nodes.seen[:0], nodes.strength[:0], nodes.first[:1])
    nearest = _nearest(nodes.seen, times)
    strength = np.zeros(len(nodes.frame))
    np.maximum.at(strength, nearest, strengths)
    keep = strength > 0
    return Nodes(nodes.frame[keep], nodes.seen[keep], strength[keep], nodes.first[:1])


def haste(length: float, usual: float) -> float:
    """What a span of `length` costs, s; nothing from the usual length on, also where that is below the minimum."""
    return HASTE * max(0.0, log(usual / length)) ** 2


def choose(
    nodes: Nodes, forced: Int | Sequence[int], times: Float, end: float, asked: float, least: float, usual: float
) -> Int:
    """Frames of the chosen boundaries, int64[M], rising. forced: frames that must be among them; times: start of each
    frame, s; end: of the episode; asked: strength from which evidence is worth a boundary; least, usual: span lengths,
    s.
    """
    stays = np.asarray(forced, dtype=np.int64)
    worth = (nodes.strength > asked) & (nodes.frame > 0)
    frames = np.union1d(nodes.frame[worth], stays)
    gains = np.zeros(len(frames))
    gains[np.searchsorted(frames, nodes.frame[worth])] = nodes.strength[worth] - asked
    at = [float(times[0]), *times[frames].tolist(), end]
    gain = [0.0, *gains.tolist(), 0.0]
    held = [True, *np.isin(frames, stays).tolist(), True]
    places = frames.tolist()
    number = {f: i for i, f in enumerate(places, start=1)} if nodes.until else {}
    quick = [-1] * len(at)  # the boundary from which fingers move until this one
    for a, b in nodes.until.items():
        if a in number and b in number:
            quick[number[b]] = number[a]
    enough, shortest = max(usual, least) - ROUNDING_S, least - ROUNDING_S
    best, before = [0.0] * len(at), [0] * len(at)
    start = 0  # the last boundary that must stay: nothing reaches over it
    far, far_best, far_at = 0, -np.inf, -1  # best of those at least `usual` away
    for i in range(1, len(at)):
        now = at[i]
        while far < i and now - at[far] >= enough:
            if far >= start and best[far] > far_best:
                far_best, far_at = best[far], far
            far += 1
        top, top_at = far_best, far_at
        for j in range(max(far, start), i):
            length = now - at[j]
            if length < shortest:
                break
            value = best[j]
            if value > top and quick[i] != j:  # what haste costs can only lower it
                value -= haste(length, usual)
            if value > top:
                top, top_at = value, j
        best[i], before[i] = top + gain[i], top_at
        if held[i]:
            if top_at < 0:  # the episode is shorter than the minimum
                best[i], before[i] = gain[i], start
            start, far, far_best, far_at = i, i, -np.inf, -1
    chosen, i = [], before[-1]
    while i > 0:
        chosen.append(i - 1)
        i = before[i]
    return np.asarray(frames[chosen[::-1]], dtype=np.int64)
