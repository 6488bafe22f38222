"""How well people do at events whose right answer is known.

In: spans as a person left them, and what is right of the same level of an episode. Out: figures of the person. Only
what they have judged counts: a rejected span says that there is no such event, and is right where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from stages.review.quality import STEP_MS, TOLERANCES_S, kappa
from stages.review.spans import REVIEWED, Span, overlap
from stages.segment.agreement import Counts, boundaries

NEAR_S = 0.5  # from which an edge is the right one


@dataclass(frozen=True, slots=True)
class Score:
    """events: that were judged; right: share of them, edges within NEAR_S and primitive as they should be, or rejected
    where nothing is so. Of those accepted: iou with the right span most like each; f1 of boundaries by tolerance, s;
    kappa of primitives at instants; captions: likeness (difflib), where the right one has words. None: none
    accepted."""

    events: int
    right: float
    iou: float | None
    f1: dict[float, float]
    kappa: float | None
    captions: float | None


def score(pairs: Iterable[tuple[Sequence[Span], Sequence[Span]]]) -> Score | None:
    """Each pair: all spans of a level of an episode as a person left them, and as they are right, in order; a right
    span without a primitive says nothing of it. None where nothing was judged."""
    right, ious, likeness = list[bool](), list[float](), list[float]()
    ours, theirs = list[str](), list[str]()
    counts = {t: Counts() for t in TOLERANCES_S}
    for spans, gold in pairs:
        judged = [s for s in spans if s.state in REVIEWED]
        right += [_right(s, gold) for s in judged]
        kept = [s for s in judged if s.state == "accepted"]
        for span in kept:
            best = max(gold, key=lambda g: overlap(g, span))
            ious.append(overlap(best, span))
            if best.text:
                likeness.append(SequenceMatcher(None, span.text.casefold(), best.text.casefold()).ratio())
            for instant in range(span.start, span.end, STEP_MS):
                true = next((g.primitive for g in gold if g.start <= instant < g.end), "")
                if true:
                    ours.append(span.primitive)
                    theirs.append(true)
        counts = {t: c + _edges(kept, gold, t) for t, c in counts.items()}
    if not right:
        return None
    f1 = {t: c.f1 for t, c in counts.items()} if ious else {}
    means = [float(np.mean(values)) if values else None for values in (ious, likeness)]
    return Score(len(right), float(np.mean(right)), means[0], f1, kappa(ours, theirs) if ours else None, means[1])


def _right(span: Span, gold: Sequence[Span]) -> bool:
    near = NEAR_S * 1000
    there = any(
        abs(g.start - span.start) <= near and abs(g.end - span.end) <= near and g.primitive in ("", span.primitive)
        for g in gold
    )
    return there == (span.state == "accepted")


def _edges(kept: Sequence[Span], gold: Sequence[Span], tolerance: float) -> Counts:
    """Edges within the episode: those of accepted spans, and right ones that lie in these. A right one beside them
    counts where it is found: another is of events that were not judged."""
    first, last = gold[0].start, gold[-1].end
    said = [e / 1000 for e in sorted({e for s in kept for e in (s.start, s.end) if first < e < last})]
    true = [g.start for g in gold[1:]]
    inside = boundaries(said, [e / 1000 for e in true if any(s.start <= e <= s.end for s in kept)], tolerance)
    found = boundaries(said, [e / 1000 for e in true], tolerance)
    return Counts(found.hits, found.predicted, inside.true + found.hits - inside.hits)
