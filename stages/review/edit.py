"""What an action does: spans of one level and track in, those that go and those that come in their place out.

Both tile the same stretch. An edge that moves is the edge of two spans: the neighbour's moves with it. Times are edges
of frames, so that no span ends within a frame. Raises `Impossible` with words for the person.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from schemas.events import PRIMITIVES
from stages.review.spans import Span, over
from stages.text import plain

STATE_OF = {"accept": "accepted", "reject": "rejected", "skip": "skipped"}
LETTERS = 400  # of a caption


class Impossible(ValueError):
    """An action that cannot be done to these spans; the message is for the person who asked."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of the span that starts at `at` (ms). to, until: where an edge goes, where a span is cut, or [to,
    until) that is labelled; primitive, text: what it shall say."""

    action: str
    at: int
    to: int = 0
    until: int = 0
    primitive: str = ""
    text: str = ""


Change = tuple[list[Span], list[Span]]


def change(spans: Sequence[Span], ask: Ask, edges: Sequence[int]) -> Change:
    """(spans that go, spans that come in their place). spans: all of a level and track, in order; edges: where frames
    begin, and where the last one ends, ms."""
    number = next((n for n, s in enumerate(spans) if s.start == ask.at), None)
    if ask.action == "label":
        return _label(spans, ask, edges)
    if number is None:
        raise Impossible(f"no event starts at {ask.at} ms any more")
    span = spans[number]
    if ask.action in STATE_OF:
        return [span], [replace(span, state=STATE_OF[ask.action])]
    if ask.action == "flag":
        return [span], [replace(span, flagged=not span.flagged)]
    if ask.action == "caption":
        return [span], [span.set("text", text=caption(ask.text))]
    if ask.action == "primitive":
        return [span], [span.set("primitive", primitive=primitive(ask.primitive))]
    if ask.action == "split":
        cut = _between(nearest(edges, ask.to), span.start, span.end)
        return [span], [span.set("span", end=cut), span.set("span", start=cut)]
    if ask.action == "merge":
        if number + 1 == len(spans):
            raise Impossible("it is the last event: there is none after it to merge with")
        return _merged(span, spans[number + 1])
    if ask.action in ("start", "end"):
        return _moved(spans, number if ask.action == "start" else number + 1, nearest(edges, ask.to))
    raise Impossible(f"nobody knows the action {plain(ask.action, 40)!r}")


def nearest(edges: Sequence[int], time: int) -> int:
    """The edge of a frame that is nearest to a time."""
    after = bisect_left(edges, time)
    around = edges[max(0, after - 1) : after + 1]
    return min(around, key=lambda edge: abs(edge - time))


def _moved(spans: Sequence[Span], right: int, to: int) -> Change:
    """The edge between span `right` - 1 and span `right` goes to a time between the outer edges of both."""
    if right in (0, len(spans)):
        raise Impossible("the episode ends there: that edge cannot move")
    one, two = spans[right - 1], spans[right]
    edge = _between(to, one.start, two.end)
    if edge == one.end:
        raise Impossible("the edge is there already")
    return [one, two], [one.set("span", end=edge), two.set("span", start=edge)]


def _merged(one: Span, two: Span) -> Change:
    """One span with what the longer of the two says, and a person's words before the machine's."""
    said = max((one, two), key=lambda s: ("text" in s.own, s.end - s.start))
    done = max((one, two), key=lambda s: ("primitive" in s.own, s.end - s.start))
    own = {"span"} | {o for s, o in ((said, "text"), (done, "primitive")) if o in s.own}
    flagged = one.flagged or two.flagged
    return [one, two], [Span(one.start, two.end, done.primitive, said.text, "", flagged, tuple(sorted(own)))]


def _label(spans: Sequence[Span], ask: Ask, edges: Sequence[int]) -> Change:
    """[to, until) becomes one span of a primitive; what it cuts into keeps what is left of it."""
    start, end = nearest(edges, ask.to), nearest(edges, ask.until)
    if not spans or end <= start or start < spans[0].start or end > spans[-1].end:
        raise Impossible("what is labelled must hold a frame, and lie in the episode")
    before = over(spans, start, end)
    words = max(before, key=lambda s: min(end, s.end) - max(start, s.start))
    new = replace(words, start=start, end=end, state="", own=tuple(o for o in words.own if o == "text"))
    after = [new.set("span", "primitive", primitive=primitive(ask.primitive))]
    if before[0].start < start:
        after.insert(0, before[0].set("span", end=start))
    if end < before[-1].end:
        after.append(before[-1].set("span", start=end))
    return before, after


def _between(time: int, start: int, end: int) -> int:
    if not start < time < end:
        raise Impossible("no frame of an event would be left")
    return time


def primitive(name: str) -> str:
    """The name as it is. Raises Impossible for one that is none of schemas.events.PRIMITIVES."""
    if name not in PRIMITIVES:
        raise Impossible(f"{plain(name, 40)!r} is no primitive: {', '.join(PRIMITIVES)}")
    return name


def caption(text: str) -> str:
    """In one line. Raises Impossible for one without letters, or with too many."""
    words = plain(text, LETTERS + 1).strip()
    if not words or len(words) > LETTERS:
        raise Impossible(f"a caption has 1 to {LETTERS} letters")
    return words
