"""Subtasks from what the hands do: approach, grasp, transport, place, handover, retract, one object after the other.

In: gripper changes in order of time, evidence. Out: places where an L2 span may end, with their strength. That a grasp
is over (its arm sets off with its object) and that a hand lets go (its fingers begin to open) count most; the start of
a grasp or of placing counts where it takes its time, and small swings of the fingers count less than the hand's usual
ones. A handover is one boundary, at the moment of passing; attempts that miss end nothing. Where no hand acts, strong
onsets, turns and the farthest point between two tips part what is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stages.segment.evidence.candidates import ARMS, KIND, Bool, Evidence, Float, Int
from stages.segment.evidence.path import empty_at
from stages.segment.kinematics.gripper import Change

SETS_OFF_S = 1.5  # an arm that sets off so soon after a closing took its object with it
TOUCHES_S = 1.2  # what touched so shortly before the hand opened was being placed
DONE, BEGUN = 1.5, 0.95  # strength of the end of a grasp or release, of its beginning
APART = 1.65  # of the strength of where two tips are farthest: a pull is over, and both return
CARRYING = 0.8  # of the strength of what an arm does while its hand carries: the same subtask
MOTION = frozenset(KIND[k] for k in ("motion_onset", "turn", "slow_left", "tips_near", "tips_apart"))


def subtask_ends(changes: Sequence[Change], evidence: Evidence, set_off: Mapping[str, Float]) -> tuple[Float, Float]:
    """(times, strengths), float64[N] each; strength 0 to 1 as evidence has it, more for what a hand does. set_off:
    when each arm sets off from a rest, s, rising."""
    acting = [c for c in changes if c.acts and not c.missed]
    touching = evidence.kind == KIND["contact"]
    contacts = {arm: evidence.time[touching & (evidence.arm == ARMS.index(arm))] for arm in set_off}
    ends: list[tuple[float, float]] = []
    for change in acting:
        done, begun = DONE * change.swing, BEGUN * change.swing
        if change.passed is not None:
            if change.start != change.passed:
                ends.append((change.passed, done))
        elif change.closes:
            onsets = set_off[change.arm]
            later = int(np.searchsorted(onsets, change.end))
            sets_off = later < len(onsets) and onsets[later] - change.end <= SETS_OFF_S
            ends += [(change.start, begun), (float(onsets[later]) if sets_off else change.end, done)]
        else:
            touches = contacts[change.arm]
            before = int(np.searchsorted(touches, change.start)) - 1
            if before >= 0 and change.start - touches[before] <= TOUCHES_S:
                ends.append((float(touches[before]), begun))
            ends.append((change.start, done))
    moving = np.isin(evidence.kind, list(MOTION))
    time, kind, arm, strength = (getattr(evidence, n)[moving] for n in ("time", "kind", "arm", "strength"))
    strength = np.where(_carrying(time, arm, acting), CARRYING * strength, strength)
    strength = np.where(kind == KIND["tips_apart"], APART * evidence.strength[moving], strength)
    return np.append(time, [t for t, _ in ends]), np.append(strength, [s for _, s in ends])


def _carrying(time: Float, arm: Int, acting: Sequence[Change]) -> Bool:
    """Whether the hand of the arm that a candidate was seen in carries something; of what both arms show, either."""
    carries = np.zeros(len(time), dtype=bool)
    for number, name in enumerate(ARMS):
        own = [c for c in acting if c.arm == name]
        if own:
            seen = np.isin(arm, [number, ARMS.index("all")])
            carries |= seen & ~empty_at(time, own)
    return carries
