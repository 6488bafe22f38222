"""Robots are known by type, names or shape, and their hands are put on one scale."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.ingest.probe import Probe
from stages.ingest.profile import choose, load_profiles, resolve
from stages.ingest.signals import _held_swing, opening
from stages.ingest.streams import Stream
from stages.sources.lerobot.dataset import LeRobotDataset
from stages.sources.protocol import Dataset, Feature, SourceError


def dataset_of(robot: str, names: dict[str, list[str]], **more) -> Dataset:
    features = tuple(Feature(column, len(n), tuple(n)) for column, n in names.items())
    values = {"modality": {}, "ranges": {}, "tasks": {}} | more
    return LeRobotDataset("d", "/d", "v2.1", robot, 30.0, features, **values)


SO_JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
ALOHA_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper")
STATE = "observation.state"
ONE_ARM = {"joints/single", "gripper/single"}
POSED = {"position/single", "orientation/single", "gripper/single"}
ROBOTS = [  # robot type, names per column, the profile and the streams that must be found
    ("so101_follower", {STATE: [f"{j}.pos" for j in SO_JOINTS]}, "so100", ONE_ARM),
    ("so100", {STATE: [f"main_{j}" for j in SO_JOINTS]}, "so100", ONE_ARM),
    (
        "aloha",
        {STATE: [f"{side}_{j}" for side in ("left", "right") for j in ALOHA_JOINTS]},
        "aloha",
        {"joints/left", "gripper/left", "joints/right", "gripper/right"},
    ),
    (
        "franka",
        {"observation.state.cartesian_position": list("abcdef"), "observation.state.gripper_position": ["g"]},
        "franka_droid",
        POSED,
    ),
    ("widowx", {STATE: ["x", "y", "z", "roll", "pitch", "yaw", "pad", "gripper"]}, "widowx", POSED),
    (
        "cr5",
        {STATE: [f"joint_{i}" for i in range(6)], "action": [*(f"joint_{i}_vel" for i in range(6)), "gripper"]},
        "cr5",
        {*ONE_ARM, "gripper_command/single"},
    ),
]


@pytest.mark.parametrize(("robot", "names", "profile", "streams"), ROBOTS)
def test_robots_are_known_by_their_type(robot, names, profile, streams):
    ranges = {c: ((0.0,) * len(n), (100.0,) * len(n)) for c, n in names.items()}
    dataset = dataset_of(robot, names, ranges=ranges)
    chosen = choose(dataset, None)
    assert chosen is not None
    assert chosen.name == profile
    assert {f"{s.kind}/{s.arm}" for s in resolve(chosen, dataset, Probe(dataset, ())).streams} == streams


def test_a_robot_of_unknown_type_is_known_by_its_names():
    dataset = dataset_of("some_lab_robot", {"observation.state": ["kLeftHandIndex", "kRightHandIndex"]})
    assert choose(dataset, None).name == "unitree_g1_inspire"


def test_the_gripper_range_of_an_so100_is_the_datasets_own():
    names = {"observation.state": ["gripper.pos"]}
    dataset = dataset_of("so100", names, ranges={"observation.state": ((2.0,), (62.0,))})
    layout = resolve(choose(dataset, "so100"), dataset, Probe(dataset, ()))
    gripper = next(s for s in layout.streams if s.kind == "gripper")
    assert (gripper.closed, gripper.open, layout.range_inferred) == ((2.0,), (62.0,), True)


def test_every_profile_that_comes_with_the_project_parses():
    profiles = load_profiles()
    assert len({p.name for p in profiles}) == len(profiles) >= 30
    files = {p.stem for p in Path("stages/ingest/profiles").glob("*.yaml")}
    assert {p.name for p in profiles} == files


def test_an_unknown_profile_lists_the_known():
    with pytest.raises(SourceError, match="known are"):
        choose(dataset_of("x", {}), "nosuch")


@pytest.mark.parametrize(
    ("values", "opened", "closed", "expected"),
    [
        ([[0.0], [0.5], [1.0]], (1.0,), (0.0,), [0.0, 0.5, 1.0]),
        ([[0.0], [0.5], [1.0]], (0.0,), (1.0,), [1.0, 0.5, 0.0]),  # 1 = closed, as CR5 and DROID log it
        ([[0.0, 1.5], [0.75, 0.75]], (0.0, 0.0), (1.5, 1.5), [0.5, 0.5]),  # a hand: the mean of its joints
        ([[-1.5], [1.5]], (-1.5,), (1.5,), [1.0, 0.0]),
        ([[110.0]], (100.0,), (0.0,), [1.0]),  # a little over the range is clipped
    ],
)
def test_gripper_opening_is_zero_closed_to_one_open(values, opened, closed, expected):
    stream = Stream(kind="gripper", arm="single", places=(("c", 0),), unit="1", open=opened, closed=closed)
    assert opening(np.array(values), stream, 0.5, "f").tolist() == expected


@pytest.mark.parametrize(
    ("told", "swing"),
    [
        ([1.0] * 20 + [0.0] * 20, 1.0),
        ([0.0] + [1.0] * 39, 0.0),  # a first row that nobody wrote
        ([1.0] * 39 + [0.0], 0.0),  # let go in the last moment
        ([1.0] * 20 + [0.0] + [1.0] * 19, 0.0),  # a spike
        ([1.0] * 15 + [0.6] * 25, 0.4),
    ],
)
def test_a_command_counts_where_it_stands_for_half_a_second(told, swing):
    assert _held_swing(np.array(told, dtype=np.float32), np.arange(40) / 20) == pytest.approx(swing)


@given(
    values=st.lists(st.floats(-1, 2), min_size=1, max_size=30),
    scale=st.floats(0.1, 100),
    offset=st.floats(-50, 50),
    flip=st.booleans(),
)
def test_opening_does_not_depend_on_the_units_of_the_log(values, scale, offset, flip):
    raw = np.array(values)[:, None]
    plain = Stream(kind="gripper", arm="single", places=(("c", 0),), unit="1", open=(1.0,), closed=(0.0,))
    sign = -scale if flip else scale
    other = plain.model_copy(update={"open": (sign + offset,), "closed": (offset,)})
    assert opening(raw * sign + offset, other, 9.0, "f") == pytest.approx(opening(raw, plain, 9.0, "f"), abs=1e-6)
