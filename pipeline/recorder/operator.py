"""A slow, slightly shaky hand on the controls: the moves that the task scripts are built from.

In: a Meta-World environment and a random generator. Out: a stream of commands, one per 80 Hz
control step: wanted hand velocity (m/s, robot base frame) and finger effort (-1 open .. 1 closed).
Why: Meta-World's scripted pick-place expert moves the hand at up to 0.82 m/s and is done in 0.7 s;
a person at a teleoperation console moves at 0.1 to 0.25 m/s, pauses, and misses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.train.simulation.environment import CONTROL_HZ, FULL_SCALE_SPEED, closing_effort

FloatArray = npt.NDArray[np.float64]
Command = tuple[FloatArray, float]
Script = Iterator[Command]
Target = FloatArray | Callable[[], FloatArray]

APPROACH_GAIN = 4.0
"""Slow-down near a target (1/s): with the 0.12 s reaction lag the hand does not overshoot."""

REACTION_TIME = 0.12
"""Time constant (s) with which the hand takes up a wanted velocity."""


@dataclass(frozen=True)
class Style:
    """How one operator moves in one episode: speeds in m/s, wobble in m/s, pause probability."""

    speed: float
    fine_speed: float
    wobble: float
    pause_chance: float


def draw_style(rng: np.random.Generator) -> Style:
    """Draw the manner of moving of one episode."""
    speed = float(rng.uniform(0.15, 0.25))
    return Style(
        speed=speed,
        fine_speed=float(rng.uniform(0.45, 0.6)) * speed,
        wobble=float(rng.uniform(0.006, 0.014)),
        pause_chance=float(rng.uniform(0.25, 0.55)),
    )


class Operator:
    """The moves of one operator in one environment; every method is a stream of commands."""

    def __init__(
        self,
        env: Any,
        rng: np.random.Generator,
        style: Style,
        rests: Callable[[], bool],
    ) -> None:
        """``rests`` says whether the handled object touches anything but the robot."""
        self.env = env
        self.rng = rng
        self.style = style
        self.rests = rests
        self.effort = -1.0

    @property
    def hand(self) -> FloatArray:
        """Hand position [3] in m, robot base frame."""
        return np.asarray(self.env.data.body("hand").xpos, dtype=np.float64).copy()

    def body(self, name: str) -> FloatArray:
        """Position [3] of a body in m, robot base frame."""
        return np.asarray(self.env.data.body(name).xpos, dtype=np.float64).copy()

    def go(self, target: Target, speed: float | None = None, tol: float = 0.008, limit: float = 7.0) -> Script:
        """Move the hand to ``target`` (m), until within ``tol`` (m) or ``limit`` (s) is over."""
        top = speed if speed is not None else self.style.speed
        for _ in range(int(limit * CONTROL_HZ)):
            goal = target() if callable(target) else target
            error = goal - self.hand
            if float(np.linalg.norm(error)) < tol:
                return
            yield _clip_speed(APPROACH_GAIN * error, top), self.effort

    def fine(self, target: Target, tol: float = 0.006, limit: float = 7.0) -> Script:
        """Move as for the last few centimetres before a grasp or a placement."""
        yield from self.go(target, self.style.fine_speed, tol, limit)

    def lower(self, target: Target, limit: float = 3.0) -> Script:
        """Go down slowly until what is held rests on something, or the target is reached."""
        heights: list[float] = []
        patience = int(0.35 * CONTROL_HZ)
        for command in self.fine(target, limit=limit):
            heights.append(float(self.hand[2]))
            stuck = len(heights) > 2 * patience and heights[-patience] - heights[-1] < 0.002
            if self.rests() or stuck:
                break
            yield command
        yield from self.pause(float(self.rng.uniform(0.2, 0.35)))

    def pause(self, seconds: float) -> Script:
        """Hold still."""
        for _ in range(int(seconds * CONTROL_HZ)):
            yield np.zeros(3), self.effort

    def hesitate(self, weight: float = 1.0) -> Script:
        """Hold still for 0.4 to 1.2 s, or not, as the operator's habit has it."""
        if self.rng.random() < self.style.pause_chance * weight:
            yield from self.pause(float(self.rng.uniform(0.5, 1.2)))

    def close(self, effort: float = 1.0, seconds: float = 0.75) -> Script:
        """Close the fingers: the effort is raised over 0.4 s, so that closing can be seen."""
        steps = int(seconds * CONTROL_HZ)
        for step in range(steps):
            self.effort = closing_effort(effort, step)
            yield np.zeros(3), self.effort

    def open(self, seconds: float = 0.3) -> Script:
        """Open the fingers."""
        self.effort = -1.0
        yield from self.pause(seconds)

    def miss(self, above: Target, grasp: Target, beside: FloatArray) -> Script:
        """Close the fingers on nothing, notice, reopen and go back up for another try."""
        goal = grasp() if callable(grasp) else grasp
        yield from self.fine(goal + beside)
        yield from self.close(effort=1.0, seconds=0.9)
        yield from self.pause(float(self.rng.uniform(0.1, 0.5)))
        yield from self.open(0.35)
        yield from self.fine(self.hand + np.array([0.0, 0.0, 0.05]), tol=0.01)
        yield from self.go(above, self.style.fine_speed)

    def follow(self, policy: Any, done: Callable[[], bool], limit: float = 16.0) -> Script:
        """Follow a Meta-World scripted expert at human speed until ``done`` says so."""
        for _ in range(int(limit * CONTROL_HZ)):
            if done():
                return
            action = np.asarray(policy.get_action(self.env._last_stable_obs), dtype=np.float64)
            self.effort = float(action[3]) if action[3] > 0.0 else -1.0
            yield _clip_speed(0.5 * FULL_SCALE_SPEED * action[:3], self.style.speed), self.effort


class ShakyHand:
    """Turns wanted velocities into commanded ones: reaction lag, drift of pace, wobble."""

    def __init__(self, rng: np.random.Generator, style: Style) -> None:
        self.rng = rng
        self.style = style
        self.velocity = np.zeros(3)
        self.drift = np.zeros(3)
        self.pace = 1.0

    def command(self, wanted: FloatArray) -> FloatArray:
        """Velocity [3] (m/s) to command for a wanted velocity [3] (m/s)."""
        step = 1.0 / CONTROL_HZ
        self.drift += -self.drift * step / 0.35 + self.rng.normal(size=3) * np.sqrt(2 * step / 0.35)
        self.pace += (1.0 - self.pace) * step / 0.8 + self.rng.normal() * 0.15 * np.sqrt(step)
        self.pace = float(np.clip(self.pace, 0.7, 1.25))
        moving = min(1.0, float(np.linalg.norm(wanted)) / 0.1)
        target = wanted * self.pace + self.drift * self.style.wobble * moving
        self.velocity += (target - self.velocity) * step / REACTION_TIME
        return self.velocity.copy()


def _clip_speed(velocity: FloatArray, top: float) -> FloatArray:
    """The velocity [3], shortened to at most ``top`` m/s."""
    length = float(np.linalg.norm(velocity))
    return velocity if length <= top else velocity * (top / length)
