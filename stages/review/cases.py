"""Which of the machine's events people have found right, and how long they took: what the queue learns from.

In: what people have touched, and a note of each decision. Out: a case for each event that was accepted or rejected.
What the machine had said is taken from the decisions, not from the corpus: a build that takes a correction up makes the
event a person's, and what is left of the machine's would all be right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.review.decisions import DecisionRow, MachineRow
from stages.review.fold import Place, Touched, place_of
from stages.review.spans import REVIEWED


@dataclass(frozen=True, slots=True)
class Note:
    """Of a decision: the middle of the span that it was about and that span's length, ms; what the machine had said of
    it, None where a person had set it."""

    middle: float
    length_ms: int
    spent_ms: int
    machine: MachineRow | None


@dataclass(frozen=True, slots=True)
class Case:
    """An event of the machine's that was judged: accepted as it was (right), or edited or rejected. spent_ms: of all
    decisions about it."""

    episode: str
    level: str
    machine: MachineRow
    length_ms: int
    right: bool
    spent_ms: int
    time_ms: int


def note(row: DecisionRow) -> Note:
    start, end = row["start_ms"], row["end_ms"]
    return Note((start + end) / 2, end - start, row["spent_ms"], row["machine"])


def notes(rows: Iterable[DecisionRow]) -> dict[Place, list[Note]]:
    """By episode, level and track; rows in order of time, those of blind passes left out."""
    found: dict[Place, list[Note]] = {}
    for row in (r for r in rows if not r["blind"]):
        found.setdefault(place_of(row), []).append(note(row))
    return found


def cases(touched: Mapping[Place, Sequence[Touched]], noted: Mapping[Place, Sequence[Note]]) -> list[Case]:
    """In order of time. What was decided about an event is what was decided within the span that is left of it; of
    several things that the machine has said in the course of builds the last counts."""
    found = []
    for (episode, level, track), own in touched.items():
        for item in (t for t in own if t.span.state in REVIEWED):
            span = item.span
            about = [n for n in noted.get((episode, level, track), ()) if span.start <= n.middle < span.end]
            said = [n for n in about if n.machine is not None]
            if said and said[-1].machine is not None:
                right = span.state == "accepted" and not span.own
                spent = sum(n.spent_ms for n in about)
                made = Case(episode, level, said[-1].machine, said[-1].length_ms, right, spent, item.time_ms)
                found.append(made)
    return sorted(found, key=lambda c: c.time_ms)
