"""Levels that hold together, boundaries as people set them, one knob for all of them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.episodes import Label
from stages.episode import Signal
from stages.segment import SegmentConfig
from stages.segment.stage import segmented
from tests.motions import path, pick_and_place, stream, times
from tests.stages.segment.test_segment import CONFIG, events_of, level, moved, primitives, real_events, signals_from

HANDS = {"grasp", "release", "handover"}
HIGH, LOW = (0.3, 0.0, 0.3), (0.3, 0.0, 0.05)


def disagreements(rows):
    """L1 acts of a hand without one at L0, and the other way round."""
    by_id = {r["event_id"]: r for r in rows}
    below: dict[str, set[str]] = {}
    for row in rows:
        below.setdefault(row["parent_id"], set()).add(row["primitive"])
    for row in rows:
        if row["level"] == "L1" and row["primitive"] in HANDS and row["primitive"] not in below[row["event_id"]]:
            yield row["event_id"], row["primitive"]
        if row["level"] == "L0" and row["primitive"] in HANDS and by_id[row["parent_id"]]["primitive"] not in HANDS:
            yield row["event_id"], row["primitive"]


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), rounds=st.integers(1, 4), arms=st.integers(1, 2), jitter=st.sampled_from([0, 0.03]))
def test_a_grasp_holds_a_grasp(seed, rounds, arms, jitter):
    time = times(16.0 * rounds, 30.0)
    signals = pick_and_place(time, seed, "left" if arms == 2 else "single", rounds)
    if arms == 2:
        signals |= pick_and_place(time, seed + 1, "right", rounds)
    rng = np.random.default_rng(seed)
    noisy = {
        k: Signal(s.kind, s.arm, s.unit, s.time_s, s.values + jitter * rng.normal(size=s.values.shape))
        for k, s in signals.items()
    }
    assert list(disagreements(events_of(noisy))) == []


@settings(max_examples=60)
@given(data=st.data())
def test_a_hand_that_does_anything_at_any_time_is_labelled_alike_on_both_levels(data):
    flips = sorted(data.draw(st.lists(st.floats(0, 19), max_size=12)))
    time = times(20.0, 20.0)
    opening = np.ones(len(time))
    for number, at in enumerate(flips):
        opening[time >= at] = number % 2
    places = data.draw(st.lists(st.tuples(*[st.floats(0, 0.5)] * 3), min_size=2, max_size=6))
    leaves = np.linspace(1, 15, len(places) - 1)
    where = path(time, np.array(places), leaves, np.full(len(leaves), 1.5))
    rows = events_of(signals_from(np.hstack([where, opening[:, None]]), 20.0))
    assert list(disagreements(rows)) == []


@pytest.mark.parametrize(
    ("name", "start", "end", "primitive"),
    [("L1", 3.9, 5.0, "move"), ("L1", 7.0, 9.0, "grasp"), ("L0", 4.2, 4.7, "move"), ("L0", 7.2, 8.7, "grasp")],
)
def test_what_people_say_of_one_level_shows_at_the_other(name, start, end, primitive):
    signals = moved(
        15.0,
        [HIGH, LOW, HIGH, (0.3, 0.4, 0.3), (0.3, 0.4, 0.05), (0.3, 0.4, 0.3)],
        [2.0, 5.5, 7.0, 9.2, 12.0],
        [2.0, 1.5, 2.0, 1.5, 1.5],
        [(4.2, 0.4, 0.3), (11.0, 0.3, 1.0)],
    )
    time = signals["position/single"].time_s
    label = Label(name, start, end, "", "seconds", "all", primitive, "me")
    rows, refused = segmented("s/0", signals, {"time_s": time, "signal_time_s": time}, [label], CONFIG)
    assert not refused
    assert list(disagreements(rows)) == []
    own = next(r for r in rows if r["origin"] == "human")
    assert own["primitive"] == primitive


@pytest.mark.parametrize("name", ["cr5_banana", "g1_crisps"])
def test_levels_of_real_logs_agree(real, name):
    for _, rows in real_events(real, name):
        assert list(disagreements(rows)) == []


def test_the_knob_moves_all_levels_together():
    time = times(60.0, 30.0)
    signals = pick_and_place(time, 3, rounds=4)
    numbers = {}
    for scale in (0.35, 0.7, 1.0, 1.4, 2.0, 4.0):
        rows = events_of(signals, SegmentConfig(scale=scale))
        numbers[scale] = [len(level(rows, name)) for name in ("L2", "L1", "L0")]
    in_order = [numbers[s] for s in sorted(numbers)]
    for finer, coarser in pairwise(in_order):
        assert all(a >= b for a, b in zip(finer, coarser, strict=True)), numbers
    assert numbers[0.35][1] > numbers[1.0][1] > 1.5 * numbers[4.0][1]


def test_l0_adds_only_what_is_local():
    time = times(60.0, 30.0)
    rows = events_of(pick_and_place(time, 8, rounds=4))
    coarse = {r["start_frame"] for r in level(rows, "L1")}
    fine = level(rows, "L0")
    assert len(fine) > len(coarse)
    for before, row in pairwise(fine):
        brief = min(before["end_s"] - before["start_s"], row["end_s"] - row["start_s"]) < CONFIG.brief_s
        assert row["start_frame"] in coarse or brief


def test_an_action_is_short_beside_the_pace_of_its_episode():
    """A pause of half a second is an action of its own where all is quick, and a hesitation where all takes long."""

    def pauses(stroke: float) -> int:
        """Rests among the actions of strokes so many seconds long, at one speed, with one pause between two of them."""
        edges = np.cumsum([1.0, stroke, 0.75, stroke, stroke, stroke])
        x = np.cumsum([0.0, stroke, 0.0, stroke, 0.0, -stroke]) * 0.2
        y = np.cumsum([0.0, 0.0, 0.0, 0.0, stroke, 0.0]) * 0.2
        time = times(float(edges[-1]) + 1.0, 30.0)
        where = np.stack([np.interp(time, edges, x), np.interp(time, edges, y), np.full(len(time), 0.3)], axis=1)
        return sum(r["static"] for r in level(events_of(stream("position", "single", "m", time, where)), "L1")[1:-1])

    assert pauses(0.9) == 1
    assert pauses(8.0) == 0


# -- what ends a subtask


def ends_of(signals, name="L2"):
    return [r["start_s"] for r in level(events_of(signals), name)][1:]


def near(times_s, moment, within=0.15):
    return any(abs(t - moment) <= within for t in times_s)


def test_a_hand_has_let_go_when_its_fingers_begin_to_open():
    slow = moved(
        16.0,
        [HIGH, LOW, HIGH, (0.3, 0.4, 0.3), (0.3, 0.4, 0.05), (0.3, 0.4, 0.3)],
        [1.0, 4.5, 6.0, 8.2, 12.5],
        [2.0, 1.5, 2.0, 1.5, 1.5],
        [(3.2, 0.4, 0.3), (10.5, 0.9, 1.0)],  # the opening takes 0.9 s
    )
    found = ends_of(slow)
    assert near(found, 10.5)
    assert not near(found, 11.4)
    assert near(ends_of(slow, "L1"), 11.3, 0.25)  # the release itself is an action


@pytest.mark.parametrize("first", ["taker", "giver"])
def test_a_handover_is_at_the_moment_of_passing_whoever_is_first(first):
    meeting = (0.3, 0.0, 0.3)
    closes, opens = (5.0, 5.6) if first == "taker" else (5.6, 5.0)
    right = moved(
        12.0, [(0.3, -0.4, 0.1), meeting, (0.3, -0.4, 0.3)], [2.0, 6.3], [2.0, 2.0],
        [(1.0, 0.4, 0.3), (opens, 0.3, 1.0)], arm="right",
    )  # fmt: skip
    left = moved(
        12.0, [(0.3, 0.4, 0.3), meeting, (0.3, 0.4, 0.1)], [2.5, 6.4], [2.0, 2.0],
        [(closes, 0.4, 0.3), (9.5, 0.3, 1.0)], arm="left",
    )  # fmt: skip
    rows = events_of(right | left)
    assert primitives(rows, "L2").count("handover") == 1
    assert primitives(rows, "L1").count("handover") == 1
    found = [r["start_s"] for r in level(rows, "L2")]
    assert near(found, 5.6)
    assert sum(4.8 < t < 6.2 for t in found) == 1


def test_a_small_swing_of_the_fingers_ends_no_subtask():
    """A hand that usually goes all its way, and once gives way by a fifth of it."""
    changes = [(3.2, 0.4, 0.2), (7.0, 0.3, 0.4), (9.0, 0.3, 0.2), (10.5, 0.3, 1.0)]
    places = [HIGH, LOW, HIGH, (0.3, 0.4, 0.3), (0.3, 0.4, 0.05), (0.3, 0.4, 0.3)]
    rows = ends_of(moved(16.0, places, [1.0, 4.5, 6.0, 8.2, 12.5], [2.0, 1.5, 2.0, 1.5, 1.5], changes))
    assert near(rows, 10.5)
    assert not near(rows, 7.0, 0.4)
    assert not near(rows, 9.0, 0.4)


def test_only_the_closing_hands_own_arm_sets_off():
    """The left hand closes at 4 s and its arm sets off at 5.4 s; the right arm sets off on its own way at 4.9 s."""
    left = moved(
        14.0, [HIGH, LOW, (0.3, 0.4, 0.3)], [1.0, 5.4], [2.5, 2.0], [(4.0, 0.4, 0.3), (9.5, 0.3, 1.0)], arm="left"
    )
    right = moved(14.0, [(0.3, -0.4, 0.3), (0.6, -0.4, 0.3)], [4.9], [2.0], arm="right")
    found = ends_of(left | right)
    assert near(found, 5.4, 0.3)
    assert not near(found, 4.95, 0.1)


def test_where_two_tips_are_farthest_a_pull_is_over():
    time = times(14.0, 30.0)
    out = path(
        time,
        np.array([[0.0, 0.1, 0.2], [0.0, 0.6, 0.2], [0.0, 0.1, 0.2]]),
        np.array([2.0, 6.0]),
        np.array([3.95, 3.95]),
    )
    signals = stream("position", "left", "m", time, out) | stream("position", "right", "m", time, out * [1, -1, 1])
    assert near(ends_of(signals), 6.0, 0.3)


def test_an_arm_that_stirs_on_the_spot_neither_reaches_nor_carries():
    """It shivers by 2 cm for a second before it closes its hand, and again while it holds."""
    signals = moved(
        16.0, [HIGH, LOW, HIGH, (0.3, 0.5, 0.3)], [2.0, 8.0, 12.0], [2.0, 2.0, 2.5], [(6.5, 0.4, 0.3), (15.0, 0.3, 1.0)]
    )
    where = signals["position/single"]
    shivers = ((where.time_s > 5.0) & (where.time_s < 6.0)) | ((where.time_s > 10.5) & (where.time_s < 11.5))
    where.values[:, 0] += 0.02 * np.sin(2 * np.pi * 2 * where.time_s) * shivers
    at = {t: r for r in level(events_of(signals), "L1") for t in (5.5, 11.0) if r["start_s"] < t < r["end_s"]}
    assert (at[5.5]["primitive"], at[5.5]["static"]) == ("move", False)
    assert (at[11.0]["primitive"], at[11.0]["static"]) == ("hold", False)


# -- joints, and rest that is none


def test_joints_of_no_known_unit_count_by_their_own_range():
    """Six joints of a few degrees and a finger of 0 to 250 in one vector: what the arm does is no rest."""
    time = times(12.0, 30.0)
    turn = path(time, np.outer([0.0, 3.0], np.ones(6)), np.array([2.0]), np.array([2.0]))
    finger = path(time, np.array([[0.0], [250.0]]), np.array([8.0]), np.array([1.0]))
    rows = events_of(stream("joints", "single", "raw", time, np.hstack([turn, finger])))
    moves = [r for r in level(rows, "L1") if not r["static"]]
    assert any(r["start_s"] < 3.0 < r["end_s"] for r in moves)
    assert any(r["start_s"] < 8.5 < r["end_s"] for r in moves)


def test_a_joint_that_hardly_moves_beside_the_others_stays_small():
    time = times(12.0, 30.0)
    turn = path(time, np.outer([0.0, 90.0], np.ones(6)), np.array([2.0]), np.array([2.0]))
    shakes = 0.3 * np.random.default_rng(0).normal(size=(len(time), 1))
    rows = events_of(stream("joints", "single", "raw", time, np.hstack([turn, shakes])))
    assert level(rows, "L1")[-1]["static"]
