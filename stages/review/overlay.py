"""What decisions give to a build: spans to segment, words to caption, verdicts to shard, each of an episode by itself.

In: what people have touched, by episode, level and track. Out: an `Overlay` an episode. Each of its parts is hashed
where it is used: a verdict redoes no caption, a caption cuts no episode again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.episodes import Decided, Label
from schemas.ids import LEVELS
from stages.review.fold import Place, Touched, nearest
from stages.review.spans import Span

SHARED = 0.5  # of an event that lies in a rejected span, or of the span that lies in it, from which it is rejected too


@dataclass(frozen=True, slots=True)
class Words:
    """What a person calls the span [start_ms, end_ms) of a level and track."""

    level: str
    track: str
    start_ms: int
    end_ms: int
    text: str
    by: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person has made of the span [start_ms, end_ms): accepted or rejected."""

    level: str
    track: str
    start_ms: int
    end_ms: int
    state: str


@dataclass(frozen=True, slots=True)
class Overlay:
    """Of one episode, each in order of level, track and time."""

    labels: tuple[Label, ...] = ()
    words: tuple[Words, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


@dataclass(slots=True)
class _Parts:
    labels: list[Label] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)


def overlays(touched: Mapping[Place, Sequence[Touched]]) -> dict[str, Overlay]:
    """{episode: its overlay}; none of one of which spans were only flagged or skipped, or all of it was undone."""
    found: dict[str, _Parts] = {}
    for (episode, level, track), own in sorted(touched.items()):
        parts = found.setdefault(episode, _Parts())
        for item in own:
            _add(parts, item, level, track)
    return {
        episode: Overlay(tuple(p.labels), tuple(p.words), tuple(p.verdicts))
        for episode, p in found.items()
        if p.labels or p.words or p.verdicts
    }


def _add(parts: _Parts, item: Touched, level: str, track: str) -> None:
    span = item.span
    if {"span", "primitive"} & set(span.own):
        primitive = span.primitive if "primitive" in span.own else None
        ends = span.start / 1000, span.end / 1000
        parts.labels.append(Decided(level, *ends, "", "seconds", track, primitive, item.actor))
    if "text" in span.own:
        parts.words.append(Words(level, track, span.start, span.end, span.text, item.actor))
    if span.state in ("accepted", "rejected"):
        parts.verdicts.append(Verdict(level, track, span.start, span.end, span.state))


def words_for(words: Sequence[Words], events: Mapping[str, tuple[str, str, Span]]) -> dict[str, Words]:
    """{event: what a person calls it}; events: {event: (level, track, span)}. Words about a span that the machine has
    moved since are those of the event most like it, if half of both is shared."""
    found: dict[str, Words] = {}
    for said in words:
        own = {e: s for e, (level, track, s) in events.items() if (level, track) == (said.level, said.track)}
        near = nearest(Span(said.start_ms, said.end_ms, ""), own.values())
        if near is not None:
            found[next(e for e, s in own.items() if s is near)] = said
    return found


def rejected(verdicts: Iterable[Verdict], level: str, start_ms: int, end_ms: int, track: str = "all") -> bool:
    """Whether an event must not be trained on: most of it lies in a span that was rejected, of its level or a coarser
    one, or most of such a span of its own level lies in it."""
    for said in verdicts:
        if said.state != "rejected" or said.track != track or LEVELS.index(said.level) < LEVELS.index(level):
            continue
        shared = max(0, min(end_ms, said.end_ms) - max(start_ms, said.start_ms))
        of_span = shared / (said.end_ms - said.start_ms) if said.level == level else 0.0
        if max(shared / (end_ms - start_ms), of_span) > SHARED:
            return True
    return False


def accepted(verdicts: Iterable[Verdict], level: str, start_ms: int, end_ms: int, track: str = "all") -> bool:
    """Whether a person has accepted just this event, to a millisecond's rounding."""
    return any(
        said.state == "accepted"
        and (said.level, said.track) == (level, track)
        and abs(said.start_ms - start_ms) <= 2
        and abs(said.end_ms - end_ms) <= 2
        for said in verdicts
    )
