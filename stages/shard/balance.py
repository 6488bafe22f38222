"""Balance over two clusterings at once: how often each event is wanted, which events are written, what weight is left.

In: two cluster labels an event. Out: wanted frequencies whose marginals go with n_c ** alpha in both clusterings
(raking, that is iterative proportional fitting), inclusion probabilities by water-filling, and the importance weight
that remains for a loader. Shards are flatter than the recordings as they are; with `weight` they meet the target
exactly. Formulas: recipe, section 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.samples import SampleRow

Float = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
ROUNDS = 200
TOLERANCE = 1e-9


def wanted_frequency(vl: Sequence[int], action: Sequence[int], alpha: float, max_weight: float) -> Float:
    """float64[N], mean 1: how often each event is wanted, at most `max_weight`.

    After raking, the summed frequency of a cluster is proportional to n_c ** alpha in both clusterings, as far as the
    joint table of the two and the cap allow.
    """
    labels = [np.unique(np.asarray(side), return_inverse=True)[1] for side in (vl, action)]
    if not len(labels[0]):
        return np.zeros(0)
    targets = [_target(side, alpha) for side in labels]
    wanted: Float = np.ones(len(labels[0]))
    for _ in range(ROUNDS):
        before = wanted
        for side, target in zip(labels, targets, strict=True):
            wanted = np.asarray(wanted * (target / np.bincount(side, weights=wanted))[side], dtype=np.float64)
        wanted = _capped(wanted, max_weight)
        if np.abs(wanted - before).max() < TOLERANCE:
            break
    return wanted


def inclusion(wanted: Float, keep: float) -> Float:
    """float64[N] in [0, 1]: min(1, s * wanted) with s such that the sum is keep * N (water-filling)."""
    count = len(wanted)
    budget = keep * count
    if budget >= count or not count:
        return np.ones(count)
    ranked = np.sort(wanted)[::-1]
    rest = np.concatenate([np.cumsum(ranked[::-1])[::-1], [0.0]])
    for certain in range(count):  # `certain` events are taken for sure; the first s that fits the others is the one
        scale = (budget - certain) / rest[certain]
        if scale * ranked[certain] <= 1.0:
            return np.asarray(np.minimum(1.0, scale * wanted))
    return np.ones(count)


def gini(counts: Sequence[float]) -> float:
    """0 for equal cluster sizes towards 1 for one that has all."""
    sizes = np.sort(np.asarray(counts, dtype=np.float64))
    if not len(sizes) or sizes.sum() == 0:
        return 0.0
    ranks = np.arange(1, len(sizes) + 1)
    return float((2 * (ranks * sizes).sum() / sizes.sum() - len(sizes) - 1) / len(sizes))


def entropy(counts: Sequence[float]) -> float:
    """Entropy over log of the number of clusters: 1 for equal sizes."""
    sizes = np.asarray(counts, dtype=np.float64)
    if len(sizes) < 2 or sizes.sum() == 0:
        return 1.0
    shares = sizes[sizes > 0] / sizes.sum()
    return float(-(shares * np.log(shares)).sum() / np.log(len(sizes)))


def effective_size(weights: Float) -> float:
    """(sum w)^2 / sum w^2."""
    return float(weights.sum() ** 2 / (weights**2).sum()) if len(weights) else 0.0


def report(rows: Sequence[SampleRow]) -> dict[str, Any]:
    """Per clustering: sizes, Gini and entropy over the train events of `samples` rows, before the draw, as drawn, and
    as weighted."""
    pool = pl.DataFrame(
        [r for r in rows if r["split"] == "train" and r["status"] in ("sampled", "reserve")],
        schema_overrides={"shard": pl.String},
        infer_schema_length=None,
    )
    if pool.is_empty():
        return {}
    drawn = pool.filter(pl.col("status") == "sampled")
    result: dict[str, Any] = {
        "events": pool.height,
        "sampled": drawn.height,
        "effective_sample_size": effective_size(drawn["weight"].to_numpy()),
    }
    for space in ("vl", "action"):
        column = f"{space}_cluster"
        sizes = pool.group_by(column).agg(before=pl.len()).sort(column)
        kept = drawn.group_by(column).agg(sampled=pl.len(), weighted=pl.col("weight").sum())
        sizes = sizes.join(kept, on=column, how="left").fill_null(0).sort(column)
        result[space] = {
            name: {
                "sizes": sizes[name].to_list(),
                "gini": gini(sizes[name].to_list()),
                "entropy": entropy(sizes[name].to_list()),
            }
            for name in ("before", "sampled", "weighted")
        }
    return result


def _target(labels: Labels, alpha: float) -> Float:
    sizes = np.bincount(labels).astype(np.float64)
    return np.asarray(sizes**alpha * (len(labels) / (sizes**alpha).sum()))


def _capped(wanted: Float, most: float) -> Float:
    """Mean 1 with no value above `most`; what is cut off goes to the others in proportion."""
    wanted = wanted / wanted.mean()
    for _ in range(len(wanted)):
        over = wanted > most
        if not over.any() or over.all():
            break
        spare = len(wanted) - most * over.sum()
        wanted = np.where(over, most, wanted * (spare / wanted[~over].sum()))
        if wanted.max() <= most * (1 + 1e-12):
            break
    return np.asarray(wanted)
