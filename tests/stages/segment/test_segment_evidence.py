"""Evidence is where the signals say, whatever their rate and unit; values worked out by hand."""

import time as clocks
from dataclasses import replace

import numpy as np
import pytest

from stages.episode import Signal
from stages.segment import SegmentConfig
from stages.segment.evidence.candidates import KIND
from stages.segment.evidence.collect import collect, of_arm
from stages.segment.evidence.speed import rests
from stages.segment.kinematics.gripper import changes_of, handovers, slips_of, turning_points
from stages.segment.kinematics.motion import ArmMotion, Opening, arm_motions, grid, on_grid
from stages.segment.tracks import tracks_of
from tests.motions import clock, path, pick_and_place, stream, times

CONFIG = SegmentConfig()


def hand(opening, rate=30.0, flips=False, command=None, arm="single"):
    """(motion of an arm at rest with this opening, the grid it is on)."""
    time = np.arange(len(opening)) / rate
    signals = stream("position", arm, "m", time, np.zeros((len(time), 3)))
    signals |= stream("gripper", arm, "1", time, np.array(opening, dtype=float))
    if command is not None:
        signals |= stream("gripper_command", arm, "1", time, np.array(command, dtype=float))
    points = grid(time)
    return arm_motions(signals, points, CONFIG)[0], points


def changes(opening, **more):
    motion, points = hand(opening, **more)
    return changes_of(motion, points, CONFIG)


def ramp(*levels: tuple[float, int]) -> list[float]:
    """Goes to each level in so many rows, straight."""
    values = [levels[0][0]]
    for level, rows in levels:
        values += np.linspace(values[-1], level, rows + 1)[1:].tolist()
    return values


# -- hands


def test_a_command_that_flips_is_one_change_at_its_row():
    found = changes([1] * 30 + [0] * 60 + [1] * 30)
    assert [(c.closes, c.flips, c.acts) for c in found] == [(True, True, True), (False, True, True)]
    assert np.allclose([c.start for c in found], [1.0, 3.0], atol=0.02)


def test_a_closing_runs_from_its_first_movement_until_the_grip_is_firm():
    """Straight from 1 at 1 s to 0 at 2 s: seen to move at 5 %, extrapolated back by half of what 20 % takes longer; at
    90 % the fingers have met, and 0.2 s later hold."""
    found = changes(ramp((1, 30), (0, 30), (0, 90)))
    assert len(found) == 1
    assert found[0].start == pytest.approx(1.0 + 0.05 - (0.20 - 0.05) / 2, abs=0.02)
    assert found[0].end == pytest.approx(1.9 + 0.2, abs=0.02)


def test_an_opening_runs_from_10_to_90_percent_of_its_way():
    found = changes(ramp((0, 30), (1, 30), (1, 30)))
    assert (found[0].start, found[0].end) == pytest.approx((1.1, 1.9), abs=0.02)


def test_fingers_that_stall_on_an_object_close_all_the_same():
    found = changes(ramp((1, 30), (0.6, 10), (0.6, 60), (1, 10), (1, 30)))
    assert [c.closes for c in found] == [True, False]


def test_fingers_short_of_their_command_have_met_something():
    held = ramp((1, 30), (0.5, 10), (0.5, 60))
    assert changes(held, command=[1.0] * 31 + [0.0] * (len(held) - 31))[0].stalled
    assert not changes(held, command=[1.0] * 31 + [0.5] * (len(held) - 31))[0].stalled


def test_an_open_hand_that_opens_further_takes_nothing():
    found = changes(ramp((0.5, 30), (0.9, 10), (0.9, 30), (0.2, 10), (0.2, 30)))
    assert [(c.closes, c.acts) for c in found] == [(False, False), (True, True)]


def test_an_empty_fist_that_opens_has_let_nothing_go():
    """Many recordings start with the fingers closed; only a hand that has gone somewhere has brought something."""
    opening = ramp((0, 60), (1, 9), (1, 30))
    assert [c.acts for c in changes(opening)] == [False]
    motion, points = hand(opening)
    brought = replace(motion, path=np.linspace(0, 2, len(points))[:, None] * np.ones(3))
    assert [c.acts for c in changes_of(brought, points, CONFIG)] == [True]


def test_a_flip_with_one_row_on_its_way_is_a_flip():
    assert changes([1] * 30 + [0.5] + [0] * 60)[0].flips
    assert not changes([1] * 30 + [0.7, 0.5, 0.3] + [0] * 60)[0].flips


@pytest.mark.parametrize("opening", [[0.5] * 90, [0.5, 0.52, 0.5, 0.55, 0.51] * 20, [1.0]])
def test_a_hand_that_hardly_moves_never_acts(opening):
    assert changes(opening) == []


def test_a_closing_that_pauses_ends_with_its_last_stretch():
    found = changes(ramp((1, 30), (0.5, 10), (0.5, 60), (0, 10), (0, 60)))
    assert [c.closes for c in found] == [True]
    assert found[0].start > 3.0  # not where the fingers first moved, two seconds earlier


def test_a_closing_undone_with_nothing_carried_has_missed():
    assert [c.missed for c in changes(ramp((1, 30), (0, 10), (0, 20), (1, 10), (1, 30)))] == [True, True]
    assert [c.missed for c in changes(ramp((1, 30), (0, 10), (0, 90), (1, 10), (1, 30)))] == [False, False]  # held 3 s


def test_fingers_that_close_further_while_they_hold_have_slipped():
    opening = ramp((1, 30), (0.5, 10), (0.5, 60), (0.42, 6), (0.42, 60), (1, 10), (1, 30))
    motion, points = hand(opening)
    slips = slips_of(changes_of(motion, points, CONFIG), motion, points)
    assert slips == pytest.approx([102 / 30], abs=0.15)  # rows 100 to 106 give way


def handed(closing, opening, apart=0.0, speed=0.0):
    """Whether a left hand's closing and a right hand's opening are a handover; arms so fast, tips so far apart (1 is as
    far as they ever are)."""
    pairs = [hand(closing, arm="left"), hand(opening, arm="right")]
    points = pairs[0][1]
    reach = np.zeros((len(points), 3))
    reach[:, 0] = apart
    reach[0, 0], reach[-1, 0] = 0.0, 1.0
    still = np.zeros((len(points), 3))
    way = np.linspace(0, 9, len(points))[:, None] * np.ones(3)
    motions = [
        replace(m, position=reach if m.arm == "right" else still, path=way, speed=np.full(len(points), speed))
        for m, _ in pairs
    ]
    found = handovers([c for m in motions for c in changes_of(m, points, CONFIG)], motions, points, CONFIG)
    return [c.given for c in found]


def test_one_hand_that_closes_before_the_other_opens_hands_over():
    closing, opening = ramp((1, 60), (0, 9), (0, 120)), ramp((0, 81), (1, 9), (1, 99))
    assert handed(closing, opening) == [True, True]
    assert handed(closing, ramp((0, 150), (1, 9), (1, 30))) == [False, False]  # too late


def test_two_hands_that_work_far_apart_or_in_flight_hand_nothing_over():
    closing, opening = ramp((1, 60), (0, 9), (0, 120)), ramp((0, 81), (1, 9), (1, 99))
    assert handed(closing, opening, apart=0.8) == [False, False]
    assert handed(closing, opening, speed=0.6) == [False, False]


def test_turning_points_are_extremes_at_least_a_swing_apart():
    values = np.array([0.0, 0.3, 0.2, 1.0, 0.9, 0.95, 0.1, 0.1])
    assert turning_points(values, 0.5) == [0, 3, 7]
    assert turning_points(np.ones(5), 0.5) == []


# -- speed and path


def test_a_rest_begins_below_one_level_and_ends_above_the_other():
    speed = np.array([1, 1, 0.12, 0.02, 0.02, 0.12, 0.02, 0.12, 1])
    start, end = rests(speed, 0.07, 0.15)
    assert start == pytest.approx([2.5])  # halfway between 0.12 and 0.02
    assert end == pytest.approx([7 + 0.03 / 0.88])


def evidence(signals, kind):
    time = next(iter(signals.values())).time_s
    points = grid(time)
    motions = arm_motions(signals, points, CONFIG)
    changes = [c for m in motions for c in changes_of(m, points, CONFIG)]
    changes = handovers(changes, motions, points, CONFIG)
    found = collect([of_arm(m, changes, points, CONFIG) for m in motions], changes, points, CONFIG)
    chosen = found.kind == KIND[kind]
    return found.time[chosen], found.strength[chosen]


def test_a_corner_is_a_turn_and_a_straight_way_is_none():
    time = times(6.0, 30.0)
    corner = np.stack([np.clip(time - 1, 0, 2), np.clip(time - 3, 0, 2), np.zeros_like(time)], axis=1) * 0.2
    when, strength = evidence(stream("position", "single", "m", time, corner), "turn")
    assert when == pytest.approx([3.0], abs=0.05)
    assert 0.6 < strength[0] < 1.1 * np.sqrt(0.5)  # 90 degrees, of which smoothing cuts the corner
    straight = np.stack([np.clip(time - 1, 0, 4) * 0.2, np.zeros_like(time), np.zeros_like(time)], axis=1)
    assert not len(evidence(stream("position", "single", "m", time, straight), "turn")[0])


def test_setting_off_counts_more_than_stopping():
    time = times(8.0, 30.0)
    moved = path(time, np.array([[0.0, 0, 0], [0.3, 0, 0], [0.3, 0.3, 0]]), np.array([0.5, 4.0]), np.array([2.0, 2.0]))
    onsets, onset = evidence(stream("position", "single", "m", time, moved), "motion_onset")
    stops, stop = evidence(stream("position", "single", "m", time, moved), "motion_stopped")
    assert 4.0 <= onsets[-1] <= 4.4
    assert 2.1 <= stops[0] <= 2.6
    assert onset[-1] > stop[0]


def test_two_tips_pulled_apart_turn_where_they_are_farthest():
    time = times(9.0, 30.0)
    out = path(
        time, np.array([[0.0, 0.1, 0], [0.0, 0.5, 0], [0.0, 0.1, 0]]), np.array([1.0, 4.0]), np.array([2.9, 2.9])
    )
    signals = stream("position", "left", "m", time, out) | stream("position", "right", "m", time, out * [1, -1, 1])
    when, _ = evidence(signals, "tips_apart")
    assert when == pytest.approx([4.0], abs=0.1)


# -- the grid


def test_a_fast_log_is_averaged_over_cells_and_a_slow_one_interpolated():
    time = np.arange(1000) / 300.0
    steps = Signal("position", "single", "m", time, np.floor(time * 30)[:, None])
    assert on_grid(steps, np.array([1.0]))[0, 0] == pytest.approx(29.5, abs=0.1)  # half of its cell is 29, half 30
    slow = Signal("position", "single", "m", np.arange(5.0), np.arange(5.0)[:, None])
    assert on_grid(slow, np.array([1.25]))[0, 0] == pytest.approx(1.25)


def test_a_dropout_does_not_make_an_event():
    time = times(20.0, 30.0)
    gap = (time < 8.0) | (time > 8.4)
    whole, holed = pick_and_place(time, 3), pick_and_place(time[gap], 3)
    count = [len(tracks_of(s, clock(t), CONFIG)[0].evidence) for s, t in ((whole, time), (holed, time[gap]))]
    assert count[0] > 10
    assert abs(count[0] - count[1]) <= 1


def test_noise_does_not_multiply_candidates():
    time = times(30.0, 30.0)
    clean = pick_and_place(time, 5)
    rng = np.random.default_rng(0)
    noisy = {
        k: Signal(
            s.kind, s.arm, s.unit, time, s.values + rng.normal(0, 0.01, s.values.shape) * np.ptp(s.values, axis=0)
        )
        for k, s in clean.items()
    }
    strong = [
        int(np.sum(tracks_of(signals, clock(time), CONFIG)[0].evidence.strength > CONFIG.strength_l0))
        for signals in (clean, noisy)
    ]
    assert strong[0] > 10
    assert strong[1] <= 1.2 * strong[0]


def test_cost_is_linear_in_frames():
    spent = []
    for minutes in (6, 60, 300):  # the last are half a million frames
        time = times(60.0 * minutes, 30.0)
        rounds = minutes * 2
        signals = pick_and_place(time, 1, "left", rounds) | pick_and_place(time, 2, "right", rounds)
        tries = []
        for _ in range(1 if minutes > 60 else 3):  # the machines are shared: the quickest of a few counts
            started = clocks.process_time()
            tracks_of(signals, clock(time), CONFIG)
            tries.append(clocks.process_time() - started)
        spent.append(min(tries))
    assert spent[1] < 2.0
    assert spent[1] < 20 * spent[0]
    assert spent[2] < 13 * spent[1]  # 5 times the frames


def test_an_arm_without_a_hand_is_legal():
    motion = ArmMotion("single", np.zeros(5), np.zeros((5, 3)), opening=Opening(np.ones(5), 0.0, False))
    assert changes_of(motion, np.arange(5) / 30, CONFIG) == []
