"""All candidate boundaries of a timeline: what hands do, what speeds and paths show, of one arm or of both.

In: arm motions on the grid and gripper changes. Out: `Evidence`, sorted by time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.segment.config import SegmentConfig
from stages.segment.evidence.candidates import ARMS, KIND, TURNED, Columns, Evidence, Float, near
from stages.segment.evidence.path import tip_extremes
from stages.segment.evidence.path import turns as turns_of
from stages.segment.evidence.speed import contacts, pauses
from stages.segment.kinematics.gripper import Change
from stages.segment.kinematics.motion import ArmMotion

ONE_OF_TWO = 0.75  # what an arm does while the other goes its own way says less about the episode
AT_ONCE_S = 0.15  # two arms that stop or set off within this time do it at once
LOCAL = 0.4  # the inside of a handover, an open hand that opens further, a fist that is made
IN_VAIN = 0.3  # a closing that finds nothing: one attempt, until the fingers open again


def collect(motions: Sequence[ArmMotion], changes: Sequence[Change], points: Float, config: SegmentConfig) -> Evidence:
    """Candidates of all arms that are given; `changes` are theirs."""
    pieces = [_gripper(changes)]
    turns = [turns_of(m, [c for c in changes if c.arm == m.arm], points, config) for m in motions]
    whole: list[Columns] = []
    if len(motions) > 1:
        fastest = np.max([m.speed for m in motions], axis=0)
        turned = np.sort(np.concatenate([t[0][t[3] > TURNED] for t in turns]))
        whole = pauses(fastest, max(m.smooth_s for m in motions), "all", points, config, turned, changes)
        pieces += [*whole, *tip_extremes(motions, points, config)]
    for motion, turn in zip(motions, turns, strict=True):
        own = [c for c in changes if c.arm == motion.arm]
        found = pauses(motion.speed, motion.smooth_s, motion.arm, points, config, turn[0][turn[3] > TURNED], own)
        pieces += [_beside(p, whole) for p in found] if whole else found
        pieces.append(contacts(motion, own, points))
    pieces += turns
    time, kind, arm, strength = (np.concatenate(column) for column in zip(*pieces, strict=True))
    order = np.lexsort((arm, kind, time))
    return Evidence(time[order], kind[order], arm[order], strength[order])


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
    time, kind, arm, strength = [], [], [], []
    for change in changes:
        verb = "hand" if not change.known else "closing" if change.closes else "opening"
        weight = change.swing * (1.0 if change.acts or not change.known else LOCAL)
        starts, ends = (0.9, 0.9) if not change.known else (0.85, 0.95) if change.closes else (0.95, 0.85)
        if change.given:  # it lasts from where one hand begins to act until the other has done so
            first = change.passed != change.start
            starts, ends = (starts, LOCAL * ends) if first else (LOCAL * starts, ends)
        if change.closes and change.missed:
            ends *= IN_VAIN
        if change.flips:
            what = "hand_changed" if not change.known else "closed" if change.closes else "opened"
            said = [(change.start, what, weight)]
        else:
            said = [
                (change.start, f"{verb}_started", starts * weight),
                (change.end, f"{verb}_ended", ends * weight),
            ]
        if change.stalled:
            said.append((change.end, "command_gap", 0.5 * weight))
        for t, k, s in said:
            time.append(t)
            kind.append(KIND[k])
            arm.append(ARMS.index(change.arm))
            strength.append(s)
    return (
        np.array(time, dtype=np.float64),
        np.array(kind, dtype=np.int64),
        np.array(arm, dtype=np.int64),
        np.array(strength, dtype=np.float64),
    )
