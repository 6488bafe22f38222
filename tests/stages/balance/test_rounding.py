"""Whole samples: margins hold, nothing is lost, and small parts are not always rounded away."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.balance.cells import permanent
from stages.balance.rounding import controlled, divided, systematic


def test_halves_of_a_square_are_rounded_along_a_diagonal():
    row, column = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    half = np.full(4, 2.5)
    assert controlled(row, column, half, 10, np.array([0.1, 0.9, 0.9, 0.1])).tolist() == [3, 2, 2, 3]
    assert controlled(row, column, half, 10, np.array([0.9, 0.1, 0.1, 0.9])).tolist() == [2, 3, 3, 2]


def test_what_is_whole_stays_so():
    row, column = np.array([0, 0, 1]), np.array([0, 1, 1])
    assert controlled(row, column, np.array([3.0, 2 + 1e-7, 5 - 1e-7]), 10, np.zeros(3)).tolist() == [3, 2, 5]


@settings(max_examples=100)
@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**32), st.floats(0, 1))
def test_laws_of_controlled_rounding(left, right, seed, empty):
    rng = np.random.default_rng(seed)
    row, column = np.nonzero(rng.random((left, right)) >= empty)
    x = rng.random(len(row)) * rng.choice([0.3, 1, 20])
    if not len(x) or not round(x.sum()):
        return
    samples = round(x.sum())
    x = x * samples / x.sum()
    k = controlled(row, column, x, samples, permanent(0, row, column))
    assert k.sum() == samples
    for label in (row, column):
        margin, whole = np.bincount(label, weights=x), np.bincount(label, weights=k)
        assert (np.abs(whole - margin) < 1).all()
    assert (np.abs(k - x) < 1).all()


def test_recoveries_are_one_in_ten_of_many_pairs_of_one():
    """1000 pairs of one sample, a tenth of each wanted to be a recovery: rounding to the nearest would leave none."""
    u = permanent(0, np.arange(1000))
    one, most = np.full(1000, 0.1), np.full(1000, 5)
    part = divided(one, np.full(1000, 0.9), most, most, np.ones(1000, dtype=int), 100, u)
    assert part.sum() == 100
    assert part.max() == 1
    assert np.flatnonzero(part).tolist() == sorted(np.argsort(u)[:100])


def test_division_keeps_within_the_bounds_of_both_kinds():
    # 5 of a pair, 2 wanted of the first kind; of the other there are 2, so that it takes 3 of the first
    assert (
        divided(np.array([2.0]), np.array([2.0]), np.array([9]), np.array([2]), np.array([5]), 2, np.zeros(1))[0] >= 3
    )


def test_small_classes_come_up_as_often_as_their_fraction():
    pairs = 2000
    group = np.repeat(np.arange(pairs), 3)
    wanted = np.tile([0.1, 0.3, 0.6], pairs)
    parts = systematic(group, wanted, np.full(3 * pairs, 4), np.ones(pairs, dtype=int), permanent(0, np.arange(pairs)))
    assert np.bincount(group, weights=parts).tolist() == [1] * pairs
    mean = parts.reshape(pairs, 3).mean(axis=0)
    assert mean == pytest.approx([0.1, 0.3, 0.6], abs=0.03)  # 3 standard deviations of a fraction of 2000


@settings(max_examples=100)
@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=5), min_size=1, max_size=8), st.integers(0, 2**32))
def test_laws_of_division_within_groups(mosts, seed):
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(mosts)), [len(m) for m in mosts])
    most = np.concatenate([np.array(m) for m in mosts])
    wanted = most * rng.random(len(most))
    held = np.bincount(group, weights=wanted, minlength=len(mosts))
    total = np.where(rng.random(len(mosts)) < 0.5, np.floor(held), np.ceil(held)).astype(int)
    parts = systematic(group, wanted, most, total, rng.random(len(mosts)))
    assert np.bincount(group, weights=parts, minlength=len(mosts)).tolist() == total.tolist()
    assert (parts >= 0).all()
    assert (parts <= most).all()
