"""What the review page has settled: levels of episodes of which every event was judged, as truth to learn from.

In: a corpus, with its decisions. Out: spans as labels, and which events were found right as they are.
"""

from __future__ import annotations

import polars as pl

from pipeline.corpus import decisions
from pipeline.corpus.view import Corpus
from schemas.episodes import Label
from stages.review.fold import fold, laid_over
from stages.review.overlay import accepted, overlays
from stages.review.spans import REVIEWED, ms, of_events

SAID_BY = "review"


def labels_of(corpus: Corpus) -> dict[str, tuple[Label, ...]]:
    """{episode: its spans} of levels of which people have judged every span of both arms; rejected ones too, whose
    borders stand. Raises DamagedDecisions."""
    touched = {place: own for place, own in fold(decisions.read(corpus.root)).items() if place[2] == "all"}
    columns = ["episode_id", "level", "track", "start_s", "end_s", "primitive"]
    events = corpus.table("events", sorted({episode for episode, *_ in touched}), columns).filter(track="all")
    found: dict[str, tuple[Label, ...]] = {}
    for (episode, level, _), own in sorted(touched.items()):
        machine = of_events(events.filter(episode_id=episode, level=level).to_dicts())
        spans = laid_over(machine, own).spans
        if spans and all(s.state in REVIEWED for s in spans):
            made = (Label(level, s.start / 1000, s.end / 1000, "", said_by=SAID_BY) for s in spans)
            found[episode] = (*found.get(episode, ()), *made)
    return found


def right(corpus: Corpus) -> set[str]:
    """Events that people have accepted as they are. Raises DamagedDecisions."""
    verdicts = {e: o.verdicts for e, o in overlays(fold(decisions.read(corpus.root))).items() if o.verdicts}
    columns = ["event_id", "episode_id", "level", "track", "start_s", "end_s"]
    events = corpus.table("events", sorted(verdicts), columns).filter(pl.col("track") == "all")
    return {
        event
        for event, episode, level, track, start, end in events.iter_rows()
        if accepted(verdicts[episode], level, ms(start), ms(end), track)
    }
