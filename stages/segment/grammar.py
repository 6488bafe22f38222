"""Subtasks from what the hands do: approach, grasp, transport, place, handover, retract, one object after the other.

In: gripper changes in order of time, evidence. Out: places where an L2 span may end, with their strength. That a grasp
is over (the arm sets off with its object) and that a hand has let go count most; the start of a grasp or of placing
counts where it takes its time. Attempts that miss and changes inside a handover end nothing. Where no hand acts,
strong onsets and turns part what is done.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stages.segment.candidates import KIND, Evidence
from stages.segment.gripper import Change
from stages.segment.path_evidence import empty_at

SETS_OFF_S = 1.5  # an arm that sets off so soon after a closing took its object with it
LETS_GO_S = 1.0  # an opening that takes longer has let go when it begins
TOUCHES_S = 1.2  # what touched so shortly before the hand opened was being placed
DONE, BEGUN = 1.5, 0.95  # strength of the end of a grasp or release, of its beginning
CARRYING = 0.8  # of the strength of what an arm does while it carries: the same subtask
MOTION = frozenset(KIND[k] for k in ("motion_onset", "turn", "slow_left", "tip_extreme"))

Float = npt.NDArray[np.float64]


def subtask_ends(changes: Sequence[Change], evidence: Evidence) -> tuple[Float, Float]:
    """(times, strengths), float64[N] each; strength 0 to 1 as evidence has it, more for what a hand does."""
    acting = [c for c in changes if c.acts and not c.missed]
    onsets, contacts = (evidence.time[evidence.kind == KIND[k]] for k in ("motion_onset", "contact"))
    ends: list[tuple[float, float]] = []
    for change in acting:
        if change.given and change.closes:
            ends.append((change.start, BEGUN))  # the handover ends with the opening of the hand that gives
        elif change.closes:
            later = int(np.searchsorted(onsets, change.end))
            sets_off = later < len(onsets) and onsets[later] - change.end <= SETS_OFF_S
            ends += [(change.start, BEGUN), (float(onsets[later]) if sets_off else change.end, DONE)]
        else:
            before = int(np.searchsorted(contacts, change.start)) - 1
            touched = before >= 0 and change.start - contacts[before] <= TOUCHES_S
            begun = float(contacts[before]) if touched else change.start
            gone = change.end if change.end - change.start <= LETS_GO_S else change.start
            ends += [(begun, BEGUN)] * (not change.given) + [(gone, DONE)]
    moving = np.isin(evidence.kind, list(MOTION))
    time, strength = evidence.time[moving], evidence.strength[moving]
    carrying = bool(acting) & ~empty_at(time, changes)
    strength = np.where(carrying, CARRYING * strength, strength)
    return np.append(time, [t for t, _ in ends]), np.append(strength, [s for _, s in ends])
