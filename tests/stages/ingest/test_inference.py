"""A robot that nobody has described: arms, joints, units and grippers told from names and physics, or not at all."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.ingest.inference.guess import Guess, infer
from stages.ingest.inference.names import named
from stages.ingest.inference.units import unit_of
from stages.ingest.probe import Probe
from stages.ingest.profile import choose, resolve
from stages.ingest.roles import state_and_action
from stages.sources.lerobot.dataset import LeRobotDataset
from stages.sources.protocol import Dataset, Feature
from tests.arms import FPS, SO, picking
from tests.conftest import SAMPLE
from tests.logs import load

SURE = 0.9
Columns = Mapping[str, Sequence[np.ndarray]]


def looked(
    columns: Columns, names: Mapping[str, Sequence[str]] | None = None, robot: str = "?"
) -> tuple[Dataset, Probe]:
    """A dataset whose episodes are these: {column: float64[T, D] of each}."""
    names = names or {}
    features = tuple(Feature(c, v[0].shape[1], tuple(names.get(c, ()))) for c, v in columns.items())
    dataset = LeRobotDataset("d", "/d", "v2.1", robot, FPS, features, {}, {}, {})
    probe = Probe(dataset, ())
    times = [np.arange(len(e)) / FPS for e in next(iter(columns.values()))]
    probe._read = [({c: v[i] for c, v in columns.items()}, dict.fromkeys(columns, times[i])) for i in range(len(times))]
    return dataset, probe


def guess(columns: Columns, names: Mapping[str, Sequence[str]] | None = None) -> Guess | None:
    dataset, probe = looked(columns, names)
    return infer(dataset, probe, *state_and_action(dataset.features, "d"), SURE)


def streams(columns: Columns, names: Mapping[str, Sequence[str]] | None = None) -> dict[str, tuple]:
    found = guess(columns, names)
    assert found is not None
    return {f"{s.kind}/{s.arm}": (s.origin, s.unit) for s in found.layout.streams}


LOGS = [picking(i) for i in range(5)]


# -- names


@pytest.mark.parametrize(
    ("column", "name", "arm", "role"),
    [
        ("observation.state", "left_shoulder_pan.pos", "left", "joint"),
        ("observation.state", "kRightHandIndex0", "right", "finger"),
        ("observation.state", "right_gripper.pos", "right", "gripper"),
        ("observation.states.effector.position", "", "", "gripper"),
        ("observation.state", "arm1_joint_3", "#1", "joint"),
        ("observation.state", "gripper.effort", "", "force"),
        ("observation.state", "joint_2_vel", "", "rate"),
        ("observation.state", "x.vel", "", "rate"),
        ("observation.state", "base_theta", "", "body"),
        ("observation.state", "l_elbow", "left", "joint"),
    ],
)
def test_names_say_arm_and_role(column, name, arm, role):
    found = named(Feature(column, 1, (name,) if name else ()))[0]
    assert (found.arm, found.role) == (arm, role)


def test_x_is_a_position_and_roll_beside_it_an_orientation():
    roles = [v.role for v in named(Feature("observation.state", 7, ("x", "y", "z", "roll", "pitch", "yaw", "gripper")))]
    assert roles == ["position"] * 3 + ["orientation"] * 3 + ["gripper"]


def test_parts_of_a_state_name_what_has_no_name():
    values = named(Feature("observation.state", 4, ("a", "b", "c", "d")), {"left_arm": (0, 2), "right_hand": (2, 4)})
    assert [(v.arm, v.role) for v in values] == [("left", "")] * 2 + [("right", "finger")] * 2


# -- arms


def test_left_and_right_are_two_arms():
    names = [f"{side}_{j}.pos" for side in ("left", "right") for j in SO]
    found = streams(
        {"observation.state": [np.hstack([a, b]) for a, b in pairwise(LOGS)]},
        {"observation.state": names},
    )
    assert {"joints/left", "joints/right", "gripper/left", "gripper/right"} <= set(found)
    assert found["joints/right"][0] == "observation.state[6, 7, 8, 9, 10]"


def test_columns_of_both_arms_are_parted_by_their_width():
    own = [np.hstack([a[:, :5], np.zeros((160, 2)), b[:, :5], np.zeros((160, 2))]) / 57.3 for a, b in pairwise(LOGS)]
    hands = [np.stack([120 - a[:, 5], 120 - b[:, 5]], axis=1) for a, b in pairwise(LOGS)]
    found = guess({"observation.states.joint.position": own, "observation.states.effector.position": hands})
    assert found is not None
    assert {s.arm for s in found.layout.streams} == {"left", "right"}
    grippers = {s.arm: s for s in found.layout.streams if s.kind == "gripper"}
    assert [grippers[a].origin for a in ("left", "right")] == [
        f"observation.states.effector.position[{i}]" for i in (0, 1)
    ]
    assert all(g.open[0] < g.closed[0] for g in grippers.values())  # ticks that rise as it closes


def test_rates_efforts_and_the_base_are_no_joints():
    names = [*(f"{j}.pos" for j in SO[:5]), *(f"{j}.vel" for j in SO[:5]), "base_x", "gripper.pos", "gripper.current"]
    own = [
        np.hstack(
            [s[:, :5], np.gradient(s[:, :5], axis=0), np.cumsum(s[:, :1], axis=0), s[:, 5:], s[:, 5:] * 0 + s[:, :1]]
        )
        for s in LOGS
    ]
    found = streams({"observation.state": own}, {"observation.state": names})
    assert found["joints/single"][0] == "observation.state[0, 1, 2, 3, 4]"
    assert found["gripper/single"][0] == "observation.state[11]"


def test_where_nothing_moves_there_is_no_layout():
    assert guess({"observation.state": [np.ones((30, 2))]}) is None


def test_a_last_value_without_a_name_that_flips_is_a_hand_or_a_gripper():
    own = [np.hstack([s[:, :5], (s[:, 5:] > 30) * 1.0]) for s in LOGS]
    found = streams({"observation.state": own})
    assert found["joints/single"][0] == "observation.state[0, 1, 2, 3, 4]"
    assert {"gripper/single", "hand/single"} & set(found)


@pytest.mark.parametrize(
    "names",
    [
        ["joint_s", "joint_l", "joint_u", "joint_r", "joint_b", "gripper"],  # Motoman's axes
        [f"arm_{i}" for i in range(1, 6)] + ["gripper"],
        ["base", "shoulder", "elbow", "wrist1", "wrist2", "gripper"],
        [*(f"theta{i}" for i in range(1, 6)), "gripper"],
        [*(f"end_effector_joint{i}" for i in range(1, 6)), "gripper"],
    ],
)
def test_one_arm_is_one_arm_with_all_its_joints(names):
    found = streams({"observation.state": LOGS}, {"observation.state": names})
    assert set(found) <= {"joints/single", "gripper/single", "hand/single"}
    assert found["joints/single"][0] == "observation.state[0, 1, 2, 3, 4]"


def test_the_two_fingers_of_a_gripper_are_no_arms():
    own = [np.hstack([s, s[:, 5:]]) for s in LOGS]
    names = [*(f"panda_joint{i}" for i in range(1, 6)), "left_finger", "right_finger"]
    found = streams({"observation.state": own}, {"observation.state": names})
    assert {n.split("/")[1] for n in found} == {"single"}
    assert next(found[n][0] for n in found if n.split("/")[0] in ("gripper", "hand")) == "observation.state[5, 6]"


def test_a_pose_is_put_together_of_what_lies_side_by_side():
    own = [np.hstack([0.3 + s[:, :3] / 200, s[:, :3] / 60, s]) for s in LOGS]
    names = [
        "x",
        "y",
        "z",
        "roll",
        "pitch",
        "yaw",
        "shoulder_pan",
        "shoulder_lift",
        "wrist_pitch",
        "wrist_roll",
        "wrist_yaw",
        "gripper",
    ]
    found = streams({"observation.state": own}, {"observation.state": names})
    assert "position/single" not in found  # beside joints x, y and z may be the base's
    assert found["joints/single"][0] == "observation.state[6, 7, 8, 9, 10]"
    single = streams(
        {"observation.state": [o[:, [0, 1, 2, 3, 4, 5, 11]] for o in own]},
        {"observation.state": [*"xyzrpy", "gripper"]},
    )
    assert single["position/single"][0] == "observation.state[0, 1, 2]"


def test_angles_that_reach_beyond_a_turn_are_not_called_radians():
    own = [np.hstack([0.3 + s[:, :3] / 200, s[:, 2:5], s[:, 5:]]) for s in LOGS]
    for names, form in ((["roll", "pitch", "yaw"], "raw"), (["rx", "ry", "rz"], "raw")):
        found = streams({"observation.state": own}, {"observation.state": ["x", "y", "z", *names, "gripper"]})
        assert found["orientation/single"][1] == form


def test_statistics_that_the_rows_contradict_are_not_believed():
    dataset, probe = looked({"c": [picking(0)]})
    for low, high in ((-1.0, 1.0), (5.0, 5.0), (9.0, -9.0), (-50.0, 9000.0)):
        told = LeRobotDataset("d", "/d", "v2.1", "?", FPS, dataset.features, {}, {"c": ((low,) * 6, (high,) * 6)}, {})
        held = Probe(told, ())
        held._read = probe._read
        assert held.range_of("c", 5) == pytest.approx((picking(0)[:, 5].min(), picking(0)[:, 5].max()))
    told = LeRobotDataset("d", "/d", "v2.1", "?", FPS, dataset.features, {}, {"c": ((-90.0,) * 6, (95.0,) * 6)}, {})
    held = Probe(told, ())
    held._read = probe._read
    assert held.range_of("c", 5) == (-90.0, 95.0)  # wider than what was looked at: of all episodes


# -- units


@pytest.mark.parametrize(
    ("kind", "values", "unit"),
    [
        ("joints", [-1.0, 2.4], "rad"),
        ("joints", [-0.8, 0.9], "raw"),  # radians, or shares of a range
        ("joints", [-170.0, 60.0], "deg"),
        ("joints", [-90.0, 99.0], "raw"),  # degrees, or percent
        ("joints", [100.0, 3000.0], "raw"),
        ("joints", [110.0, 350.0], "raw"),  # ticks
        ("position", [0.1, 0.7], "m"),
        ("position", [120.0, 640.0], "mm"),
        ("position", [0.1, 0.11], "raw"),
    ],
)
def test_a_range_tells_a_unit_only_where_no_other_fits(kind, values, unit):
    dataset, probe = looked({"c": [np.array(values)[:, None]]})
    assert unit_of(kind, (("c", 0),), dataset, probe)[0] == unit


def test_a_unit_that_the_source_names_is_taken():
    dataset, probe = looked({"c": [np.array([[0.0, 0.0], [0.5, 0.4]])]}, {"c": ["shoulder_rad", "elbow_rad"]})
    assert unit_of("joints", (("c", 0), ("c", 1)), dataset, probe)[0] == "rad"


# -- which end is closed, of whole logs (each test by itself: test_polarity.py)


def test_a_hand_whose_arm_rests_is_not_told_by_its_way():
    """The left arm of a robot that works with its right: where it stands when its fingers twitch means nothing."""
    random = np.random.default_rng(0)
    names = [f"{side}_{j}" for side in ("left", "right") for j in (*SO[:5], "gripper")]
    own = [np.hstack([random.normal(0, 0.1, (160, 5)), s[:, 5:], s]) for s in LOGS]
    found = guess({"observation.state": own}, {"observation.state": names})
    assert found is not None
    kinds = {s.arm: s.kind for s in found.layout.streams if s.kind in ("gripper", "hand")}
    assert kinds == {"left": "hand", "right": "gripper"}


# -- real logs and those of tests, with profiles taken away, shuffled, renamed, rescaled, split


def truth(dataset: Dataset, probe: Probe) -> dict[tuple[str, int], bool]:
    """{place of a gripper value: whether its larger end is open}, by the robot's profile."""
    profile = choose(dataset, None)
    assert profile is not None
    layout = resolve(profile, dataset, probe)
    return {
        p: o > c
        for s in layout.streams
        if s.kind == "gripper"
        for p, o, c in zip(s.places, s.open, s.closed, strict=True)
    }


def check(found: Guess | None, expected: Mapping[tuple[str, int], bool]) -> tuple[int, int]:
    """(grippers that are told right, grippers that are left unknown); none may be told wrong."""
    assert found is not None
    right = unknown = 0
    for stream in found.layout.streams:
        if stream.kind in ("gripper", "hand"):
            known = [
                (p, o > c) for p, o, c in zip(stream.places, stream.open, stream.closed, strict=True) if p in expected
            ]
            if stream.kind == "hand":
                unknown += 1
            elif known:
                assert all(expected[p] == high for p, high in known), (stream, found.findings)
                right += 1
    return right, unknown


def opened(path: Path) -> tuple[Dataset, Probe]:
    dataset, references = load("d", str(path))
    return dataset, Probe(dataset, references)


def test_polarity_is_right_or_unknown_and_mostly_right(real):
    right = unknown = 0
    paths = [
        *(real / n for n in ("cr5_banana", "g1_crisps", "gr1_sim_picknplace")),
        *sorted(SAMPLE.glob("cell_*")),
    ]
    for path in paths:
        dataset, probe = opened(path)
        found = infer(dataset, probe, *state_and_action(dataset.features, "d"), SURE)
        told, left = check(found, truth(dataset, probe))
        right, unknown = right + told, unknown + left
        assert len(found.layout.arms) == len(resolve(choose(dataset, None), dataset, probe).arms)
    assert right + unknown == 7
    assert right >= 4  # two others are of arms that rest, one moves its fingers all the time


@pytest.fixture(scope="module")
def logs(real) -> list[tuple[Dataset, Probe, dict[tuple[str, int], bool]]]:
    found = []
    for name in ("cr5_banana", "g1_crisps", "gr1_sim_picknplace"):
        dataset, probe = opened(real / name)
        probe.values("action")
        found.append((dataset, probe, truth(dataset, probe)))
    return found


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), which=st.integers(0, 2))
def test_columns_shuffled_renamed_rescaled_and_split_are_never_lost_nor_turned_round(logs, seed, which):
    random = np.random.default_rng(seed)
    dataset, probe, expected = logs[which]
    columns: dict[str, list[np.ndarray]] = {}
    names: dict[str, list[str]] = {}
    turned: dict[tuple[str, int], bool] = {}
    state, action = (
        str(random.choice(n))
        for n in (["observation.state", "state", "qpos", "observation.states"], ["action", "actions"])
    )
    for column, called in (("observation.state", state), ("action", action)):
        feature = next(f for f in dataset.features if f.column == column)
        own = [v.words for v in named(feature, dataset.modality.get(column))]
        parts = np.array_split(random.permutation(feature.width), int(random.integers(1, 4)))
        scale = random.choice([1.0, 57.3, 100.0]) * random.choice([1.0, -1.0], feature.width)
        for number, part in enumerate(p for p in parts if len(p)):
            into = called if len(parts) == 1 else f"{called}.part_{number}"
            columns[into] = [e[:, part] * scale[part] for e in probe.values(column)]
            names[into] = ["_".join(own[i][1:] if own[i][0] in ("observation", "k") else own[i]) for i in part]
            turned |= {
                (into, j): expected[(column, i)] != (scale[i] < 0)
                for j, i in enumerate(part)
                if (column, i) in expected
            }
    changed, other = looked(columns, names)
    found_state, found_action = state_and_action(changed.features, "d")
    assert sorted([*found_state, *found_action]) == sorted(columns)  # all that was logged is in the sample
    found = infer(changed, other, found_state, found_action, SURE)
    check(found, turned)
    assert found.layout.moves


@pytest.mark.parametrize(
    "clock",
    [np.full(160, 1e15), np.zeros(160), np.arange(160)[::-1] / FPS, 1e12 + np.arange(160) * 1e-5],
    ids=["huge", "stands still", "runs back", "too far for its steps"],
)
def test_an_episode_whose_clock_does_not_run_tells_nothing_of_motion(clock):
    columns = {"observation.state": LOGS, "action": LOGS[1:] + LOGS[:1]}
    names = dict.fromkeys(columns, SO)
    expected = guess({c: v[:4] for c, v in columns.items()}, names)
    dataset, probe = looked(columns, names)
    probe._read[4] = (probe._read[4][0], dict.fromkeys(columns, clock))
    found = infer(dataset, probe, *state_and_action(dataset.features, "d"), SURE)
    assert found is not None
    assert expected is not None
    assert [f.because for f in found.findings] == [f.because for f in expected.findings]
    assert [(s.kind, s.arm, s.origin) for s in found.layout.streams] == [
        (s.kind, s.arm, s.origin) for s in expected.layout.streams
    ]
