"""How each source was cut: events by level and primitive, their lengths, recoveries, unknowns; and where it is least
sure.

In: a corpus. Out: plain rows, bounded in number, and the episodes whose actions are least confident. Static spans
count as events and not among the lengths.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline.corpus.view import Corpus
from schemas.ids import SOURCE_OF

LEVELS = ("L2", "L1", "L0")
SOURCES = 20  # in the table, those with most events
UNSURE = 10
COLUMNS = [
    "episode_id",
    "level",
    "track",
    "origin",
    "start_s",
    "end_s",
    "primitive",
    "static",
    "confidence",
    "recovery",
]


@dataclass(frozen=True, slots=True)
class Cut:
    """One source at one level: events, those of people, seconds of each that moves, primitives by how often; shares of
    events that mend a failure and of events whose primitive is unknown."""

    source: str
    level: str
    events: int
    human: int
    seconds: npt.NDArray[np.float64]
    primitives: list[tuple[str, int]]
    recovery: float
    unknown: float


def load(corpus: Corpus) -> pl.DataFrame:
    """Events of both arms together, narrow; without a row before segment."""
    return corpus.table("events", columns=COLUMNS).filter(track="all")


def cuts(events: pl.DataFrame) -> tuple[list[Cut], int]:
    """(a row a source and level, sources that are not shown); events: of `load`."""
    events = events.with_columns(source=pl.col("episode_id").str.extract(SOURCE_OF, 1))
    sizes = events["source"].value_counts().sort("count", "source", descending=[True, False])
    shown = sizes["source"].head(SOURCES).to_list()
    rows = []
    for source in sorted(shown):
        for level in LEVELS:
            own = events.filter(source=source, level=level)
            moving = own.filter(~pl.col("static"))
            counts = own["primitive"].value_counts().sort("count", "primitive", descending=[True, False])
            rows.append(
                Cut(
                    source,
                    level,
                    own.height,
                    own.filter(origin="human").height,
                    (moving["end_s"] - moving["start_s"]).to_numpy(),
                    counts.rows(),
                    _share(own["recovery"].is_not_null()),
                    _share(own["primitive"] == "unknown"),
                )
            )
    return rows, max(0, sizes.height - SOURCES)


def least_confident(events: pl.DataFrame, drawn: Iterable[str] = ()) -> list[tuple[str, float]]:
    """(episode, mean confidence of its actions weighed by their length), the least first, without those that are drawn
    already; events: of `load`."""
    weight = pl.col("end_s") - pl.col("start_s")
    means = (
        events.filter(pl.col("level") == "L1", ~pl.col("episode_id").is_in(list(drawn)))
        .group_by("episode_id")
        .agg(confidence=(pl.col("confidence") * weight).sum() / weight.sum())
        .sort("confidence", "episode_id")
    )
    return means.head(UNSURE).rows()


def _share(flags: pl.Series) -> float:
    return float(flags.sum()) / max(1, len(flags))
