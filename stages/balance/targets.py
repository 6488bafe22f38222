"""How many samples each cluster is wanted to have, each clustering by itself.

In: events of each cluster, budget, alpha, repeat bound, the tree where there is one. Out: float64 targets that sum to
the budget: sum_c min(x * n_c ** alpha, r * n_c) = N (water-filling: what a small cluster cannot give, the others do),
among the tree's top nodes first, then within each node among its children. Formula: recipe, section 6.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.balance.cells import Float, Labels


def water_fill(share: Float, capacity: Float, total: float) -> Float:
    """float64[C]: min(x * share, capacity) with the x that makes them sum to `total`; all of the capacity where that
    is less. share >= 0, capacity >= 0."""
    filled = np.zeros(len(share))
    live = np.flatnonzero((share > 0) & (capacity > 0))
    if not len(live) or total <= 0:
        return filled
    level = capacity[live] / share[live]  # x at which a cluster is full
    live = live[np.argsort(level, kind="stable")]
    level = np.sort(level, kind="stable")
    full = np.concatenate([[0.0], np.cumsum(capacity[live])])[:-1]  # what those that are full sooner give
    x = (total - full) / np.cumsum(share[live][::-1])[::-1]
    fits = x <= level
    if not fits.any():
        filled[live] = capacity[live]
        return filled
    filled[live] = np.minimum(x[int(np.argmax(fits))] * share[live], capacity[live])
    return filled


def targets(sizes: Labels, samples: int, alpha: float, max_repeats: int, tree: Sequence[Labels] = ()) -> Float:
    """float64[C], sum `samples`: what each cluster is wanted to have.

    sizes: int64[C] events; tree: parents by level, leaves first, as in `Clustering`. ValueError where the events do
    not give so many samples.
    """
    most = max_repeats * int(sizes.sum())
    if samples > most:
        raise ValueError(
            f"shard.samples={samples} is more than there can be: {int(sizes.sum())} events, each at most "
            f"shard.max_repeats={max_repeats} times, give {most}"
        )
    levels: list[Float] = [np.asarray(sizes, dtype=np.float64)]
    for parent in tree:
        if len(parent) != len(levels[-1]):
            raise ValueError(f"a level of the tree has {len(parent)} parents for {len(levels[-1])} clusters")
        levels.append(np.asarray(np.bincount(parent, weights=levels[-1]), dtype=np.float64))
    wanted = _filled(levels[-1], float(samples), alpha, max_repeats)
    for parent, below in zip(reversed(tree), reversed(levels[:-1]), strict=True):
        inner = np.zeros(len(below))
        members = np.split(np.argsort(parent, kind="stable"), np.cumsum(np.bincount(parent))[:-1])
        for node, children in enumerate(members):
            inner[children] = _filled(below[children], float(wanted[node]), alpha, max_repeats)
        wanted = inner
    return wanted


def _filled(sizes: Float, total: float, alpha: float, max_repeats: int) -> Float:
    share = np.where(sizes > 0, sizes, 1.0) ** alpha * (sizes > 0)
    return water_fill(share, max_repeats * sizes, total)
