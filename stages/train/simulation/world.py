"""A task to try a policy on: 20 actions a second in, what the recorder would have written of each instant out.

In: a task, a seed an episode, actions. Out: observations, and whether the task is done. One world serves many episodes
(its making takes 0.15 s, an episode's start 0.02); what an episode is hangs on its seed alone.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import environment as physics
from . import look
from .environment import FULL_SCALE_SPEED, SETTLE_STEPS, STEPS_PER_FRAME, closing_effort, simulator
from .state import environment_state, following, hand_of
from .tasks import EASY, HARD, TASKS

__all__ = ["EASY", "HARD", "Observation", "World"]

FloatArray = npt.NDArray[np.float64]
STILL = np.array([0.0, 0.0, 0.0, -1.0])
EPISODES = 18
"""Parts the random numbers of worlds from those of recordings, whose keys are longer."""


@dataclass(frozen=True, slots=True)
class Observation:
    """An instant, in the robot's base frame.

    state [11]: hand position (m), quaternion x, y, z, w, velocity (m/s), gripper opening 0 closed .. 1 open.
    environment_state [17]: position and quaternion of object 1 and of object 2 (zeros where there is none), goal (m).
    pictures: uint8 [side, side, 3] RGB by camera; none where the world has no cameras.
    """

    state: npt.NDArray[np.float32]
    environment_state: npt.NDArray[np.float32]
    pictures: Mapping[str, npt.NDArray[np.uint8]]


class World:
    """One Meta-World task. Cameras: any of "left", "right", "wrist", as training sets have them."""

    def __init__(self, task: str, cameras: Sequence[str] = (), side: int = 64) -> None:
        """Raises KeyError for a task or camera that is not known, ImportError where there is no simulator."""
        if task not in TASKS:
            raise KeyError(f"no task {task!r}; known: {', '.join(TASKS)}")
        if unknown := [name for name in cameras if name not in look.STOCK_CAMERA]:
            raise KeyError(f"no camera {unknown[0]!r}; known: {', '.join(look.STOCK_CAMERA)}")
        self.task, self.cameras, self.side = TASKS[task], tuple(cameras), side
        self.instruction = self.task.instruction
        self._env = physics.without_grasps(physics.environment(task))
        self._renderer = self._drawn() if cameras else None
        self._last: dict[str, FloatArray] = {}
        self._closing = 0
        self._reached = False

    def reset(self, seed: int) -> Observation:
        """The start of the episode of a seed: fingers open, hand and things where it puts them."""
        return self.begin(np.random.default_rng([seed, EPISODES]))

    def begin(self, rng: np.random.Generator) -> Observation:
        """The start of an episode that a generator draws, as the recorder's of the same generator."""
        physics.restart(self._env, rng)
        for _ in range(SETTLE_STEPS):
            physics.advance(self._env, STILL)
        self._last, self._closing, self._reached = {}, 0, False
        return self._observe()

    def step(self, action: npt.NDArray[np.floating[Any]], draw: bool = True) -> Observation:
        """Hold an action [4] for a twentieth of a second: hand velocity (m/s), at most 0.8 a direction; gripper, below
        0.5 close, else open. draw: whether cameras take their pictures, which need most of the time."""
        moving = np.clip(np.asarray(action[:3], dtype=np.float64) / FULL_SCALE_SPEED, -1.0, 1.0)
        for _ in range(STEPS_PER_FRAME):
            physics.advance(self._env, np.append(moving, self._effort(float(action[3]) < 0.5)))
        if self.task.on_the_way and not self._reached:
            self._reached = physics.done(self._env)
        return self._observe(draw)

    @property
    def success(self) -> bool:
        """Done by the task's own rule: at this instant, or, for tasks that are counted so, since the start."""
        return self._reached if self.task.on_the_way else physics.done(self._env)

    def _drawn(self) -> Any:
        look.dress(self._env.model, self.task)
        renderer = simulator().Renderer(self._env.model, self.side, self.side)
        weakref.finalize(self, renderer.close)  # also at exit, while EGL still answers
        return renderer

    def _effort(self, closing: bool) -> float:
        self._closing = self._closing + 1 if closing else 0
        return closing_effort(self.task.effort, self._closing - 1) if closing else -1.0

    def _observe(self, draw: bool = True) -> Observation:
        hand = hand_of(self._env)
        state = np.concatenate([hand.position, self._signed("hand", hand.orientation), hand.velocity, [hand.opening]])
        things = environment_state(self._env, self.task.name)
        for name, at in (("object1", slice(3, 7)), ("object2", slice(10, 14))):
            things[at] = self._signed(name, things[at])
        return Observation(state.astype(np.float32), things.astype(np.float32), self._pictures() if draw else {})

    def _signed(self, name: str, quaternion: FloatArray) -> FloatArray:
        self._last[name] = following(quaternion, self._last.get(name))
        return self._last[name]

    def _pictures(self) -> dict[str, npt.NDArray[np.uint8]]:
        if self._renderer is None:
            return {}
        solids = look.marks(self.task, self._env._target_pos)
        return look.shots(self._renderer, self._env.data, self.cameras, solids)
