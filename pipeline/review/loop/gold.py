"""Gold: levels of episodes whose right answer is known, and which everybody judges blind among other events.

In: label files that hold every span of such a level. Out: the right spans; which of them are whose; rows of a queue
with some of them dealt in. Nobody but who is in charge can tell them apart: each person sees the machine's spans and
what they have decided themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from pipeline.labels import LabelError, read
from pipeline.review.catalogue import Catalogue, ShownEvent
from pipeline.review.episode import Episodes, UnknownEpisode
from schemas.episodes import Label
from schemas.ids import unit_hash
from stages.review.fold import Place
from stages.review.spans import Span, ms

SHARE = 0.05  # of a person's queue
MOST = 30  # levels of episodes that a person is given
GAP_MS = 100  # between spans of a file, and at an episode's ends: rounding


@dataclass(frozen=True, slots=True)
class Gold:
    """answers: the right spans, in order; refused: what of the files cannot be used, and why."""

    answers: Mapping[Place, Sequence[Span]] = field(default_factory=dict)
    refused: tuple[str, ...] = ()

    def of(self, actor: str, level: str, events: int) -> list[Place]:
        """Whose share of a level of so many events these are: as many as make SHARE of it, at least one."""
        found, number = list[Place](), 0
        own = [p for p in self.answers if p[1] == level]
        for place in sorted(own, key=lambda p: unit_hash(f"gold:{actor}:{p[0]}"))[:MOST]:
            number += len(self.answers[place])
            if found and number > SHARE * events:
                break
            found.append(place)
        return found


def gold_of(files: Sequence[str], catalogue: Catalogue, episodes: Episodes) -> Gold:
    """Raises LabelError where a file cannot be read, or none of its levels can be used."""
    if not files:
        return Gold()
    try:
        given = read(files, everything=True)
    except LabelError as error:
        raise LabelError(str(error).replace("segment.labels=", "--gold ")) from error
    answers: dict[Place, Sequence[Span]] = {}
    refused = []
    for episode, labels in sorted(given.items()):
        for level in sorted({x.level for x in labels if x.track == "all"}):
            place = (episode, level, "all")
            own = [x for x in labels if (x.level, x.track) == place[1:]]
            try:
                answers[place] = _whole(own, catalogue.machine(place), episodes.edges(episode))
            except (LabelError, UnknownEpisode) as error:
                refused.append(f"gold: {episode} {level}: {error}")
    if not answers:
        raise LabelError("--gold: no level of an episode can be used: " + "; ".join(refused[:3] or ["no span of all"]))
    return Gold(answers, tuple(refused))


def _whole(labels: Sequence[Label], machine: Sequence[Span], edges: Sequence[int]) -> list[Span]:
    """Spans of a level, which tile it. Raises LabelError."""
    if not machine:
        raise LabelError("the corpus has no such level")
    if any("span" in s.own for s in machine):
        raise LabelError("the corpus has a person's borders there, which give the answer away")
    found = sorted((_span(x, edges) for x in labels), key=lambda s: s.start)
    if any(abs(a.end - b.start) > GAP_MS for a, b in pairwise(found)):
        raise LabelError("its spans do not follow each other: gold is every span of a level")
    if found[0].start > machine[0].start + GAP_MS or found[-1].end < machine[-1].end - GAP_MS:
        raise LabelError(
            "its spans do not reach from the episode's beginning to its end: gold is every span of a level"
        )
    return found


def _span(label: Label, edges: Sequence[int]) -> Span:
    ends = (label.start, label.end)
    if label.unit == "frames":
        start, end = (edges[min(max(0, int(f)), len(edges) - 1)] for f in ends)
    else:
        start, end = (ms(t) for t in ends)
    return Span(start, end, label.primitive or "", label.text)


def chosen(gold: Sequence[ShownEvent], order: str, limit: int, others: int) -> list[ShownEvent]:
    """Which of a person's gold rows a page of a queue with so many other events has: SHARE of the page, at least one;
    by episode whole episodes."""
    if not others:
        return list(gold[:limit])
    most = int(limit * SHARE)
    if order != "episode":
        return list(gold[:most])
    found: list[ShownEvent] = []
    for _, own in groupby(gold, key=lambda r: r["episode"]):
        block = list(own)
        if found and len(found) + len(block) > most:
            break
        found += block
    return found if len(found) < limit else []


def dealt(rows: Sequence[ShownEvent], gold: Sequence[ShownEvent], order: str, actor: str) -> list[ShownEvent]:
    """Rows of a page with gold ones among them, at places that only hang on who asks and what is there: by episode
    whole episodes between others, else one in each stretch."""
    if not gold or not rows:
        return [*rows, *gold]
    blocks = [[r] for r in gold]
    places = list(range(len(rows)))
    if order == "episode":
        blocks = [list(own) for _, own in groupby(gold, key=lambda r: r["episode"])]
        places = [n for n in places if n == 0 or rows[n]["episode"] != rows[n - 1]["episode"]]
    before: dict[int, list[ShownEvent]] = {}
    for number, block in enumerate(blocks):
        some = places[number * len(places) // len(blocks) : (number + 1) * len(places) // len(blocks)] or places[-1:]
        at = min(some, key=lambda n: unit_hash(f"deal:{actor}:{rows[n]['episode']}:{rows[n]['start_ms']}"))
        before.setdefault(at, []).extend(block)
    return [r for n, row in enumerate(rows) for r in (*before.get(n, ()), row)]
