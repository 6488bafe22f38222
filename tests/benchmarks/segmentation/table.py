"""Figures of a way to cut, as a row of a table: with intervals, and beside boundaries that know nothing but their
number.

In: per episode predicted boundaries and true spans. Out: Markdown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.segmentation import scores
from tests.benchmarks.segmentation.scores import Counts, Span

NAMES = (
    "", "F1 at 0.25 s", "**F1 at 0.5 s**", "precision, recall", "F1 at 1 s", "segment F1, IoU 0.5", "**IoU 0.75**",
    "predicted / true", "R-value", "F1 at 0.5 s of as many at random, evenly",
)  # fmt: skip
HEAD = f"| {' | '.join(NAMES)} |\n{'| --- ' * len(NAMES)}|"
DRAWS = 20  # of random boundaries


@dataclass(frozen=True, slots=True)
class Truth:
    """An episode's extent and true spans, s; spans need not cover it. Boundaries are starts and ends of spans inside
    it."""

    start: float
    end: float
    spans: Sequence[Span]

    @property
    def boundaries(self) -> list[float]:
        edges = {round(t, 6) for span in self.spans for t in span}
        return sorted(t for t in edges if self.start + 1e-6 < t < self.end - 1e-6)


@dataclass(frozen=True, slots=True)
class Figures:
    """Summed counts of all episodes, by tolerance and overlap, and those of each episode."""

    boundaries: Mapping[float, list[Counts]]
    segments: Mapping[float, list[Counts]]
    random: float
    even: float

    def f1(self, tolerance: float) -> float:
        return scores.total(self.boundaries[tolerance]).f1

    def segment_f1(self, overlap: float) -> float:
        return scores.total(self.segments[overlap]).f1

    @property
    def ratio(self) -> float:
        return scores.total(self.boundaries[0.5]).ratio


def figures(cuts: Mapping[str, Sequence[float]], truths: Mapping[str, Truth]) -> Figures:
    """Of boundaries, s, by episode; an episode without prediction counts as uncut."""
    pairs = [(list(cuts.get(name, ())), truth) for name, truth in truths.items()]
    boundaries = {t: [scores.boundaries(c, x.boundaries, t) for c, x in pairs] for t in scores.TOLERANCES}
    segments = {
        o: [scores.segments(scores.spans_between(c, x.start, x.end), x.spans, o) for c, x in pairs]
        for o in scores.OVERLAPS
    }
    chance = [
        scores.total(
            [
                scores.boundaries(scores.random(len(c), x.start, x.end, 1000 * d + i), x.boundaries, 0.5)
                for i, (c, x) in enumerate(pairs)
            ]
        ).f1
        for d in range(DRAWS)
    ]
    even = scores.total(
        [scores.boundaries(scores.even(len(c), x.start, x.end), x.boundaries, 0.5) for c, x in pairs]
    ).f1
    return Figures(boundaries, segments, float(np.mean(chance)), even)


def row(name: str, found: Figures) -> str:
    """One line of the table; in brackets 95 % intervals by bootstrap over episodes."""
    half = scores.total(found.boundaries[0.5])
    cells = [
        name,
        f"{found.f1(0.25):.2f}",
        f"**{found.f1(0.5):.3f}** {_interval(found.boundaries[0.5])}",
        f"{half.precision:.2f}, {half.recall:.2f}",
        f"{found.f1(1.0):.2f}",
        f"{found.segment_f1(0.5):.2f}",
        f"**{found.segment_f1(0.75):.3f}** {_interval(found.segments[0.75])}",
        f"{found.ratio:.2f}",
        f"{half.r_value:.2f}",
        f"{found.random:.2f}, {found.even:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def _interval(counts: Sequence[Counts]) -> str:
    low, high = scores.interval(counts, lambda c: c.f1)
    return f"[{low:.2f}, {high:.2f}]"


def nearest(by_level: Mapping[str, Figures]) -> str:
    """The level whose number of boundaries is nearest to the truth's, by ratio."""
    return min(by_level, key=lambda level: abs(np.log(max(by_level[level].ratio, 1e-9))))
