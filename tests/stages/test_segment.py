"""Boundaries lie where grippers and speed put them; spans tile and nest whatever the input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from schemas import TABLES
from stages.align import AlignConfig
from stages.align.clock import pair
from stages.episode import Signal
from stages.ingest import IngestConfig
from stages.ingest.extract import extract, wanted_columns
from stages.ingest.layout import layout_of
from stages.ingest.lerobot import load
from stages.ingest.rows import read_file
from stages.segment import SegmentConfig
from stages.segment.evidence import gripper_changes, rests, turns
from stages.segment.motion import ArmMotion
from stages.segment.stage import event_rows
from tests.datasets import pick_and_place

CONFIG = SegmentConfig()


def signals_from(state: np.ndarray, rate: float, arm: str = "single") -> dict[str, Signal]:
    """Position and gripper streams of float[T, 4] at `rate` rows a second."""
    time = np.arange(len(state)) / rate
    return {
        f"position/{arm}": Signal("position", arm, "m", time, state[:, :3]),
        f"gripper/{arm}": Signal("gripper", arm, "1", time, state[:, 3:4]),
    }


def events_of(signals: dict[str, Signal], config: SegmentConfig = CONFIG) -> list[dict]:
    time = next(iter(signals.values())).time_s
    return event_rows("s/000000", signals, {"time_s": time, "signal_time_s": time}, config)


def level(rows: list[dict], name: str) -> list[dict]:
    return sorted((r for r in rows if r["level"] == name), key=lambda r: r["start_frame"])


def motion(opening: list[float]) -> ArmMotion:
    return ArmMotion("single", np.zeros(len(opening)), np.array(opening), None)


# -- gripper


def changes(opening: list[float]) -> list[tuple[bool, int, int, bool]]:
    return [(c.closes, c.start, c.end, c.acts) for c in gripper_changes(motion(opening), CONFIG)]


def test_a_flip_is_one_change_at_its_first_row():
    assert changes([1, 1, 1, 0, 0, 0, 1, 1]) == [(True, 3, 4, True), (False, 6, 7, True)]


def test_a_slow_closing_runs_from_10_to_90_percent_of_its_way():
    # 1.0, then down by an eighth a row from row 2 on: 10 % of the way is passed at row 2, 90 % at row 9
    assert changes([1.0, 1.0, *(1.0 - 0.125 * np.arange(1, 9)), 0.0, 0.0]) == [(True, 2, 10, True)]


def test_fingers_that_stall_on_an_object_close_all_the_same():
    assert changes([1, 1, 1, 0.8, 0.6, 0.6, 0.6, 0.6, 0.8, 1, 1]) == [(True, 3, 5, True), (False, 8, 10, True)]


def test_an_open_hand_that_opens_further_takes_nothing():
    found = changes([0.5, 0.5, 0.9, 0.9, 0.9, 0.2, 0.2, 0.2])
    assert [(closes, acts) for closes, _, _, acts in found] == [(False, False), (True, True)]


@pytest.mark.parametrize("opening", [[0.5] * 9, [0.5, 0.52, 0.5, 0.55, 0.51], [1.0]])
def test_a_gripper_that_hardly_moves_never_acts(opening):
    assert changes(opening) == []


# -- speed


def test_a_rest_begins_below_one_level_and_ends_above_the_other():
    speed = np.array([1, 1, 0.12, 0.05, 0.05, 0.12, 0.05, 0.2, 1])
    assert rests(speed, CONFIG, 2) == [(3, 7)]  # 0.12 is neither still nor moving: it changes nothing
    assert rests(speed, CONFIG, 5) == []


def test_a_turn_is_a_deep_minimum_between_strokes():
    speed = np.array([0.0, 0.5, 1.0, 0.5, 0.1, 0.5, 0.8, 0.5, 0.0])
    assert [(c.frame, c.kind) for c in turns(speed, [], CONFIG)] == [(4, "turn")]
    assert turns(speed, [(3, 6)], CONFIG) == []  # inside a rest it is none


# -- whole episodes


def test_a_pick_and_place_reads_as_one():
    rows = events_of(signals_from(pick_and_place(200), 20.0))
    assert [(r["primitive"], r["start_frame"]) for r in level(rows, "L2")] == [
        ("approach", 0),
        ("transport", 80),
        ("retract", 140),
    ]
    primitives = [r["primitive"] for r in level(rows, "L1")]
    assert primitives[0] == "reach"
    assert primitives.count("grasp") == 1
    assert primitives.index("grasp") < primitives.index("release")
    assert primitives[-1] == "retract"
    starts = {r["start_frame"] for r in level(rows, "L1")}
    assert {80, 140} <= starts  # the two flips


def test_ids_times_and_evidence_say_where_and_why():
    rows = events_of(signals_from(pick_and_place(200), 20.0))
    grasped = next(r for r in level(rows, "L1") if r["start_frame"] == 80)
    assert grasped["event_id"] == "s/000000/L1/0004000"
    assert grasped["start_s"] == 4.0
    assert {"edge": "start", "kind": "closed", "arm": "single", "strength": 1.0} in grasped["evidence"]
    assert level(rows, "L3")[0]["end_s"] == 10.0  # one frame past the last timestamp


def test_without_a_gripper_speed_alone_segments():
    signals = signals_from(pick_and_place(200), 20.0)
    del signals["gripper/single"]
    rows = events_of(signals)
    assert len(level(rows, "L1")) >= 3
    assert {r["primitive"] for r in level(rows, "L1")} <= {"move", "idle"}


def test_a_rest_in_which_nothing_happens_is_static():
    still = np.concatenate([np.repeat(pick_and_place(100)[:1], 40, axis=0), pick_and_place(100)])
    first = level(events_of(signals_from(still, 20.0)), "L1")[0]
    assert (first["primitive"], first["static"]) == ("idle", True)


def test_two_arms_are_told_apart():
    left = {k.replace("single", "left"): v for k, v in signals_from(pick_and_place(200), 20.0, "left").items()}
    resting = np.tile([0.0, 0.0, 0.3, 1.0], (200, 1))
    signals = left | signals_from(resting, 20.0, "right")
    acting = {arm for r in level(events_of(signals), "L1") for arm in r["arms"]}
    assert acting == {"left"}


finite = st.floats(-1e6, 1e6, allow_nan=False)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), length=st.integers(2, 120), rate=st.sampled_from([5.0, 10.0, 30.0, 200.0]))
def test_spans_tile_and_nest_for_any_finite_input(data, length, rate):
    path = data.draw(arrays(np.float64, (length, 3), elements=finite))
    opening = data.draw(arrays(np.float64, (length, 1), elements=st.floats(0, 1)))
    TABLES["events"].build(events_of(signals_from(np.hstack([path, opening]), rate)))  # its laws raise


@pytest.mark.parametrize("state", [np.zeros((2, 4)), np.zeros((500, 4)), np.ones((3, 4))])
def test_constant_and_tiny_episodes_are_legal(state):
    rows = events_of(signals_from(state, 20.0))
    TABLES["events"].build(rows)
    assert len(level(rows, "L1")) == 1


# -- real recordings


def real_events(real, name):
    """(signals, event rows) of each episode of a real set, on the log's own clock."""
    config = IngestConfig()
    dataset, references = load(name, str(real / name))
    layout = layout_of(dataset, references, config)
    for reference in references:
        _, rows = extract(dataset, reference, layout, read_file(reference, wanted_columns(dataset, layout)), config)
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
    for signals, rows in real_events(real, "cr5_banana"):
        gripper = signals["gripper/single"]
        flips = gripper.time_s[1:][np.diff(gripper.values[:, 0]) != 0] - gripper.time_s[0]
        starts = np.array([r["start_s"] for r in level(rows, "L1")])
        assert len(flips) >= 2
        assert np.abs(starts[:, None] - flips).min(axis=0).max() <= 0.3
        assert len(starts) <= 4 * len(flips)


def test_every_picking_episode_of_the_g1_has_a_grasp(real):
    for _, rows in real_events(real, "g1_crisps"):
        assert any(r["primitive"] == "grasp" and r["arms"] for r in level(rows, "L1"))
