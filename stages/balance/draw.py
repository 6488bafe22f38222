"""How often each event is drawn: the copies of a cell go to its events in order of their permanent random number.

In: cell and permanent random number of each event, copies of each cell. Out: repeats of each event. An event more in
a cell of k copies takes from the others what it gets itself, one copy or two where cells are repeated less than twice
in the mean, each from an event of its own; nobody else changes.
"""

from __future__ import annotations

import numpy as np

from stages.balance.cells import Float, Labels


def draw(cell: Labels, u: Float, copies: Labels) -> Labels:
    """int64[E]: repeats of each event: k // n, and one more for the k % n of smallest `u` in a cell of n events.

    cell: int64[E], index into copies; u: float64[E], all different within a cell; copies: int64[K]. ValueError where a
    cell without events has copies.
    """
    n = np.bincount(cell, minlength=len(copies)).astype(np.int64)
    if ((n == 0) & (copies > 0)).any():
        raise ValueError(f"cell {int(np.flatnonzero((n == 0) & (copies > 0))[0])} has copies and no events")
    order = np.lexsort((u, cell))
    start = np.cumsum(n) - n
    rank = np.empty(len(cell), dtype=np.int64)
    rank[order] = np.arange(len(cell)) - start[cell[order]]
    each, more = np.divmod(copies, np.maximum(n, 1))
    return np.asarray(each[cell] + (rank < more[cell]), dtype=np.int64)
