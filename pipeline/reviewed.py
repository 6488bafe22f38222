"""What the review page has settled, as truth to learn from: levels of episodes of which every event was judged, and
captions.

In: a corpus, with its decisions, whether or not a build has taken them up. Out: spans as labels; which captions were
found right as they are, which are people's, which are of events that were rejected. What is known of gold is none of
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from pipeline.corpus import decisions
from pipeline.corpus.view import Corpus
from schemas.episodes import Label
from stages.review.fold import SAME_MS, fold, laid_over
from stages.review.overlay import overlays, rejected
from stages.review.spans import REVIEWED, ms, of_events

SAID_BY = "review"


def labels_of(corpus: Corpus) -> dict[str, tuple[Label, ...]]:
    """{episode: its spans} of levels of which people have judged every span of both arms. A rejected one is none; where
    two follow each other nobody has vouched for the border between them, and the level teaches nothing. Raises
    DamagedDecisions."""
    touched = {place: own for place, own in fold(decisions.read(corpus.root)).items() if place[2] == "all"}
    columns = ["episode_id", "level", "track", "start_s", "end_s", "primitive"]
    events = corpus.table("events", sorted({episode for episode, *_ in touched}), columns).filter(track="all")
    found: dict[str, tuple[Label, ...]] = {}
    for (episode, level, _), own in sorted(touched.items()):
        machine = of_events(events.filter(episode_id=episode, level=level).to_dicts())
        spans = laid_over(machine, own).spans
        states = [s.state for s in spans]
        if spans and set(states) <= set(REVIEWED) and ("rejected", "rejected") not in pairwise(states):
            kept = [s for s in spans if s.state == "accepted"]
            made = (Label(level, s.start / 1000, s.end / 1000, "", said_by=SAID_BY) for s in kept)
            found[episode] = (*found.get(episode, ()), *made)
    return found


@dataclass(frozen=True, slots=True)
class Captions:
    """Events of both arms. right: accepted, and the corpus calls them what the person saw; words: {event: what a person
    has called it}; rejected: they, or most of a span above them."""

    right: frozenset[str]
    words: dict[str, str]
    rejected: frozenset[str]


def captions(corpus: Corpus) -> Captions:
    """What people have said of captions. Of a span whose borders or primitive a person has changed nothing is said
    before a build has taken that up. Raises DamagedDecisions."""
    touched = {place: own for place, own in fold(decisions.read(corpus.root)).items() if place[2] == "all"}
    verdicts = {e: o.verdicts for e, o in overlays(touched).items()}
    columns = ["event_id", "episode_id", "level", "track", "start_s", "end_s", "primitive"]
    events = corpus.table("events", sorted({episode for episode, *_ in touched}), columns).filter(track="all")
    said = corpus.table("captions", sorted({episode for episode, *_ in touched}), ["event_id", "text"])
    right, words, out = set[str](), dict[str, str](), set[str]()
    for event in events.join(said, on="event_id", how="left").iter_rows(named=True):
        own = touched.get((event["episode_id"], event["level"], "all"), ())
        start, end = ms(event["start_s"]), ms(event["end_s"])
        if rejected(verdicts.get(event["episode_id"], ()), event["level"], start, end):
            out.add(event["event_id"])
            continue
        same = [t.span for t in own if abs(t.span.start - start) <= SAME_MS and abs(t.span.end - end) <= SAME_MS]
        if not same or same[0].primitive != event["primitive"]:
            continue
        if "text" in same[0].own:
            words[event["event_id"]] = same[0].text
        elif same[0].state == "accepted" and same[0].text == event["text"]:
            right.add(event["event_id"])
    return Captions(frozenset(right), words, frozenset(out))
