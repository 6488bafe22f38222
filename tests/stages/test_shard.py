"""Balance is worked out by hand here; samples hold what they promise; tars are the same byte for byte."""

import io
import json
import math
import subprocess

import numpy as np
import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.ids import unit_hash
from stages.episode import Signal
from stages.shard import ShardConfig
from stages.shard.balance import effective_size, entropy, gini, inclusion, wanted_frequency
from stages.shard.sample import Clip, calibration, low_dim
from stages.shard.select import pack, select
from stages.shard.stats import Statistics, from_bytes, merged, to_bytes
from stages.shard.tar import write_tar

# -- balance


def test_uniform_balance_of_one_clustering():
    # sizes 6 and 2 over 8 events: both clusters are wanted 4 times, so 4/6 and 4/2
    wanted = wanted_frequency([0] * 6 + [1] * 2, [0] * 8, alpha=0.0, max_weight=10)
    assert wanted == pytest.approx([4 / 6] * 6 + [2.0] * 2)


def test_temperature_lies_between_natural_and_uniform():
    # sizes 4 and 1, alpha 1/2: shares 2 : 1 of 5 events
    wanted = wanted_frequency([0] * 4 + [1], [0] * 5, alpha=0.5, max_weight=10)
    assert wanted == pytest.approx([10 / 3 / 4] * 4 + [5 / 3])
    assert wanted_frequency([0] * 4 + [1], [0] * 5, alpha=1.0, max_weight=10) == pytest.approx([1.0] * 5)


def test_both_clusterings_are_met_at_once():
    vl, action = [0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 0, 1]
    wanted = wanted_frequency(vl, action, alpha=0.0, max_weight=10)
    assert np.bincount(vl, weights=wanted) == pytest.approx([3, 3], abs=1e-6)
    assert np.bincount(action, weights=wanted) == pytest.approx([3, 3], abs=1e-6)


def test_no_event_is_wanted_more_often_than_the_cap():
    wanted = wanted_frequency([0] * 99 + [1], [0] * 100, alpha=0.0, max_weight=5)
    assert wanted.max() == pytest.approx(5.0)
    assert wanted.mean() == pytest.approx(1.0)


def test_water_filling():
    # budget 2 of 4: the event wanted 3 times is taken for sure, the others share one: 1/3 each
    assert inclusion(np.array([3.0, 1 / 3, 1 / 3, 1 / 3]), 0.5) == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3])
    assert inclusion(np.ones(4), 1.0).tolist() == [1.0] * 4


@settings(max_examples=100)
@given(
    labels=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60),
    alpha=st.floats(0, 1),
    keep=st.floats(0.05, 1),
)
def test_laws_of_the_draw(labels, alpha, keep):
    vl, action = zip(*labels, strict=True)
    wanted = wanted_frequency(vl, action, alpha, 10.0)
    chance = inclusion(wanted, keep)
    assert wanted.min() > 0
    assert wanted.max() <= 10 + 1e-6
    assert wanted.mean() == pytest.approx(1.0)
    assert chance.sum() == pytest.approx(keep * len(labels))
    assert ((chance > 0) & (chance <= 1)).all()


def test_figures_of_a_distribution():
    assert gini([1, 1, 1, 1]) == pytest.approx(0)
    assert gini([0, 0, 0, 1]) == pytest.approx(0.75)  # (n - 1) / n
    assert gini([1, 3]) == pytest.approx(0.25)
    assert entropy([5, 5]) == pytest.approx(1)
    assert entropy([3, 1]) == pytest.approx((0.75 * math.log(4 / 3) + 0.25 * math.log(4)) / math.log(2))
    assert effective_size(np.array([1.0, 1.0, 2.0])) == pytest.approx(16 / 6)


# -- selection


def event(name: str, episode: str) -> dict:
    span = {"start_frame": 0, "end_frame": 20, "static": False, "dead": 0.0}
    return {"event_id": name, "episode_id": episode, "level": "L1", **span}


def corpus_of(sizes: list[int], config: ShardConfig, episodes: int = 40) -> list[dict]:
    """Samples rows for `sizes[c]` events of VL cluster c, over some episodes, all of split train."""
    events, clusters = [], {}
    for cluster, size in enumerate(sizes):
        for i in range(size):
            name = f"s/{i % episodes:06d}/L1/{cluster:03d}{i:04d}"
            events.append(event(name, f"s/{i % episodes:06d}"))
            clusters[name] = (cluster, i % 3)
    rows = {f"s/{e:06d}": {"split": "train", "robot": "r"} for e in range(episodes)}
    return select(events, clusters, rows, config)


def test_shards_are_flatter_than_the_recordings_and_flat_with_weights():
    rows = corpus_of([600, 200, 100, 100], ShardConfig(alpha=0.0, keep=0.5))
    drawn = [r for r in rows if r["status"] == "sampled"]
    sizes = np.bincount([r["vl_cluster"] for r in drawn])
    weights = np.bincount([r["vl_cluster"] for r in drawn], weights=[r["weight"] for r in drawn])
    assert gini(sizes) < 0.7 * gini([600, 200, 100, 100])
    assert gini(weights) < 0.1
    assert np.mean([r["weight"] for r in drawn]) == pytest.approx(1.0)
    assert len(drawn) == 500
    assert np.abs(sizes - [125] * 4).max() <= 25  # uniform is 125 each; the smallest have 100 to give


def test_a_small_corpus_is_not_made_less_even_by_chance():
    rows = corpus_of([12, 8, 6], ShardConfig(alpha=0.0, keep=0.8))
    sizes = np.bincount([r["vl_cluster"] for r in rows if r["status"] == "sampled"])
    assert sizes.sum() == 21  # 0.8 of 26
    assert gini(sizes) < gini([12, 8, 6])


def test_a_cluster_gives_its_events_of_smallest_hash_not_the_first_by_name():
    config = ShardConfig(alpha=1.0, keep=0.25)  # alpha 1: every event is as likely as any other
    rows = corpus_of([40], config)
    drawn = {r["event_id"] for r in rows if r["status"] == "sampled"}
    ranked = sorted((r["event_id"] for r in rows), key=lambda e: unit_hash(f"draw:{e}", config.seed))
    assert drawn == set(ranked[:10])
    assert drawn != set(sorted(r["event_id"] for r in rows)[:10])
    other = {r["event_id"] for r in corpus_of([40], config.model_copy(update={"seed": 1})) if r["status"] == "sampled"}
    assert other != drawn


def test_within_a_vl_cluster_events_that_are_wanted_more_are_drawn_more():
    """One VL cluster, 900 events of a common motion and 100 of a rare one: uniform over motions, 500 are kept. Water
    filling takes the rare ones for sure and 400 of the 900."""
    events = [event(f"s/0/L1/{i:07d}", "s/0") for i in range(1000)]
    clusters = {e["event_id"]: (0, int(i % 10 == 0)) for i, e in enumerate(events)}
    episodes = {"s/0": {"split": "train", "robot": "r"}}
    rows = select(events, clusters, episodes, ShardConfig(alpha=0.0, keep=0.5))
    drawn = [r for r in rows if r["status"] == "sampled"]
    assert len(drawn) == 500
    assert sum(r["action_cluster"] == 1 for r in drawn) == pytest.approx(100, abs=5)
    assert {r["inclusion"] for r in rows if r["action_cluster"] == 1} == {1.0}


def test_val_is_all_kept_and_weighs_one():
    events = [event(f"s/{i}/L1/0", f"s/{i}") for i in range(40)]
    clusters = {e["event_id"]: (int(i > 30), 0) for i, e in enumerate(events)}
    episodes = {f"s/{i}": {"split": "val" if i % 2 else "train", "robot": "r"} for i in range(40)}
    rows = [r for r in select(events, clusters, episodes, ShardConfig(alpha=0.0, keep=0.3)) if r["split"] == "val"]
    assert {(r["status"], r["inclusion"], r["weight"]) for r in rows} == {("sampled", 1.0, 1.0)}


def test_neighbours_are_laid_out_together_by_hash_and_the_events_of_a_tar_by_their_own():
    """40 episodes in fives of 8: a tar of half of the events holds two and a half of them."""
    config = ShardConfig(alpha=1.0, keep=1.0, target_bytes=200 * 1000)
    rows = corpus_of([400], config)
    shards = pack(rows, {r["event_id"]: 1000 for r in rows}, config)
    assert sorted(shards) == ["train-000000.tar", "train-000001.tar"]
    groups = sorted(range(5), key=lambda g: unit_hash(f"order:s/{g}", config.seed))
    assert groups != sorted(groups)
    first = {int(r["episode_id"].split("/")[1]) // 8 for r in shards["train-000000.tar"]}
    assert first == set(groups[:3])
    for members in shards.values():
        keys = [unit_hash(f"within:{r['event_id']}", config.seed) for r in members]
        assert keys == sorted(keys)
        assert [r["event_id"] for r in members] != sorted(r["event_id"] for r in members)


def test_one_more_event_hardly_changes_the_draw_of_the_others():
    before = {r["event_id"]: r["status"] for r in corpus_of([300, 60], ShardConfig())}
    after = {r["event_id"]: r["status"] for r in corpus_of([300, 61], ShardConfig())}
    assert sum(after[e] != s for e, s in before.items()) <= 3


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"static": True}, "static"),
        ({"end_frame": 1}, "too_short"),
        ({"end_frame": 90}, "too_long"),
        ({}, "sampled"),
        ({"dead": 0.6}, "bad_pictures"),
        ({"dead": 0.5}, "sampled"),
    ],
)
def test_what_is_left_out_says_why(event, status):
    row = {
        "event_id": "s/000000/L1/0000000",
        "episode_id": "s/000000",
        "level": "L1",
        "start_frame": 0,
        "end_frame": 20,
        "static": False,
        "dead": 0.0,
    } | event
    (found,) = select([row], {}, {"s/000000": {"split": "val", "robot": "r"}}, ShardConfig(max_frames=60))
    assert (found["status"], found["inclusion"]) == (status, float(status == "sampled"))


def test_tars_are_of_about_equal_size_and_splits_stay_apart():
    rows = corpus_of([200], ShardConfig(keep=1.0))
    for row in rows[:50]:
        row["split"] = "val"
    shards = pack(rows, {r["event_id"]: 10_000 for r in rows}, ShardConfig(target_bytes=250_000))
    assert sorted(shards) == [*(f"train-{i:06d}.tar" for i in range(6)), "val-000000.tar", "val-000001.tar"]
    assert all(len(members) == 25 for members in shards.values())
    assert {r["split"] for name, members in shards.items() if name.startswith("val") for r in members} == {"val"}


# -- samples


def test_rows_are_the_log_at_the_frames_and_valid_says_where_it_covers_them():
    time = np.arange(10) / 10
    signals = {
        "state": Signal("state", "", "raw", time, np.arange(20.0).reshape(10, 2)),
        "gripper/single": Signal("gripper", "single", "1", time, np.r_[np.ones(5), np.zeros(5)][:, None]),
    }
    alignment = {"signal_time_s": time + 0.2, "time_s": time, "fps": 10.0}  # the log is two frames late
    arrays = low_dim(signals, alignment, 1, 10)
    assert arrays["state"][:3].tolist() == [[6, 7], [8, 9], [10, 11]]
    assert arrays["gripper"][:, 0].tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert arrays["time"][0] == pytest.approx(0.1)
    assert arrays["valid"].tolist() == [True] * 7 + [False] * 2


def test_each_array_says_where_its_own_stream_covers_a_frame():
    """500 Hz joints from the start, a camera-rate force that begins late, a position in raw units that stays raw."""
    fast, slow = np.arange(500) / 500, 0.5 + np.arange(5) / 10
    signals = {
        "joints/left": Signal("joints", "left", "rad", fast, np.stack([fast, -fast], axis=1)),
        "position/left": Signal("position", "left", "raw", fast, fast[:, None]),
        "extra/observation.force": Signal("extra", "", "N", slow, np.ones((5, 1))),
    }
    frames = np.arange(10) / 10
    arrays = low_dim(signals, {"signal_time_s": frames, "time_s": frames, "fps": 10.0}, 0, 10)
    assert arrays["joints.left"][:, 0] == pytest.approx(frames)
    assert "position.left" not in arrays
    assert arrays["valid"].all()  # what rides along does not count
    assert arrays["valid.extra.observation.force"].tolist() == [False] * 5 + [True] * 5
    assert arrays["valid.joints.left"].all()


def test_calibration_follows_the_scale_with_pixel_centres_at_integers():
    given = json.dumps({"K": [[500, 0, 319.5], [0, 500, 239.5], [0, 0, 1]], "mount": "base"})
    scaled = calibration(Clip("c", "p", 10, [], (320, 240), (640, 480), given))
    assert scaled["K"] == [[250.0, 0.0, 159.5], [0.0, 250.0, 119.5], [0.0, 0.0, 1.0]]  # the centre stays the centre
    assert (scaled["width"], scaled["height"], scaled["mount"]) == (320, 240, "base")


def test_a_tar_is_the_same_twice_and_readable_by_webdataset_and_tar(tmp_path):
    samples = [("a-1", {"json": b"{}", "front.mp4": b"xx"}), ("a-2", {"json": b"[]", "front.mp4": b"yy"})]
    first, second = (write_tar(str(tmp_path / name), samples) for name in ("1.tar", "2.tar"))
    assert (first, second) == (2, 2)
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()
    found = list(webdataset.WebDataset(str(tmp_path / "1.tar"), shardshuffle=False))
    assert [(s["__key__"], s["json"], s["front.mp4"]) for s in found] == [("a-1", b"{}", b"xx"), ("a-2", b"[]", b"yy")]
    listed = subprocess.run(["tar", "tf", tmp_path / "1.tar"], capture_output=True, text=True, check=True).stdout
    assert sorted(listed.split()) == ["a-1.front.mp4", "a-1.json", "a-2.front.mp4", "a-2.json"]


def rank_of(value: float, rows: np.ndarray) -> tuple[float, float]:
    """Between which shares of the rows a value lies."""
    return float((rows < value).mean()), float((rows <= value).mean())


def test_statistics_merge_to_those_of_all_rows():
    rows = np.random.default_rng(0).normal(size=(900, 3)).astype(np.float32) * [1, 10, 100]
    parts = []
    for piece in (rows[:100], rows[100:150], rows[150:]):
        stats = Statistics(3)
        stats.add(piece.astype(np.float32))
        parts.append(from_bytes(to_bytes({"lab:a/state": stats.summary()}))["lab:a/state"])
    found = json.loads(json.dumps(merged(parts).figures()))
    assert found["count"] == 900
    assert found["mean"] == pytest.approx(rows.mean(axis=0), rel=1e-4)
    assert found["std"] == pytest.approx(rows.std(axis=0), rel=1e-4)
    assert found["max"] == pytest.approx(rows.max(axis=0), rel=1e-5)


@pytest.mark.parametrize("shape", ["normal", "uniform", "lognormal", "two levels", "mostly zero", "steps"])
def test_quantiles_lie_within_two_thousandths_of_their_rank(shape):
    """Of 300 tars of unequal sizes, merged in their order, as a release does it."""
    random = np.random.default_rng(3)
    draw = {
        "normal": random.normal,
        "uniform": random.uniform,
        "lognormal": lambda size: random.lognormal(0, 3, size),
        "two levels": lambda size: random.integers(0, 2, size).astype(float),
        "mostly zero": lambda size: random.normal(size=size) * (random.uniform(size=size) < 0.03),
        "steps": lambda size: random.integers(0, 40, size) / 7,
    }[shape]
    tars = [draw(size=int(n)) for n in random.integers(50, 4000, 300)]
    parts = []
    for rows in tars:
        stats = Statistics(1)
        for sample in np.array_split(rows, 20):
            stats.add(sample[:, None])
        parts.append(stats.summary())
    figures, rows = merged(parts).figures(), np.concatenate(tars)
    for name, share in (("q01", 0.01), ("q99", 0.99)):
        low, high = rank_of(figures[name][0], rows)
        assert low - 0.002 <= share <= high + 0.002, (name, figures[name], low, high)
    assert to_bytes({"x": merged(parts).summary()}) == to_bytes({"x": merged(parts).summary()})


def test_rows_that_hold_no_number_are_left_out():
    stats = Statistics(2)
    stats.add(np.array([[1.0, 2.0], [np.nan, 3.0], [3.0, np.inf]]))
    assert (stats.count, stats.figures()["max"]) == (1, [1.0, 2.0])


def test_arrays_of_a_sample_load_with_numpy_alone():
    buffer = io.BytesIO()
    np.savez(buffer, state=np.ones((2, 3), np.float32))
    assert np.load(io.BytesIO(buffer.getvalue()))["state"].shape == (2, 3)
