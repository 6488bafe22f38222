"""All candidate boundaries of a timeline: what hands do, what speeds and paths show, of one arm or of both.

In: arm motions on the grid and gripper changes. Out: `Evidence`, sorted by time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.segment.config import SegmentConfig
from stages.segment.evidence.candidates import ARMS, KIND, TURNED, Columns, Evidence, Float, columns, near
from stages.segment.evidence.path import tip_extremes
from stages.segment.evidence.path import turns as turns_of
from stages.segment.evidence.speed import contacts, onsets, pauses
from stages.segment.kinematics.gripper import Change
from stages.segment.kinematics.motion import ArmMotion

ONE_OF_TWO = 0.75  # what an arm does while the other goes its own way says less about the episode
AT_ONCE_S = 0.15  # two arms that stop or set off within this time do it at once
LOCAL = 0.4  # the inside of a handover, an open hand that opens further, a fist that is made
FLIPPED, STARTED, ENDED = (  # kinds of what a hand does: it closes, it opens, nobody knows
    np.array([KIND[name] for name in names])
    for names in (
        ("closed", "opened", "hand_changed"),
        ("closing_started", "opening_started", "hand_started"),
        ("closing_ended", "opening_ended", "hand_ended"),
    )
)
IN_VAIN = 0.3  # a closing that finds nothing: one attempt, until the fingers open again


@dataclass(frozen=True, slots=True)
class ArmEvidence:
    """An arm with its hand's changes and what it shows by itself: turns, pauses and contacts; onsets: when it sets off
    from a rest, s, rising."""

    motion: ArmMotion
    changes: Sequence[Change]
    turns: Columns
    pauses: Sequence[Columns]
    contacts: Columns
    onsets: Float


def of_arm(motion: ArmMotion, changes: Sequence[Change], points: Float, config: SegmentConfig) -> ArmEvidence:
    """What one arm shows; `changes` may be of all hands."""
    own = [c for c in changes if c.arm == motion.arm]
    turns = turns_of(motion, own, points, config)
    rests = pauses(motion.speed, motion.smooth_s, motion.arm, points, config, turns[0][turns[3] > TURNED], own)
    return ArmEvidence(motion, own, turns, rests, contacts(motion, own, points), onsets(motion, points, config))


def collect(arms: Sequence[ArmEvidence], changes: Sequence[Change], points: Float, config: SegmentConfig) -> Evidence:
    """Candidates of all arms that are given; `changes` are theirs."""
    pieces = [_gripper(changes)]
    whole: list[Columns] = []
    if len(arms) > 1:
        motions = [a.motion for a in arms]
        fastest = np.max([m.speed for m in motions], axis=0)
        turned = np.sort(np.concatenate([a.turns[0][a.turns[3] > TURNED] for a in arms]))
        whole = pauses(fastest, max(m.smooth_s for m in motions), "all", points, config, turned, changes)
        pieces += [*whole, *tip_extremes(motions, points, config)]
    for arm in arms:
        pieces += [_beside(p, whole) for p in arm.pauses] if whole else arm.pauses
        pieces += [arm.contacts, arm.turns]
    time, kind, which, strength = (np.concatenate(column) for column in zip(*pieces, strict=True))
    order = np.lexsort((which, kind, time))
    return Evidence(time[order], kind[order], which[order], strength[order])


def _beside(own: Columns, whole: Sequence[Columns]) -> Columns:
    """What one arm does while the other goes its own way; what is said of both at that moment is not said again."""
    if not len(own[0]):
        return own
    said = np.sort(np.concatenate([w[0] for w in whole if len(w[0]) and w[1][0] == own[1][0]] or [np.zeros(0)]))
    new = ~near(own[0], said, AT_ONCE_S)
    return own[0][new], own[1][new], own[2][new], ONE_OF_TWO * own[3][new]


def _gripper(changes: Sequence[Change]) -> Columns:
    """Where closings and openings begin and end; one candidate for a command that flips. A handover is one event: its
    inner changes are local."""
    if not changes:
        return columns([], "closed", "all", [])
    of = {name: np.array(column) for name, column in zip(Change._fields, zip(*changes, strict=True), strict=True)}
    start, end, known, closes = (of[k] for k in ("start", "end", "known", "closes"))
    weight = of["swing"] * np.where(of["acts"] | ~known, 1.0, LOCAL)
    starts = np.where(known, np.where(closes, 0.85, 0.95), 0.9)
    ends = np.where(known, np.where(closes, 0.95, 0.85), 0.9)
    passed = of["passed"].astype(np.float64)  # None becomes NaN
    given, first = ~np.isnan(passed), passed != start
    starts = np.where(given & ~first, LOCAL * starts, starts)  # a handover lasts from where one hand begins to act
    ends = np.where(given & first, LOCAL * ends, ends)  # until the other has done so
    ends = np.where(closes & of["missed"], IN_VAIN * ends, ends)
    verb = np.where(known, np.where(closes, 0, 1), 2)
    arm, flips = np.array([ARMS.index(name) for name in of["arm"].tolist()]), of["flips"]
    said = [
        (flips, start, FLIPPED[verb], weight),
        (~flips, start, STARTED[verb], starts * weight),
        (~flips, end, ENDED[verb], ends * weight),
        (of["stalled"], end, np.full(len(start), KIND["command_gap"]), 0.5 * weight),
    ]
    time, kind, strength = (np.concatenate([row[i][row[0]] for row in said]) for i in (1, 2, 3))
    return time, kind, np.concatenate([arm[row[0]] for row in said]), strength
