"""What a row of decisions says now, and how it lies over the machine's spans.

`fold`: decisions in order in, the spans that they left out. `laid_over`: these over the spans of the last build, which
may be others than those that people saw. A span whose borders a person has set wins over its stretch; a verdict, a
caption or a primitive holds for the machine's span that lies where it was said, and is stale where none does: kept,
shown, not used in silence. Of what was undone the spans that were there before are remembered: until the next build
the corpus has what was undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from schemas.review.decisions import DecisionRow
from stages.review.spans import Span, of_rows, over, overlap

SAME_MS = 2  # a rounded edge
ALIKE = 0.5  # intersection over union from which words about a span that has moved are still about it
Place = tuple[str, str, str]  # episode, level, track


@dataclass(frozen=True, slots=True)
class Touched:
    """A span that a decision left, and whose decision that was. Where it was an undo the span may be untouched."""

    span: Span
    actor: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class Laid:
    """Spans of today in order, which tile what the machine's tiled; and what people have said of spans that are not
    there any more as they were."""

    spans: list[Span]
    stale: list[Touched]


def place_of(row: DecisionRow) -> Place:
    return row["episode_id"], row["level"], row["track"]


def fold(rows: Iterable[DecisionRow]) -> dict[Place, list[Touched]]:
    """{episode, level, track: what people have touched, in order of time in the episode}; rows in any order, those of
    blind second passes left out."""
    found: dict[Place, list[Touched]] = {}
    for row in sorted((r for r in rows if not r["blind"]), key=lambda r: (r["time_ms"], r["decision_id"])):
        own = found.setdefault(place_of(row), [])
        own[:] = after(own, row)
    return {place: own for place, own in found.items() if own}


def after(own: Sequence[Touched], row: DecisionRow) -> list[Touched]:
    """What is touched after one more decision about the same level and track of an episode."""
    start, end = row["before"][0]["start_ms"], row["before"][-1]["end_ms"]
    kept = [t for t in own if t.span.end <= start or end <= t.span.start]
    new = [Touched(s, row["actor"], row["time_ms"]) for s in of_rows(row["after"])]
    return sorted([*kept, *new], key=lambda t: t.span.start)


def laid_over(machine: Sequence[Span], touched: Sequence[Touched]) -> Laid:
    """Spans of today; machine: those of the last build in order, each ends where the next begins, with what in them is
    people's."""
    cut = [t.span for t in touched if "span" in t.span.own]
    undone = [m for m in machine if "span" in m.own and not over(cut, m.start, m.end)]
    cut += [t.span for t in touched if t.span not in cut and over(undone, t.span.start, t.span.end)]
    spans = sorted([*around(machine, cut), *(_with_words(s, machine) for s in cut)], key=lambda s: s.start)
    number = {(s.start, s.end): n for n, s in enumerate(spans)}
    borders = {(s.start, s.end) for s in cut}
    stale = []
    for item in (t for t in touched if t.span not in cut and not t.span.untouched):
        own = item.span
        n = number.get(_same(own, spans) or (own.start, own.end))
        if n is None:
            stale.append(item)
        elif (spans[n].start, spans[n].end) not in borders:  # else there are later words about just that stretch
            spans[n] = said_of(spans[n], own)
    return Laid(spans, stale)


def said_of(span: Span, said: Span) -> Span:
    """A machine's span with what people have said of it."""
    return replace(
        span,
        primitive=said.primitive if "primitive" in said.own else span.primitive,
        text=said.text if "text" in said.own else span.text,
        state=said.state,
        flagged=said.flagged,
        own=said.own,
    )


def nearest(span: Span, spans: Iterable[Span]) -> Span | None:
    """The span that a statement about another one is still about: most alike, and by half at least."""
    best = max(spans, key=lambda s: overlap(s, span), default=None)
    return best if best is not None and overlap(best, span) >= ALIKE else None


def _same(own: Span, spans: Sequence[Span]) -> tuple[int, int] | None:
    near = [s for s in spans if abs(s.start - own.start) <= SAME_MS and abs(s.end - own.end) <= SAME_MS]
    return (near[0].start, near[0].end) if near else None


def around(machine: Sequence[Span], cut: Sequence[Span]) -> list[Span]:
    """What is left of the machine's spans beside those whose borders people have set."""
    left = []
    for span in machine:
        start = span.start
        for own in sorted(over(cut, span.start, span.end), key=lambda s: s.start):
            if start < own.start:
                left.append(replace(span, start=start, end=own.start))
            start = max(start, own.end)
        if start < span.end:
            left.append(replace(span, start=start))
    return left


def _with_words(span: Span, machine: Sequence[Span]) -> Span:
    """A span of a person's borders; what the person has not said of it the machine says, where it has cut there too."""
    same = next((m for m in machine if abs(m.start - span.start) <= SAME_MS and abs(m.end - span.end) <= SAME_MS), None)
    if same is None:
        return span
    return replace(
        span,
        primitive=span.primitive if "primitive" in span.own else same.primitive,
        text=span.text if "text" in span.own else same.text,
    )
