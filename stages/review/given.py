"""Spans that somebody has set elsewhere, held against those that stand: what of them is a decision.

In: spans of one level and track as they stand, which tile an episode, and those of a file, which need not. Out: steps,
each of which puts spans in the place of others over one stretch, as decisions do; and spans of the file that cannot be,
each with why. What the file says as it stands is no step, what it does not speak of stays. An edge that was moved is
the neighbour's too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from stages.review.edit import Impossible, caption, primitive
from stages.review.fold import ALIKE, around
from stages.review.spans import Span, over, overlap

NAMES = {(1, 2): "split", (2, 1): "merge", (2, 2): "end"}  # of a step, by how many spans go and come


@dataclass(frozen=True, slots=True)
class Given:
    """[start, end) in ms, as a file has it; primitive, text: None where it does not say. where: in the file."""

    start: int
    end: int
    primitive: str | None
    text: str | None
    where: str


@dataclass(frozen=True, slots=True)
class Step:
    """Spans that go, and those in their place; action: one of schemas.review.decisions.ACTIONS."""

    action: str
    before: tuple[Span, ...]
    after: tuple[Span, ...]


Refused = tuple[Given, str]
Borders = tuple[int, int]


def steps(
    now: Sequence[Span], given: Sequence[Given], stood: Collection[Borders] = ()
) -> tuple[list[Step], list[Refused]]:
    """(what is to be decided so that `given` stands, in order of time; what of it cannot be, and why). stood: borders
    that spans had once, so that a neighbour of what was changed, which a file has as it was, is not taken for news."""
    accepted, refused = _accepted(now, given, stood)
    borders = {(s.start, s.end) for s in now}
    same = {(g.start, g.end): g for g in accepted if (g.start, g.end) in borders}
    base = [_said(s, same[s.start, s.end]) if (s.start, s.end) in same else s for s in now]
    new = _laid(base, [g for g in accepted if (g.start, g.end) not in borders])
    return list(_between(now, new)), refused


def parted(now: Sequence[Span], given: Sequence[Given]) -> list[Given]:
    """Spans of a format that joins neighbours of one caption, parted again where it could not have shown an edge."""
    hidden = [b.start for a, b in pairwise(now) if a.text == b.text]
    found = []
    for own in given:
        cuts = [own.start, *(h for h in hidden if own.start < h < own.end), own.end]
        found += [replace(own, start=a, end=b) for a, b in pairwise(cuts)]
    return found


def _accepted(
    now: Sequence[Span], given: Sequence[Given], stood: Collection[Borders]
) -> tuple[list[Given], list[Refused]]:
    """Spans that are taken, and those that cannot be. What is new goes before what stands, and that before what stood
    once, which gives way."""
    borders = {(s.start, s.end) for s in now}
    taken: list[Given] = []
    refused: list[Refused] = []

    def rank(own: Given) -> int:
        return 1 if (own.start, own.end) in borders else 2 if (own.start, own.end) in stood else 0

    for own in sorted(given, key=lambda g: (rank(g), g.start, g.end)):
        why, own = _checked(now, own)
        others = [t for t in taken if t.start < own.end and own.start < t.end]
        if rank(own) and not why:
            same = [t for t in others if (t.start, t.end) == (own.start, own.end)]
            if rank(own) == 2 and not same:
                own = _beside(own, others)
            others = same
        if not why and others:
            why = f"it overlaps {others[0].where}, from {others[0].start} to {others[0].end} ms"
        if why:
            refused.append((own, why))
        elif own.start < own.end:
            taken.append(own)
    return taken, refused


def _beside(own: Given, others: Sequence[Given]) -> Given:
    """What others leave of a span; one without length where that is nothing."""
    start, end = own.start, own.end
    for other in others:
        if other.start <= start:
            start = max(start, other.end)
        else:
            end = min(end, other.start)
    return replace(own, start=start, end=max(start, end))


def _checked(now: Sequence[Span], own: Given) -> tuple[str, Given]:
    """(why it cannot be, or nothing; it with its words as they are kept)."""
    if own.end <= own.start:
        return "it holds no frame of the episode", own
    if own.start < now[0].start or now[-1].end < own.end:
        return f"it lies outside of the episode, from {now[0].start} to {now[-1].end} ms", own
    try:
        if own.primitive is not None:
            primitive(own.primitive)
        known = own.text is None or any(s.text == own.text for s in now)  # as long as a task may be
        return "", own if known else replace(own, text=caption(own.text or ""))
    except Impossible as error:
        return str(error), own


def _said(span: Span, own: Given) -> Span:
    """A span with what a file says of it; what says the same is nobody's word."""
    if own.primitive is not None and own.primitive != span.primitive:
        span = span.set("primitive", primitive=own.primitive)
    return span if own.text in (None, span.text) else span.set("text", text=own.text)


def _laid(base: Sequence[Span], changed: Sequence[Given]) -> list[Span]:
    """Spans that tile what `base` does, with those that were changed among them."""
    if not changed:
        return list(base)
    pairs = sorted(
        ((overlap(Span(g.start, g.end, ""), s), -n, -k) for n, g in enumerate(changed) for k, s in enumerate(base)),
        reverse=True,
    )
    was: dict[int, int] = {}  # number of a changed span: that of the one which it was
    for alike, n, k in pairs:
        if alike >= ALIKE and -n not in was and -k not in was.values():
            was[-n] = -k
    made = []
    for n, own in enumerate(changed):
        like = base[was[n]] if n in was else max(base, key=lambda s: min(own.end, s.end) - max(own.start, s.start))
        if n not in was:
            like = replace(like, state="", flagged=False, own=tuple(o for o in like.own if o != "span"))
        made.append(_said(like, own).set("span", start=own.start, end=own.end))
    rest = [s for k, s in enumerate(base) if k not in was.values()]
    whole = {(s.start, s.end) for s in rest}
    left = [s if (s.start, s.end) in whole else s.set("span") for s in around(rest, made)]
    return _closed(base, made, left)


def _closed(base: Sequence[Span], made: Sequence[Span], left: Sequence[Span]) -> list[Span]:
    """Made and left spans in order, none apart from the next: an edge that was drawn back is its neighbour's, unless
    that was set too; then what stood there goes on standing in between."""
    placed = sorted([(s, True) for s in made] + [(s, False) for s in left], key=lambda p: p[0].start)
    found: list[tuple[Span, bool]] = []
    at = base[0].start
    for span, set_ in placed:
        if at < span.start:
            if not set_:
                span = span.set("span", start=at)
            elif found and not found[-1][1]:
                found[-1] = found[-1][0].set("span", end=span.start), False
            else:
                found += _standing(base, at, span.start)
        found.append((span, set_))
        at = span.end
    if at < base[-1].end:
        if not found[-1][1]:
            found[-1] = found[-1][0].set("span", end=base[-1].end), False
        else:
            found += _standing(base, at, base[-1].end)
    return [span for span, _ in found]


def _standing(base: Sequence[Span], start: int, end: int) -> list[tuple[Span, bool]]:
    return [(s.set("span", start=max(s.start, start), end=min(s.end, end)), True) for s in over(base, start, end)]


def _between(now: Sequence[Span], new: Sequence[Span]) -> Iterator[Step]:
    """Steps from one tiling to another, each over a stretch between two edges that both have."""
    edges = [*sorted({s.start for s in now} & {s.start for s in new}), now[-1].end]
    old, made = [s.start for s in now], [s.start for s in new]
    for start, end in pairwise(edges):
        before = list(now[bisect_left(old, start) : bisect_left(old, end)])
        after = list(new[bisect_left(made, start) : bisect_left(made, end)])
        if before == after:
            continue
        if len(before) == len(after) == 1:
            yield from _of_one(before[0], after[0])
        else:
            action = NAMES.get((len(before), len(after)), "label")
            yield Step(action, tuple(before), tuple(after))


def _of_one(before: Span, after: Span) -> Iterator[Step]:
    """A span of which words have changed, one after the other."""
    if before.primitive != after.primitive:
        named = before.set("primitive", primitive=after.primitive)
        yield Step("primitive", (before,), (named,))
        before = named
    if before.text != after.text:
        yield Step("caption", (before,), (before.set("text", text=after.text),))
