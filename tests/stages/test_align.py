"""Video and log lie on one clock, by time, by position, or by rows alone; the lag between them is found and voted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.reasons import Quarantined, Reason
from stages.align import AlignConfig
from stages.align.clock import pair, shift
from stages.align.lag import decide, estimate

CONFIG = AlignConfig()


def strokes(length: int, seed: int) -> np.ndarray:
    """float[T]: a random walk of speed, smooth over a few frames."""
    noise = np.random.default_rng(seed).random(length + 20)
    return np.convolve(noise, np.ones(9) / 9, "same")[10:-10] ** 2


@settings(max_examples=40)
@given(lag=st.integers(-8, 8), seed=st.integers(0, 1000), gain=st.floats(0.01, 100), offset=st.floats(0, 0.5))
def test_a_log_moved_by_k_frames_has_lag_k(lag, seed, gain, offset):
    speed = strokes(200, seed)
    video = np.roll(speed, -lag)[20:-20] * gain  # the log is late: row i + lag belongs to frame i
    found = estimate(video + offset * video.max(), speed[20:-20], 20.0, CONFIG)
    assert found.lag_frames == lag
    assert found.score > 0.9


def test_a_still_picture_has_no_score():
    assert estimate(np.zeros(100), strokes(100, 0), 20.0, CONFIG).score == 0.0


@pytest.mark.parametrize(
    ("estimates", "applied", "voted", "votes", "weak", "disagrees"),
    [
        ([(2, 0.8), (2, 0.7), (3, 0.9), (2, 0.6)], 2, 2, 4, False, False),
        ([(0, 0.8), (0, 0.7), (1, 0.9)], 0, 0, 3, False, False),
        ([(1, 0.8), (1, 0.7), (1, 0.9)], 0, 1, 3, False, False),  # one frame is within the dead zone
        ([(5, 0.8), (-5, 0.8), (0, 0.8), (9, 0.7)], 0, 0, 1, False, True),
        ([(4, 0.9), (4, 0.9)], 0, 4, 2, True, False),  # two votes are too few
        ([(4, 0.1), (4, 0.05), (4, 0.0)], 0, 0, 0, True, False),  # none is good enough to vote
        ([], 0, 0, 0, False, False),
    ],
)
def test_a_source_votes(estimates, applied, voted, votes, weak, disagrees):
    d = decide([(f"s/{i:06d}", lag, score) for i, (lag, score) in enumerate(estimates)], CONFIG)
    assert (d.lag_frames, d.voted_frames, d.votes, d.weak, d.disagrees) == (applied, voted, votes, weak, disagrees)


def test_a_vote_weighs_as_much_as_its_score():
    """Two weak estimates say +4, one good one says 0, and so do two of middling score that are more than they."""
    config = AlignConfig(min_score=0.1, min_votes=1, min_agreement=0.0)
    assert decide([("s/0", 4, 0.2), ("s/1", 4, 0.2), ("s/2", 0, 0.9)], config).voted_frames == 0
    assert decide([("s/0", 4, 0.5), ("s/1", 4, 0.5), ("s/2", 0, 0.9)], config).voted_frames == 4


def test_three_cameras_of_one_episode_are_one_episode():
    assert decide([("s/000000", 5, 0.9)] * 3, CONFIG).weak


def test_a_lag_at_the_edge_of_the_window_has_no_vote():
    speed = strokes(300, 3)
    video = np.roll(speed, -14)[30:-30]  # 14 frames late, the window is 10
    assert estimate(video, speed[30:-30], 20.0, CONFIG).score < CONFIG.min_score


def test_contradicting_clocks_of_other_counts_are_refused():
    """Rows 0.104 s apart beside a flat 10 frames/s, one frame lost: neither times nor counts say which row is whose."""
    with pytest.raises(Quarantined) as error:
        pair(np.arange(301) * 0.104, {"top": np.arange(300) / 10}, 10.0, CONFIG)
    assert error.value.reason is Reason.LENGTH_MISMATCH
    assert "neither times nor counts pair them" in error.value.message


def test_rows_and_frames_that_agree_pair_by_time():
    rows = 5.0 + np.arange(10) / 20
    clock = pair(rows - 5.0, {"a": np.arange(10) / 20 + 0.01}, 20.0, CONFIG)
    assert clock.pairing == "time"
    assert clock.frames["a"].tolist() == list(range(10))


def test_contradicting_clocks_of_equal_counts_pair_by_position():
    rows = np.cumsum([0.03, 0.1, 0.35, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    clock = pair(rows, {"a": np.arange(10) / 10}, 10.0, CONFIG)
    assert clock.pairing == "position"
    assert clock.time_s == pytest.approx(rows - rows[0])  # the rows' real times count
    assert clock.frames["a"].tolist() == list(range(10))


def test_without_video_the_rows_are_the_clock():
    clock = pair(np.array([1.0, 1.5, 2.5]), {}, 2.0, CONFIG)
    assert (clock.pairing, clock.reference, clock.time_s.tolist()) == ("rows", None, [0.0, 0.5, 1.5])


def test_cameras_of_other_counts_give_their_nearest_frame():
    rows = np.arange(20) / 20
    clock = pair(rows, {"a": rows, "b": rows[2:] + 0.01}, 20.0, CONFIG)
    assert clock.reference == "a"
    assert clock.frames["a"].tolist() == list(range(2, 20))
    assert clock.frames["b"].tolist() == list(range(18))
    assert clock.skew_s["b"] == pytest.approx(0.01)


def test_a_video_of_another_length_is_refused():
    with pytest.raises(Quarantined) as error:
        pair(np.arange(20) / 20, {"a": np.arange(11) / 20}, 20.0, CONFIG)
    assert error.value.reason is Reason.LENGTH_MISMATCH
    assert "11 frames, the log 20 rows" in error.value.message


@pytest.mark.parametrize(
    ("lag", "frames", "rows"), [(2, range(8), range(2, 10)), (-3, range(3, 10), range(7)), (0, range(10), range(10))]
)
def test_a_late_log_is_moved_and_the_ends_are_trimmed(lag, frames, rows):
    time = np.arange(10) / 10
    clock = shift(pair(time, {"a": time}, 10.0, CONFIG), lag)
    assert clock.frames["a"].tolist() == list(frames)
    assert clock.signal_time_s == pytest.approx(time[list(rows)])
    assert clock.time_s == pytest.approx(time[list(frames)])  # events keep the video's clock
