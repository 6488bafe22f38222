"""How well predicted boundaries and spans agree with true ones.

In: per episode, boundary times or spans in s. Out: counts, and from counts the figures. Boundaries are matched one to
one within a tolerance, spans one to one from an overlap (intersection over union) on; an episode's own start and end
are no boundaries, since they are given. Figures of several episodes come from summed counts, and their intervals from a
bootstrap over episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stages.segment.agreement import Counts, boundaries

Float = npt.NDArray[np.float64]
Span = tuple[float, float]
__all__ = ["Counts", "boundaries", "even", "interval", "random", "segments", "spans_between", "total"]
TOLERANCES = (0.25, 0.5, 1.0)  # s
OVERLAPS = (0.5, 0.75)


def segments(predicted: Sequence[Span], true: Sequence[Span], overlap: float) -> Counts:
    """One-to-one matching of spans, the best overlap first."""
    pairs = sorted(
        (
            (_iou(p, t), i, j)
            for i, p in enumerate(predicted)
            for j, t in enumerate(true)
            if p[0] < t[1] and t[0] < p[1]
        ),
        key=lambda x: (-x[0], x[1], x[2]),
    )
    ours, theirs = set[int](), set[int]()
    for value, i, j in pairs:
        if value >= overlap - 1e-9 and i not in ours and j not in theirs:
            ours.add(i)
            theirs.add(j)
    return Counts(len(ours), len(predicted), len(true))


def interval(
    per_episode: Sequence[Counts], figure: Callable[[Counts], float], draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval over episodes of a figure of the summed counts."""
    table = np.array([(c.hits, c.predicted, c.true) for c in per_episode])
    chosen = np.random.default_rng(seed).integers(0, len(table), (draws, len(table)))
    values = [figure(Counts(*map(int, sums))) for sums in table[chosen].sum(axis=1)]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def total(per_episode: Sequence[Counts]) -> Counts:
    return sum(per_episode, Counts())


def even(count: int, start: float, end: float) -> list[float]:
    """`count` boundaries that part [start, end) into equal spans."""
    return np.linspace(start, end, count + 2)[1:-1].tolist()


def random(count: int, start: float, end: float, seed: int) -> list[float]:
    """`count` boundaries anywhere in (start, end)."""
    return np.sort(np.random.default_rng(seed).uniform(start, end, count)).tolist()


def spans_between(cuts: Sequence[float], start: float, end: float) -> list[Span]:
    """The spans that boundaries make of [start, end)."""
    edges = [start, *cuts, end]
    return [(a, b) for a, b in pairwise(edges) if b > a]


def _iou(a: Span, b: Span) -> float:
    both = min(a[1], b[1]) - max(a[0], b[0])
    return both / (max(a[1], b[1]) - min(a[0], b[0]))
