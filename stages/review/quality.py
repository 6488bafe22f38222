"""How good the machine's events were, and how far people agree, from what people have decided.

In: spans as they were and as people left them; of a blind second pass the spans of two people over the same stretch.
Out: figures. Agreement is measured where both have judged all of a level of an episode.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

import numpy as np

from schemas.review.decisions import DecisionRow
from stages.review.spans import Span, overlap
from stages.segment.agreement import Counts, boundaries

TOLERANCES_S = (0.25, 0.5)
BINS = 10  # of confidence
STEP_MS = 50  # instants at which primitives are compared


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two people: spans matched one to one by most shared time. iou: mean of those; f1: of boundaries by tolerance,
    s; kappa: Cohen's, of primitives at instants (1960); captions: mean likeness of matched ones, 0 to 1 (difflib)."""

    spans: int
    iou: float
    f1: Mapping[float, float]
    kappa: float
    captions: float


def agreement(pairs: Iterable[tuple[Sequence[Span], Sequence[Span]]]) -> Agreement | None:
    """Each pair: the same stretch by two people, spans in order. None where there is none."""
    ious, likeness = list[float](), list[float]()
    counts = {t: Counts() for t in TOLERANCES_S}
    ours, theirs = list[str](), list[str]()
    for one, two in pairs:
        for span in one:
            best = max(two, key=lambda s: overlap(s, span))
            ious.append(overlap(best, span))
            likeness.append(SequenceMatcher(None, span.text.casefold(), best.text.casefold()).ratio())
        inner = [[s.start / 1000 for s in spans[1:]] for spans in (one, two)]
        counts = {t: c + boundaries(inner[0], inner[1], t) for t, c in counts.items()}
        instants = range(max(one[0].start, two[0].start), min(one[-1].end, two[-1].end), STEP_MS)
        ours += _at(one, instants)
        theirs += _at(two, instants)
    if not ious:
        return None
    f1 = {t: c.f1 for t, c in counts.items()}
    return Agreement(len(ious), float(np.mean(ious)), f1, kappa(ours, theirs), float(np.mean(likeness)))


def _at(spans: Sequence[Span], instants: Iterable[int]) -> list[str]:
    """What is done at each instant, ms, rising."""
    found, number = list[str](), 0
    for instant in instants:
        while number + 1 < len(spans) and spans[number].end <= instant:
            number += 1
        found.append(spans[number].primitive)
    return found


def kappa(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """Cohen's kappa of two sequences of labels; 1 where both say one and the same throughout."""
    if not ours:
        return 1.0
    same = sum(a == b for a, b in zip(ours, theirs, strict=True)) / len(ours)
    shares = ({x: labels.count(x) / len(labels) for x in set(labels)} for labels in (list(ours), list(theirs)))
    first, second = shares
    chance = sum(share * second.get(x, 0.0) for x, share in first.items())
    return 1.0 if chance == 1.0 else (same - chance) / (1.0 - chance)


@dataclass(slots=True)
class Work:
    """What was judged: events, those accepted as the machine left them, rejected ones; ms by person; how far edges were
    moved, ms; per bin of confidence (events, accepted as they were)."""

    judged: int = 0
    unedited: int = 0
    rejected: int = 0
    spent_ms: dict[str, list[int]] = field(default_factory=dict)
    shifts_ms: list[int] = field(default_factory=list)
    bins: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)] * BINS)

    @property
    def share_unedited(self) -> float:
        return self.unedited / self.judged if self.judged else 0.0


def work(rows: Iterable[DecisionRow], judged: Iterable[tuple[Span, float]]) -> Work:
    """rows: all decisions; judged: spans that are accepted or rejected now, with the confidence of the event that each
    was."""
    found = Work()
    for row in rows:
        found.spent_ms.setdefault(row["actor"], []).append(row["spent_ms"])
        if row["action"] in ("start", "end"):
            found.shifts_ms.append(row["after"][0]["end_ms"] - row["before"][0]["end_ms"])
    for span, confidence in judged:
        right = span.state == "accepted" and not span.own
        found.judged += 1
        found.unedited += right
        found.rejected += span.state == "rejected"
        number = min(BINS - 1, max(0, int(confidence * BINS)))
        events, good = found.bins[number]
        found.bins[number] = events + 1, good + right
    return found
