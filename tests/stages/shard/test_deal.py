"""Samples are dealt so that each tar is as even over both clusterings as whole samples allow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.shard.deal import deal, least_variation, tar_count, variation


def counts(tar: np.ndarray, labels: np.ndarray, tars: int) -> np.ndarray:
    """int64[tars, labels]: samples of each label in each tar."""
    table = np.zeros((tars, int(labels.max()) + 1), np.int64)
    np.add.at(table, (tar, labels), 1)
    return table


@settings(max_examples=60)
@given(
    events=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 4)), min_size=1, max_size=120),
    halvings=st.integers(0, 4),
)
def test_each_cluster_has_the_floor_or_the_ceiling_of_its_mean_in_every_tar(events, halvings):
    tars = 1 << halvings
    number = np.repeat(np.arange(len(events)), [n for *_, n in events])
    vl, action = (np.array([e[i] for e in events])[number] for i in (0, 1))
    tar = deal(vl, action, number, tars)
    assert np.ptp(np.bincount(tar, minlength=tars)) <= 1
    for labels in (vl, action, vl * 6 + action):
        mean = np.bincount(labels) / tars
        table = counts(tar, labels, tars)
        assert (table >= np.floor(mean)).all()
        assert (table <= np.ceil(mean)).all()
    copies = np.bincount(tar * len(events) + number)
    assert copies.max() <= -(-max(n for *_, n in events) // tars)  # one of an event, where there are tars enough


@pytest.mark.parametrize(("clusters", "share"), [(128, 1 / 3), (512, 0.6)])
def test_tars_of_500_are_much_more_even_than_a_random_deal(clusters, share):
    random = np.random.default_rng(clusters)
    weight = np.arange(1, clusters + 1) ** -0.5
    vl, action = (random.choice(clusters, 64 * 500, p=weight / weight.sum()) for _ in range(2))
    dealt = deal(vl, action, np.arange(len(vl)), 64)
    by_chance = random.permutation(len(vl)) % 64
    for labels in (vl, action):
        ours, theirs = (variation(labels, tar).mean() for tar in (dealt, by_chance))
        assert ours <= share * theirs
        assert ours == pytest.approx(least_variation(labels, 64))


def test_the_least_variation_by_hand():
    # 3 samples of one label and 5 of another in two tars of 4: (1, 3) and (2, 2); each is off by half a sample in both
    assert least_variation(np.array([0] * 3 + [1] * 5), 2) == pytest.approx(0.125)
    assert variation(np.array([0] * 3 + [1] * 5), np.array([0, 1, 1, 0, 0, 0, 1, 1])).tolist() == [0.125, 0.125]
    assert least_variation(np.array([0] * 4 + [1] * 4), 2) == 0.0


def test_only_a_power_of_two_can_be_dealt():
    with pytest.raises(ValueError, match="3 tars"):
        deal(np.zeros(9, np.int64), np.zeros(9, np.int64), np.arange(9), 3)


@pytest.mark.parametrize(
    ("samples", "size", "least", "tars"),
    [
        (213, 20e6, 64, 8),  # 20 samples each allow 10
        (5000, 20e6, 64, 64),
        (5000, 20e6, 50, 64),
        (5000, 64e6 * 100, 64, 128),  # bytes ask for more
        (19, 1e6, 64, 1),
        (19, 200e6, 64, 4),  # few, but large
        (1, 1, 1, 1),
    ],
)
def test_how_many_tars(samples, size, least, tars):
    assert tar_count(samples, int(size), 64_000_000, least) == tars


def test_what_follows_each_other_lies_in_the_same_tars_where_cells_allow():
    """Four cells of 64 samples in eight tars: each tar has eight that follow each other of each cell."""
    vl, action = np.repeat([0, 0, 1, 1], 64), np.repeat([0, 1, 0, 1], 64)
    place = np.tile(np.arange(64), 4)
    order = np.lexsort((np.arange(256), place))  # by place, cells in turn
    tar = deal(vl[order], action[order], np.arange(256), 8)
    assert (tar == place[order] // 8).all()
