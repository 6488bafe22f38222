"""The `signals` captioner: a sentence from primitive, arm, direction, gripper and task text; it needs no weights.

In: what is known of an event. Out: a sentence. It says only what signals show: that something is held where that is
proven, horizontal directions where it is known which way the robot faces, a guess as a guess. An object is named only
where the grammar of the operator's words leaves no doubt (stages/caption/task.py); otherwise those words are quoted.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from stages.caption.signals import task as grammar
from stages.caption.signals import words
from stages.caption.signals.task import Task

CLEAR = 0.5  # share of a displacement along an axis from which that direction is named
LEAST_M = 0.01
BRIEF_S = 0.5
AHEAD = {"+x": (1.0, 0.0), "-x": (-1.0, 0.0), "+y": (0.0, 1.0), "-y": (0.0, -1.0)}


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known of an event.

    arms: that take part, of `arms_of_robot`; track: left or right where it is an event of that arm alone. holds: all
    of them hold something, had just held it or take hold of it, and that is proven. certain: what they hold or reach
    for is the one object that the task names. completes: a subtask in which the hand also takes hold or lets go.
    shift: the way gone in the arms' base frames, m, one an arm (none without a pose). forward: which way the robot
    faces, "+x" or the like; empty: unknown.
    """

    level: str
    primitive: str
    recovery: str = ""
    arms: Sequence[str] = ("single",)
    arms_of_robot: int = 1
    holds: bool = False
    certain: bool = False
    completes: bool = False
    shift: Sequence[tuple[float, float, float]] = ()
    forward: str = ""
    seconds: float = 2.0
    said: str = ""
    task: Task = field(default_factory=Task)
    track: str = "all"

    @property
    def alone(self) -> str:
        """The arm whose own event it is, in words; empty for one of both together."""
        return "" if self.track == "all" else f"the {self.track} arm"


def describe(scene: Scene) -> str:
    """One sentence, capital first, full stop last."""
    goal = " ".join(scene.said.split()).rstrip(".!")
    if scene.level == "L3":
        if scene.alone:
            part = "'s part in the task" if scene.arms else " takes no part in the task"
            return _sentence(f"{scene.alone}{part}{': ' * bool(goal)}{goal}")
        return _sentence(goal or "the robot acts without a stated task")
    phrase, thing = _phrase(scene)
    several = len(scene.arms) > 1
    text = f"{_subject(scene)} {phrase}".replace("{d}", _direction(scene)).replace("{o}", thing)
    text = re.sub(r"\{([^|{}]*)\|([^|{}]*)\}", lambda found: found[2 if several else 1], text)
    text = re.sub(r"\s+(?=[ ,])", "", text).strip()
    return _sentence(f"{text} (task: {goal})" if goal and (not thing or thing not in text) else text)


@cache
def template_hash() -> str:
    """Hash of these modules' sources: another wording is another prompt."""
    sources = "".join(inspect.getsource(module) for module in (grammar, words, inspect.getmodule(describe)) if module)
    return hashlib.sha256(sources.encode()).hexdigest()[:12]


def _phrase(scene: Scene) -> tuple[str, str]:
    """(phrase, the thing that it may name)."""
    primitive, recovery, subtask = scene.primitive, scene.recovery, scene.level == "L2"
    if recovery == "second_approach" and "upward" in _direction(scene):
        return words.BACKS_OFF, ""
    if recovery in words.RECOVERIES:
        phrases = words.RECOVERIES[recovery]
    elif primitive in words.WORK and not scene.holds:
        return _work(scene)
    elif primitive == "unknown" and not scene.arms and scene.alone:
        return words.STILL, ""  # the picture may change for the other arm
    elif primitive == "unknown" and not scene.arms and not subtask:
        return words.SEEN, ""
    elif subtask and scene.completes and primitive in words.COMPLETED:
        phrases = words.COMPLETED[primitive]
        if primitive == "transport" and scene.certain and scene.task.fixed:
            phrases = words.FIXED["let_go"]
    elif scene.certain and scene.holds and scene.task.fixed and primitive in words.FIXED:
        phrases = words.FIXED[primitive]
    else:
        table = words.SUBTASKS if subtask and primitive in words.SUBTASKS else words.ACTIONS
        phrases = table.get(primitive, words.SUBTASKS["unknown"])
    thing = scene.task.held if scene.certain and phrases[0] else ""
    if not thing and scene.certain and phrases[0] and primitive in ("reach", "align", "approach"):
        thing = scene.task.thing
    phrase = phrases[0] if thing else phrases[1] if scene.holds and phrases[1] else phrases[2]
    if scene.level == "L0" and scene.seconds < BRIEF_S and primitive in words.LASTING and not recovery:
        phrase = f"briefly {phrase}"
    if recovery == "slip":
        phrase += words.SLIPS
    return phrase, thing


def _work(scene: Scene) -> tuple[str, str]:
    """A press, push or pull without a hand: in the task's words where they say as much, else as the guess it is."""
    task = scene.task
    if task.verb not in words.WORK[scene.primitive] or not scene.certain:
        return words.AS_IF % scene.primitive, ""
    verb = words.THIRD.get(task.verb, f"{task.verb}s")
    return f"{{{verb}|{task.verb}}} {{o}} {task.result}".rstrip(), task.thing


def _subject(scene: Scene) -> str:
    arms = list(scene.arms)
    if scene.alone:
        return scene.alone
    if scene.arms_of_robot == 1 or arms == ["single"]:
        return "the arm"
    if len(arms) == 1:
        return f"the {arms[0]} arm"
    return "both arms" if len(arms) > 1 else "the robot"


def _direction(scene: Scene) -> str:
    """Where all arms go; a horizontal word only where it is known what is ahead."""
    named = {_named(shift, scene.forward) for shift in scene.shift}
    return named.pop() if len(named) == 1 and len(scene.shift) == max(1, len(scene.arms)) else ""


def _named(shift: tuple[float, float, float], forward: str) -> str:
    x, y, z = shift
    length = (x * x + y * y + z * z) ** 0.5
    if length < LEAST_M:
        return ""
    found = []
    if forward in AHEAD:
        a, b = AHEAD[forward]
        for value, pair in ((a * x + b * y, ("forward", "backward")), (a * y - b * x, ("to the left", "to the right"))):
            if abs(value) >= CLEAR * length:
                found.append(pair[0] if value > 0 else pair[1])
    if abs(z) >= CLEAR * length:
        found.append("upward" if z > 0 else "downward")
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
