"""Several corpora agree on one balance from their tables of cells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.balance import Wish, agree, balance
from stages.balance.cells import table
from tests.stages.balance.tables import cells_of, some_events


def test_copies_go_by_the_events_of_each():
    agreed = agree([cells_of([[30, 0], [0, 10]]), cells_of([[10, 0], [0, 30]])], Wish(40, alpha=0.0))
    assert [c.tolist() for c in agreed.copies] == [[15, 5], [5, 15]]
    assert agreed.union.vl.drawn.tolist() == [20, 20]


def test_one_corpus_is_a_plain_balance():
    cells = cells_of([[6, 2], [1, 3]])
    assert agree([cells], Wish(8)).copies[0].tolist() == balance(cells, Wish(8)).copies.tolist()
    with pytest.raises(ValueError, match="at least one corpus"):
        agree([], Wish(8))


@settings(max_examples=60)
@given(some_events(), st.integers(0, 2**32), st.integers(1, 4))
def test_laws_of_the_agreement(events, seed, corpora):
    of = np.random.default_rng(seed).integers(0, corpora, len(events.vl))
    tables = []
    for corpus in range(corpora):
        own = of == corpus
        tables.append(table(events.vl[own], events.action[own], events.recovery[own], events.weight[own])[0])
    agreed = agree(tables, events.wish)
    whole, _ = events.table()
    assert agreed.union.copies.tolist() == balance(whole, events.wish).copies.tolist()
    assert sum(int(c.sum()) for c in agreed.copies) == events.wish.samples
    wanted = agreed.union.copies / np.maximum(whole.n, 1)
    keys = zip(whole.vl, whole.action, whole.recovery, whole.weight, strict=True)
    name = {key: k for k, key in enumerate(keys)}
    for cells, copies in zip(tables, agreed.copies, strict=True):
        assert (copies >= 0).all()
        assert (copies <= events.wish.max_repeats * cells.n).all()
        at = [name[key] for key in zip(cells.vl, cells.action, cells.recovery, cells.weight, strict=True)]
        assert abs(copies.sum() - (wanted[at] * cells.n).sum()) <= corpora
