"""The whole plan: laws that hold for any table, and reasons where it is not what was asked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.balance import Cells, Clustering, Wish, balance, draw
from tests.stages.balance.tables import cells_of, some_events


def test_both_margins_are_met_at_once():
    plan = balance(cells_of([[60, 20], [10, 10]]), Wish(20, alpha=0.0))
    assert plan.vl.target.tolist() == [10, 10]
    assert plan.vl.drawn.tolist() == [10, 10]
    assert plan.action.drawn.tolist() == [10, 10]
    assert plan.cuts == ()
    assert plan.notes == ()


@settings(max_examples=100)
@given(some_events())
def test_laws_of_the_plan(events):
    cells, cell = events.table()
    plan, wish = balance(cells, events.wish), events.wish
    assert plan.copies.sum() == wish.samples
    assert (plan.copies >= 0).all()
    assert (plan.copies <= wish.max_repeats * cells.n).all()
    for margin in (plan.vl, plan.action):
        assert (np.abs(margin.drawn - margin.attainable) < 1 + 1e-3).all()
        assert margin.target.sum() == pytest.approx(wish.samples)
    repeats = draw(cell, events.u, plan.copies)
    assert repeats.sum() == wish.samples
    assert repeats.max() <= wish.max_repeats
    assert plan.recoveries[2] * wish.samples >= np.floor(plan.recoveries[1] * wish.samples) - 1


@settings(max_examples=40)
@given(some_events(), st.integers(0, 2**32))
def test_the_order_of_rows_and_of_events_does_not_matter(events, seed):
    cells, cell = events.table()
    plan = balance(cells, events.wish)
    rng = np.random.default_rng(seed)
    rows, order = rng.permutation(len(cells)), rng.permutation(len(cell))
    assert balance(cells.at(rows), events.wish).copies.tolist() == plan.copies[rows].tolist()
    repeats = draw(cell, events.u, plan.copies)
    assert draw(cell[order], events.u[order], plan.copies).tolist() == repeats[order].tolist()


@settings(max_examples=100)
@given(some_events(), st.integers(0, 149), st.floats(0, 1, exclude_max=True))
def test_one_more_event_changes_few_samples(events, like, u):
    """Targets move by about r samples a side, rounding follows along chains of pairs: of 600 such tables, 2 events
    changed in the mean and 12 at most, always fewer than 4 r + clusters."""
    cells, cell = events.table()
    before = draw(cell, events.u, balance(cells, events.wish).copies)
    grown = events.with_one_more(like % len(cell), u)
    cells, cell = grown.table()
    after = draw(cell, grown.u, balance(cells, events.wish).copies)
    clusters = len(np.unique(events.vl)) + len(np.unique(events.action))
    assert (before != after[:-1]).sum() <= 4 * events.wish.max_repeats + clusters


def test_no_table_at_all_and_no_samples():
    none = np.zeros(0, dtype=np.int64)
    empty = Cells(none, none, none.astype(bool), none.astype(float), none, none.astype(float))
    assert balance(empty, Wish(0)).copies.tolist() == []
    assert balance(cells_of([[3]]), Wish(0)).copies.tolist() == [0]
    assert balance(cells_of([[3]]), Wish(6, max_repeats=2)).copies.tolist() == [6]
    with pytest.raises(ValueError, match=r"shard\.samples=7"):
        balance(cells_of([[3]]), Wish(7, max_repeats=2))


def test_a_cell_without_events_and_a_cluster_without_cells():
    one = np.array([0, 0, 2])
    n = np.array([5, 0, 5])
    cells = Cells(one, np.array([0, 1, 1]), np.zeros(3, dtype=bool), np.ones(3), n, np.zeros(3))
    plan = balance(cells, Wish(4, alpha=0.0, vl=Clustering(count=4)))
    assert plan.copies.tolist() == [2, 0, 2]
    assert plan.vl.drawn.tolist() == [2, 0, 2, 0]


def test_a_cell_that_comes_twice_is_refused():
    cells = cells_of([[3, 4]])
    with pytest.raises(ValueError, match="VL cluster 0, action cluster 1 comes twice"):
        balance(cells.at(np.array([0, 1, 1])), Wish(2))


def test_strata_of_a_pair_share_its_copies():
    cells = cells_of([[90, 90], [90, 90]], recoveries=[[10, 10], [10, 10]])
    plan = balance(cells, Wish(40, recovery_share=0.25))
    assert plan.recoveries == (pytest.approx(0.1), pytest.approx(0.25), pytest.approx(0.25))
    assert plan.copies[cells.recovery].sum() == 10
    assert plan.boost == pytest.approx(3)


# -- reasons


def test_a_share_of_recoveries_that_cannot_be_is_told():
    plan = balance(cells_of([[90]], recoveries=[[5]]), Wish(20, recovery_share=0.5))
    assert plan.recoveries[2] == 0.25
    assert plan.notes == (
        "recoveries are 25.00% of the samples where shard.recovery_share=0.5 asks for 50.00%: both margins and "
        "shard.max_repeats leave room for no more",
    )
    (note,) = balance(cells_of([[90]]), Wish(20, recovery_share=0.5)).notes
    assert note.endswith("none is recorded")


def test_a_cut_is_told_with_what_would_help():
    plan = balance(cells_of([[100, 0, 0], [100, 0, 0], [0, 50, 50]]), Wish(60, alpha=0.0))
    assert plan.notes[0].startswith("VL clusters 0, 1 hold events of action cluster 0 alone")
    assert "20 of 60 samples lie in another cluster" in plan.notes[1]
    assert plan.notes[2] == (
        "the draw is less even over VL clusters than the recording (Gini 0.1667, was 0.0000): the margins of both "
        "clusterings cannot be met at once, so that the nearest to them are used"
    )


def test_a_tree_that_puts_branches_first_is_told():
    tree = Clustering(tree=(np.array([0, 0, 0, 0, 1]),))
    plan = balance(cells_of([[50]] * 5), Wish(40, alpha=0.0, vl=tree))
    assert plan.vl.drawn.tolist() == [5, 5, 5, 5, 20]
    assert plan.notes == (
        "the draw is less even over VL clusters than the recording (Gini 0.3000, was 0.0000): the tree of clusters, "
        "whose branches are balanced first (shard.grouped=false balances all at once)",
    )


def test_rounding_is_told():
    (note,) = balance(cells_of([[4], [4], [4]]), Wish(10)).notes
    assert note.endswith("(Gini 0.0667, was 0.0000): rounding to whole samples")
    (note,) = balance(cells_of([[5], [3]]), Wish(3, alpha=1.0)).notes
    assert note.endswith("shard.alpha=1 asks for the recorded proportions, which whole samples miss")


@settings(max_examples=60)
@given(some_events())
def test_a_draw_less_even_than_the_recording_always_says_why(events):
    from stages.balance.figures import gini

    cells, _ = events.table()
    plan = balance(cells, events.wish)
    for kind, margin in (("VL", plan.vl), ("action", plan.action)):
        there = margin.recorded > 0
        worse = gini(margin.drawn[there]) > gini(margin.recorded[there]) + 1e-9
        assert worse == any(n.startswith(f"the draw is less even over {kind}") for n in plan.notes)
