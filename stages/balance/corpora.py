"""One balance for several corpora that share their clusters: who draws how much, from their tables of cells alone.

In: a table of each corpus, one wish for all. Out: copies for each cell of each corpus. The union is balanced as if it
were one corpus; each cell's copies go to the corpora in proportion to their events, whole samples, so that totals of
cells are those of the union and those of corpora within a sample or so of their share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.balance.cells import Cells, Float, Labels, Wish, derived
from stages.balance.plan import balance
from stages.balance.result import Balance
from stages.balance.rounding import divided

CORPUS = 3  # purpose of permanent random numbers; the ones above it are those of further corpora


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """copies: int64[K_t] of each corpus t, in the order of its table; union: the balance of all cells together."""

    copies: list[Labels]
    union: Balance


def agree(tables: Sequence[Cells], wish: Wish) -> Agreement:
    """wish.samples are those of all corpora together. ValueError as `balance`, or where there is no table.

    No corpus draws an event more than wish.max_repeats times. The order of tables decides where a sample goes that
    several could give; all must name them in the same order.
    """
    if not tables:
        raise ValueError("no table of cells: at least one corpus is needed")
    union, of = _union(tables)
    whole = balance(union, wish)
    left, rest = whole.copies, union.n
    copies = []
    for number, (table, cell) in enumerate(zip(tables, of, strict=True)):
        n = np.zeros(len(union), dtype=np.int64)
        n[cell] = table.n
        share: Float = left * (n / np.maximum(rest, 1))
        u = derived(union.u, CORPUS + number)
        bounds = (wish.max_repeats * n, wish.max_repeats * (rest - n))
        part = divided(share, left - share, bounds[0], bounds[1], left, round(float(share.sum())), u)
        copies.append(part[cell])
        left, rest = left - part, rest - n
    return Agreement(copies, whole)


def _union(tables: Sequence[Cells]) -> tuple[Cells, list[Labels]]:
    """(cells of all tables in ascending order, of each table int64[K_t]: its cells in the union)."""
    vl, action, recovery, weight, n, u = (
        np.concatenate([getattr(t, name) for t in tables]) for name in ("vl", "action", "recovery", "weight", "n", "u")
    )
    order = np.lexsort((weight, recovery, action, vl))
    first = np.zeros(len(order), dtype=bool)
    first[:1] = True
    for column in (vl, action, recovery, weight):
        first[1:] |= column[order][1:] != column[order][:-1]
    cell = np.empty(len(order), dtype=np.int64)
    cell[order] = np.cumsum(first) - 1
    start, one = np.flatnonzero(first), order[first]
    events = np.bincount(cell, weights=n, minlength=len(start)).astype(np.int64)
    smallest = np.minimum.reduceat(u[order], start) if len(start) else u
    cells = Cells(vl[one], action[one], recovery[one], weight[one], events, smallest)
    return cells, np.split(cell, np.cumsum([len(t) for t in tables])[:-1])
