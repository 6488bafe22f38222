"""Times that differ by a rounding are equal, wherever in a log they lie."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.reasons import Quarantined
from stages.align.clock import pair
from stages.align.config import AlignConfig
from stages.episode import Signal
from stages.ingest.checks import in_order
from stages.seconds import at_least, longer, step_of, whole_steps


@example(start=0.0, first=32, steps=8, rate=10)  # 4.0 - 3.2 is 0.7999999999999998
@given(
    start=st.floats(0, 1e5),
    first=st.integers(0, 100_000),
    steps=st.integers(0, 1000),
    rate=st.sampled_from([10, 30, 50]),
)
def test_a_span_of_so_many_steps_is_as_long_as_that_wherever_it_starts(start, first, steps, rate):
    length = (start + (first + steps) / rate) - (start + first / rate)
    assert at_least(length, steps / rate)
    assert not longer(length, steps / rate)
    assert longer(length + 2e-6, steps / rate)
    assert not at_least(length - 2e-6, steps / rate)
    assert whole_steps(length, rate) == steps


@given(start=st.floats(0, 1000), rate=st.sampled_from([10, 30, 50]))
def test_of_two_frames_equally_near_the_earlier_is_shown_throughout(start, rate):
    """Two cameras half a frame out of phase: without a tie-break each frame is shown twice, or never, by rounding."""
    front = start + np.arange(60) / rate
    wrist = front[:-1] + 0.5 / rate
    clock = pair(front, {"front": front, "wrist": wrist}, rate, AlignConfig())
    assert np.diff(clock.frames["wrist"][1:]).tolist() == [1] * (len(clock.frames["wrist"]) - 2)


@given(start=st.floats(0, 1000))
def test_of_two_rows_equally_near_the_later_is_taken_throughout(start):
    times = start + np.arange(40) / 30
    opening = Signal("gripper", "single", "1", times, np.arange(40.0)[:, None])
    assert np.diff(opening.at(times[:-1] + 1 / 60)[:, 0]).tolist() == [1.0] * 38


def test_times_that_count_from_1970_have_their_holes_found():
    times = 1.7e9 + np.array([0.0, 0.1, 60.0, 60.1])
    with pytest.raises(Quarantined, match=r"jumps by 59\.90 s"):
        in_order(times, 2.0, "s")
    with pytest.raises(Quarantined, match="3 repeats"):
        in_order(np.arange(4) * 1e-300, 2.0, "s")
    with pytest.raises(Quarantined, match="at most 1e"):
        in_order(1e30 + np.arange(4) * 1e20, 2.0, "s")


def test_float32_times_say_how_fine_they_are():
    assert step_of(np.array([0.0, 1.0])) == 1e-6
    assert step_of(np.array([0.0, 3600.0])) == float(np.spacing(np.float32(3600)))


@given(start=st.integers(0, 3000))
def test_a_hole_of_just_the_length_allowed_is_allowed_in_float32_too(start):
    times = np.array([start, start + 0.1, start + 2.1, start + 2.2], dtype=np.float32)
    assert len(in_order(times.astype(np.float64), 2.0, "s")) == 4
