"""A span as a person sees it: where it lies, what is done in it, its caption, what has been decided about it.

In: rows of `events` and `captions`, or of `decisions`. Out: `Span`s of one level and track, in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from schemas.review.decisions import SpanRow
from stages.fingerprint import fingerprint

REVIEWED = ("accepted", "rejected")


@dataclass(frozen=True, slots=True)
class Span:
    """[start, end) in ms from the episode's first source timestamp. state: one of schemas.review.decisions.STATES; own:
    what of it a person has set, sorted."""

    start: int
    end: int
    primitive: str
    text: str = ""
    state: str = ""
    flagged: bool = False
    own: tuple[str, ...] = ()

    @property
    def untouched(self) -> bool:
        """Nobody has decided anything about it."""
        return not (self.own or self.state or self.flagged)

    @property
    def seen(self) -> str:
        """Fingerprint of all that a person sees of it."""
        return fingerprint(self.start, self.end, self.primitive, self.text, self.state, self.flagged, self.own)

    def set(self, *own: str, **values: Any) -> Span:
        """With values that a person has set; own: which of schemas.review.decisions.OWN they are."""
        return replace(self, **values, own=tuple(sorted({*self.own, *own})))

    def row(self) -> SpanRow:
        return {
            "start_ms": self.start,
            "end_ms": self.end,
            "primitive": self.primitive,
            "text": self.text,
            "state": self.state,
            "flagged": self.flagged,
            "own": list(self.own),
        }


def of_rows(rows: Iterable[SpanRow]) -> list[Span]:
    """Spans of `decisions.before` or `after`."""
    return [
        Span(r["start_ms"], r["end_ms"], r["primitive"], r["text"], r["state"], r["flagged"], tuple(r["own"]))
        for r in rows
    ]


def built(start: int, end: int, primitive: str, text: str, origin: str, said_by: str) -> Span:
    """A span of the last build; what people had set of it already stays theirs when it is changed again. origin: of the
    event; said_by: who wrote its caption."""
    own = ["span"] * (origin == "human") + ["text"] * (said_by == "human")
    return Span(start, end, primitive, text, own=tuple(own))


def of_events(events: Iterable[Mapping[str, Any]]) -> list[Span]:
    """The machine's spans, of rows of `events` of one level and track with `text`, their caption."""
    found = [
        Span(ms(e["start_s"]), ms(e["end_s"]), e["primitive"], e.get("text") or "")
        for e in sorted(events, key=lambda e: float(e["start_s"]))
    ]
    return [s for s in found if s.end > s.start]


def ms(seconds: float) -> int:
    """As event ids have it."""
    return round(seconds * 1000)


def seen(spans: Iterable[Span]) -> str:
    """Fingerprint of several."""
    return fingerprint([span.seen for span in spans])


def over(spans: Sequence[Span], start: int, end: int) -> list[Span]:
    """Those that share time with [start, end)."""
    return [s for s in spans if s.start < end and start < s.end]


def overlap(a: Span, b: Span) -> float:
    """Intersection over union, 0 to 1."""
    shared = min(a.end, b.end) - max(a.start, b.start)
    return max(0, shared) / (max(a.end, b.end) - min(a.start, b.start))
