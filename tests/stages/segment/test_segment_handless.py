"""Work without taking anything: presses, pushes and pulls, and hands that close or open on nothing."""

import numpy as np
import pytest

from tests.motions import path, stream, times
from tests.stages.segment.test_segment import events_of as cut
from tests.stages.segment.test_segment import level, moved, primitives

HOME, ABOVE = (0.5, 0.0, 0.4), (0.6, 0.2, 0.3)


def going(places, leaves, takes, seconds=12.0, fist=False):
    """An open hand (or a fist from the start) that goes from place to place."""
    return moved(seconds, places, leaves, takes, [(0.05, 0.3, 0.0)] if fist else [])


@pytest.mark.parametrize("fist", [False, True])
def test_down_and_up_again_is_a_press(fist):
    down = (0.6, 0.2, 0.1)
    rows = cut(going([HOME, ABOVE, down, ABOVE], [1.0, 3.5, 5.8], [2.0, 2.0, 2.0], fist=fist))
    found = primitives(rows, "L1")
    assert found.count("press") == 1
    assert not {"grasp", "release", "lift", "hold"} & set(found)
    pressed = next(r for r in level(rows, "L1") if r["primitive"] == "press")
    assert (pressed["start_s"], pressed["end_s"]) == pytest.approx((3.5, 5.7), abs=0.4)


@pytest.mark.parametrize(
    ("far", "primitive"),
    [((0.4, 0.133, 0.1), "pull"), ((0.8, 0.267, 0.1), "push"), ((0.5, 0.5, 0.1), "push")],  # back, ahead, sideways
)
def test_a_level_stroke_between_coming_down_and_going_up_is_work(far, primitive):
    near = (0.6, 0.2, 0.1)
    up = (far[0], far[1], 0.35)
    rows = cut(going([HOME, ABOVE, near, far, up], [0.5, 2.8, 5.0, 7.5], [2.0, 2.0, 2.0, 2.0]))
    assert primitives(rows, "L1").count(primitive) == 1
    assert primitives(rows, "L1")[-1] in ("retract", "idle")


def test_a_wave_in_the_air_is_no_work():
    rows = cut(going([HOME, (0.5, 0.3, 0.4), (0.7, 0.3, 0.4), HOME], [1.0, 3.5, 6.0], [2.0, 2.0, 2.0]))
    assert set(primitives(rows, "L1")) <= {"move", "idle"}


def test_without_metres_no_work_is_told():
    signals = going([HOME, ABOVE, (0.6, 0.2, 0.1), ABOVE], [1.0, 3.5, 5.8], [2.0, 2.0, 2.0])
    where = signals.pop("position/single")
    signals |= stream("joints", "single", "rad", where.time_s, where.values)
    assert set(primitives(cut(signals), "L1")) <= {"move", "idle"}


def test_a_fist_made_at_the_start_or_in_flight_takes_nothing():
    time = times(10.0, 30.0)
    where = path(time, np.array([[0.3, 0, 0.3], [0.9, 0, 0.3]]), np.array([2.0]), np.array([3.0]))
    for closes_at in (0.2, 3.4):  # before it has gone anywhere; in the middle of its way
        fingers = 1.0 - np.clip((time - closes_at) / 0.3, 0, 1)
        rows = cut(stream("position", "single", "m", time, where) | stream("gripper", "single", "1", time, fingers))
        assert "grasp" not in primitives(rows, "L1"), closes_at
        assert not any(r["holds"] for r in rows)


def test_a_fist_that_opens_at_the_end_has_held_nothing():
    places = [(0.3, 0, 0.3), (0.3, 0, 0.05), (0.5, 0, 0.05), (0.5, 0, 0.3)]
    rows = cut(moved(14.0, places, [2.0, 4.0, 6.5], [1.5, 2.0, 1.5], [(0.5, 0.4, 0.0), (9.0, 0.3, 1.0)]))
    assert not {"grasp", "release"} & set(primitives(rows, "L1"))
    assert not any(r["holds"] for r in rows)
    assert "push" in primitives(rows, "L1")


def test_what_is_lost_in_flight_is_no_longer_held():
    """Fingers stop on it at 3 s, the arm lifts from 4 s; at 5.8 s they close all the way."""
    places = [(0.3, 0, 0.3), (0.3, 0, 0.05), (0.3, 0, 0.3), (0.3, 0.4, 0.3), (0.3, 0.4, 0.05)]
    signals = moved(
        16.0, places, [0.5, 4.0, 6.5, 9.0], [2.0, 1.5, 2.0, 1.5], [(3.0, 0.4, 0.4), (5.8, 0.2, 0.0), (12.0, 0.3, 1.0)]
    )
    rows = level(cut(signals), "L1")
    assert any(r["primitive"] == "grasp" and abs(r["start_s"] - 3.0) < 0.3 for r in rows)
    assert any(r["holds"] for r in rows if 3.8 < r["start_s"] < 5.6)
    assert not any(r["holds"] for r in rows if r["start_s"] > 6.2)


def test_each_hand_is_said_to_do_what_it_does_itself():
    """Far apart the left hand closes as the right one opens."""
    left = moved(10.0, [(0.3, 0.6, 0.3), (0.3, 0.6, 0.1)], [1.0], [2.0], [(4.0, 0.4, 0.3)], arm="left")
    right = moved(
        10.0, [(0.3, -0.6, 0.1), (0.3, -0.4, 0.1)], [1.0], [2.0], [(0.2, 0.4, 0.3), (4.0, 0.4, 1.0)], arm="right"
    )
    for row in level(cut(left | right), "L1"):
        if row["primitive"] == "grasp":
            assert row["arms"] == ["left"] or row["start_s"] < 1.0
        if row["primitive"] == "release":
            assert row["arms"] == ["right"]


def test_what_is_held_is_a_column_of_its_own():
    carried = moved(
        15.0,
        [(0.3, 0, 0.3), (0.3, 0, 0.05), (0.3, 0, 0.3), (0.3, 0.4, 0.3), (0.3, 0.4, 0.05), (0.3, 0.4, 0.3)],
        [2.0, 5.5, 7.0, 9.2, 12.0],
        [2.0, 1.5, 2.0, 1.5, 1.5],
        [(4.2, 0.4, 0.3), (11.0, 0.3, 1.0)],
    )
    holds = {r["primitive"]: r["holds"] for r in level(cut(carried), "L1")}
    assert holds["lift"] == holds["move"] == holds["lower"] == ["single"]
    assert holds["reach"] == holds["grasp"] == holds["retract"] == []
