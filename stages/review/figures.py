"""Quality in figures, as the review page and the report both say them: from all decisions and the machine's spans.

In: rows of `decisions`, and what gives the machine's spans of a level and track of an episode with the confidence of
each. Out: `Figures`. Pure, and the only place where they are worked out, so that server and report cannot differ.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from schemas.review.decisions import DecisionRow
from stages.review.fold import Place, Touched, after, fold, laid_over, place_of
from stages.review.quality import BINS, Agreement, agreement, work
from stages.review.spans import REVIEWED, Span, overlap

SHIFTS_S = (-0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5)  # edges of the histogram's bins, open at both ends
Known = Sequence[tuple[Span, float]]  # the machine's spans in order, with their confidence


@dataclass(frozen=True, slots=True)
class Person:
    """What somebody has decided: `events` are those that they accepted or rejected, seconds_event all of their time
    over that (None before the first), seconds_decision the median."""

    decisions: int
    events: int
    seconds_event: float | None
    seconds_decision: float


@dataclass(frozen=True, slots=True)
class Figures:
    """judged: events that are accepted or rejected now; unedited: share of them that were accepted as the machine left
    them; shifts_s: how far edges were moved, later is positive; reliability: by bin of confidence its lower end,
    events judged, share accepted as they were (None without one); twice: levels of episodes that two people judged."""

    judged: int
    unedited: float
    rejected: int
    people: Mapping[str, Person]
    shifts_s: Sequence[float]
    reliability: Sequence[tuple[float, int, float | None]]
    agreement: Agreement | None
    twice: int

    @property
    def agreed(self) -> dict[str, float] | None:
        """The agreement by name, boundary F1 by tolerance."""
        found = self.agreement
        if found is None:
            return None
        f1 = {f"boundary_f1_{t:g}_s": share for t, share in found.f1.items()}
        return {"spans": found.spans, "iou": found.iou, **f1, "kappa": found.kappa, "captions": found.captions}


def passes(rows: Iterable[DecisionRow]) -> dict[tuple[str, Place], list[Touched]]:
    """What people touched in blind second passes, by who and where; rows in order of time. What they said of gold is
    none: it measures people, not the machine."""
    found: dict[tuple[str, Place], list[Touched]] = {}
    for row in (r for r in rows if r["blind"] and not r["gold"]):
        key = row["actor"], place_of(row)
        found[key] = after(found.get(key, ()), row)
    return found


def figures(rows: Sequence[DecisionRow], machine: Callable[[Place], Known]) -> Figures:
    """rows: all decisions in order of time; machine: nothing for a place that the corpus does not hold any more."""
    touched, second = fold(rows), passes(rows)
    known = {place: machine(place) for place in {*touched, *(place for _, place in second)}}
    now = {place: _now(known[place], touched.get(place, ())) for place in known}
    found = work(
        (r for r in rows if not r["blind"]),
        ((s, _sure(s, known[place])) for place in touched for s in now[place] if s.state in REVIEWED),
    )
    both = [
        (now[place], _now(known[place], own))
        for (who, place), own in second.items()
        if known[place] and all(t.actor != who for t in touched.get(place, ()))  # nobody is compared with themselves
    ]
    done = [pair for pair in both if all(s.state in REVIEWED for spans in pair for s in spans)]
    return Figures(
        found.judged,
        found.share_unedited,
        found.rejected,
        people(rows),
        [ms / 1000 for ms in found.shifts_ms],
        [(n / BINS, events, good / events if events else None) for n, (events, good) in enumerate(found.bins)],
        agreement(done),
        len(done),
    )


def people(rows: Iterable[DecisionRow]) -> dict[str, Person]:
    """By name, who decided most first; second passes left out."""
    spent, judged = dict[str, list[int]](), dict[str, set[tuple[Place, int]]]()
    for row in (r for r in rows if not r["blind"]):
        spent.setdefault(row["actor"], []).append(row["spent_ms"])
        own = judged.setdefault(row["actor"], set())
        if row["action"] in ("accept", "reject"):
            own.add((place_of(row), row["start_ms"]))
    return {
        who: Person(
            len(ms),
            len(judged[who]),
            sum(ms) / 1000 / len(judged[who]) if judged[who] else None,
            statistics.median(ms) / 1000,
        )
        for who, ms in sorted(spent.items(), key=lambda item: (-len(item[1]), item[0]))
    }


def shift_bins(shifts_s: Iterable[float]) -> list[tuple[float | None, float | None, int]]:
    """(over, up to, how many) of each bin of SHIFTS_S, s; None where it is open."""
    all_s = list(shifts_s)
    edges = [float("-inf"), *SHIFTS_S, float("inf")]
    return [
        (
            None if low == edges[0] else low,
            None if high == edges[-1] else high,
            sum(low < shift <= high for shift in all_s),
        )
        for low, high in pairwise(edges)
    ]


def _now(known: Known, touched: Sequence[Touched]) -> list[Span]:
    """Spans of today; nothing where the corpus has none to lay them over."""
    return laid_over([span for span, _ in known], touched).spans if known else []


def _sure(span: Span, known: Known) -> float:
    """Confidence of the event that it was: the machine's that it is most like."""
    return max(known, key=lambda own: overlap(own[0], span))[1]
