"""How well predicted boundaries and spans agree with true ones.

In: per episode, boundary times or spans in s. Out: counts, and from counts the figures. Boundaries are matched one to
one within a tolerance, spans one to one from an overlap (intersection over union) on; an episode's own start and end
are no boundaries, since they are given. Figures of several episodes come from summed counts, and their intervals from a
bootstrap over episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot, sqrt

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Span = tuple[float, float]
TOLERANCES = (0.25, 0.5, 1.0)  # s
OVERLAPS = (0.5, 0.75)


@dataclass(frozen=True, slots=True)
class Counts:
    """hits, predicted and true number of whatever was matched; adds up."""

    hits: int = 0
    predicted: int = 0
    true: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.hits + other.hits, self.predicted + other.predicted, self.true + other.true)

    @property
    def precision(self) -> float:
        return self.hits / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        return self.hits / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.hits / (self.predicted + self.true) if self.predicted + self.true else 1.0

    @property
    def ratio(self) -> float:
        """Predicted over true: above 1 there are too many."""
        return self.predicted / self.true if self.true else float("inf")

    @property
    def r_value(self) -> float:
        """R-value (Räsänen, Laine, Altosaar 2009): like F1, but too many boundaries do not pay. 1 is perfect."""
        missed, surplus = 1.0 - self.recall, self.ratio - 1.0
        return 1.0 - (hypot(missed, surplus) + abs(missed + surplus) / sqrt(2.0)) / 2.0


def boundaries(predicted: Sequence[float], true: Sequence[float], tolerance: float) -> Counts:
    """Largest one-to-one matching of times at most `tolerance` apart: in order of time, each to the first that fits."""
    ours, theirs = sorted(predicted), sorted(true)
    hits = i = j = 0
    while i < len(ours) and j < len(theirs):
        if abs(ours[i] - theirs[j]) <= tolerance + 1e-9:
            hits, i, j = hits + 1, i + 1, j + 1
        elif ours[i] < theirs[j]:
            i += 1
        else:
            j += 1
    return Counts(hits, len(ours), len(theirs))


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
