"""Whole episodes: what is done reads as what was done; spans tile and nest whatever the input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from schemas.events import EVENTS
from stages.align import AlignConfig
from stages.align.clock import pair
from stages.episode import Signal
from stages.ingest import IngestConfig
from stages.ingest.extract import extract, needed_columns
from stages.ingest.layout import layout_of
from stages.segment import SegmentConfig
from stages.segment.stage import event_rows
from tests.datasets import pick_and_place
from tests.logs import load
from tests.motions import path, stream, times

CONFIG = SegmentConfig()
LEAST = {"L2": CONFIG.min_l2_s, "L1": CONFIG.min_l1_s, "L0": CONFIG.min_l0_s}


def signals_from(state: np.ndarray, rate: float, arm: str = "single") -> dict[str, Signal]:
    """Position and gripper streams of float[T, 4] at `rate` rows a second."""
    time = np.arange(len(state)) / rate
    return stream("position", arm, "m", time, state[:, :3]) | stream("gripper", arm, "1", time, state[:, 3])


def events_of(signals: dict[str, Signal], config: SegmentConfig = CONFIG) -> list[dict]:
    time = next(iter(signals.values())).time_s
    return event_rows("s/000000", signals, {"time_s": time, "signal_time_s": time}, config)


def level(rows: list[dict], name: str, track: str = "all") -> list[dict]:
    return sorted((r for r in rows if r["level"] == name and r["track"] == track), key=lambda r: r["start_frame"])


def primitives(rows: list[dict], name: str, track: str = "all") -> list[str]:
    return [r["primitive"] for r in level(rows, name, track)]


def moved(seconds, places, leaves, takes, changes=(), rate=30.0, arm="single"):
    """Signals of a hand that leaves place i at leaves[i] for the next, arriving after takes[i]; changes: (start,
    seconds, opening from then on)."""
    time = times(seconds, rate)
    opening, now = np.ones(len(time)), 1.0
    for start, took, to in changes:
        opening += (to - now) * np.clip((time - start) / took, 0, 1)
        now = to
    where = path(time, np.array(places, dtype=float), np.array(leaves), np.array(takes))
    return stream("position", arm, "m", time, where) | stream("gripper", arm, "1", time, opening)


ABOVE, DOWN = (0.3, 0.0, 0.3), (0.3, 0.0, 0.05)
OVER, THERE = (0.3, 0.4, 0.3), (0.3, 0.4, 0.05)


def carried():
    """2 s rest; down to an object by 4 s; closes 4.2 to 4.6; lifts from 5.5; carries from 7; lowers from 9.2; opens
    from 11; leaves at 12; rests from 13.5 s."""
    return moved(
        15.0,
        [ABOVE, DOWN, ABOVE, OVER, THERE, OVER],
        [2.0, 5.5, 7.0, 9.2, 12.0],
        [2.0, 1.5, 2.0, 1.5, 1.5],
        [(4.2, 0.4, 0.3), (11.0, 0.3, 1.0)],
    )


def test_picking_and_placing_reads_as_that():
    rows = events_of(carried())
    assert primitives(rows, "L2") == [
        "approach",
        "approach",
        "grasp",
        "transport",
        "retract",
    ]  # at rest, then on its way
    starts: dict[str, float] = {}
    for row in level(rows, "L0"):
        starts.setdefault(row["primitive"], row["start_s"])
    moves = [p for p in starts if p not in ("idle", "hold")]
    assert moves == ["reach", "grasp", "lift", "move", "lower", "release", "retract"]
    for primitive, second in (
        ("reach", 2),
        ("grasp", 4.2),
        ("lift", 5.5),
        ("move", 7),
        ("lower", 9.2),
        ("release", 11),
    ):
        assert abs(starts[primitive] - second) <= 0.3, primitive
    assert not any(r["recovery"] for r in rows if r["level"] != "L0")


def test_a_missed_grasp_and_its_second_approach_are_told():
    rows = events_of(
        moved(
            14.0,
            [ABOVE, DOWN, ABOVE, (0.35, 0.0, 0.05), ABOVE],
            [1.0, 4.2, 6.0, 9.5],
            [1.5, 1.3, 1.5, 2.0],
            [(2.7, 0.3, 0.0), (3.6, 0.3, 1.0), (7.7, 0.4, 0.3)],
        )
    )
    told = [(r["primitive"], r["recovery"]) for r in level(rows, "L0") if r["recovery"]]
    assert told[:2] == [("grasp", "missed_grasp"), ("release", "reopen")]
    assert ("reach", "second_approach") in told
    assert not any(2.5 < r["start_s"] < 4.0 for r in level(rows, "L2"))  # the attempt that missed ends no subtask


def test_a_drawer_that_is_pulled_is_pulled_and_let_go():
    near, far = (0.7, 0.0, 0.2), (0.5, 0.0, 0.2)
    rows = events_of(
        moved(
            12.0,
            [(0.5, 0.2, 0.3), near, far, (0.5, 0.2, 0.3)],
            [1.0, 4.0, 8.0],
            [2.0, 2.0, 2.0],
            [(3.2, 0.3, 0.2), (6.5, 0.3, 1.0)],
        )
    )
    assert "pull" in primitives(rows, "L1")
    assert "lift" not in primitives(rows, "L1")


def test_a_pull_and_a_return_without_a_hand_part_where_they_turn():
    time = times(8.0, 30.0)
    back = path(time, np.array([[0.0, 0, 0], [0.4, 0, 0], [0.0, 0, 0]]), np.array([1.0, 3.5]), np.array([2.5, 2.5]))
    starts = [r["start_s"] for r in level(events_of(stream("position", "single", "m", time, back)), "L1")]
    assert min(abs(s - 3.5) for s in starts) <= 0.3


def test_a_handover_is_one_event_of_both_arms():
    """The right hand brings an object; the left closes at 5 s, the right opens at 5.6 s."""
    meeting = (0.3, 0.0, 0.3)
    right = moved(
        12.0,
        [(0.3, -0.4, 0.1), meeting, (0.3, -0.4, 0.3)],
        [2.0, 6.3],
        [2.0, 2.0],
        [(1.0, 0.4, 0.3), (5.6, 0.3, 1.0)],
        arm="right",
    )
    left = moved(
        12.0,
        [(0.3, 0.4, 0.3), meeting, (0.3, 0.4, 0.1)],
        [2.5, 6.4],
        [2.0, 2.0],
        [(5.0, 0.4, 0.3), (9.5, 0.3, 1.0)],
        arm="left",
    )
    rows = events_of(right | left)
    handed = [r for r in level(rows, "L2") if r["primitive"] == "handover"]
    assert len(handed) == 1
    assert handed[0]["end_s"] == pytest.approx(5.6, abs=0.1)  # the moment of passing: the right hand begins to open
    assert [r["primitive"] for r in level(rows, "L1")].count("handover") == 1
    assert {"left", "right"} <= set(next(r for r in level(rows, "L1") if r["primitive"] == "handover")["arms"])


def test_a_twist_of_the_hand_is_a_rotation():
    time = times(6.0, 30.0)
    angle = path(time, np.array([[0.0], [2.0]]), np.array([2.0]), np.array([2.0]))[:, 0]
    turned = np.stack([np.zeros_like(angle), np.zeros_like(angle), np.sin(angle / 2), np.cos(angle / 2)], axis=1)
    rows = events_of(
        stream("position", "single", "m", time, np.tile([0.3, 0.0, 0.2], (len(time), 1)))
        | stream("orientation", "single", "quaternion xyzw", time, turned)
    )
    assert primitives(rows, "L1") == ["idle", "rotate", "idle"]


def test_ids_times_and_evidence_say_where_and_why():
    rows = events_of(signals_from(pick_and_place(200), 20.0))  # the gripper flips at rows 80 and 140
    grasped = next(r for r in level(rows, "L1") if r["start_frame"] == 80)
    assert grasped["event_id"] == "s/000000/L1/0004000"
    assert grasped["start_s"] == 4.0
    reason = next(e for e in grasped["evidence"] if e["edge"] == "start")
    assert (reason["kind"], reason["arm"], reason["signal"], reason["strength"]) == ("closed", "single", "gripper", 1.0)
    assert abs(reason["time_s"] - 4.0) <= 0.02
    assert level(rows, "L3")[0]["end_s"] == 10.0  # one frame past the last timestamp
    assert [e["kind"] for e in level(rows, "L3")[0]["evidence"]] == ["episode", "episode"]


def test_without_a_gripper_speed_alone_segments():
    signals = carried()
    del signals["gripper/single"]
    rows = events_of(signals)
    assert len(level(rows, "L1")) >= 4
    assert set(primitives(rows, "L1")) <= {"move", "idle"}


def test_velocity_alone_segments():
    signals = carried()
    position = signals.pop("position/single")
    velocity = np.gradient(position.values, position.time_s, axis=0)
    rows = events_of(signals | stream("velocity", "single", "m/s", position.time_s, velocity))
    assert len(level(rows, "L2")) >= 3


def test_a_rest_in_which_nothing_happens_is_static():
    first = level(events_of(carried()), "L1")[0]
    assert (first["primitive"], first["static"]) == ("idle", True)


def test_each_arm_has_a_timeline_of_its_own():
    resting = np.tile([0.0, 0.0, 0.3, 1.0], (450, 1))
    left = {
        k.replace("single", "left"): Signal(s.kind, "left", s.unit, s.time_s, s.values) for k, s in carried().items()
    }
    rows = events_of(left | signals_from(resting, 30.0, "right"))
    assert {r["track"] for r in rows} == {"all", "left", "right"}
    assert {arm for r in level(rows, "L1") for arm in r["arms"]} == {"left"}
    assert primitives(rows, "L1", "right") == ["idle"]
    assert primitives(rows, "L0", "left") == primitives(rows, "L0")
    assert level(rows, "L1", "left")[0]["event_id"] == "s/000000/L1.left/0000000"
    EVENTS.build(rows)


finite = st.floats(-1e6, 1e6, allow_nan=False)


@settings(max_examples=150)
@given(
    data=st.data(), length=st.integers(2, 120), rate=st.sampled_from([5.0, 10.0, 30.0, 200.0]), arms=st.integers(1, 2)
)
def test_spans_tile_nest_and_keep_their_length_for_any_finite_input(data, length, rate, arms):
    signals: dict[str, Signal] = {}
    for arm in ("left", "right")[:arms] if arms == 2 else ("single",):
        where = data.draw(arrays(np.float64, (length, 3), elements=finite))
        opening = data.draw(arrays(np.float64, (length, 1), elements=st.floats(0, 1)))
        signals |= signals_from(np.hstack([where, opening]), rate, arm)
    rows = events_of(signals)
    EVENTS.build(rows)  # its laws raise
    whole = level(rows, "L3")[0]["end_s"]
    for row in rows:
        if row["level"] in LEAST:
            assert row["end_s"] - row["start_s"] >= min(LEAST[row["level"]], whole) - 1e-9


@pytest.mark.parametrize("state", [np.zeros((2, 4)), np.zeros((500, 4)), np.ones((3, 4))])
def test_constant_and_tiny_episodes_are_legal(state):
    rows = events_of(signals_from(state, 20.0))
    EVENTS.build(rows)
    assert len(level(rows, "L1")) == 1


def test_noise_alone_is_cut_no_finer_than_its_levels_allow():
    rows = events_of(signals_from(np.random.default_rng(0).normal(0, 1, (3000, 4)), 30.0))
    EVENTS.build(rows)
    assert 1 <= len(level(rows, "L1")) <= 100 / LEAST["L1"]


# -- real recordings


def real_events(real, name):
    """(signals, event rows) of each episode of a real set, on the log's own clock."""
    config = IngestConfig()
    dataset, references = load(name, str(real / name))
    layout = layout_of(dataset, references, config).layout
    for reference in references:
        _, rows = extract(
            dataset, reference, layout, dataset.reader(needed_columns(dataset, layout)).read(reference), config
        )
        signals = {
            r["stream"]: Signal(
                r["kind"], r["arm"], r["unit"], r["time_s"], r["values"].reshape(-1, r["width"]).astype(float)
            )
            for r in rows
        }
        clock = pair(next(iter(signals.values())).time_s, {}, dataset.fps, AlignConfig())
        alignment = {"time_s": clock.time_s, "signal_time_s": clock.signal_time_s}
        yield signals, event_rows(reference.episode_id, signals, alignment, CONFIG)


def test_every_gripper_flip_of_the_cr5_is_an_l1_boundary(real):
    boundaries = all_flips = 0
    for signals, rows in real_events(real, "cr5_banana"):
        gripper = signals["gripper/single"]
        flips = gripper.time_s[1:][np.diff(gripper.values[:, 0]) != 0] - gripper.time_s[0]
        starts = np.array([r["start_s"] for r in level(rows, "L1") if r["start_frame"]])
        assert len(flips) >= 2
        assert np.abs(starts[:, None] - flips).min(axis=0).max() <= 0.2
        boundaries, all_flips = boundaries + len(starts), all_flips + len(flips)
    assert boundaries <= 3 * all_flips


def test_every_picking_episode_of_the_g1_has_a_grasp(real):
    for _, rows in real_events(real, "g1_crisps"):
        assert any(r["primitive"] == "grasp" and r["arms"] for r in level(rows, "L1"))


def test_where_a_hand_acts_only_its_arm_takes_part():
    """The right arm moves on while the left closes its hand at 4.2 s."""
    left = {
        k.replace("single", "left"): Signal(s.kind, "left", s.unit, s.time_s, s.values) for k, s in carried().items()
    }
    going = moved(15.0, [ABOVE, OVER], [3.0], [4.0], arm="right")
    grasps = [r for r in level(events_of(left | going), "L1") if r["primitive"] == "grasp"]
    assert [r["arms"] for r in grasps] == [["left"]]
