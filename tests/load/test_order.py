"""The order of an epoch: a function of digest, seed, epoch; each item as often as its weight says."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.load.ordering.batches import Wish, packed, schedule, share
from stages.load.ordering.order import copies, epoch_order, keys


def test_keys_are_the_same_on_every_machine_and_for_ever():
    assert keys("digest", 0, 0, "order", 3).tolist() == [15347722179381058531, 1384754547607134760, 7700671078049029826]
    assert keys("digest", 0, 1, "order", 3)[0] != keys("digest", 0, 0, "order", 3)[0]


@given(st.lists(st.floats(0, 4), min_size=1, max_size=60), st.integers(0, 5))
def test_each_item_comes_as_often_as_its_weight_says(weight, seed):
    weight = np.array(weight)
    found = [copies(weight, "d", seed, epoch) for epoch in range(40)]
    total = round(weight.sum())
    assert all(own.sum() == total for own in found)
    if total:
        scaled = weight * total / weight.sum()
        assert all((np.abs(own - scaled) <= 1 + 1e-9).all() for own in found)
        assert (np.abs(np.mean(found, axis=0) - scaled) < 0.15).all()


def test_whole_weights_are_taken_at_their_word():
    assert copies(np.array([1.0, 0.0, 3.0]), "d", 0, 7).tolist() == [1, 0, 3]


@given(st.integers(1, 200), st.integers(1, 9), st.integers(0, 3), st.sampled_from([None, 1, 3]))
def test_an_epoch_is_a_permutation_and_mixed_tars_come_together(count, tars, epoch, mixed):
    tar = (np.arange(count) * tars // count).astype(np.int32)
    order = epoch_order(np.ones(count), tar, "d", 0, epoch, mixed_tars=mixed)
    assert sorted(order.tolist()) == list(range(count))
    if mixed == 1:
        runs = np.count_nonzero(np.diff(tar[order])) + 1
        assert runs == len(set(tar.tolist()))


def test_epochs_and_seeds_differ_and_unshuffled_is_the_plans_order():
    ones, tar = np.ones(50), np.zeros(50, dtype=np.int32)
    orders = [epoch_order(ones, tar, "d", seed, epoch).tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert epoch_order(ones, tar, "d", 0, 3, shuffle=False).tolist() == list(range(50))


@settings(max_examples=60)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=300),
    st.integers(1, 12),
    st.booleans(),
    st.sampled_from([0, 16, 40]),
    st.integers(1, 3),
)
def test_batches_hold_each_item_once_and_one_group_each(lengths, size, bucket, pack, groups):
    lengths = np.array(lengths, dtype=np.int64)
    order = np.random.default_rng(0).permutation(len(lengths))
    group = (np.arange(len(lengths)) % groups).astype(np.int32)
    wish = Wish(size, bucket and not pack, pack)
    plan = schedule(order, lengths, group, wish, ("d", 0, 0))
    batches = [plan.batch(n) for n in range(len(plan))]
    assert sorted(plan.items.tolist()) == list(range(len(lengths)))
    assert sum(len(batch) < size for batch in batches) <= groups
    for batch in batches:
        assert len({int(group[item]) for row in batch for item in row}) == 1
        if pack:
            assert all(np.minimum(lengths[row], pack).sum() <= pack for row in batch)
        else:
            assert all(len(row) == 1 for row in batch)
    short = [len(batch) < size for batch in batches]
    assert short == sorted(short)  # short ones come last


def test_buckets_hold_what_is_alike_in_length():
    lengths = np.tile([3, 50], 64)
    plan = schedule(np.arange(128), lengths, None, Wish(8, bucket=True), ("d", 0, 0))
    assert all(len({int(lengths[row[0]]) for row in plan.batch(n)}) == 1 for n in range(len(plan)))
    firsts = [int(lengths[plan.batch(n)[0][0]]) for n in range(len(plan))]
    assert firsts != sorted(firsts)


def test_packing_fills_rows():
    assert [row.tolist() for row in packed(np.arange(5), np.array([7, 3, 5, 5, 99]), 10)] == [[4], [0, 1], [2, 3]]


@given(st.integers(1, 24), st.sampled_from([1, 2, 3, 8]))
def test_ranks_in_turn_give_the_batch_and_have_as_many_rows(count, world):
    rows = [np.array([n]) for n in range(count)]
    shares = [share(rows, rank, world, 24) for rank in range(world)]
    assert len({len(own) for own, _ in shares}) == 1
    kept = [int(row[0]) for own, missing in shares for row in own[: len(own) - missing]]
    assert kept == list(range(count))
