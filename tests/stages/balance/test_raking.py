"""Fractions of cells, worked out by hand, and the laws that make them the nearest to the prior."""

import numpy as np
import pytest
from hypothesis import given, settings

from stages.balance.cells import Cells, pairs_of
from stages.balance.dual import Problem, filled, minimise
from stages.balance.raking import rake
from tests.stages.balance.tables import cells_of, some_events


def raked(cells, vl, action, max_repeats=1, share=0.0, feasible=True):
    return rake(pairs_of(cells), np.array(vl, float), np.array(action, float), max_repeats, share, feasible)


def test_margins_of_a_table_that_is_a_product():
    # 2 : 1 x 1 : 1, wanted 1 : 1 x 1 : 3 of 8: the products of the margins over 8
    found = raked(cells_of([[20, 20], [10, 10]]), [4, 4], [2, 6])
    assert found.wanted == pytest.approx([1, 3, 1, 3])
    assert found.rounds == 1
    assert found.residual < 1e-9


def test_odds_stay_those_of_the_prior():
    n = np.array([[60, 30], [20, 90]])
    x = raked(cells_of(n.tolist()), [10, 10], [8, 12]).wanted.reshape(2, 2)
    assert x.sum(axis=1) == pytest.approx([10, 10])
    assert x.sum(axis=0) == pytest.approx([8, 12])
    assert x[0, 0] * x[1, 1] / (x[0, 1] * x[1, 0]) == pytest.approx(60 * 90 / (30 * 20))


def test_the_repeat_bound_holds_in_each_cell():
    # without a bound all four were 5; the 2 events of the first give 4 at most, and the margins do the rest
    found = raked(cells_of([[2, 50], [50, 1250]]), [10, 10], [10, 10], max_repeats=2)
    assert found.wanted == pytest.approx([4, 6, 6, 4])


def test_weights_count_within_the_margins():
    one = np.zeros(2, dtype=np.int64)
    cells = Cells(one, one, one.astype(bool), np.array([1.0, 0.25]), np.array([40, 40]), np.zeros(2))
    # in the order of pairs, weight 0.25 comes first
    assert raked(cells, [20], [20]).wanted == pytest.approx([4, 16])
    assert raked(cells, [60], [60]).wanted == pytest.approx([20, 40])  # the bound of 40, and what is left


def test_recoveries_are_wanted_more_until_they_have_their_share():
    cells = cells_of([[90, 90], [90, 90]], recoveries=[[10, 10], [10, 10]])
    natural = raked(cells, [20, 20], [20, 20])
    assert natural.share == pytest.approx(0.1)
    assert natural.boost == 1
    more = raked(cells, [20, 20], [20, 20], share=0.25)
    assert more.share == pytest.approx(0.25)
    assert more.boost == pytest.approx(3)  # odds 1 : 9 become 1 : 3
    assert more.residual < 1e-5
    assert raked(cells, [20, 20], [20, 20], share=0.05).boost == 1  # they have it already


def test_margins_come_before_the_share_of_recoveries():
    found = raked(cells_of([[90, 0], [0, 90]], recoveries=[[10, 0], [0, 0]]), [20, 20], [20, 20], share=0.5)
    assert found.residual < 1e-4
    assert found.share == pytest.approx(0.25, abs=0.01)  # all ten are there


def test_a_table_that_is_all_but_cut_in_two_converges():
    # fitting alone takes thousands of rounds where the blocks meet in one event of 8001
    n = [[2000, 2000, 0, 0], [2000, 1999, 1, 0], [0, 0, 1000, 3000], [0, 0, 3000, 1000]]
    found = raked(cells_of(n), [50.5, 49.5, 50, 50], [50, 49.5, 50.25, 50.25], max_repeats=1)
    assert found.residual < 1e-3
    assert found.wanted.max() < 50.5


def test_newton_and_proportional_fitting_find_the_same():
    rng = np.random.default_rng(0)
    n = rng.integers(1, 100, (6, 5))
    pairs = pairs_of(cells_of(n.tolist()))
    rows, columns = np.full(6, 20.0), np.full(5, 24.0)
    fitted = rake(pairs, rows, columns, 1, 0.0, feasible=True)
    problem = Problem(pairs.vl, pairs.action, pairs.n.astype(float), pairs.n.astype(float), rows, columns)
    at, _ = minimise(problem, True, None)
    assert filled(problem, at) == pytest.approx(fitted.wanted, abs=1e-5)
    assert fitted.rounds < 60


@settings(max_examples=60)
@given(some_events())
def test_laws_of_the_fractions(events):
    from stages.balance import balance

    cells, _ = events.table()
    plan, wish = balance(cells, events.wish), events.wish
    x = plan.wanted
    assert x.sum() == pytest.approx(wish.samples, abs=1e-3)
    assert (x >= 0).all()
    assert (x <= wish.max_repeats * cells.n * (1 + 1e-9)).all()
    assert np.bincount(cells.vl, weights=x) == pytest.approx(plan.vl.attainable, abs=1e-2)
    assert np.bincount(cells.action, weights=x) == pytest.approx(plan.action.attainable, abs=1e-2)
    assert bool(plan.cuts) or plan.residual < 0.5
