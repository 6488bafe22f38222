"""Targets of one clustering, worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.balance.targets import targets, water_fill


def test_alpha_lies_between_uniform_and_natural():
    sizes = np.array([90, 10])
    assert targets(sizes, 20, 0.0, 1).tolist() == [10, 10]
    assert targets(sizes, 20, 1.0, 1) == pytest.approx([18, 2])
    assert targets(sizes, 20, 0.5, 1) == pytest.approx([15, 5])  # sqrt(90) : sqrt(10) = 3 : 1


def test_what_a_small_cluster_cannot_give_the_others_do():
    assert targets(np.array([100, 100, 5]), 45, 0.0, 1).tolist() == [20, 20, 5]
    assert targets(np.array([100, 100, 5]), 45, 0.0, 2).tolist() == [17.5, 17.5, 10]
    assert targets(np.array([100, 100, 5]), 45, 0.0, 3).tolist() == [15, 15, 15]


def test_a_tree_is_filled_from_the_top():
    # clusters 0 to 3 hang on node 0, cluster 4 on node 1: uniform is half each, then a quarter of the half
    tree = (np.array([0, 0, 0, 0, 1]),)
    assert targets(np.array([50] * 5), 40, 0.0, 1, tree) == pytest.approx([5, 5, 5, 5, 20])
    # node 1 has 10 events to give, so that node 0 has 30, of which cluster 0 has 3
    assert targets(np.array([3, 50, 50, 50, 10]), 40, 0.0, 1, tree) == pytest.approx([3, 9, 9, 9, 10])


def test_a_tree_of_two_levels():
    tree = (np.array([0, 0, 1, 2]), np.array([0, 0, 1]))
    assert targets(np.array([50] * 4), 40, 0.0, 1, tree) == pytest.approx([5, 5, 10, 20])


def test_empty_clusters_are_wanted_no_times():
    assert targets(np.array([4, 0, 4]), 6, 0.0, 1).tolist() == [3, 0, 3]
    assert targets(np.array([0, 0]), 0, 0.5, 1).tolist() == [0, 0]


def test_more_than_all_events_give_is_an_error_that_names_the_settings():
    with pytest.raises(
        ValueError, match=r"shard.samples=11 .* 5 events, each at most shard.max_repeats=2 times, give 10"
    ):
        targets(np.array([3, 2]), 11, 0.5, 2)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=20),
    st.floats(0, 1),
)
def test_law_of_water_filling(clusters, part):
    share, capacity = np.array(clusters).T
    capacity = np.where(share > 1e-3, capacity, 0.0)
    total = part * capacity.sum()
    filled = water_fill(share, capacity, total)
    assert filled.sum() == pytest.approx(total, abs=1e-9)
    assert (filled <= capacity).all()
    loose = filled < capacity * (1 - 1e-9)
    if loose.any():  # one level for all that are not full, and none of the full ones would be above it
        level = (filled[loose] / share[loose]).max()
        assert filled[loose] == pytest.approx(level * share[loose], abs=1e-9)
        assert (filled[~loose] <= level * share[~loose] + 1e-9).all()
