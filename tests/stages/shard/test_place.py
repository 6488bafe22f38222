"""Tars hold each copy of what is drawn, once a tar; those of the last release serve again where nothing in them
changed."""

from collections import Counter

import numpy as np
import polars as pl

from schemas.ids import unit_hash
from stages.shard import ShardConfig
from stages.shard.place import Made, Tar, place, weights

SCHEMA = {"event_id": pl.String, "split": pl.String, "status": pl.String, "repeats": pl.Int64}


def rows_of(repeats: dict[str, int], split: str = "train") -> pl.DataFrame:
    """Events, how often each is drawn, in 5 x 3 clusters."""
    frame = pl.DataFrame(
        [(e, split, "sampled" if n else "reserve", n) for e, n in repeats.items()], schema=SCHEMA, orient="row"
    )
    number = pl.int_range(pl.len())
    return frame.with_columns(vl_cluster=(number % 5).cast(pl.Int32), action_cluster=(number % 3).cast(pl.Int32))


def made_of(rows: pl.DataFrame, shared: str = "model", size: int = 1000, **prints: str) -> Made:
    names = rows["event_id"].to_list()
    return Made(shared, {e: prints.get(e, "print") for e in names}, dict.fromkeys(names, size))


def written(tars: list[Tar]) -> set[str]:
    return {tar.name for tar in tars}


HUNDRED = {f"s/{i:06d}/L1/0": 1 + (i % 10 == 0) for i in range(100)}  # ten are drawn twice


def test_each_copy_lies_in_a_tar_of_its_own():
    rows = rows_of(HUNDRED)
    tars = place(rows, [], (), made_of(rows), ShardConfig(min_shards=4))
    assert len(tars) == 4
    assert Counter(e for tar in tars for e in tar.events) == HUNDRED
    assert all(len(set(tar.events)) == len(tar.events) for tar in tars)
    for tar in tars:  # neither by name nor by cluster
        assert list(tar.events) == sorted(tar.events, key=lambda e: unit_hash(f"within:{e}", 0))


def test_val_weighs_one():
    rows = rows_of(dict.fromkeys(HUNDRED, 1), "val")
    tars = place(rows, [], (), made_of(rows), ShardConfig())
    assert {(tar.kind, weight) for tar in tars for weight in tar.weights} == {("val", 1.0)}
    assert set(weights(rows, [(f"val-{n}.tar", tar) for n, tar in enumerate(tars)])["weight"]) == {1.0}


def test_episodes_are_dealt_in_an_order_that_is_drawn_eight_neighbours_together(monkeypatch):
    rows = rows_of(dict.fromkeys((f"s/{i:06d}/L1/0" for i in range(40)), 1))
    rows = rows.with_columns(vl_cluster=pl.int_range(40, dtype=pl.Int32))  # tells which event it is
    dealt: list[int] = []

    def deal(vl, action, row, count):
        dealt.extend(vl.tolist())
        return np.zeros(len(vl), dtype=np.int64)

    monkeypatch.setattr("stages.shard.place.deal", deal)
    place(rows, [], (), made_of(rows), ShardConfig())
    groups = sorted(range(5), key=lambda n: unit_hash(f"order:s/{n}", 0))
    assert groups != sorted(groups)
    assert dealt == [8 * group + i for group in groups for i in range(8)]


def test_with_an_index_each_event_lies_in_one_tar():
    rows = rows_of(HUNDRED)
    tars = place(rows, [], (), made_of(rows), ShardConfig(min_shards=4, repeats="index"))
    assert Counter(e for tar in tars for e in tar.events) == dict.fromkeys(HUNDRED, 1)
    weighted = weights(rows, [(f"train-{n}.tar", tar) for n, tar in enumerate(tars)])
    assert dict(weighted.select("event_id", "weight").iter_rows()) == HUNDRED


def test_there_are_tars_enough_that_no_tar_has_an_event_twice():
    rows = rows_of({"s/a/L1/0": 3, "s/b/L1/0": 1})
    tars = place(rows, [], (), made_of(rows), ShardConfig(min_shards=1))
    assert Counter(e for tar in tars for e in tar.events) == {"s/a/L1/0": 3, "s/b/L1/0": 1}
    assert all(tar.events.count("s/a/L1/0") <= 1 for tar in tars)


def test_reserve_lies_in_tars_of_its_own_where_that_is_asked():
    rows = rows_of({"s/a/L1/0": 1, "s/b/L1/0": 0, "s/c/L1/0": 0})
    tars = place(rows, [], (), made_of(rows), ShardConfig(reserve="tars"))
    assert [(tar.kind, set(tar.events)) for tar in tars] == [
        ("train", {"s/a/L1/0"}),
        ("reserve", {"s/b/L1/0", "s/c/L1/0"}),
    ]
    assert [tar.kind for tar in place(rows, [], (), made_of(rows), ShardConfig())] == ["train"]
    weighted = weights(rows, [(f"{tar.kind}-0.tar", tar) for tar in tars])
    assert weighted["shards"].to_list() == [["train-0.tar"], ["reserve-0.tar"], ["reserve-0.tar"]]
    assert weighted["weight"].to_list() == [1.0, 0.0, 0.0]


def test_a_night_writes_new_events_alone_and_weights_say_the_rest():
    config, rows = ShardConfig(min_shards=4), rows_of(HUNDRED)
    first = place(rows, [], (), made_of(rows), config)
    # three new events; of two old ones the draw wants one copy less, one more
    tonight = rows_of(
        {**HUNDRED, "s/000010/L1/0": 1, "s/000011/L1/0": 2, "s/100000/L1/0": 1, "s/100001/L1/0": 1, "s/100002/L1/0": 1}
    )
    second = place(tonight, first, written(first), made_of(tonight), config)
    assert second[:4] == first
    assert [set(tar.events) for tar in second[4:]] == [{"s/100000/L1/0", "s/100001/L1/0", "s/100002/L1/0"}]
    weighted = weights(tonight, [(f"train-{n}.tar", tar) for n, tar in enumerate(second)])
    found = dict(weighted.select("event_id", "weight").iter_rows())
    assert {e: w for e, w in found.items() if w != 1} == {"s/000010/L1/0": 0.5, "s/000011/L1/0": 2.0}


def test_a_changed_event_costs_its_tars_alone():
    config, rows = ShardConfig(min_shards=4), rows_of(HUNDRED)
    first = place(rows, [], (), made_of(rows), config)
    second = place(rows, first, written(first), made_of(rows, **{"s/000001/L1/0": "other"}), config)
    kept = [tar for tar in first if "s/000001/L1/0" not in tar.events]
    assert len(kept) == 3
    assert second[:3] == kept
    again = Counter(e for tar in second for e in tar.events)
    assert again["s/000001/L1/0"] == 1
    assert set(again) == set(HUNDRED)


def test_all_is_dealt_anew_where_too_much_has_changed():
    rows = rows_of(HUNDRED)
    config = ShardConfig(min_shards=4)
    first = place(rows, [], (), made_of(rows), config)
    other = rows_of({e: 2 for e in HUNDRED})
    assert Counter(e for t in place(other, first, written(first), made_of(other), config) for e in t.events) == {
        e: 2 for e in HUNDRED
    }
    for changed in (made_of(rows, shared="another model"), made_of(rows, **dict.fromkeys(HUNDRED, "other"))):
        assert not set(written(first)) & written(place(rows, first, written(first), changed, config))
    assert place(rows, first, (), made_of(rows), config) == first  # its tars are not there: the same are made


def test_a_tar_is_named_by_all_that_its_samples_hold():
    rows = rows_of(HUNDRED)
    made, events = made_of(rows), {"s/000001/L1/0": 1.0, "s/000002/L1/0": 1.0}
    tar = made.tar("train", events, 0)
    assert made.tar("train", dict(reversed(events.items())), 0) == tar
    others = [
        made.tar("val", events, 0),
        made.tar("train", {**events, "s/000001/L1/0": 2.0}, 0),
        made.tar("train", {"s/000001/L1/0": 1.0}, 0),
        made.tar("train", events, 0, plan="another"),
        made_of(rows, shared="another model").tar("train", events, 0),
        made_of(rows, **{"s/000001/L1/0": "other"}).tar("train", events, 0),
    ]
    assert len({tar.name, *(o.name for o in others)}) == 7
    assert made.tar("train", events, 0, plan=tar.plan) == tar


def test_an_event_that_left_the_pool_takes_its_tar_along():
    config, rows = ShardConfig(min_shards=4), rows_of(HUNDRED)
    first = place(rows, [], (), made_of(rows), config)
    gone = rows.with_columns(
        status=pl.when(pl.col("event_id") == "s/000001/L1/0").then(pl.lit("static")).otherwise(pl.col("status")),
        repeats=pl.when(pl.col("event_id") == "s/000001/L1/0").then(0).otherwise(pl.col("repeats")),
    )
    second = place(gone, first, written(first), made_of(gone), config)
    assert "s/000001/L1/0" not in {e for tar in second for e in tar.events}
    assert len(set(written(first)) & written(second)) == 3


def test_small_tars_do_not_pile_up():
    """Each night one event more: there are never more than twice as many tars as a deal of all would make."""
    config = ShardConfig(min_shards=2, repack_share=1.0)
    events, tars = {f"s/{i:06d}/L1/0": 1 for i in range(60)}, []
    for night in range(8):
        events[f"s/10000{night}/L1/0"] = 1
        rows = rows_of(events)
        tars = place(rows, tars, written(tars), made_of(rows), config)
        assert Counter(e for tar in tars for e in tar.events) == events
        assert len(tars) <= 4
