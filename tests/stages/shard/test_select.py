"""What becomes of each event: left out and why, or drawn, more often where its clusters are rare."""

import numpy as np
import polars as pl
import pytest

from schemas.ids import unit_hash
from stages.balance import Clustering
from stages.balance.figures import gini
from stages.shard import ShardConfig
from stages.shard.select import drawn, fates

NO_TREES = {"vl": Clustering(), "action": Clustering()}
SPAN = {"level": "L1", "start_frame": 0, "end_frame": 20, "static": False, "recovery": None, "dead": 0.0}
SPAN |= {"rejected": False}
SCHEMA = {"recovery": pl.String}


def rows_of(
    events: list[dict], clusters: dict[str, tuple[int, int]], split: dict[str, str], config: ShardConfig
) -> pl.DataFrame:
    labels = pl.DataFrame(
        [(e, v, a) for e, (v, a) in clusters.items()],
        schema={"event_id": pl.String, "vl_cluster": pl.Int32, "action_cluster": pl.Int32},
        orient="row",
    )
    episodes = pl.DataFrame([{"episode_id": e, "split": s, "robot": "r", "source": e[0]} for e, s in split.items()])
    return fates(pl.DataFrame([SPAN | e for e in events], schema_overrides=SCHEMA), labels, episodes, config)


def corpus_of(sizes: list[int], config: ShardConfig, episodes: int = 40, **more: object) -> pl.DataFrame:
    """Rows of `sizes[c]` train events of VL cluster c, over some episodes."""
    events, clusters = [], {}
    for cluster, size in enumerate(sizes):
        for i in range(size):
            name = f"s/{i % episodes:06d}/L1/{cluster:03d}{i:04d}"
            events.append({"event_id": name, "episode_id": name[:8], **more})
            clusters[name] = (cluster, i % 3)
    rows = rows_of(events, clusters, {f"s/{e:06d}": "train" for e in range(episodes)}, config)
    return drawn(rows, NO_TREES, config)[0]


def sizes_of(rows: pl.DataFrame) -> np.ndarray:
    return np.bincount(rows["vl_cluster"].to_numpy(), weights=rows["repeats"].to_numpy())


def test_what_is_drawn_meets_the_target_of_both_clusterings():
    """Uniform, 500 of 1,000 events in clusters of 600, 200, 100 and 100: 125 each, the small ones some twice."""
    rows = corpus_of([600, 200, 100, 100], ShardConfig(alpha=0.0, keep=0.5, max_repeats=2))
    assert np.abs(sizes_of(rows) - 125).max() <= 1
    motions = np.bincount(rows["action_cluster"].to_numpy(), weights=rows["repeats"].to_numpy())
    assert np.abs(motions - 500 / 3).max() <= 1
    assert rows["repeats"].max() == 2


def test_without_repeats_a_cluster_gives_what_it_has_and_the_others_the_rest():
    rows = corpus_of([600, 200, 100, 100], ShardConfig(alpha=0.0, keep=0.5, max_repeats=1))
    assert np.abs(sizes_of(rows) - [150, 150, 100, 100]).max() <= 1


def test_a_small_corpus_is_not_made_less_even_by_chance():
    rows = corpus_of([12, 8, 6], ShardConfig(alpha=0.0, keep=0.8))
    assert sizes_of(rows).sum() == 21  # 0.8 of 26
    assert gini(sizes_of(rows)) < gini(np.array([12, 8, 6]))


def test_a_cell_gives_its_events_of_smallest_hash_not_the_first_by_name():
    config = ShardConfig(alpha=1.0, keep=0.25)
    events = [{"event_id": f"s/0/L1/{i:04d}", "episode_id": "s/0"} for i in range(40)]
    rows = rows_of(events, {e["event_id"]: (0, 0) for e in events}, {"s/0": "train"}, config)
    chosen = set(drawn(rows, NO_TREES, config)[0].filter(status="sampled")["event_id"])
    ranked = sorted((e["event_id"] for e in events), key=lambda e: unit_hash(f"draw:{e}", config.seed))
    assert chosen == set(ranked[:10])
    assert chosen != {e["event_id"] for e in events[:10]}
    other = drawn(rows, NO_TREES, config.model_copy(update={"seed": 1}))[0]
    assert set(other.filter(status="sampled")["event_id"]) != chosen


def test_one_more_event_hardly_changes_the_draw_of_the_others():
    before = dict(corpus_of([300, 60], ShardConfig()).select("event_id", "repeats").iter_rows())
    after = dict(corpus_of([300, 61], ShardConfig()).select("event_id", "repeats").iter_rows())
    assert sum(after[e] != n for e, n in before.items()) <= 4


def test_val_is_all_drawn_once():
    events = [{"event_id": f"s/{i:06d}/L1/0", "episode_id": f"s/{i:06d}"} for i in range(40)]
    clusters = {e["event_id"]: (int(i > 30), 0) for i, e in enumerate(events)}
    split = {f"s/{i:06d}": "val" if i % 2 else "train" for i in range(40)}
    config = ShardConfig(alpha=0.0, keep=0.3)
    rows = drawn(rows_of(events, clusters, split, config), NO_TREES, config)[0].filter(split="val")
    assert {(r["status"], r["inclusion"], r["repeats"]) for r in rows.to_dicts()} == {("sampled", 1.0, 1)}


def test_recoveries_have_their_share():
    """Of 100 events in one cell 4 are recoveries: 0.04 of 50 samples are two; a share of a tenth is five."""
    events = [
        {"event_id": f"s/0/L1/{i:04d}", "episode_id": "s/0", "recovery": "regrasp" if i < 4 else None}
        for i in range(100)
    ]
    split, clusters = {"s/0": "train"}, {e["event_id"]: (0, 0) for e in events}
    for share, samples in ((0.0, 2), (0.1, 5)):
        config = ShardConfig(keep=0.5, recovery_share=share)
        rows = drawn(rows_of(events, clusters, split, config), NO_TREES, config)[0]
        assert rows["repeats"].sum() == 50
        assert abs(rows.filter("recovery")["repeats"].sum() - samples) <= 1


def test_sources_have_their_weight_within_a_cluster():
    """40 events each of two sources in one cell: with a weight of 3 the first gives 30 of 40 samples."""
    events = [{"event_id": f"{s}/0/L1/{i:04d}", "episode_id": f"{s}/0"} for s in "ab" for i in range(40)]
    config = ShardConfig(keep=0.5, source_weights={"a": 3.0})
    clusters = {e["event_id"]: (0, 0) for e in events}
    rows = drawn(rows_of(events, clusters, {"a/0": "train", "b/0": "train"}, config), NO_TREES, config)[0]
    by_source = dict(rows.group_by("source").agg(pl.col("repeats").sum()).iter_rows())
    assert by_source == {"a": 30, "b": 10}


def test_an_event_without_clusters_is_never_drawn():
    events = [{"event_id": f"s/0/L1/{i}", "episode_id": "s/0"} for i in range(9)]
    clusters = {e["event_id"]: (0, 0) for e in events[1:]}
    rows = drawn(rows_of(events, clusters, {"s/0": "train"}, ShardConfig()), NO_TREES, ShardConfig(keep=1.0))[0]
    assert rows["repeats"].to_list() == [0] + [1] * 8
    assert rows["status"].to_list() == ["reserve"] + ["sampled"] * 8


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"static": True}, "static"),
        ({"end_frame": 1}, "too_short"),
        ({"end_frame": 90}, "too_long"),
        ({}, "reserve"),
        ({"dead": 0.6}, "bad_pictures"),
        ({"dead": 0.5}, "reserve"),
    ],
)
def test_what_is_left_out_says_why(event, status):
    row = {"event_id": "s/000000/L1/0000000", "episode_id": "s/000000"} | event
    found = rows_of([row], {}, {"s/000000": "train"}, ShardConfig(max_frames=60))
    assert found["status"].to_list() == [status]


def test_pictures_that_show_nothing_weigh_a_quarter_where_that_is_asked():
    row = {"event_id": "s/000000/L1/0000000", "episode_id": "s/000000", "dead": 0.6}
    for pictures, wish in (("weigh_down", 0.25), ("keep", 1.0)):
        found = rows_of([row], {}, {"s/000000": "train"}, ShardConfig(pictures=pictures))
        assert (found["status"][0], found["wish"][0]) == ("reserve", wish)


def test_more_samples_than_there_can_be_are_told():
    events = [{"event_id": f"s/0/L1/{i}", "episode_id": "s/0"} for i in range(10)]
    config = ShardConfig(samples=50, max_repeats=2)
    rows = rows_of(events, {e["event_id"]: (0, 0) for e in events}, {"s/0": "train"}, config)
    found, result = drawn(rows, NO_TREES, config)
    assert found["repeats"].to_list() == [2] * 10
    assert "50 samples are asked for; 10 events, at most 2 times each (shard.max_repeats), give 20" in result.notes
