"""Boundaries in the speed: where motion stops and sets in, where a slow stretch is left, where something touches.

In: a scaled speed on the grid, gripper changes. Out: candidates. Onsets of motion count more than stops, and the slow
point of a dip stands for the moment the arm leaves it, since that is what people mark.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.signal import peak_widths

from stages.seconds import at_least
from stages.segment.config import SegmentConfig
from stages.segment.evidence.candidates import SAME, Columns, Float, Int, columns, near, peaks
from stages.segment.kinematics.gripper import Change
from stages.segment.kinematics.motion import GRID_HZ, ArmMotion

FLIP_S = 0.6  # a command that flips stands for the fingers' whole way: what the arm does so near is one with it, s
JUST_S = 0.3  # a stretch entered so shortly after the hand has changed belongs to that, s
COMES_S = 1.2  # how an arm comes to a place is looked at for so long before its hand opens, s
TOUCHES = 0.15  # it must have been so fast
EARLY = 0.5  # of the smoothing: so much too early does a smoothed onset rise
DEEP = 0.25  # a dip of the speed is looked at from this depth on, as a share of fast motion
NEAR_S = 4.0  # dips are judged against the strokes around them, s
LEAVES = 0.3  # a slow stretch is left where the speed is back by this share of the dip


def pauses(
    speed: Float,
    smooth_s: float,
    arm: str,
    points: Float,
    config: SegmentConfig,
    turned: Float,
    changes: Sequence[Change],
) -> list[Columns]:
    """Where motion stops and sets in around rests, and where slow stretches between two strokes are entered and left.

    A slow stretch in which the path turns, or the hand has just changed, is one boundary with that, not a second one;
    so is a stop at the very moment the hand acts, and the moment of waiting after it has opened.
    """
    start, end = _long_rests(speed, config)
    seconds = (end - start) / GRID_HZ
    settled = 1.0 - np.exp(-seconds / 0.5)
    idles = np.clip((seconds - config.min_rest_s) / max(config.min_idle_s - config.min_rest_s, 1e-9), 0.0, 1.0)
    first, last = start > 0, end < len(speed)
    stops, onsets = points[0] + start / GRID_HZ, points[0] + end / GRID_HZ + EARLY * smooth_s
    begun, done = np.sort([c.start for c in changes]), np.sort([c.end for c in changes])
    opened = np.sort([c.end for c in changes if c.known and not c.closes])
    grips = np.searchsorted(begun, stops + JUST_S) > np.searchsorted(done, stops - JUST_S)
    empties = np.searchsorted(opened, onsets) > np.searchsorted(opened, np.maximum(stops, onsets - config.min_idle_s))
    flips = np.sort([c.start for c in changes if c.flips])
    onset = (0.55 + 0.4 * settled) * np.where(empties | near(onsets, flips, FLIP_S), SAME, 1.0)
    stop = 0.45 * idles + 0.35 * (1.0 - np.exp(-seconds / 1.5))
    stop *= np.where(grips | near(stops, flips, FLIP_S), SAME, 1.0)
    found = [
        columns(onsets[last], "motion_onset", arm, onset[last]),
        columns(stops[first], "motion_stopped", arm, stop[first]),
    ]
    dips, about = peaks(-speed, DEEP, NEAR_S)
    if len(dips):
        resting = np.zeros(len(speed) + 1, dtype=np.int64)
        np.add.at(resting, np.round(start).astype(np.int64), 1)
        np.add.at(resting, np.round(end).astype(np.int64), -1)
        moving = np.cumsum(resting)[dips] == 0
        known = (about["prominences"], about["left_bases"], about["right_bases"])
        _, _, enters, leaves = peak_widths(-speed, dips, rel_height=LEAVES, prominence_data=known)
        depth = about["prominences"] / np.maximum(about["prominences"] + np.maximum(speed[dips], 0.0), 1e-9)
        strength = depth * np.minimum(1.0, about["prominences"] / 0.5)
        enters, leaves = (points[0] + edge[moving] / GRID_HZ for edge in (enters, leaves))
        strength = strength[moving]
        changed = np.sort([c.end for c in changes])
        spoken = (np.searchsorted(turned, enters) < np.searchsorted(turned, leaves)) | (
            np.searchsorted(changed, enters - JUST_S) < np.searchsorted(changed, leaves)
        )
        strength = strength * np.where(spoken, SAME, 1.0)
        found += [
            columns(leaves, "slow_left", arm, 0.5 * strength),
            columns(enters, "slow_entered", arm, 0.3 * strength),
        ]
    return found


def onsets(motion: ArmMotion, points: Float, config: SegmentConfig) -> Float:
    """When an arm sets off from a rest, s, rising."""
    end = _long_rests(motion.speed, config)[1]
    return np.asarray(points[0] + end[end < len(motion.speed)] / GRID_HZ + EARLY * motion.smooth_s)


def contacts(motion: ArmMotion, changes: Sequence[Change], points: Float) -> Columns:
    """Where an arm that brings something has come down with it: it slows before the hand opens, and that is the moment
    the thing touches."""
    starts = np.array([c.start for c in changes if not c.closes and c.acts and not c.missed])
    place = np.round((starts - points[0]) * GRID_HZ).astype(np.int64)
    reach = round(COMES_S * GRID_HZ)
    if not len(starts) or len(points) < 2:
        return columns([], "contact", motion.arm, [])
    before = np.maximum(place[:, None] - np.arange(reach, -1, -1), 0)
    speed = motion.speed[np.minimum(before, len(motion.speed) - 1)]
    top = speed.max(axis=1)
    fast = speed > 0.5 * top[:, None]
    last = reach - np.argmax(fast[:, ::-1], axis=1)  # the last point at which it was still coming
    slow_for = (reach - last) / GRID_HZ
    comes = (top > TOUCHES) & (slow_for >= 0.1) & (slow_for < 1.0)
    time = starts[comes] - slow_for[comes] + 1 / GRID_HZ
    return columns(time, "contact", motion.arm, 0.65)


def _long_rests(speed: Float, config: SegmentConfig) -> tuple[Float, Float]:
    start, end = rests(speed, config.still, config.moving)
    long = at_least((end - start) / GRID_HZ, config.min_rest_s)
    return start[long], end[long]


def rests(speed: Float, still: float, moving: float) -> tuple[Float, Float]:
    """Half-open spans (float64[R] starts, ends, in grid points) in which the arm has come to rest: from where its speed
    falls below `still` until it rises above `moving`."""
    decided = np.where(speed > moving, 1, np.where(speed < still, 0, -1))
    known = np.flatnonzero(decided >= 0)
    if not len(known):
        return np.zeros(0), np.zeros(0)
    last = np.maximum.accumulate(np.where(decided >= 0, np.arange(len(speed)), -1))
    state = decided[np.where(last >= 0, last, known[0])]
    edges = np.flatnonzero(np.diff(np.concatenate([[1], state, [1]])))
    begins, ends = edges[::2], edges[1::2]
    start = _crossed(speed, begins - 1, still)
    return start, np.where(ends == len(speed), len(speed), _crossed(speed, ends - 1, moving))


def _crossed(speed: Float, before: Int, level: float) -> Float:
    """Where the speed crosses `level` after point `before`, between points; 0 for what begins before the first."""
    a, b = np.clip(before, 0, len(speed) - 1), np.clip(before + 1, 0, len(speed) - 1)
    step = speed[b] - speed[a]
    share = np.where(np.abs(step) > 1e-12, (level - speed[a]) / np.where(step == 0, 1.0, step), 0.5)
    return np.where(before < 0, 0.0, before + np.clip(share, 0.0, 1.0))
