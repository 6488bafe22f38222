"""Copies of a cell over its events, and who is touched when one more event comes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.balance import draw


def test_the_smallest_numbers_get_one_more():
    u = np.array([0.5, 0.1, 0.9, 0.4])
    assert draw(np.zeros(4, dtype=int), u, np.array([2])).tolist() == [0, 1, 0, 1]
    assert draw(np.zeros(4, dtype=int), u, np.array([9])).tolist() == [2, 3, 2, 2]
    assert draw(np.array([0, 1, 0, 1]), u, np.array([1, 3])).tolist() == [1, 2, 0, 1]


def test_a_cell_without_events_has_nothing_to_give():
    assert draw(np.zeros(0, dtype=int), np.zeros(0), np.zeros(3, dtype=int)).tolist() == []
    with pytest.raises(ValueError, match="cell 1 has copies and no events"):
        draw(np.zeros(1, dtype=int), np.zeros(1), np.array([1, 1]))


@settings(max_examples=200)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30, unique=True), st.integers(0, 90))
def test_one_more_event_takes_from_others_what_it_gets(numbers, copies):
    u = np.array(numbers)
    cell = np.zeros(len(u), dtype=int)
    before = draw(cell[1:], u[1:], np.array([copies]))
    after = draw(cell, u, np.array([copies]))
    assert before.sum() == after.sum() == copies
    assert (after[1:] <= before).all()
    assert (before - after[1:]).sum() == after[0]
    assert after.max() - after.min() <= 1
    if copies <= 2 * len(u):
        assert (before != after[1:]).sum() <= 2
