"""Which events the report plays: one of each of the most frequent primitives, and those that are least sure.

In: a corpus. Out: events to show, few and the same each time. Of a primitive the one that is most like the others:
among those whose confidence is not below its median, that of most usual length. Only events that move, of episodes
with a video, and long enough to be seen.
"""

from __future__ import annotations

import polars as pl

from pipeline.corpus.view import Corpus

PRIMITIVES = 5  # the most frequent ones
UNSURE = 3  # events, of an episode each
SHORTEST_S = 0.4
COLUMNS = [
    "event_id", "episode_id", "level", "track", "start_frame", "end_frame", "start_s", "end_s", "primitive", "static",
    "confidence",
]  # fmt: skip


def chosen(corpus: Corpus) -> pl.DataFrame:
    """COLUMNS and `why` (typical, unsure), in the order in which they are shown; empty before segment or without
    video."""
    seen = corpus.table("observations", columns=["episode_id"])["episode_id"].unique().to_list()
    length = (pl.col("end_s") - pl.col("start_s")).round(3)
    events = (
        corpus.table("events", columns=COLUMNS)
        .filter(pl.col("track") == "all", pl.col("level") == corpus.level(), ~pl.col("static"))
        .filter(pl.col("episode_id").is_in(seen), length >= SHORTEST_S)
        .with_columns(length=length)
    )
    own = typical(events)
    rest = events.filter(~pl.col("event_id").is_in(own["event_id"].to_list()))
    return pl.concat(
        [own.with_columns(why=pl.lit("typical")), least_sure(rest).with_columns(why=pl.lit("unsure"))]
    ).drop("length")


def typical(events: pl.DataFrame) -> pl.DataFrame:
    """One event of each of the most frequent primitives, the most frequent first; events: with `length`, s."""
    order = events["primitive"].value_counts().sort("count", "primitive", descending=[True, False])["primitive"]
    found = [events.clear()]
    for primitive in order.head(PRIMITIVES):
        own = events.filter(primitive=primitive)
        sure = own.filter(pl.col("confidence") >= own["confidence"].median())
        found.append(sure.sort((pl.col("length") - own["length"].median()).abs(), "event_id").head(1))
    return pl.concat(found)


def least_sure(events: pl.DataFrame) -> pl.DataFrame:
    """The least confident event of each of the episodes whose least confident event is least so."""
    return events.sort("confidence", "event_id").unique("episode_id", keep="first", maintain_order=True).head(UNSURE)
