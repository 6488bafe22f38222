"""What a policy is to whoever runs one: closed-loop evaluation, rollouts, pages of clips.

In: what the robot sees and the instruction. Out: actions, to be executed before the policy is asked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from stages.train.simulation.world import Observation

Actions = npt.NDArray[np.float32]


class Policy(Protocol):
    """One for all tasks; it may remember what it has seen since `reset`."""

    def reset(self) -> None:
        """A new episode begins."""

    def act(self, observation: Observation, instruction: str, next_event: str | None = None) -> Actions:
        """float32[K, 4], K >= 1: velocity of the hand (m/s, robot base frame) and gripper (0 closed, 1 open), each for
        one step of 0.05 s. next_event: the caption of what is to be done now, for policies that follow one."""
        ...
