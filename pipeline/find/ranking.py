"""Several orders of the same events become one: reciprocal rank fusion.

In: a frame with a column of scores for each way to search, null where a way says nothing of an event. Out: a score an
event, the sum of 1 / (K + rank) over the ways. Ranks are compared and not scores, which are of different kinds: a BM25
score, cosines of texts and of pictures. After Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion outperforms
Condorcet and individual Rank Learning Methods" (SIGIR 2009). Their K is 60; here many events share a label or a caption
and with it a rank, and a smaller K keeps apart what is first in one way from what is middling in all: docs/find.md has
both.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

K = 10


def fused(scores: pl.DataFrame, ways: Sequence[str], k: int = K) -> pl.DataFrame:
    """`scores` with the column `score`. Equal scores have the rank of the first among them."""
    each = [(1.0 / (k + pl.col(way).rank("min", descending=True))).fill_null(0.0) for way in ways]
    return scores.with_columns(score=pl.sum_horizontal(each))


def best(scores: pl.DataFrame, ways: Sequence[str], limit: int, k: int = K) -> pl.DataFrame:
    """The events of the highest `score`, best first; equal ones by each way in turn, then by name. Events of which no
    way says anything are none."""
    said = pl.any_horizontal(pl.col(way).is_not_null() for way in ways)
    order = ["score", *ways, "event_id"]
    return (
        fused(scores, ways, k)
        .filter(said)
        .sort(order, descending=[True] * (len(order) - 1) + [False], nulls_last=True)
        .head(limit)
    )
