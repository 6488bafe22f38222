"""What the names of a log's values say: of which arm each is, and what it measures.

In: features, and the parts that meta/modality.json names. Out: a `Named` for each value of a column. Words are looked
for, not whole names: `left_shoulder_pan.pos`, `kLeftHandIndex0`, `observation.states.end.position`, `robot1_eef_x`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from stages.sources.protocol import Feature

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
LEFT, RIGHT = {"left", "l", "lft"}, {"right", "r", "rgt"}
NUMBERED = {"arm", "robot", "follower", "manipulator"}  # with a number after it, one of two
GRIPPER = {"gripper", "grippers", "grip", "jaw", "jaws", "claw", "effector", "pinch", "aperture"}
FINGERS = {"hand", "finger", "fingers", "thumb", "index", "middle", "ring", "pinky", "pinkie", "little"}
RATES = {
    "vel", "velocity", "velocities", "velo", "qvel", "dq", "vx", "vy", "vz", "speed", "speeds", "acc", "accel",
    "acceleration",
}  # fmt: skip
FORCES = {
    "effort", "efforts", "torque", "torques", "tau", "force", "forces", "current", "currents", "load", "wrench", "ft",
    "tactile", "pressure", "temp", "temperature", "voltage",
}  # fmt: skip
BODY = {
    "odom", "wheel", "wheels", "chassis", "torso", "head", "neck", "leg", "legs", "hip", "knee", "ankle", "foot",
    "mobile", "lifter", "trunk", "imu", "camera", "root",
}  # fmt: skip
OF_A_BASE = {"x", "y", "z", "theta", "yaw", "linear", "angular", "rotation", "height", "pose"}  # beside `base`
ENDS = {"eef", "ee", "tcp", "end", "tip", "cartesian", "pose", "flange", "xyz", "eepose", "endpose", "effectors"}
JOINTS = {
    "joint", "joints", "qpos", "q", "pos", "angle", "angles", "waist", "shoulder", "elbow", "forearm", "wrist", "pan",
    "flex", "roll",
}  # fmt: skip
AXES = {"x", "y", "z"}
MOTION = ("joint", "position", "")  # roles of values by which an arm moves
LEAST = 2  # such values of each of two arms
MIRRORED = 0.5  # share of one arm's names that the other must have too
QUATERNION = {"qx", "qy", "qz", "qw"}
EULER = {"roll", "pitch", "yaw", "rx", "ry", "rz"}


@dataclass(frozen=True, slots=True)
class Named:
    """A value of a column: its arm (empty: none is named), its role (gripper, finger, position, orientation, joint,
    rate, force, body; empty: its name does not say), and its words."""

    column: str
    index: int
    arm: str
    role: str
    words: tuple[str, ...]
    own: tuple[str, ...]  # of the value alone, without its column's

    @property
    def place(self) -> tuple[str, int]:
        return self.column, self.index


def words_of(name: str) -> tuple[str, ...]:
    """Lower-cased words: `kLeftHandIndex0` is k, left, hand, index, 0; an end effector is one word, eef: it need be no
    gripper."""
    found: list[str] = []
    for word in (w.casefold() for w in WORD.findall(name)):
        if word == "effector" and found and found[-1] == "end":
            found[-1] = "eef"
        else:
            found.append(word)
    return tuple(found)


def named(feature: Feature, parts: Mapping[str, tuple[int, int]] | None = None) -> list[Named]:
    """Each value of a feature; `parts`: {name: its range of values}, for values that have no name of their own."""
    names = list(feature.names) if feature.names else [""] * feature.width
    for part, (first, last) in (parts or {}).items():
        for i in range(max(0, first), min(last, feature.width)):
            names[i] = f"{part} {names[i]}" if names[i] else part
    column = words_of(feature.column)
    own = [words_of(name) for name in names]
    axes = {w for words in own for w in words} >= AXES
    return [_named(feature.column, i, column, words, axes) for i, words in enumerate(own)]


def _named(column: str, index: int, of_column: Sequence[str], own: tuple[str, ...], axes: bool) -> Named:
    words = (*of_column, *own)
    return Named(column, index, _arm(words), _role(set(words), set(own), axes), words, own)


def _arm(words: Sequence[str]) -> str:
    """left, right, `#1` of one that is numbered, or empty; whether that is so shows beside the other names only."""
    said = {"left"} if set(words) & LEFT else set()
    said |= {"right"} if set(words) & RIGHT else set()
    if len(said) == 1:
        return said.pop()
    return next((f"#{b}" for a, b in pairwise(words) if a in NUMBERED and b.isdigit()), "")


def _role(words: set[str], own: set[str], axes: bool) -> str:
    what = {w for w in own if not w.isdigit()} - ENDS - LEFT - RIGHT - NUMBERED - {"pos", "position"}
    if words & RATES:
        return "rate"
    if words & FORCES and not ("current" in words and words & {"position", "positions", "pose", "state", "angles"}):
        return "force"
    if (words & BODY or ("base" in words and (own & OF_A_BASE or "base" not in own))) and not words & GRIPPER:
        return "body"
    if words & GRIPPER and not (words & ENDS and own & (AXES | QUATERNION | EULER)):
        return "gripper"
    if words & FINGERS and not own & (AXES | QUATERNION):
        return "finger"
    if own & QUATERNION or {"orientation", "quat", "quaternion", "rotation", "rot", "rpy", "euler"} & words:
        return "orientation"
    if len(what) == 1 and what <= AXES:
        return "position"
    if words & ENDS and not own & EULER and "position" in words:
        return "position"
    if len(what) == 1 and what <= EULER and (axes or words & ENDS):
        return "orientation"
    return "joint" if words & JOINTS or own & EULER or "base" in own else ""


def told_arms(values: Sequence[Named]) -> list[Named]:
    """The same values, without arms that are none: sides of which one moves nothing (the two fingers of a gripper), or
    that do not mirror each other (the axes s, l, u, r, b, t); numbers of which there are not two (arm_1 to arm_6)."""
    numbers = {v.arm for v in values if v.arm.startswith("#")}
    sides = ("left", "right") if any(v.arm in ("left", "right") for v in values) else tuple(sorted(numbers))
    if len(sides) == 2 and (sides == ("left", "right") or len(numbers) == 2):
        own = [[v for v in values if v.arm == side] for side in sides]
        move = all(sum(v.role in MOTION for v in o) >= LEAST for o in own)
        names = [{_mirrored(v) for v in o if v.role not in ("rate", "force", "body")} for o in own]
        if move and (not all(names) or len(names[0] & names[1]) >= MIRRORED * min(map(len, names))):
            return list(values)
        if not own[0] or not own[1]:  # one side alone: a robot with one arm, where that side is all that moves
            letters = {w for v in values for w in v.own} & {"l", "r"}
            if any(v.role in MOTION for v in own[0] or own[1]) and not letters:
                return list(values)
    return [replace(v, arm="") for v in values]


def _mirrored(value: Named) -> tuple[str, ...]:
    """Its words without the side or the number of its arm."""
    if value.arm.startswith("#"):
        number = value.arm[1:]
        at = next((i for i, (a, b) in enumerate(pairwise(value.words)) if a in NUMBERED and b == number), -1)
        return tuple(w for i, w in enumerate(value.words) if i != at + 1)
    return tuple(w for w in value.words if w not in LEFT | RIGHT and not w.isdigit())
