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
    "predicted / true", "R-value", "as many at random: 0.5 s, IoU 0.75", "as many evenly: the same",
)  # fmt: skip
HEAD = f"| {' | '.join(NAMES)} |\n{'| --- ' * len(NAMES)}|"
ENDS_S = 0.05
DRAWS = 20  # of random boundaries


@dataclass(frozen=True, slots=True)
class Truth:
    """An episode's extent and true spans, s; spans need not cover it. Boundaries are starts and ends of spans inside
    it; one within ENDS_S of where the episode begins or ends is its end, written down in rounded seconds."""

    start: float
    end: float
    spans: Sequence[Span]

    @property
    def boundaries(self) -> list[float]:
        edges = {round(t, 6) for span in self.spans for t in span}
        return sorted(t for t in edges if self.start + ENDS_S < t < self.end - ENDS_S)


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of each episode by tolerance and by overlap; random, even: boundary F1 at 0.5 s and segment F1 at IoU
    0.75 of as many boundaries that know nothing else."""

    boundaries: Mapping[float, list[Counts]]
    segments: Mapping[float, list[Counts]]
    random: tuple[float, float]
    even: tuple[float, float]

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
    segments = {o: [_segments(c, x, o) for c, x in pairs] for o in scores.OVERLAPS}
    draws = [
        [(scores.random(len(c), x.start, x.end, 1000 * d + i), x) for i, (c, x) in enumerate(pairs)]
        for d in range(DRAWS)
    ]
    random = np.mean([_headlines(draw) for draw in draws], axis=0)
    even = _headlines([(scores.even(len(c), x.start, x.end), x) for c, x in pairs])
    return Figures(boundaries, segments, (float(random[0]), float(random[1])), even)


def _headlines(pairs: Sequence[tuple[Sequence[float], Truth]]) -> tuple[float, float]:
    """(boundary F1 at 0.5 s, segment F1 at IoU 0.75) of cuts against truths."""
    boundaries = scores.total([scores.boundaries(c, x.boundaries, 0.5) for c, x in pairs])
    return boundaries.f1, scores.total([_segments(c, x, 0.75) for c, x in pairs]).f1


def _segments(cuts: Sequence[float], truth: Truth, overlap: float) -> Counts:
    return scores.segments(scores.spans_between(cuts, truth.start, truth.end), truth.spans, overlap)


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
        ", ".join(f"{value:.2f}" for value in found.random),
        ", ".join(f"{value:.2f}" for value in found.even),
    ]
    return f"| {' | '.join(cells)} |"


def _interval(counts: Sequence[Counts]) -> str:
    low, high = scores.interval(counts, lambda c: c.f1)
    return f"[{low:.2f}, {high:.2f}]"


def nearest(by_level: Mapping[str, Figures]) -> str:
    """The level whose number of boundaries is nearest to the truth's, by ratio."""
    return min(by_level, key=lambda level: abs(np.log(max(by_level[level].ratio, 1e-9))))
