"""When hands close and open, and what came of it.

In: an arm's opening and path on the grid. Out: `Change`s in order, each with the times of its start and end. Relative
on purpose: fingers that stall on an object stop anywhere in their range, and how far an open hand is open means
little.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stages.seconds import ROUNDING_S, at_least, longer, whole_steps
from stages.segment.config import SegmentConfig
from stages.segment.kinematics.motion import GRID_HZ, ArmMotion
from stages.zigzag import turning_points

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
CLOSES_FROM = 0.05  # a closing runs from this share of its way
OPENS_FROM = 0.1  # an opening from this one: fingers first part from the object
ARRIVED = 0.9  # and both to this one
GRIPS_S = 0.2  # fingers that have met something take so long until the grip is firm and people call the grasp done
SLOW_S = 1.0  # a change that takes longer is looked at for pauses
PAUSE = 0.25  # share of its top speed below which a change pauses
CARRIED = 0.1  # what moves less between grasp and release was not carried; 1 is what fast motion covers in a second
BROUGHT = 0.5  # way, in the same unit, that a hand which starts closed must go to have brought something
LIFTED_M = 0.03  # a hand that rises so far between two stretches of a closing has taken something with the first
LOST = 0.05  # fingers so near to where they close to hold nothing that had kept them further open
WENT = 0.25  # way, in the same unit, that a hand must have gone from its start before what it closes on is an object
IN_FLIGHT = 0.6  # scaled speed at which no hand takes hold: fingers that close in flight make a fist
ABOUT_S, FLIP_S = 0.3, 1.0  # a hand that takes hold is slow so shortly before or after; beside a command, which leads
SHORT = 0.15  # fingers that can close further by so much have met something, or have not closed at all
USUAL = 0.75  # quantile of a hand's swings that is its usual one
WHOLE = 0.6  # of a hand's usual swing: fingers that go so far have gone all their way
REGRIP = 0.35  # and by less than so much of it they have not let go
SMALL = 0.3  # what is left of a swing that is nothing beside the usual one
SLIP = 0.05  # fingers that close so much further while they hold have slipped
SLOWLY = 0.35  # scaled speed of arms that hand over
NEAR = 0.3  # of the range of the distance between two tips: so near are hands that hand over
GAP = 0.1  # fingers that stop so far from where they were sent have met something


class Change(NamedTuple):
    """The hand of `arm` closes or opens from start to end (s, log's clock).

    acts: it takes hold or lets go. Not so an open hand that opens further, nor one that closes where it stood when the
    episode began, or in flight. missed: a closing, or the reopening after it, with nothing carried between them.
    stalled: the fingers stopped short of their command. passed: of a handover, when the second of the two hands begins
    to act, s. flips: a command without duration. known: which end of the hand's range is closed is known; where it is
    not, `closes` says nothing and the change is taken for no act. full: closing fingers stop short of their command, or
    of where this hand can close to. swing: SMALL to 1, how far the fingers go beside the hand's usual way.
    """

    arm: str
    closes: bool
    start: float
    end: float
    acts: bool = True
    missed: bool = False
    stalled: bool = False
    passed: float | None = None
    flips: bool = False
    known: bool = True
    full: bool = False
    swing: float = 1.0

    @property
    def given(self) -> bool:
        """Part of a handover."""
        return self.passed is not None


def changes_of(motion: ArmMotion, points: Float, config: SegmentConfig) -> list[Change]:
    """Closings and openings of one hand; none where the opening hardly varies or is not logged."""
    if motion.opening is None or len(points) < 3:
        return []
    opening = motion.opening.values
    spread = float(np.ptp(opening))
    if spread < config.gripper_min_range:
        return []
    turning = np.array(turning_points(opening, max(config.gripper_min_range, config.gripper_min_share * spread)))
    first, last = turning[:-1], turning[1:]
    if not len(first):
        return []
    if not motion.opening.known:
        return _unknown(motion, opening, first, last, points)
    if not motion.opening.flips:
        first, last = _moving_parts(motion, first, last)
    first, last, regrips = _without_regrips(opening, first, last)
    closes = opening[last] < opening[first]
    start, end = _flip(opening, first, last) if motion.opening.flips else _passes(opening, first, last)
    stalled = np.zeros(len(first), dtype=bool)
    if motion.command is not None:
        stalled = closes & (opening[last] - motion.command[last] > GAP)
    full = closes & (stalled | (opening[last] > opening.min() + SHORT)) & (not motion.opening.flips)
    begun, done = points[0] + start / GRID_HZ, points[0] + end / GRID_HZ
    if not motion.opening.flips:
        done = _gripped(closes, begun, done, points)
    held = float(opening[0]) <= float(opening.min()) + 0.2 * spread  # closed fingers at the start hold something
    if held:  # only if they go somewhere before they open: many start with an empty fist
        held = float(np.linalg.norm(motion.path[int(start[0])] - motion.path[0])) > BROUGHT
    takes = full | _takes(motion, start, end)
    acts = np.where(closes, takes, np.append(held, (closes & takes)[:-1]))
    swing = np.abs(opening[last] - opening[first])
    swing = np.clip(swing / (WHOLE * float(np.quantile(swing, USUAL))), SMALL, 1.0)
    missed = _attempts(closes, begun, done, motion, points, config)
    relaxed = _relaxed(closes, acts & ~missed, opening[last])
    acts, missed, full, swing = acts & ~relaxed, missed & ~relaxed, full & ~relaxed, np.where(relaxed, SMALL, swing)
    columns = (begun, done, closes, acts, missed, stalled, full, swing)
    changes = [
        Change(motion.arm, c, s, e, a, m, st, flips=motion.opening.flips, full=f, swing=w)
        for s, e, c, a, m, st, f, w in zip(*(column.tolist() for column in columns), strict=True)
    ]
    if len(regrips[0]):
        begun, done = (points[0] + t / GRID_HZ for t in _passes(opening, *regrips))
        ways = opening[regrips[1]] < opening[regrips[0]]
        some = zip(ways.tolist(), begun.tolist(), done.tolist(), strict=True)
        changes += [Change(motion.arm, c, s, e, acts=False, swing=SMALL) for c, s, e in some]
        changes.sort(key=lambda c: c.start)
    return changes


def _without_regrips(opening: Float, first: Int, last: Int) -> tuple[Int, Int, tuple[Int, Int]]:
    """(legs, legs) without the pairs in which fingers that hold something open and close again by little of their usual
    way, and those: what they hold they have not let go."""
    swing = np.abs(opening[last] - opening[first])
    small = swing < REGRIP * float(np.quantile(swing, USUAL))
    opens = opening[last] > opening[first]
    pair = np.append(small[:-1] & small[1:] & opens[:-1] & ~opens[1:], False)
    pair[0] = False  # what begins the episode is no second grip
    gone = pair | np.append(False, pair[:-1])
    return first[~gone], last[~gone], (first[gone], last[gone])


def _takes(motion: ArmMotion, start: Float, end: Float) -> Bool:
    """Whether fingers that close from grid point `start` to `end` can have taken something: the hand has gone somewhere
    before, and is not in flight."""
    count = len(motion.speed)
    about = GRID_HZ * (FLIP_S if motion.opening is not None and motion.opening.flips else ABOUT_S)
    a, b = (
        np.clip((start - about).astype(np.int64), 0, count - 1),
        np.clip((end + about).astype(np.int64) + 1, 1, count),
    )
    slowest = np.minimum.reduceat(np.append(motion.speed, np.inf), np.stack([a, b], axis=1).ravel())[::2]
    gone = np.maximum.accumulate(np.linalg.norm(motion.path - motion.path[0], axis=1))
    went = (gone[np.minimum(end.astype(np.int64), count - 1)] > WENT) | (gone[-1] <= WENT)  # who stays, tells nothing
    return np.asarray(went & (slowest < IN_FLIGHT))


def _flip(opening: Float, first: Int, last: Int) -> tuple[Float, Float]:
    """A flip has no duration; the row before was up to a grid point earlier."""
    at = np.asarray(first + np.ceil(_crossings(opening, first, last, [np.full(len(first), 0.5)])[0]) - 0.5)
    return at, at


def _unknown(motion: ArmMotion, opening: Float, first: Int, last: Int, points: Float) -> list[Change]:
    """Changes of a hand of which nobody knows which way it goes: timed alike in both directions."""
    flips = motion.opening is not None and motion.opening.flips
    shares = [np.full(len(first), share) for share in (OPENS_FROM, ARRIVED)]
    start, end = (first + steps for steps in _crossings(opening, first, last, shares))
    if flips:
        start, end = _flip(opening, first, last)
    times = zip((points[0] + start / GRID_HZ).tolist(), (points[0] + end / GRID_HZ).tolist(), strict=True)
    return [Change(motion.arm, False, a, b, acts=False, flips=flips, known=False) for a, b in times]


def _gripped(closes: Bool, start: Float, end: Float, points: Float) -> Float:
    """When changes are over, s: a closing when the grip is firm, GRIPS_S after the fingers have met what they close
    on."""
    limits = np.append(start[1:], points[-1])
    return np.where(closes, np.minimum(end + GRIPS_S, np.maximum(limits, end)), end)


def _moving_parts(motion: ArmMotion, first: Int, last: Int) -> tuple[Int, Int]:
    """The legs [first, last], those that take long cut down to the stretch that counts."""
    assert motion.opening is not None
    opening = motion.opening.values
    height = motion.position[:, 2] if motion.metric and motion.position is not None else None
    start, end = _passes(opening, first, last)
    first, last = first.copy(), last.copy()
    for i in np.flatnonzero(end - start >= SLOW_S * GRID_HZ).tolist():
        first[i], last[i] = _part(opening, height, int(first[i]), int(last[i]))
    return first, last


def _part(opening: Float, height: Float | None, first: int, last: int) -> tuple[int, int]:
    """Of the stretches of a leg [first, last] in which the fingers move the last of a closing, the first of an opening;
    the leg itself where it does not pause. Of a closing it is the first after which the hand rises (height: of the
    hand, m): what it lifts it has, and fingers that close further then have lost it.

    A stretch that brings less than a third of the leg's way is no change of its own.
    """
    speed = np.abs(np.diff(opening[first : last + 1]))
    moving = np.flatnonzero(speed > PAUSE * speed.max())
    breaks = np.flatnonzero(np.diff(moving) > 0.3 * GRID_HZ)
    starts, ends = moving[np.append(0, breaks + 1)], moving[np.append(breaks, len(moving) - 1)] + 1
    way = float(opening[last] - opening[first])
    goes = (opening[first + ends] - opening[first + starts]) * np.sign(way) > abs(way) / 3
    if not goes.any():
        return first, last
    which = np.flatnonzero(goes)
    chosen = which[-1 if way < 0 else 0]
    if way < 0 and height is not None and len(which) > 1:
        ends_at, next_at = first + ends[which[:-1]], first + starts[which[1:]]
        lifts = np.flatnonzero(height[next_at] - height[ends_at] > LIFTED_M)
        chosen = which[lifts[0]] if len(lifts) else chosen
    return first + int(starts[chosen]), first + int(ends[chosen])


def _passes(opening: Float, first: Int, last: Int) -> tuple[Float, Float]:
    """Where each leg sets off and where it passes 90 % of its way, between grid points."""
    closes = opening[last] < opening[first]
    begins = np.where(closes, CLOSES_FROM, OPENS_FROM)
    start, seen, end = _crossings(opening, first, last, (begins, 4 * begins, np.full(len(first), ARRIVED)))
    # closing fingers gather speed: they set off before they are seen to have moved
    start = np.where(closes, np.maximum(0.0, start - (seen - start) / 2), start)
    return first + start, first + end


def _crossings(opening: Float, first: Int, last: Int, shares: Sequence[Float]) -> list[Float]:
    """Grid points after `first` at which each leg has gone each share of its way, between points."""
    length = last - first + 1
    begins = np.cumsum(length) - length
    leg = np.repeat(np.arange(len(first)), length)
    inside = np.arange(len(leg)) - begins[leg]
    gone = (opening[first[leg] + inside] - opening[first][leg]) / (opening[last] - opening[first])[leg]
    found = []
    for share in shares:
        past = np.flatnonzero(gone >= share[leg])
        at = past[np.minimum(np.searchsorted(past, begins), len(past) - 1)]  # every leg ends with all of its way gone
        before, after = gone[np.maximum(at - 1, 0)], gone[at]
        between = np.where(after > before, (after - share) / np.where(after > before, after - before, 1.0), 0.0)
        found.append(np.where(inside[at] > 0, inside[at] - between, 0.0))
    return found


def _attempts(closes: Bool, start: Float, end: Float, motion: ArmMotion, points: Float, config: SegmentConfig) -> Bool:
    """Of each change, whether it is a closing that is undone soon, with nothing carried in between, or the reopening
    that undoes it."""
    soon = closes[:-1] & ~closes[1:] & ~at_least(start[1:] - end[:-1], config.attempt_s)
    a, b = (
        np.clip(np.floor((t - points[0] + ROUNDING_S) * GRID_HZ), 0, len(points) - 1).astype(np.int64)
        for t in (end[:-1], start[1:])
    )
    undone = soon & (np.linalg.norm(motion.path[b] - motion.path[a], axis=1) < CARRIED)
    return np.asarray(np.append(undone, False) | np.append(False, undone))


def _relaxed(closes: Bool, took: Bool, levels: Float) -> Bool:
    """Closings that come to nothing (and the openings that undo them) of fingers that stop far short of where this hand
    closed on what it let go again: a hand that rests half open has taken nothing. took: changes that act and have not
    missed; levels: where the fingers arrive."""
    let_go = np.append(closes[:-1] & ~closes[1:], False) & took
    if not let_go.any():
        return np.zeros(len(closes), dtype=bool)
    slack = closes & ~let_go & (levels > float(levels[let_go].max()) + SHORT)
    return np.asarray(slack | (np.append(False, slack[:-1]) & ~closes))


def carries(closes: Bool, start: Float, end: Float, motion: ArmMotion, points: Float) -> Bool:
    """Of each change, whether it is a closing after which the hand goes somewhere and then opens."""
    a, b = (np.clip((t - points[0]) * GRID_HZ, 0, len(points) - 1).astype(np.int64) for t in (end[:-1], start[1:]))
    gone = np.linalg.norm(motion.path[b] - motion.path[a], axis=1) > BROUGHT
    return np.asarray(np.append(closes[:-1] & ~closes[1:] & gone, False))


def handovers(
    changes: Sequence[Change], motions: Sequence[ArmMotion], points: Float, config: SegmentConfig
) -> list[Change]:
    """Changes of both hands in order of time, those of a handover marked: one hand closes and the other opens, whoever
    is first, within `handover_s`, both arms slow and, as far as one can tell, the hands near to each other."""
    ordered = sorted(changes, key=lambda c: (c.start, c.arm))
    if len(motions) < 2:
        return ordered
    near, slow = _tips_near(motions), np.max([m.speed for m in motions], axis=0) < SLOWLY
    for i, change in enumerate(ordered):
        if not (change.acts or _could(change)) or change.missed or change.given:
            continue
        for j in range(i + 1, len(ordered)):
            other = ordered[j]
            if longer(other.start - change.end, config.handover_s):
                break
            passes = other.arm != change.arm and other.closes != change.closes
            passes &= (other.acts or _could(other)) and not other.missed and not other.given
            a, b = (whole_steps(t - points[0], GRID_HZ) for t in (change.start, other.end))
            meeting = slice(max(0, a), max(a, b) + 1)
            if passes and slow[meeting].any() and near[meeting].any():
                ordered[i], ordered[j] = (c._replace(passed=other.start, acts=True) for c in (change, other))
                held = _closing_before(ordered, i if not change.closes else j)
                if held is not None:  # what is handed over was held
                    ordered[held] = ordered[held]._replace(acts=True)
                break
    return ordered


def _could(change: Change) -> bool:
    """Whether an opening that lets go of nothing as far as its own hand shows may still hand something over."""
    return change.known and not change.closes and change.swing > SMALL


def _closing_before(ordered: Sequence[Change], opening: int) -> int | None:
    """Where the closing lies that an opening undoes; None if the hand was closed from the start."""
    arm = ordered[opening].arm
    for number in range(opening - 1, -1, -1):
        if ordered[number].arm == arm:
            return number if ordered[number].closes else None
    return None


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
