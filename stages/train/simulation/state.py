"""What is measured of an instant: the arm's state, and that of the things about it.

In: an environment. Out: observation.state [11] and observation.environment_state [17], in the robot's base frame, in
metres, quaternions x, y, z, w.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .environment import simulator

FloatArray = npt.NDArray[np.float64]

FINGER_TRAVEL = 0.07
"""Travel (m) of both fingers together, from fully open to fully closed."""

STATE_NAMES = ("x", "y", "z", "qx", "qy", "qz", "qw", "vx", "vy", "vz", "gripper")
ACTION_NAMES = ("dx", "dy", "dz", "gripper")
POSE_NAMES = ("x", "y", "z", "qx", "qy", "qz", "qw")
ENVIRONMENT_NAMES = (
    *(f"object1.{name}" for name in POSE_NAMES),
    *(f"object2.{name}" for name in POSE_NAMES),
    "goal.x",
    "goal.y",
    "goal.z",
)

SCALAR_LAST = frozenset({"pick-place-v3", "shelf-place-v3", "peg-insert-side-v3"})
"""Tasks whose quaternion Meta-World gives as x, y, z, w (by SciPy); of the others it is MuJoCo's w, x, y, z."""


@dataclass(frozen=True, slots=True)
class Hand:
    """Position [3] (m), orientation [4] (x, y, z, w), velocity [3] (m/s), opening 0 closed .. 1 open."""

    position: FloatArray
    orientation: FloatArray
    velocity: FloatArray
    opening: float


def hand_of(env: Any) -> Hand:
    """The hand at this instant."""
    mujoco = simulator()
    model, data = env.model, env.data
    hand = model.body("hand").id
    spatial = np.zeros(6)
    mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, hand, spatial, 0)
    travel = float(data.joint("r_close").qpos[0] - data.joint("l_close").qpos[0])
    return Hand(
        position=data.xpos[hand].copy(),
        orientation=data.xquat[hand][[1, 2, 3, 0]].copy(),
        velocity=spatial[3:].copy(),
        opening=float(np.clip(1.0 - travel / FINGER_TRAVEL, 0.0, 1.0)),
    )


def environment_state(env: Any, task: str) -> FloatArray:
    """[17]: poses of the task's things as Meta-World observes them, zeros where there is none, and the goal's position.

    The goal is the true one: Meta-World's observation clips it to a box in which marks on the table do not lie.
    """
    things = env._get_curr_obs_combined_no_goal()[4:18].copy()
    if task not in SCALAR_LAST:
        for start in (3, 10):
            things[start : start + 4] = things[[start + 1, start + 2, start + 3, start]]
    return np.concatenate([things, env._target_pos])


def continuous(quaternions: FloatArray) -> FloatArray:
    """Quaternions [N, 4] (x, y, z, w) with signs chosen so that they do not jump; the first with w >= 0."""
    signs = np.ones(len(quaternions))
    signs[0] = 1.0 if quaternions[0, 3] >= 0.0 else -1.0
    dots = np.sum(quaternions[1:] * quaternions[:-1], axis=1)
    signs[1:] = signs[0] * np.cumprod(np.where(dots < 0.0, -1.0, 1.0))
    return quaternions * signs[:, None]


def following(quaternion: FloatArray, last: FloatArray | None) -> FloatArray:
    """The quaternion [4] with the sign that `continuous` gives it after `last`."""
    turned = quaternion[3] < 0.0 if last is None else float(quaternion @ last) < 0.0
    return -quaternion if turned else quaternion
