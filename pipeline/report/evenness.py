"""How evenly the clusters of every level are filled: as recorded, and as a pass over the release sees them.

In: events, the fates of the shard level's events (`samples`), cluster labels. Out: per level and clustering the sizes
of its clusters with Gini and entropy. Only one level is drawn; how even that leaves the others is told by overlap: an
event's mass is the share of its frames that lies in sampled events of the shard level. Levels nest, so overlap follows
from parents alone: upwards children's frames add up, downwards an event takes what its one ancestor has. Three million
events take about a second.
"""

from __future__ import annotations

import json
from typing import Literal, TypedDict

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline.corpus.view import Corpus
from stages import storage
from stages.balance.figures import entropy, gini, tail_share

LEVELS = ("L3", "L2", "L1", "L0")  # coarse to fine: the parent of an event is one to the left
SPACES: tuple[Literal["vl", "action"], ...] = ("vl", "action")
KINDS = ("before", "sampled")  # names of the release's own statistics


class Sizes(TypedDict):
    """Events of each cluster, in the order of the labels, and how evenly they lie: Gini, entropy, share of the smaller
    half."""

    sizes: list[float]
    gini: float
    entropy: float
    tail_share: float


class Kinds(TypedDict):
    """A clustering as recorded, and as it is drawn; the shard level's has more, as `stats.json` tells."""

    before: Sizes
    sampled: Sizes


class Evenness(TypedDict):
    """A level: its events, and both clusterings."""

    events: int
    vl: Kinds
    action: Kinds


def load(corpus: Corpus) -> dict[str, Evenness]:
    """`evenness` of the corpus's release, coarse to fine; {} where there is none, or no train event to balance.

    The shard level's figures are the release's own, out of its `stats.json`.
    """
    release = corpus.manifest["release"]
    if not release:
        return {}
    stats = json.loads(storage.read_bytes(corpus.ledger.path(f"shards/{release}/stats.json")))["balance"]
    if not stats:
        return {}
    level = corpus.manifest["config"]["shard"]["level"]
    found = evenness(
        corpus.table("events", columns=["event_id", "level", "parent_id", "start_frame", "end_frame"]),
        corpus.table("samples", columns=["event_id", "split", "status", "repeats"]),
        corpus.table("clusters", columns=["event_id", "level", "vl_cluster", "action_cluster"]),
        level,
    )
    return {name: stats if name == level else found[name] for name in LEVELS if name == level or name in found}


def evenness(
    events: pl.DataFrame, samples: pl.DataFrame, clusters: pl.DataFrame, shard_level: str
) -> dict[str, Evenness]:
    """{level: its figures} of the levels that have labels."""
    weighed = masses(events, samples, shard_level)
    result: dict[str, Evenness] = {}
    for level in LEVELS:
        labels = clusters.filter(level=level).select("event_id", *(f"{s}_cluster" for s in SPACES))
        own = weighed.filter(level=level)
        if own.is_empty() or labels.is_empty():
            continue
        own = own.join(labels, on="event_id", how="left").fill_null(-1)
        vl, action = _figures(own, "vl_cluster"), _figures(own, "action_cluster")
        result[level] = {"events": own.height, "vl": vl, "action": action}
    return result


def masses(events: pl.DataFrame, samples: pl.DataFrame, shard_level: str) -> pl.DataFrame:
    """Columns level, event_id, before, sampled: the mass of every event that shares a frame with the pool.

    The pool is the shard level's train events that balance chose from (sampled or in reserve).
    """
    spans = events.select("event_id", "level", "parent_id", frames=pl.col("end_frame") - pl.col("start_frame"))
    pool = samples.filter((pl.col("split") == "train") & pl.col("status").is_in(["sampled", "reserve"])).select(
        "event_id", sampled=pl.col("repeats").cast(pl.Float64)
    )
    pool = pool.join(spans.filter(level=shard_level), on="event_id")
    at = LEVELS.index(shard_level)
    pieces = [_of(shard_level, pool)]

    carried = pool.with_columns(pl.col("sampled") * pl.col("frames"))  # in frames, from level to level
    for level in reversed(LEVELS[:at]):
        carried = carried.group_by(event_id="parent_id").agg(pl.col("sampled").sum())
        carried = carried.join(spans.filter(level=level), on="event_id")
        pieces.append(_of(level, carried.with_columns(pl.col("sampled") / pl.col("frames"))))

    ancestor = pool
    for level in LEVELS[at + 1 :]:
        held = ancestor.select(pl.col("event_id").alias("parent_id"), "sampled")
        ancestor = spans.filter(level=level).join(held, on="parent_id")
        pieces.append(_of(level, ancestor))
    return pl.concat(pieces)


def _of(level: str, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select("event_id", "sampled", level=pl.lit(level), before=pl.lit(1.0))


def _figures(rows: pl.DataFrame, column: str) -> Kinds:
    sizes = rows.group_by(column).agg(pl.col(*KINDS).sum()).sort(column)
    recorded = sizes["before"].to_numpy().astype(np.int64)
    before, sampled = sizes["before"].to_numpy(), sizes["sampled"].to_numpy()
    return {"before": _of_sizes(recorded, before), "sampled": _of_sizes(recorded, sampled)}


def _of_sizes(recorded: npt.NDArray[np.int64], sizes: npt.NDArray[np.float64]) -> Sizes:
    return {
        "sizes": sizes.tolist(),
        "gini": gini(sizes),
        "entropy": entropy(sizes),
        "tail_share": tail_share(recorded, sizes),
    }
