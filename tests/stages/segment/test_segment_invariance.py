"""What must not matter does not: where boundaries lie hangs on the motion, not on how it was logged.

Each law is held over twelve operators (one and two arms, poses and joints): at least 95 % of the boundaries of each
level must be found again within 0.15 s, one to one, and as few may be new.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from stages.segment import SegmentConfig
from stages.segment.tracks import tracks_of
from tests.motions import Signals, clock, pick_and_place, stream, times

SECONDS, RATE = 30.0, 30.0
WITHIN = 0.15


def one_arm(time, seed):
    return pick_and_place(time, seed)


def two_arms(time, seed):
    return pick_and_place(time, seed, "left") | pick_and_place(time, seed + 1000, "right")


def joints(time, seed):
    """A pose turned into seven joint angles by a fixed smooth map."""
    signals = pick_and_place(time, seed)
    mix = np.random.default_rng(7).normal(0, 1, (3, 7))
    pose = signals.pop("position/single").values
    return signals | stream("joints", "single", "rad", time, np.tanh(pose @ mix) * 1.5)


def flips(time, seed):
    """A gripper that is a command, open or closed."""
    signals = pick_and_place(time, seed)
    opening = signals["gripper/single"].values[:, 0]
    return signals | stream("gripper", "single", "1", time, (opening > 0.7).astype(float))


ROBOTS = {"one arm": one_arm, "two arms": two_arms, "joints": joints, "flips": flips}
Logged = tuple[Signals, np.ndarray]


def each(signals: Signals, change) -> Signals:
    return {name: change(s) for name, s in signals.items()}


def moving(change):
    """The change of positions and joints alone."""
    return lambda s: s if s.kind == "gripper" else change(s)


def noisy(robot, seed) -> Logged:
    time, rng = times(SECONDS, RATE), np.random.default_rng(seed)
    binary = robot is flips
    return each(
        robot(time, seed),
        lambda s: (
            s
            if s.kind == "gripper" and binary
            else replace(s, values=s.values + rng.normal(0, 0.01, s.values.shape) * np.ptp(s.values, axis=0))
        ),
    ), time


def dropped(robot, seed) -> Logged:
    time = times(SECONDS, RATE)
    kept = np.random.default_rng(seed).random(len(time)) >= 0.05
    return each(robot(time, seed), lambda s: replace(s, time_s=s.time_s[kept], values=s.values[kept])), time[kept]


def mirrored(robot, seed) -> Logged:
    """Left becomes right, and the y axis turns over."""
    time, other = times(SECONDS, RATE), {"left": "right", "right": "left", "single": "single"}
    turned = {}
    for signal in robot(time, seed).values():
        values = signal.values * [1, -1, 1] if signal.kind == "position" else signal.values
        arm = other[signal.arm]
        turned[f"{signal.kind}/{arm}"] = replace(signal, arm=arm, values=values)
    return turned, time


def at_rate(rate, phase=0.0):
    def logged(robot, seed):
        time = times(SECONDS, rate, phase)
        return robot(time, seed), time

    return logged


def changed(change):
    def logged(robot, seed):
        time = times(SECONDS, RATE)
        return each(robot(time, seed), moving(change)), time

    return logged


CHANGES = {
    "half a step later": at_rate(RATE, 0.5),
    "15 Hz": at_rate(15.0),
    "60 Hz": at_rate(60.0),
    "millimetres": changed(lambda s: replace(s, values=1000 * s.values, unit="raw")),
    "a constant more": changed(lambda s: replace(s, values=s.values + 3.7)),
    "mirrored": mirrored,
    "noise of 1 % of range": noisy,
    "5 % dropped": dropped,
}


def boundaries(signals, time) -> dict[str, list[np.ndarray]]:
    """{level: times of its boundaries, a track each}; left and right in no order, so that mirrored arms compare."""
    found: dict[str, list[np.ndarray]] = {}
    for track in tracks_of(signals, clock(time), SegmentConfig()):
        for level in ("L2", "L1", "L0"):
            found.setdefault(level, []).append(time[track.levels[level].frames[1:-1]])
    return found


@cache
def unchanged(name, seed):
    time = times(SECONDS, RATE)
    return boundaries(ROBOTS[name](time, seed), time)


def matched(a, b) -> int:
    hits = i = j = 0
    while i < len(a) and j < len(b):
        if abs(a[i] - b[j]) <= WITHIN:
            hits, i, j = hits + 1, i + 1, j + 1
        elif a[i] < b[j]:
            i += 1
        else:
            j += 1
    return hits


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ROBOTS)
def test_boundaries_stay(name, change):
    counts: dict[str, np.ndarray] = {}
    for seed in range(12):
        before, after = unchanged(name, seed), boundaries(*CHANGES[change](ROBOTS[name], seed))
        for level in before:
            tracks = after[level]
            if change == "mirrored" and len(tracks) == 3:
                tracks = [tracks[0], tracks[2], tracks[1]]
            for a, b in zip(before[level], tracks, strict=True):
                counts[level] = counts.get(level, 0) + np.array([matched(a, b), len(a), len(b)])
    print(name, change, {k: f"{v[0] / v[1]:.3f} {v[0] / v[2]:.3f} of {v[1]}" for k, v in counts.items()})
    for level, (kept, were, are) in counts.items():
        assert were > 20, level
        assert kept >= 0.95 * were, level
        assert kept >= 0.95 * are, level
