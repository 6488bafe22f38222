"""When hands close and open, and what came of it.

In: an arm's opening and path on the grid. Out: `Change`s in order, each with the times of its start and end. Relative
on purpose: fingers that stall on an object stop anywhere in their range, and how far an open hand is open means
little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stages.seconds import at_least, longer, whole_steps
from stages.segment.config import SegmentConfig
from stages.segment.motion import GRID_HZ, ArmMotion
from stages.zigzag import turning_points

Float = npt.NDArray[np.float64]
CLOSES_FROM = 0.05  # a closing runs from this share of its way
OPENS_FROM = 0.1  # an opening from this one: fingers first part from the object
ARRIVED = 0.9  # and both to this one
GRIPS_S = 0.2  # fingers that have met something take so long until the grip is firm and people call the grasp done
SLOW_S = 1.0  # a change that takes longer is looked at for pauses
PAUSE = 0.25  # share of its top speed below which a change pauses
CARRIED = 0.1  # what moves less between grasp and release was not carried; 1 is what fast motion covers in a second
BROUGHT = 0.5  # way, in the same unit, that a hand which starts closed must go to have brought something
SLIP = 0.05  # fingers that close so much further while they hold have slipped
SLOWLY = 0.35  # scaled speed of arms that hand over
NEAR = 0.3  # of the range of the distance between two tips: so near are hands that hand over
GAP = 0.1  # fingers that stop so far from where they were sent have met something


@dataclass(frozen=True, slots=True)
class Change:
    """The hand of `arm` closes or opens from start to end (s, log's clock). `acts`: it takes hold or lets go (an open
    hand that opens further does not). `missed`: a closing, or the reopening after it, with nothing carried between
    them. `stalled`: the fingers stopped short of their command. `given`: part of a handover. `flips`: a command
    without duration. `known`: which end of the hand's range is closed is known; where it is not, `closes` says nothing
    and the change is taken for no act."""

    arm: str
    closes: bool
    start: float
    end: float
    acts: bool = True
    missed: bool = False
    stalled: bool = False
    given: bool = False
    flips: bool = False
    known: bool = True


def changes_of(motion: ArmMotion, points: Float, config: SegmentConfig) -> list[Change]:
    """Closings and openings of one hand; none where the opening hardly varies or is not logged."""
    if motion.opening is None or len(points) < 3:
        return []
    opening = motion.opening.values
    spread = float(np.ptp(opening))
    if spread < config.gripper_min_range:
        return []
    turning = turning_points(opening, max(config.gripper_min_range, config.gripper_min_share * spread))
    if not motion.opening.known:
        return [_unknown(motion, opening, a, b, points) for a, b in pairwise(turning)]
    legs = [leg for a, b in pairwise(turning) for leg in _parts(opening, a, b)]
    found: list[Change] = []
    held = float(opening[0]) <= float(opening.min()) + 0.2 * spread  # closed fingers at the start hold something
    if held and legs:  # only if they go somewhere before they open: many start with an empty fist
        opens_at = int(_passes(opening, *legs[0])[0])
        held = float(np.linalg.norm(motion.path[opens_at] - motion.path[0])) > BROUGHT
    for first, last in legs:
        closes = bool(opening[last] < opening[first])
        start, end = _passes(opening, first, last)
        if motion.opening.flips:
            way = (opening[first : last + 1] - opening[first]) / (opening[last] - opening[first])
            start = end = first + np.ceil(_crossing(way, 0.5)) - 0.5  # the row before was up to a grid point earlier
        stalled = closes and motion.command is not None and float(opening[last] - motion.command[last]) > GAP
        acts = closes or held
        held = closes
        found.append(
            Change(
                motion.arm,
                closes,
                points[0] + start / GRID_HZ,
                points[0] + end / GRID_HZ,
                acts,
                stalled=bool(stalled),
                flips=motion.opening.flips,
            )
        )
    return _attempts(_gripped(found, points), motion, points, config)


def _unknown(motion: ArmMotion, opening: Float, first: int, last: int, points: Float) -> Change:
    """A change of a hand of which nobody knows which way it goes: timed alike in both directions."""
    way = (opening[first : last + 1] - opening[first]) / (opening[last] - opening[first])
    start, end = first + _crossing(way, OPENS_FROM), first + _crossing(way, ARRIVED)
    flips = motion.opening is not None and motion.opening.flips
    if flips:
        start = end = first + np.ceil(_crossing(way, 0.5)) - 0.5
    at = points[0] + start / GRID_HZ, points[0] + end / GRID_HZ
    return Change(motion.arm, False, float(at[0]), float(at[1]), acts=False, flips=flips, known=False)


def _gripped(changes: list[Change], points: Float) -> list[Change]:
    """The same changes, closings ended when the grip is firm: GRIPS_S after the fingers have met what they close on."""
    ends = [c.end + GRIPS_S if c.closes and not c.flips else c.end for c in changes]
    limits = [*(c.start for c in changes[1:]), float(points[-1])]
    return [replace(c, end=min(end, max(limit, c.end))) for c, end, limit in zip(changes, ends, limits, strict=True)]


def _parts(opening: Float, first: int, last: int) -> list[tuple[int, int]]:
    """The stretches of a leg [first, last] in which the fingers move, where it pauses; the leg itself where it does
    not.

    A stretch that brings less than a third of the leg's way is no change of its own.
    """
    start, end = _passes(opening, first, last)
    if end - start < SLOW_S * GRID_HZ:
        return [(first, last)]
    speed = np.abs(np.diff(opening[first : last + 1]))
    moving = np.flatnonzero(speed > PAUSE * speed.max())
    breaks = np.flatnonzero(np.diff(moving) > 0.3 * GRID_HZ)
    starts, ends = moving[np.append(0, breaks + 1)], moving[np.append(breaks, len(moving) - 1)] + 1
    way = abs(float(opening[last] - opening[first]))
    found = [
        (first + int(a), first + int(b))
        for a, b in zip(starts, ends, strict=True)
        if abs(float(opening[first + b] - opening[first + a])) > way / 3
        and (opening[first + b] < opening[first + a]) == (opening[last] < opening[first])
    ]
    return found[-1:] if found and opening[last] < opening[first] else found[:1] or [(first, last)]


def _passes(opening: Float, first: int, last: int) -> tuple[float, float]:
    """Where the leg sets off and where it passes 90 % of its way, between grid points."""
    low, high = float(opening[first]), float(opening[last])
    begins = CLOSES_FROM if high < low else OPENS_FROM
    way = (opening[first : last + 1] - low) / (high - low)
    start = _crossing(way, begins)
    if high < low:  # fingers gather speed: they set off before they are seen to have moved
        start = max(0.0, start - (_crossing(way, 4 * begins) - start) / 2)
    return first + start, first + _crossing(way, ARRIVED)


def _crossing(way: Float, share: float) -> float:
    at = int(np.argmax(way >= share))
    if at == 0:
        return 0.0
    before, after = float(way[at - 1]), float(way[at])
    return at - (after - share) / (after - before) if after > before else float(at)


def _attempts(found: list[Change], motion: ArmMotion, points: Float, config: SegmentConfig) -> list[Change]:
    """Mark closings that are undone soon, with nothing carried in between, and the reopenings that undo them."""
    marked = list(found)
    for i, (closing, opening) in enumerate(pairwise(found)):
        if closing.closes and not opening.closes and not at_least(opening.start - closing.end, config.attempt_s):
            a, b = (
                min(max(0, whole_steps(t - points[0], GRID_HZ)), len(points) - 1) for t in (closing.end, opening.start)
            )
            if float(np.linalg.norm(motion.path[b] - motion.path[a])) < CARRIED:
                marked[i] = replace(closing, missed=True)
                marked[i + 1] = replace(opening, missed=True)
    return marked


def handovers(
    changes: Sequence[Change], motions: Sequence[ArmMotion], points: Float, config: SegmentConfig
) -> list[Change]:
    """Changes of both hands in order of time, those of a handover marked: one hand has closed, the other then opens,
    both arms slow and, as far as one can tell, the hands near to each other."""
    ordered = sorted(changes, key=lambda c: (c.start, c.arm))
    if len(motions) < 2:
        return ordered
    near, slow = _tips_near(motions), np.max([m.speed for m in motions], axis=0) < SLOWLY
    for i, change in enumerate(ordered):
        if not change.closes or not change.acts or change.missed:
            continue
        for j in range(i + 1, len(ordered)):
            other = ordered[j]
            if longer(other.start - change.end, config.handover_s):
                break
            gives = other.arm != change.arm and not other.closes and other.acts and not other.missed and not other.given
            a, b = (whole_steps(t - points[0], GRID_HZ) for t in (change.start, other.end))
            meeting = slice(max(0, a), max(a, b) + 1)
            if gives and slow[meeting].any() and near[meeting].any():
                ordered[i], ordered[j] = replace(change, given=True), replace(other, given=True)
                break
    return ordered


def _tips_near(motions: Sequence[ArmMotion]) -> npt.NDArray[np.bool_]:
    """bool[G]: are the tips of two arms about as near as they come? True where no two positions say so."""
    first, second = motions[0].position, motions[1].position
    if first is None or second is None or first.shape != second.shape:
        return np.ones(len(motions[0].speed), dtype=bool)
    distance = np.linalg.norm(first - second, axis=1)
    return np.asarray(distance <= distance.min() + NEAR * np.ptp(distance))


def slips_of(changes: Sequence[Change], motion: ArmMotion, points: Float) -> Float:
    """Times (s) at which fingers that hold something close further: what they held has given way or slipped."""
    if motion.opening is None or motion.opening.flips:
        return np.zeros(0)
    opening, found = motion.opening.values, []
    drop = max(SLIP, 6.0 * motion.opening.jitter)
    own = [c for c in changes if c.arm == motion.arm]
    for closing, opens in pairwise(own):
        if closing.closes and closing.acts and not closing.missed:
            a, b = (whole_steps(t - points[0], GRID_HZ) for t in (closing.end + GRIPS_S, opens.start - GRIPS_S))
            if b > a and float(opening[a] - opening[a:b].min()) > drop:
                found.append(points[0] + (a + int(np.argmax(opening[a:b] < opening[a] - drop / 2))) / GRID_HZ)
    return np.array(found)
