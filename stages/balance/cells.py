"""The table of cells: all the balance needs to know of a corpus, however many events it has.

In: labels of events. Out: one row a cell, that is one combination of VL cluster, action cluster, recovery or not, and
weight, with the number of its events. A million events in 256 x 256 clusters are some 53,000 pairs, so that what is
solved does not grow with the corpus, and several corpora can agree on a balance by sending each other their tables.

Permanent random numbers (Ohlsson 1995, sequential Poisson sampling) are hashes of what they belong to: whoever joins
the corpus later does not change those that are there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Side = Literal["vl", "action"]


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """K cells in any order, each combination of the first four columns at most once.

    vl, action int64[K] >= 0; recovery bool[K]; weight float64[K] > 0, how much an event of the cell is wanted beside
    others of its pair (source x robot x pictures); n int64[K] >= 0, events that may be drawn; u float64[K] in [0, 1),
    permanent random number of the pair (`permanent`): where cells of a pair differ, the smallest counts.
    Raises ValueError for columns that are not so.
    """

    vl: Labels
    action: Labels
    recovery: Flags
    weight: Float
    n: Labels
    u: Float

    def __post_init__(self) -> None:
        columns = (self.vl, self.action, self.recovery, self.weight, self.n, self.u)
        if len({len(c) for c in columns}) != 1:
            raise ValueError(f"columns of cells differ in length: {[len(c) for c in columns]}")
        if len(self.n) == 0:
            return
        if min(self.vl.min(), self.action.min()) < 0:
            raise ValueError("events without a cluster (label -1) are not balanced: leave them out of the cells")
        if self.n.min() < 0:
            raise ValueError("a cell has a negative number of events")
        if not (np.isfinite(self.weight).all() and self.weight.min() > 0):
            raise ValueError("weights of cells are > 0: what is not wanted at all is left out of the cells")
        if not (self.u.min() >= 0 and self.u.max() < 1):
            raise ValueError("permanent random numbers lie in [0, 1)")

    def __len__(self) -> int:
        return len(self.n)

    def at(self, rows: Labels) -> Cells:
        """The cells at these indices, in this order."""
        return Cells(
            self.vl[rows], self.action[rows], self.recovery[rows], self.weight[rows], self.n[rows], self.u[rows]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Clustering:
    """What is known of one side: number of clusters (0: as many as occur), names for messages, and its tree.

    tree: one int64 array a level, leaves first: parent of each cluster, then parent of each of those, and so on.
    """

    count: int = 0
    names: tuple[str, ...] = ()
    tree: tuple[Labels, ...] = ()

    def size(self, labels: Labels) -> int:
        """Number of clusters; labels: those that occur. ValueError where one lies beyond what was declared."""
        found = int(labels.max()) + 1 if len(labels) else 0
        declared = {n for n in (self.count, len(self.names), len(self.tree[0]) if self.tree else 0) if n}
        if len(declared) > 1 or (declared and found > min(declared)):
            raise ValueError(f"clusters: {found} by their labels, {sorted(declared)} by count, names and tree")
        return declared.pop() if declared else found


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """What is asked: samples in all; cluster shares as n ** alpha on both sides; no event more than max_repeats times;
    at least recovery_share of the samples recoveries. ValueError where a value is out of range."""

    samples: int
    alpha: float = 0.5
    max_repeats: int = 1
    recovery_share: float = 0.0
    vl: Clustering = field(default_factory=Clustering)
    action: Clustering = field(default_factory=Clustering)

    def __post_init__(self) -> None:
        if self.samples < 0 or self.max_repeats < 1:
            raise ValueError(f"shard.samples={self.samples} is >= 0, shard.max_repeats={self.max_repeats} is >= 1")
        if not (0 <= self.alpha <= 1 and 0 <= self.recovery_share <= 1):
            raise ValueError(
                f"shard.alpha={self.alpha} and shard.recovery_share={self.recovery_share} lie between 0 and 1"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Cells in order of (vl, action, recovery, weight), and the P pairs they make up.

    order int64[K]: row of the table that comes k-th; of int64[K]: pair of the k-th cell; vl, action, n int64[P];
    u float64[P].
    """

    cells: Cells
    order: Labels
    of: Labels
    vl: Labels
    action: Labels
    n: Labels
    u: Float

    def sums(self, values: Float) -> Float:
        """float64[P]: sum over the cells of each pair."""
        return np.asarray(np.bincount(self.of, weights=values, minlength=len(self.n)))


def pairs_of(cells: Cells) -> Pairs:
    """The table in its own order, so that no result hangs on the order of rows. ValueError where a cell comes twice."""
    order = np.lexsort((cells.weight, cells.recovery, cells.action, cells.vl)).astype(np.int64)
    own = cells.at(order)
    first = np.ones(len(own), dtype=bool)
    first[1:] = (np.diff(own.vl) != 0) | (np.diff(own.action) != 0)
    again = ~first[1:] & (own.recovery[1:] == own.recovery[:-1]) & (own.weight[1:] == own.weight[:-1])
    if again.any():
        k = int(np.flatnonzero(again)[0])
        raise ValueError(f"cell of VL cluster {own.vl[k]}, action cluster {own.action[k]} comes twice in the table")
    of = (np.cumsum(first) - 1).astype(np.int64)
    start = np.flatnonzero(first)
    u = np.minimum.reduceat(own.u, start) if len(start) else own.u
    n = np.bincount(of, weights=own.n, minlength=len(start)).astype(np.int64)
    return Pairs(own, order, of, own.vl[start], own.action[start], n, u)


def table(
    vl: Labels, action: Labels, recovery: Flags | None = None, weight: Float | None = None, seed: int = 0
) -> tuple[Cells, Labels]:
    """(cells, int64[E]: cell of each event) from the labels of E events, cells in ascending order."""
    events = len(vl)
    recovery = np.zeros(events, dtype=bool) if recovery is None else np.asarray(recovery, dtype=bool)
    values, of_weight = np.ones(1), np.zeros(events, dtype=np.int64)
    if weight is not None:
        values, of_weight = np.unique(np.asarray(weight, dtype=np.float64), return_inverse=True)
    width = int(action.max(initial=0)) + 1
    key = ((np.asarray(vl, dtype=np.int64) * width + action) * 2 + recovery) * len(values) + of_weight
    kinds, cell, n = np.unique(key, return_inverse=True, return_counts=True)
    pair, which = np.divmod(kinds, 2 * len(values))
    own_vl, own_action = np.divmod(pair, width)
    u = permanent(seed, own_vl, own_action)
    flags = which // len(values) == 1
    return Cells(own_vl, own_action, flags, values[which % len(values)], n, u), cell.astype(np.int64)


def permanent(seed: int, *columns: Labels) -> Float:
    """float64 in [0, 1): a hash of seed and integer columns, the finaliser of SplitMix64 after each (Steele, Lea and
    Flood 2014)."""
    state = _mixed(np.full(len(columns[0]), seed, dtype=np.uint64))
    for column in columns:
        state = _mixed(state ^ np.asarray(column, dtype=np.int64).view(np.uint64))
    return np.asarray((state >> np.uint64(11)) * 2.0**-53)


def derived(u: Float, purpose: int) -> Float:
    """Another permanent random number, as if independent of `u`, for each of them and this purpose."""
    return permanent(purpose, u.view(np.int64))


def _mixed(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
