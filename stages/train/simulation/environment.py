"""A Meta-World environment as it is used here: goal seen, no step limit, hand put anywhere near its start.

In: a task's name, a random generator. Out: the environment, reset; one control step; whether the task is done.
Stock `env.step` is left out of closed loops: of its 0.16 to 0.56 ms most is the reward, which nobody asks for.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .tasks import MARK_ON_TABLE

FloatArray = npt.NDArray[np.float64]

CONTROL_HZ = 80
FPS = 20
STEPS_PER_FRAME = CONTROL_HZ // FPS
SETTLE_STEPS = 40
FULL_SCALE_SPEED = 0.8
"""Hand speed (m/s) of a full-scale Meta-World action: 0.01 m per step at 80 Hz."""
LOWER = 0.006
"""How much lower (m) than stock the hand may go, so that a puck is set down and not dropped."""


@cache
def simulator() -> Any:
    """The module `mujoco`, rendering by EGL unless MUJOCO_GL says otherwise."""
    os.environ.setdefault("MUJOCO_GL", "egl")
    try:
        import metaworld.env_dict
        import mujoco
    except ImportError as error:
        raise ImportError("the simulator is not installed: pip install 'event-corpus[sample]'") from error
    assert metaworld.env_dict
    return mujoco


def environment(task: str) -> Any:
    """A Meta-World environment of the task, not yet reset."""
    simulator()
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS

    env = ALL_V3_ENVIRONMENTS[task]()
    env.max_path_length = 10**9
    env._partially_observable = False
    env.__dict__.pop("sawyer_observation_space", None)
    env._set_task_called = True
    env._freeze_rand_vec = False
    env.seeded_rand_vec = True
    if task in MARK_ON_TABLE:
        space = env._random_reset_space
        space.low[5], space.high[5] = 0.0199, 0.0201
    env.stock_hand = np.asarray(env.hand_init_pos, dtype=np.float64).copy()
    env.stock_low = env.mocap_low.copy()
    return env


def restart(env: Any, rng: np.random.Generator) -> None:
    """Reset to an episode that `rng` alone says, however many came before it."""
    env.mocap_low[:] = env.stock_low
    env.seed(int(rng.integers(2**31)))
    env.hand_init_pos = env.stock_hand + rng.uniform([-0.15, -0.08, -0.02], [0.15, 0.08, 0.1])
    env.reset()
    env.mocap_low[2] -= LOWER


def advance(env: Any, action: FloatArray) -> None:
    """One control step of an action [4] (share of full scale; finger effort -1 open .. 1 closed), without a reward."""
    env.set_xyz_action(action[:3])
    env.do_simulation([action[3], -action[3]], n_frames=env.frame_skip)
    simulator().mj_forward(env.model, env.data)  # as stock: what is read next is of this instant


def closing_effort(effort: float, step: int) -> float:
    """Of fingers that have been closing for so many control steps: raised over 0.4 s, so that closing can be seen."""
    return effort * min(1.0, 0.08 + step / (0.4 * CONTROL_HZ))


def without_grasps(env: Any) -> Any:
    """The environment, to which no grasp counts from now on: the dearest part of `done`, which needs it not."""
    env._gripper_caging_reward = lambda *_, **__: 0.0
    env.touching_object = lambda *_: False
    return env


def done(env: Any) -> bool:
    """Whether the task is done at this instant, by Meta-World's rule."""
    return bool(env.evaluate_state(env._get_obs(), np.zeros(4, dtype=np.float32))[1]["success"])
