"""Weights of the rows of a plan, balanced anew over both clusterings.

In: clusters of each sample, alpha. Out: how often a pass takes each, float64[N]. It is the balance of the release
(`shard.alpha`: shares of clusters go with size ** alpha in both clusterings, the joint table being the one nearest to
the recorded in the Kullback-Leibler sense), by proportional fitting alone, among the events that lie in tars: build
with `shard.reserve=tars` to leave it all of them. `corpus plan --alpha` finds what is exact where both cannot be met.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
ROUNDS = 200
NEAR = 1e-6  # of a share


def once(event: Sequence[str]) -> npt.NDArray[np.bool_]:
    """The first row of each event, of those that lie in several tars."""
    mask = np.zeros(len(event), dtype=bool)
    mask[np.unique(np.array(event, dtype=str), return_index=True)[1]] = True
    return mask


def balanced(vl: Codes, action: Codes, alpha: float, max_repeats: float) -> Floats:
    """float64[N], sum N (less where max_repeats leaves no more), none above max_repeats. Samples that no clustering has
    labelled (-1) are a cluster of their own. Raises ValueError."""
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha={alpha}: from 0 (clusters alike) to 1 (as recorded)")
    if max_repeats < 1:
        raise ValueError(f"max_repeats={max_repeats}: at least 1, for all samples to be taken once in the mean")
    total = len(vl)
    if not total or alpha == 1:
        return np.ones(total)
    row = np.unique(vl, return_inverse=True)[1]
    columns, column = np.unique(action, return_inverse=True)
    cells, cell, size = np.unique(row * len(columns) + column, return_inverse=True, return_counts=True)
    row, column = cells // len(columns), cells % len(columns)
    wanted = [_target(np.bincount(row, size), alpha, total), _target(np.bincount(column, size), alpha, total)]
    most = max_repeats * size
    x = size.astype(np.float64)
    for _ in range(ROUNDS):
        before = x
        for labels, target in zip((row, column), wanted, strict=True):
            x = _fitted(x, most, labels, target)
        if np.abs(x - before).max() <= NEAR * total:
            break
    weight = (x * (total / x.sum()) / size)[cell]
    return np.asarray(np.minimum(weight, max_repeats), dtype=np.float64)


def _target(size: npt.NDArray[Any], alpha: float, total: int) -> Floats:
    share = np.where(size > 0, size, 1.0) ** alpha * (size > 0)
    return np.asarray(share * (total / share.sum()))


def _fitted(x: Floats, most: Floats, labels: npt.NDArray[np.int64], target: Floats) -> Floats:
    """x scaled by a factor a cluster so that clusters have their targets, no cell above its most: cells that are full
    stay so, the others take what is left."""
    full = np.zeros(len(x), dtype=bool)
    for _ in range(8):
        held = np.bincount(labels, np.where(full, most, 0.0), len(target))
        free = np.bincount(labels, np.where(full, 0.0, x), len(target))
        factor = np.divide(np.maximum(target - held, 0.0), free, out=np.ones(len(target)), where=free > 0)
        y = np.where(full, most, x * factor[labels])
        over = (y > most) & ~full
        if not over.any():
            break
        full |= over
    return np.minimum(y, most)
