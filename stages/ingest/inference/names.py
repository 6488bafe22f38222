"""What the names of a log's values say: of which arm each is, and what it measures.

In: features, and the parts that meta/modality.json names. Out: a `Named` for each value of a column. Words are looked
for, not whole names: `left_shoulder_pan.pos`, `kLeftHandIndex0`, `observation.states.end.position`, `robot1_eef_x`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
