"""The `signals` captioner: a sentence from primitive, arm, direction, gripper and task text; it needs no weights.

In: an event and its `Kinematics`. Out: a sentence. It says only what signals show: no object, colour or place beyond
what the operator's task text names, and it quotes that text rather than guessing which object a grasp is about.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DIRECTIONS = (("forward", "backward"), ("left", "right"), ("up", "down"))  # +x, +y, +z of a robot's base frame
CLEAR = 0.5  # share of a displacement along an axis from which that direction is named
VERBS = {
    "reach": "reaches",
    "align": "lines up its gripper",
    "lift": "lifts",
    "move": "moves",
    "lower": "lowers",
    "place": "puts down what it holds",
    "push": "pushes what it holds",
    "pull": "pulls what it holds",
    "rotate": "turns its hand",
    "handover": "takes over what the other arm holds",
    "retract": "retracts",
    "grasp": "closes its gripper to grasp",
    "release": "opens its gripper to release",
    "hold": "holds still with the gripper closed",
    "idle": "rests",
    "unknown": "acts",
}
SUBTASKS = {
    "approach": "approaches",
    "grasp": "closes its gripper to grasp",
    "transport": "carries what it holds",
    "place": "puts down what it holds and lets go",
    "handover": "takes over what the other arm holds",
    "retract": "withdraws with an empty gripper",
    "unknown": "acts",
}
ENDINGS = {"approach": "and grasps", "transport": "and lets go"}  # where the hand does so within the subtask
RECOVERIES = {
    "missed_grasp": "closes its gripper on nothing",
    "reopen": "opens its gripper again after a missed grasp",
    "second_approach": "reaches again after a missed grasp",
    "regrasp": "grasps again",
    "correction": "corrects its way",
    "hesitation": "hesitates",
}


@dataclass(frozen=True, slots=True)
class Kinematics:
    """displacement of the leading arm over the event, m, base frame (None without a pose); seconds the event lasts."""

    displacement: tuple[float, float, float] | None
    seconds: float


def describe(event: Mapping[str, Any], kinematics: Kinematics, task: str, arms_of_robot: int) -> str:
    """One sentence, capital first, full stop last. `event` may say `gripper_closed` (it holds something) and
    `completes` (a subtask in which the hand takes hold or lets go)."""
    goal = _goal(task)
    if event["level"] == "L3":
        return _sentence(goal or "the robot acts without a stated task")
    subject = _subject(event["arms"], arms_of_robot)
    plural = subject.startswith("both")
    verbs = SUBTASKS if event["level"] == "L2" else VERBS
    action = verbs.get(event["primitive"], "acts")
    if event["level"] == "L2" and event.get("completes") and event["primitive"] in ENDINGS:
        action += f" {ENDINGS[event['primitive']]}"
    action = RECOVERIES.get(event.get("recovery") or "", action)
    if plural:
        action = _plural(action)
    words = [subject, action]
    if event["level"] in ("L0", "L1"):
        if event["primitive"] == "move" and event.get("gripper_closed"):
            words.append("what it holds" if not plural else "what they hold")
        direction = _direction(kinematics.displacement)
        if direction and event["primitive"] in ("reach", "move", "retract", "push", "pull"):
            words.append(direction)
        if event["level"] == "L0" and kinematics.seconds < 0.5:
            words.append("briefly")
        if event.get("recovery") == "slip":
            words.append("while its hold slips")
    said = " ".join(words)
    return _sentence(f'{said}, with the task "{goal}"' if goal else said)


def template_hash() -> str:
    """Hash of this module's source: another wording is another prompt."""
    return hashlib.sha256(inspect.getsource(sys.modules[__name__]).encode()).hexdigest()[:12]


def _subject(arms: list[str], arms_of_robot: int) -> str:
    if arms_of_robot == 1 or arms == ["single"]:
        return "the arm"
    if len(arms) == 1:
        return f"the {arms[0]} arm"
    return "both arms" if len(arms) > 1 else "the robot"


def _plural(action: str) -> str:
    words = action.split()
    verb = words[0]
    if verb.endswith("ies"):
        words[0] = verb[:-3] + "y"
    elif verb.endswith("es") and verb[:-2].endswith(("ch", "sh", "ss", "x")):
        words[0] = verb[:-2]
    else:
        words[0] = verb[:-1]
    text = " ".join(words).replace("and grasps", "and grasp").replace("and lets", "and let")
    return (
        text.replace("its gripper", "their grippers")
        .replace("its hand", "their hands")
        .replace("its way", "their ways")
        .replace("it holds", "they hold")
        .replace("an empty gripper", "empty grippers")
    )


def _direction(displacement: tuple[float, float, float] | None) -> str:
    if displacement is None:
        return ""
    length = sum(d * d for d in displacement) ** 0.5
    if length < 0.01:
        return ""
    named = [
        pair[0] if d > 0 else pair[1]
        for d, pair in zip(displacement, DIRECTIONS, strict=True)
        if abs(d) / length >= CLEAR
    ]
    return " and ".join(named)


def _goal(task: str) -> str:
    return " ".join(task.split()).rstrip(".!")


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
