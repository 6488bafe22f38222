"""Which rows of a recording show nobody doing anything, and chunks of actions without them.

In: examples. Out: bool[N], and the same examples without these rows, the actions after a row closed up over them. A
hand that stands still is in the same state before a pause, in it and after it: who learns to pause there stays there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stages.train.examples import Bools, Examples

STILL = 0.02  # m/s: commanded speed below which the hand is meant to stand
FINGERS_S = 0.8  # for so long after its command changed, a gripper that stands still is still closing or opening


def idle(examples: Examples) -> Bools:
    """bool[N]: the hand is to stand still, and the gripper has had the same command for FINGERS_S."""
    action = examples.action[:, 0]
    still = np.linalg.norm(action[:, :3], axis=1) < STILL
    starts = examples.starts()
    changed = np.append(False, np.abs(np.diff(action[:, 3])) > 0.5) & ~starts
    rows = np.arange(len(examples))
    last = np.maximum.accumulate(np.where(changed | starts, rows, 0))
    busy = changed[last] & ((rows - last) < FINGERS_S * examples.fps)
    return np.asarray(still & ~busy)


def without_idle(examples: Examples) -> Examples:
    """Rows that are not idle; the actions of a chunk are those of the rows that stay, up to the episode's end."""
    kept = np.flatnonzero(~idle(examples))
    own = examples.take(kept)
    horizon = own.action.shape[1]
    rows = np.arange(len(own))[:, None] + np.arange(horizon)
    inside = np.minimum(rows, len(own) - 1)
    same = (rows < len(own)) & (own.episode[inside] == own.episode[:, None])
    # the row itself where the episode has ended: it counts for nothing
    first = own.action[:, 0]
    action = np.where(same[:, :, None], first[inside], first[:, None])
    return replace(own, action=action.astype(np.float32), action_valid=same & own.action_valid[inside, 0])
