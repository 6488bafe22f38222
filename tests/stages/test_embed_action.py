"""Action vectors keep what is done and forget where, in which unit, and from which pose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from stages.embed import EmbedConfig
from stages.embed.action import LEAST, TURN_RAD, WEIGHTS, action_vector, group_scales, groups, layout_of
from stages.episode import Signal

CONFIG = EmbedConfig()
TIMES = np.arange(41) / 20
PLACES = groups(CONFIG.steps)
PATH = np.linspace(0, 1, 41)[:, None] * [0.3, 0.0, -0.1]


def signal(kind: str, values: np.ndarray, arm: str = "single", unit: str = "m", time: np.ndarray = TIMES) -> Signal:
    return Signal(kind, arm, unit, time, values)


def position(values: np.ndarray, unit: str = "m", arm: str = "single") -> dict[str, Signal]:
    return {f"position/{arm}": signal("position", values, arm, unit)}


def turning(rotations: Rotation) -> dict[str, Signal]:
    return position(PATH) | {"orientation/single": signal("orientation", rotations.as_quat(), unit="quaternion xyzw")}


def course(vector: np.ndarray, group: str) -> np.ndarray:
    """float[2 arms, steps, channels] of a group."""
    return vector[PLACES[group]].reshape(2, CONFIG.steps, -1) * np.sqrt(CONFIG.steps)


def test_groups_follow_each_other_and_fill_the_vector():
    assert list(PLACES) == ["position", "rotation", "joints", "gripper", "speed", "duration", "change"]
    ends = [place.stop for place in PLACES.values()]
    assert [place.start for place in PLACES.values()] == [0, *ends[:-1]]
    assert len(action_vector(position(PATH), TIMES, CONFIG)) == ends[-1] == 2 * CONFIG.steps * 15 + 3


def test_a_path_begins_at_zero_and_is_in_shares_of_the_episodes_reach():
    vector = action_vector(position(PATH), TIMES[:21], CONFIG)  # the first half of the episode
    path = course(vector, "position")
    assert path[0, 0] == pytest.approx([0, 0, 0])
    assert path[0, -1] == pytest.approx([0.5, 0, -0.5 / 3], abs=1e-6)
    assert course(vector, "speed")[0, :, 0] == pytest.approx(np.hypot(0.5, 0.5 / 3), abs=1e-6)  # in one second
    assert not path[1].any()  # the second place is for a second arm
    assert vector[PLACES["duration"]] == pytest.approx(np.log(1 / CONFIG.seconds_scale))


@given(st.floats(1e-3, 1e4), st.lists(st.floats(-50, 50), min_size=3, max_size=3))
def test_neither_unit_nor_place_matter(scale, place):
    known = action_vector(position(PATH), TIMES, CONFIG)
    told = action_vector(position((PATH + place) * scale, "raw"), TIMES, CONFIG)
    assert told == pytest.approx(known, abs=1e-5)


@given(st.integers(0, 10_000))
def test_neither_the_start_pose_nor_the_tools_axes_matter_to_a_turn(seed):
    turn = Rotation.from_rotvec(np.linspace(0, 1.0, 41)[:, None] * [0, 0, 1.0])
    plain = action_vector(turning(turn), TIMES, CONFIG)
    assert course(plain, "rotation")[0, -1] == pytest.approx([0, 0, 1.0 / TURN_RAD], abs=1e-5)
    held = turn * Rotation.random(rng=np.random.default_rng(seed))
    assert action_vector(turning(held), TIMES, CONFIG) == pytest.approx(plain, abs=1e-5)


def test_a_turn_of_three_quarters_of_a_round_is_no_quarter_back():
    turn = Rotation.from_rotvec(np.linspace(0, 1.5 * np.pi, 41)[:, None] * [0, 0, 1.0])
    assert course(action_vector(turning(turn), TIMES, CONFIG), "rotation")[0, -1, 2] == pytest.approx(
        1.5 * np.pi / TURN_RAD, abs=1e-4
    )


def test_the_forms_of_orientation_agree_and_an_unknown_one_counts_for_nothing():
    turn = Rotation.from_rotvec(np.linspace(0, 0.8, 41)[:, None] * [0.6, 0.0, 0.8])
    forms = {
        "quaternion xyzw": turn.as_quat(), "rad xyz": turn.as_euler("xyz"), "rotation vector": turn.as_rotvec(),
        "raw": turn.as_rotvec(),
    }  # fmt: skip
    found = {
        unit: action_vector(position(PATH) | {"orientation/single": signal("o", v, unit=unit)}, TIMES, CONFIG)
        for unit, v in forms.items()
    }
    assert found["rad xyz"] == pytest.approx(found["quaternion xyzw"], abs=1e-3)
    assert found["rotation vector"] == pytest.approx(found["quaternion xyzw"], abs=1e-3)
    assert not found["raw"][PLACES["rotation"]].any()


def test_the_same_motion_logged_faster_gives_the_same_vector():
    time = np.linspace(0, 2, 201)
    fast = {"position/single": Signal("position", "single", "m", time, time[:, None] / 2 * [0.3, 0.0, -0.1])}
    assert action_vector(fast, TIMES, CONFIG) == pytest.approx(action_vector(position(PATH), TIMES, CONFIG), abs=1e-5)


def test_an_arm_has_its_own_place_and_an_idle_one_stays_small():
    noise = np.random.default_rng(0).normal(0, 1e-3, PATH.shape)
    one = action_vector(position(PATH, arm="left") | position(noise, arm="right"), TIMES, CONFIG)
    other = action_vector(position(noise, arm="left") | position(PATH, arm="right"), TIMES, CONFIG)
    assert course(one, "position")[::-1] == pytest.approx(course(other, "position"))
    assert np.abs(course(one, "position")[1]).max() < 0.05
    assert np.linalg.norm(one - other) > 1


@pytest.mark.parametrize("scale", [1.0, 57.3, 4096.0])
def test_joints_stand_in_where_no_tip_is_logged(scale):
    values = np.column_stack([np.linspace(0, 1.2, 41), np.linspace(0.3, -0.4, 41)])
    unit = "rad" if scale == 1.0 else "raw"
    vector = action_vector({"joints/single": signal("joints", values * scale, unit=unit)}, TIMES, CONFIG)
    assert course(vector, "joints")[0, -1] == pytest.approx([1.0, -0.7 / 1.2, 0, 0, 0, 0, 0], abs=1e-5)
    assert not vector[PLACES["position"]].any()


def test_a_velocity_is_added_up():
    speed = np.full((41, 3), [0.15, 0.0, -0.05])
    vector = action_vector({"velocity/single": signal("velocity", speed, unit="m/s")}, TIMES, CONFIG)
    assert course(vector, "joints")[0, -1, :3] == pytest.approx([1.0, 0, -1 / 3], rel=0.1)


@pytest.mark.parametrize("kind", ["gripper", "hand"])
def test_fingers_that_close_show(kind):
    fingers = {f"{kind}/single": signal(kind, np.linspace(1, 0.2, 41)[:, None], unit="1")}
    vector = action_vector(position(PATH) | fingers, TIMES, CONFIG)
    assert course(vector, "gripper")[0, [0, -1], 0] == pytest.approx([1, 0.2])
    assert vector[PLACES["change"]] == pytest.approx([0.8, 0])


def test_a_layout_is_of_arms_kinds_and_units():
    assert layout_of(turning(Rotation.identity(41))) == "single: position m, rotation"
    assert layout_of(position(PATH, "raw", "left") | position(PATH, "raw", "right")) == (
        "left: position raw; right: position raw"
    )
    joints = {"joints/single": signal("joints", PATH, unit="rad"), "hand/single": signal("hand", PATH[:, :1])}
    assert layout_of(joints) == "single: joints rad, hand"
    assert layout_of({}) == "single: "


def test_scales_are_one_a_group_its_spread_over_its_weight():
    vectors = np.zeros((4, 2 * 15 * 4 + 3), np.float32)
    place = groups(4)
    vectors[:, place["position"].start] = [3, -3, 3, -3]  # distance from the mean: 3
    vectors[:, place["gripper"]] = 1.0  # always open: hardly varies
    scales = group_scales(vectors)
    assert scales[place["position"]] == pytest.approx(3 / WEIGHTS["position"])
    assert scales[place["gripper"]] == pytest.approx(LEAST / WEIGHTS["gripper"])
    assert (scales[place["joints"]] == 1).all()  # all zero


def test_scales_of_other_vectors_are_refused():
    with pytest.raises(ValueError, match="no action vector is 50 wide"):
        group_scales(np.zeros((2, 50), np.float32))
