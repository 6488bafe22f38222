"""The action vector of an event: its trajectory, resampled to a fixed number of steps, comparable across robots.

In: an episode's signals, the log's times of the event's frames. Out: float32[2 * steps * 12 + 2]. Two arm slots (a
single arm takes the first, two arms left then right), per step: speed (1), gripper opening (1), displacement from the
event's start (3, zero without a pose), joint displacement (7, zero-padded, zero where a pose is logged: one
description of a motion, not two). Last: log duration, and how much the gripper changed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from stages.embed.config import EmbedConfig
from stages.episode import Signal, rate

Float = npt.NDArray[np.float64]
CHANNELS = 12
JOINTS = 7
SPAN_RAD, SPAN_M = 1.5, 0.4  # how far the widest joint, the widest axis of a tip usually goes in an episode


def action_vector(signals: Mapping[str, Signal], times: Float, config: EmbedConfig) -> npt.NDArray[np.float32]:
    """Vector of the event whose frames lie at `times` (float64[T], s, log's clock)."""
    at = np.linspace(times[0], times[-1], config.steps)
    slots = ("left", "right") if any(s.arm in ("left", "right") for s in signals.values()) else ("single",)
    block = np.zeros((2, config.steps, CHANNELS))
    for number, arm in enumerate(slots):
        block[number] = _arm(signals, arm, at, config)
    seconds = max(float(times[-1] - times[0]), 1e-3)
    swing = float(np.ptp(block[:, :, 1], axis=1).max())
    tail = [np.log(seconds / config.seconds_scale), 2.0 * swing]
    scale = 1.0 / np.sqrt(config.steps)  # so that the path weighs as one vector per channel, whatever `steps` is
    return np.concatenate([block.ravel() * scale, tail]).astype(np.float32)


def _unit_of(signal: Signal, unit: str, span: float, scale: float) -> float:
    """What counts as 1, in the signal's own unit. Of a unit that nobody has said only its course over the episode is
    known: its widest value is taken to go as far as an arm's usually does, so that it neither drowns the others nor
    is lost among them."""
    if signal.unit == unit:
        return scale
    widest = float(np.ptp(signal.values, axis=0).max(initial=0.0))
    return scale * widest / span if widest > 0 else scale


def _arm(signals: Mapping[str, Signal], arm: str, at: Float, config: EmbedConfig) -> Float:
    block = np.zeros((len(at), CHANNELS))
    position, joints, velocity = (signals.get(f"{k}/{arm}") for k in ("position", "joints", "velocity"))
    if position is not None:
        path = (position.at(at) - position.at(at[:1]))[:, :3] / _unit_of(position, "m", SPAN_M, config.position_scale_m)
        block[:, 2 : 2 + path.shape[1]] = path
    elif joints is not None:
        scale = _unit_of(joints, "rad", SPAN_RAD, config.joint_scale_rad)
        path = (joints.at(at) - joints.at(at[:1]))[:, :JOINTS] / scale
        block[:, 5 : 5 + path.shape[1]] = path
    elif velocity is not None:
        path = np.cumsum(velocity.at(at), axis=0)[:, :JOINTS] * (at[1] - at[0])
        block[:, 5 : 5 + path.shape[1]] = path
    else:
        return block
    if at[-1] > at[0]:
        block[:, 0] = np.linalg.norm(rate(path, at), axis=1)
    gripper = signals.get(f"gripper/{arm}")
    if gripper is not None:
        block[:, 1] = gripper.at(at)[:, 0]
    return block
