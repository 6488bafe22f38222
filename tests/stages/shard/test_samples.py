"""A sample's arrays, its calibration, its tar, and the statistics of many."""

import io
import json
import subprocess

import numpy as np
import pytest
import webdataset

from stages.episode import Signal
from stages.shard.sample import Clip, calibration, low_dim
from stages.shard.stats import Statistics, from_bytes, merged, to_bytes
from stages.shard.tar import write_tar


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
