"""The joint balance: how many copies of each cell are drawn, and what there is to say about it.

In: the table of cells, the wish. Out: a `Balance`. Targets of each clustering; whether both can be met; fractions that
meet them; whole copies; notes wherever the result is not what was asked, or less even than the recording. Of a million
events in 256 x 256 clusters, one event more changed how often 4 to 15 others are drawn in the mean of ten tries, by
corpus, and 49 at most; a plan took half a second (tests/benchmarks/balance.py).
"""

from __future__ import annotations

import numpy as np

from stages.balance.cells import Cells, Float, Labels, Pairs, Wish, pairs_of
from stages.balance.feasibility import cuts
from stages.balance.notes import notes
from stages.balance.raking import Raked, rake
from stages.balance.result import Balance, Margin
from stages.balance.rounding import rounded
from stages.balance.targets import targets

EXACT = 1e-3  # samples: margins that are met nearer than this are met


def balance(cells: Cells, wish: Wish) -> Balance:
    """The plan of `wish.samples` samples. ValueError where there cannot be so many, or the table is not one."""
    pairs = pairs_of(cells)
    size_vl, size_action = wish.vl.size(cells.vl), wish.action.size(cells.action)
    recorded_vl, recorded_action = _sums(cells.vl, cells.n, size_vl), _sums(cells.action, cells.n, size_action)
    bounds = (wish.samples, wish.alpha, wish.max_repeats)
    target_vl = targets(recorded_vl, *bounds, wish.vl.tree)
    target_action = targets(recorded_action, *bounds, wish.action.tree)
    cut = cuts(pairs, target_vl, target_action, wish.max_repeats)
    raked = rake(pairs, target_vl, target_action, wish.max_repeats, wish.recovery_share, not cut)
    wanted, copies = np.zeros(len(cells)), np.zeros(len(cells), dtype=np.int64)
    wanted[pairs.order] = raked.wanted
    copies[pairs.order] = rounded(pairs, raked.wanted, wish.max_repeats, wish.samples)
    vl = _margin(cells.vl, recorded_vl, target_vl, wanted, copies, raked.residual > EXACT)
    action = _margin(cells.action, recorded_action, target_action, wanted, copies, raked.residual > EXACT)
    shares = _shares(pairs, raked, copies[pairs.order])
    words = notes(wish, vl, action, raked, shares, cut)
    return Balance(cells, copies, wanted, vl, action, raked.rounds, raked.residual, raked.boost, shares, cut, words)


def _margin(labels: Labels, recorded: Labels, target: Float, wanted: Float, copies: Labels, off: bool) -> Margin:
    size = len(recorded)
    attainable = np.bincount(labels, weights=wanted, minlength=size) if off else target
    return Margin(recorded, target, np.asarray(attainable), _sums(labels, copies, size))


def _sums(labels: Labels, counts: Labels, size: int) -> Labels:
    total = np.zeros(size, dtype=np.int64)
    np.add.at(total, labels, counts)
    return total


def _shares(pairs: Pairs, raked: Raked, copies: Labels) -> tuple[float, float, float]:
    recovery = pairs.cells.recovery
    events, samples = int(pairs.cells.n.sum()), int(copies.sum())
    recorded = float(pairs.cells.n[recovery].sum()) / events if events else 0.0
    return recorded, raked.share, float(copies[recovery].sum()) / samples if samples else 0.0
