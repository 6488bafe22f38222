"""alpha in the loader: both clusterings as near to size ** alpha as there are samples."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.balance import Wish, balance, table
from stages.load.ordering.weights import balanced, once


def test_by_hand():
    """Four and one samples, alpha 0: both clusters half of five, but none above three times: 2.5 each is met; at most
    twice, the smaller gives 2 and the larger the rest."""
    vl, action = np.array([0, 0, 0, 0, 1], dtype=np.int32), np.zeros(5, dtype=np.int32)
    assert np.allclose(balanced(vl, action, 0, 3), [0.625] * 4 + [2.5])
    assert np.allclose(balanced(vl, action, 0, 2), [0.75] * 4 + [2.0])
    assert balanced(vl, action, 1, 3).tolist() == [1.0] * 5


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 120), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 99))
def test_it_is_the_balance_of_a_release_where_that_can_be_met(rows, columns, count, alpha, seed):
    draw = np.random.default_rng(seed)
    vl, action = draw.integers(0, rows, count), draw.integers(0, columns, count)
    weight = balanced(vl.astype(np.int32), action.astype(np.int32), alpha, 50)
    assert abs(weight.sum() - count) < 1e-6 * count
    assert weight.max() <= 50 + 1e-9
    vl, action = np.unique(vl, return_inverse=True)[1], np.unique(action, return_inverse=True)[1]
    cells, cell = table(vl, action)
    exact = balance(cells, Wish(count, alpha, 50))
    if not exact.cuts and exact.residual < 1e-6:
        wanted = (exact.wanted / cells.n)[cell]
        assert np.abs(weight - wanted).max() < 0.02 * max(1.0, wanted.max())


def test_an_event_in_several_tars_is_taken_once():
    assert once(["b", "a", "b", "c", "a"]).tolist() == [True, True, False, True, False]
