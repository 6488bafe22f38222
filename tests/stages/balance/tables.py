"""Tables of cells for the tests of the balance, written as matrices or drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from stages.balance import Cells, Wish, permanent, table


def cells_of(events: list[list[int]], recoveries: list[list[int]] | None = None) -> Cells:
    """events[i][j] in VL cluster i and action cluster j, all of weight 1; recoveries are beside them."""
    parts = [(np.asarray(events), False)] + ([(np.asarray(recoveries), True)] if recoveries is not None else [])
    vl, action, flag, n = [], [], [], []
    for counts, recovery in parts:
        i, j = np.nonzero(counts)
        vl, action, n = [*vl, *i], [*action, *j], [*n, *counts[i, j]]
        flag += [recovery] * len(i)
    i, j = np.array(vl, dtype=np.int64), np.array(action, dtype=np.int64)
    return Cells(i, j, np.array(flag, dtype=bool), np.ones(len(i)), np.array(n, dtype=np.int64), permanent(0, i, j))


@dataclass(frozen=True, eq=False)
class Events:
    """Labels of some events, and a wish that they can meet."""

    vl: Any
    action: Any
    recovery: Any
    weight: Any
    u: Any
    wish: Wish

    def table(self) -> tuple[Cells, Any]:
        return table(self.vl, self.action, self.recovery, self.weight)

    def with_one_more(self, like: int, u: float) -> Events:
        """One event more, with the labels of that one."""
        grown = [np.append(a, a[like]) for a in (self.vl, self.action, self.recovery, self.weight)]
        return Events(*grown, np.append(self.u, u), self.wish)


@st.composite
def some_events(draw: st.DrawFn) -> Events:
    """Up to 150 events, clusters of one side anything from independent of to decided by those of the other."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size, left, right = draw(st.integers(1, 150)), draw(st.integers(1, 7)), draw(st.integers(1, 7))
    skew = draw(st.floats(0, 2))
    vl = _zipf(rng, left, size, skew)
    free = rng.random(size) < draw(st.floats(0, 1))
    action = np.where(free, _zipf(rng, right, size, skew), vl % right)
    most = draw(st.integers(1, 3))
    wish = Wish(
        samples=draw(st.integers(0, most * size)),
        alpha=draw(st.sampled_from([0.0, 0.43, 0.5, 1.0])),
        max_repeats=most,
        recovery_share=draw(st.sampled_from([0.0, 0.3])),
    )
    weight = rng.choice([1.0, 0.5, 0.25], size)
    return Events(vl, action, rng.random(size) < 0.2, weight, rng.random(size), wish)


def _zipf(rng: np.random.Generator, clusters: int, size: int, skew: float) -> Any:
    share = 1 / np.arange(1, clusters + 1) ** skew
    return rng.choice(clusters, size, p=share / share.sum())
