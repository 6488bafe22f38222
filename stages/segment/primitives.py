"""What happens in a span: its primitive, the arms that act, whether it is static.

In: arm motions, gripper changes, a span. Out: a `Label`. Rules from the physics of picking: fingers closing is a grasp,
opening a release; moving open-handed leads to the next closing (reach) or away from the last opening (retract); moving
with something held is lift, lower or move by the direction of displacement (z up, base frame).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.segment.config import SegmentConfig
from stages.segment.evidence import GripperChange
from stages.segment.motion import ArmMotion

ACTS = 0.15  # mean scaled speed from which an arm takes part


@dataclass(frozen=True, slots=True)
class Label:
    primitive: str
    arms: tuple[str, ...]
    static: bool
    confidence: float


def label(
    motions: Sequence[ArmMotion],
    changes: Sequence[GripperChange],
    start: int,
    end: int,
    rate: float,
    config: SegmentConfig,
) -> Label:
    """Label of frames [start, end)."""
    changes = [c for c in changes if c.acts]
    inside = [
        c for c in changes if c.start < end and c.end > start and _overlap(c, start, end) >= 0.5 * (c.end - c.start)
    ]
    means = {m.arm: float(m.speed[start:end].mean()) for m in motions}
    acting = tuple(m.arm for m in motions if means[m.arm] > ACTS or any(c.arm == m.arm for c in inside))
    slow = max(means.values(), default=0.0) < config.moving
    pressed = [c for c in changes if slow and 0 <= c.start - end <= config.press_s * rate and _is_flip(c, rate, config)]
    acts = inside if inside and (slow or _busy(inside, start, end) > 0.4) else pressed
    if acts:
        return Label(
            "grasp" if acts[-1].closes else "release", acting or (acts[-1].arm,), False, 0.9 if inside else 0.7
        )
    leader = max(motions, key=lambda m: (means[m.arm], m.arm), default=None)
    if leader is None:
        return Label("unknown", (), False, 0.0)
    held = _closed_share(leader, changes, start, end)
    if slow:
        return Label("hold" if held > 0.5 else "idle", acting, True, 0.8)
    if leader.opening is None or not any(c.arm == leader.arm for c in changes):
        return Label("move", acting, False, 0.5)
    if held > 0.5:
        return _carrying(leader, acting, start, end, config)
    ahead = any(c.closes and c.start >= end - 1 for c in changes if c.arm == leader.arm)
    behind = any(not c.closes and c.end <= start + rate for c in changes if c.arm == leader.arm)
    if ahead:
        return Label("reach", acting, False, 0.7)
    return Label("retract" if behind else "move", acting, False, 0.7 if behind else 0.5)


def _carrying(leader: ArmMotion, acting: tuple[str, ...], start: int, end: int, config: SegmentConfig) -> Label:
    if leader.position is None:
        return Label("move", acting, False, 0.6)
    shift = leader.position[end - 1] - leader.position[start]
    length = float(np.linalg.norm(shift))
    vertical = float(shift[2]) / length if length > 1e-6 else 0.0
    if abs(vertical) >= config.vertical:
        return Label("lift" if vertical > 0 else "lower", acting, False, 0.8)
    return Label("move", acting, False, 0.7)


def _closed_share(motion: ArmMotion, changes: Sequence[GripperChange], start: int, end: int) -> float:
    """Share of the span with the arm's gripper closed, from its changes; 0 where it never changes."""
    own = [c for c in changes if c.arm == motion.arm]
    if not own:
        return 0.0
    closed = not own[0].closes  # before its first change it was the other way round
    frames, position = 0, start
    for change in own:
        until = min(max(change.start, start), end)
        frames += (until - position) if closed else 0
        position, closed = max(until, position), change.closes
    frames += (end - position) if closed else 0
    return frames / max(1, end - start)


def _is_flip(change: GripperChange, rate: float, config: SegmentConfig) -> bool:
    """A command that flips from one row to the next, often logged when the fingers are done: the rest before it is
    the act."""
    return change.end - change.start < config.min_gripper_s * rate


def _overlap(change: GripperChange, start: int, end: int) -> int:
    return min(change.end, end) - max(change.start, start)


def _busy(inside: Sequence[GripperChange], start: int, end: int) -> float:
    return sum(_overlap(c, start, end) for c in inside) / (end - start)
