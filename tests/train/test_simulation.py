"""Worlds and demonstrations: a policy meets the physics, states and pictures that it has learned from."""

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.recorder.demonstrations.plans import key, planned, plans
from stages.train.simulation import look
from stages.train.simulation.environment import STEPS_PER_FRAME, closing_effort
from stages.train.simulation.look import CellLook, View
from stages.train.simulation.state import ENVIRONMENT_NAMES, STATE_NAMES, continuous, following
from stages.train.simulation.tasks import EASY, HARD, TASKS
from stages.train.simulation.world import World


def simulated():
    """The recorder's simulator, where it is installed."""
    os.environ.setdefault("MUJOCO_GL", "egl")
    pytest.importorskip("mujoco")
    pytest.importorskip("metaworld")
    from pipeline.recorder import simulation

    return simulation


# -- without the simulator


def test_the_tasks_are_five_hard_and_three_easy():
    assert HARD == ("pick-place-v3", "bin-picking-v3", "shelf-place-v3", "assembly-v3", "peg-insert-side-v3")
    assert EASY == ("drawer-open-v3", "button-press-topdown-v3", "window-open-v3")
    assert (len(STATE_NAMES), len(ENVIRONMENT_NAMES)) == (11, 17)
    assert [name for name, task in TASKS.items() if task.marked] == ["pick-place-v3"]
    assert [name for name in HARD if TASKS[name].on_the_way] == ["peg-insert-side-v3"]
    assert len({task.instruction for task in TASKS.values()}) == 8


def test_a_task_or_a_camera_that_is_not_known_is_named_beside_those_that_are():
    with pytest.raises(KeyError, match=r"no task 'pick-place'; known: pick-place-v3, bin-picking-v3"):
        World("pick-place")
    with pytest.raises(KeyError, match=r"no camera 'top'; known: left, right, wrist"):
        World("pick-place-v3", ("left", "top"))


@pytest.mark.parametrize(("step", "effort"), [(0, 0.064), (8, 0.264), (16, 0.464), (30, 0.8), (300, 0.8)])
def test_fingers_close_over_four_tenths_of_a_second(step, effort):
    assert closing_effort(0.8, step) == pytest.approx(effort)


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.floats(0, 6))
def test_one_quaternion_after_another_has_the_sign_that_all_together_have(flips, start):
    half = start + 0.1 * np.arange(len(flips))
    turning = np.stack([0 * half, 0 * half, np.sin(half), np.cos(half)], axis=1)
    quaternions = turning * np.where(flips, -1.0, 1.0)[:, None]
    last, found = None, []
    for quaternion in quaternions:
        last = following(quaternion, last)
        found.append(last)
    assert np.array_equal(np.array(found), continuous(quaternions))
    assert (np.sum(np.diff(found, axis=0) ** 2, axis=1) < 0.011).all()
    assert found[0][3] >= 0


def test_a_camera_of_90_degrees_sees_half_its_side_at_its_own_distance():
    seen = look.calibration(
        CellLook({"left": View((1.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0), 90.0)}, *[(0, 0, 0)] * 4), 64
    )
    left = seen["cameras"]["observation.images.left"]
    assert (left["width"], left["height"], left["mount"]) == (64, 64, "base")
    assert np.allclose(left["K"], [[32, 0, 31.5], [0, 32, 31.5], [0, 0, 1]])
    # one metre before the origin and looking at it: what is to the camera's right is +y, what is below it -z
    assert np.allclose(left["T_base_camera"], [[0, 0, -1, 1], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def test_plans_take_tasks_in_turn_and_a_fifth_misses():
    few = plans({"assembly-v3": 3, "drawer-open-v3": 1}, seed=0)
    assert [(p.task, p.repeat) for p in few] == [
        ("assembly-v3", 0),
        ("drawer-open-v3", 0),
        ("assembly-v3", 1),
        ("assembly-v3", 2),
    ]
    assert {p.text for p in few} == {"put the ring over the peg", "open the drawer"}
    many = plans({name: 200 for name in HARD + EASY}, seed=0)
    missed = Counter(p.task for p in many if p.missed)
    assert all(25 <= missed[name] <= 55 for name in HARD)
    assert not any(missed[name] for name in EASY)


def test_a_demonstration_does_not_hang_on_which_others_are_recorded():
    assert plans({"assembly-v3": 2}, seed=3)[1] == planned("assembly-v3", 1, seed=3)
    assert len({key(name, repeat, seed) for name in HARD for repeat in range(9) for seed in range(3)}) == 135


# -- with it


@pytest.mark.parametrize("task", ["pick-place-v3", "assembly-v3", "drawer-open-v3"])
def test_a_seed_says_an_episode_however_many_came_before_it(task):
    simulated()
    world, other = World(task), World(task)
    first = world.reset(7)
    for _ in range(5):
        world.step(np.array([0.1, 0.1, -0.2, 0.0]))
    assert not world.success
    assert not np.array_equal(world.reset(8).state, first.state)
    for again in (world.reset(7), other.reset(7)):
        assert np.array_equal(again.state, first.state)
        assert np.array_equal(again.environment_state, first.environment_state)


def test_pictures_that_are_not_drawn_change_nothing_else():
    simulated()
    drawing, world = World("pick-place-v3", ("left",), 16), World("pick-place-v3", ("left",), 16)
    assert drawing.reset(7).pictures["left"].shape == world.reset(7).pictures["left"].shape == (16, 16, 3)
    for _ in range(3):
        own, other = (w.step(np.array([0.1, 0.1, -0.2, 0.0]), draw=w is drawing) for w in (drawing, world))
        assert (list(own.pictures), list(other.pictures)) == (["left"], [])
        assert np.array_equal(own.state, other.state)
    own, other = (w.step(np.zeros(4)) for w in (drawing, world))
    assert np.array_equal(own.pictures["left"], other.pictures["left"])


TURNS = {  # what the observed quaternion is the orientation of
    "pick-place-v3": ("geom", "objGeom"), "bin-picking-v3": ("body", "obj"), "shelf-place-v3": ("geom", "objGeom"),
    "assembly-v3": ("body", "RoundNut"), "peg-insert-side-v3": ("site", "pegGrasp"),
    "drawer-open-v3": ("body", "drawer_link"), "button-press-topdown-v3": ("body", "button"),
}  # fmt: skip


GRASPED = {  # what the recorder's scripts reach for
    "pick-place-v3": ("body", "obj"), "bin-picking-v3": ("body", "obj"), "shelf-place-v3": ("body", "obj"),
    "assembly-v3": ("site", "RoundNut-8"), "peg-insert-side-v3": ("site", "pegGrasp"),
}  # fmt: skip


@pytest.mark.parametrize("task", TURNS)
def test_environment_states_turn_as_the_thing_does(task):
    simulated()
    world = World(task)
    seen = world.reset(3).environment_state
    x, y, z, w = (float(v) for v in seen[3:7])
    kind, name = TURNS[task]
    matrix = getattr(world._env.data, kind)(name).xmat.reshape(3, 3)
    assert w >= 0
    assert np.allclose(
        [[1 - 2 * (y * y + z * z), 2 * (x * y - z * w)], [2 * (x * y + z * w), 1 - 2 * (x * x + z * z)]],
        matrix[:2, :2],
        atol=1e-5,
    )
    if task in GRASPED:
        kind, name = GRASPED[task]
        assert np.allclose(seen[:3], getattr(world._env.data, kind)(name).xpos)
    assert np.array_equal(seen[7:14], np.zeros(7))
    assert np.allclose(seen[14:], world._env._target_pos)


@pytest.mark.parametrize("task", ["bin-picking-v3", "peg-insert-side-v3"])
def test_a_demonstration_played_again_in_its_world_does_the_task(task):
    simulation = simulated()
    from pipeline.recorder.demonstrations.record import environment_states
    from pipeline.recorder.worker import rejection, rows

    plan = planned(task, 0, seed=5)
    for attempt in range(12):
        episode = simulation.simulate(plan, np.random.default_rng((*key(task, 0, 5), attempt)))
        if rejection(episode) is None:
            break
    state, action = rows(episode)
    about = environment_states(episode)
    world = World(task)
    seen = world.begin(np.random.default_rng((*key(task, 0, 5), attempt)))
    assert np.array_equal(seen.state, state[0])
    assert np.array_equal(seen.environment_state, about[0])
    assert not world.success
    for held in action:
        seen = world.step(held)
    assert world.success
    assert len(episode.qpos) - STEPS_PER_FRAME < len(action) * STEPS_PER_FRAME <= len(episode.qpos)
    assert np.abs(seen.environment_state[:3] - about[-1, :3]).max() < 0.005  # its last frame is a frame earlier


def test_pictures_are_those_of_the_calibration():
    """The goal's mark is dark where the calibration says that it lies."""
    simulated()
    world = World("pick-place-v3", ("left", "right"))
    seen = world.reset(2)
    cameras = look.calibration(look.TRAINING, 64)["cameras"]
    for name, picture in seen.pictures.items():
        camera = cameras[f"observation.images.{name}"]
        goal = np.append(seen.environment_state[14:16], [0.002, 1.0])
        at = np.array(camera["K"]) @ (np.linalg.inv(np.array(camera["T_base_camera"])) @ goal)[:3]
        column, row = (round(float(v)) for v in at[:2] / at[2])
        assert picture.shape == (64, 64, 3)
        assert picture[row, column].max() < 60 < picture[row + 8, column].max()


def test_as_many_processes_as_one_likes_record_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    simulated()
    from pipeline.recorder.demonstrations import __main__ as command

    for workers in ("1", "2"):
        arguments = ["--out", str(tmp_path / workers), "--tasks", "button-press-topdown-v3", "--per-task", "4"]
        monkeypatch.setattr("sys.argv", ["", *arguments, "--no-pictures", "--workers", workers])
        command.main()
    one, two = (pq.read_table(tmp_path / n / "data") for n in "12")
    assert one.equals(two)
    assert one.num_rows > 2 * 100
    info = json.loads((tmp_path / "1" / "meta" / "info.json").read_text())
    assert info["features"]["observation.environment_state"]["names"] == list(ENVIRONMENT_NAMES)
    assert info["total_episodes"] == 2
