"""Figures of a distribution, worked out by hand, and the table in which each stands beside its control."""

import math

import numpy as np
import pytest

from stages.balance import Wish, balance, explained
from stages.balance.figures import at_random, effective_sample_size, entropy, filled, gini, repeats, tail_share
from tests.stages.balance.tables import cells_of


def test_figures_of_counts():
    assert gini(np.array([1, 1, 1, 1])) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 1])) == pytest.approx(0.75)  # (n - 1) / n
    assert gini(np.array([1, 3])) == pytest.approx(0.25)
    assert entropy(np.array([5, 5])) == pytest.approx(1)
    assert entropy(np.array([3, 1])) == pytest.approx((0.75 * math.log(4 / 3) + 0.25 * math.log(4)) / math.log(2))
    assert effective_sample_size(np.array([1.0, 1.0, 2.0])) == pytest.approx(16 / 6)
    assert effective_sample_size(np.array([1, 2]), np.array([2, 1])) == pytest.approx(16 / 6)
    assert filled(np.array([9, 10, 11]), 10) == 2


def test_the_tail_is_the_smaller_half_as_recorded():
    recorded = np.array([100, 10, 50, 20])
    assert tail_share(recorded, recorded) == pytest.approx(30 / 180)
    assert tail_share(recorded, np.array([5, 5, 5, 5])) == 0.5
    assert tail_share(np.array([3, 2, 1]), np.array([1, 1, 1])) == pytest.approx(1 / 3)  # one of three


def test_repeats_of_cells():
    each, events = repeats(np.array([4, 3]), np.array([6, 3]))
    assert each.tolist() == [1, 1, 2, 2]
    assert events.tolist() == [2, 3, 2, 0]


def test_a_random_draw_repeats_where_there_are_too_few_events():
    cells = cells_of([[4, 2]])
    assert at_random(cells, 12, seed=0).tolist() == [8, 4]
    drawn = at_random(cells, 15, seed=0)
    assert drawn.sum() == 15
    assert (drawn >= [8, 4]).all()
    assert at_random(cells.at(np.array([1, 0])), 15, seed=0).tolist() == drawn[::-1].tolist()


def test_each_figure_stands_beside_its_control():
    plan = balance(cells_of([[300, 30], [30, 40]]), Wish(120, alpha=0.0, max_repeats=2))
    rows = explained(plan, least=60)
    assert set(rows) == {"vl", "action"}
    before, target, after, random = rows["vl"]
    assert [r.kind for r in rows["vl"]] == ["before", "target", "after", "random"]
    assert (before.samples, target.samples, after.samples, random.samples) == (400, 120, 120, 120)
    assert before.gini == pytest.approx(gini(np.array([330, 70])))
    assert before.effective_sample_size == 400
    assert target.gini == after.gini == pytest.approx(0)
    assert after.tail_share == 0.5
    assert random.tail_share == pytest.approx(70 / 400, abs=0.1)
    assert random.gini > 0.2
    assert (before.largest_repeat, random.largest_repeat) == (1, 1)
    assert after.largest_repeat == math.ceil(max(plan.copies / plan.cells.n))
    assert (after.filled, random.filled) == (2, 1)
