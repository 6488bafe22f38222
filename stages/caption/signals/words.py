"""The phrases of the `signals` captioner.

`{it|they}`: one arm, several arms; `{o}`: the object; `{d}`: a direction, or nothing. Of three phrases the first is for
an object that the task names for certain, the second for a hand that holds something, the third for what is left when
neither is proven.
"""

from __future__ import annotations

Phrases = tuple[str, str, str]

_TAKES_OVER = "{takes over %s from the other arm|pass %s from one hand to the other}"
_MOVES = "{moves|move} {d}"

ACTIONS: dict[str, Phrases] = {
    "reach": ("{reaches|reach} {d} for {o}", "{reaches|reach} {d}", "{reaches|reach} {d}"),
    "align": (
        "{lines its gripper up|line their grippers up} with {o}",
        "{lines its gripper up|line their grippers up}",
        "{lines its gripper up|line their grippers up}",
    ),
    "grasp": ("{grasps|grasp} {o}", "{grasps|grasp} an object", "{closes its gripper|close their grippers}"),
    "lift": ("{lifts|lift} {o}", "{lifts what it holds|lift what they hold}", "{moves|move} upward"),
    "move": ("{carries|carry} {o} {d}", "{carries what it holds|carry what they hold} {d}", _MOVES),
    "lower": ("{lowers|lower} {o}", "{lowers what it holds|lower what they hold}", "{moves|move} downward"),
    "place": ("{puts|put} {o} down", "{puts down what it holds|put down what they hold}", "{moves|move} slowly"),
    "push": ("{pushes|push} {o} {d}", "{pushes what it holds|push what they hold} {d}", _MOVES),
    "pull": ("{pulls|pull} {o} {d}", "{pulls what it holds|pull what they hold} {d}", _MOVES),
    "press": ("{presses|press} {o}", "{presses|press} {d} with what {it holds|they hold}", _MOVES),
    "rotate": ("{turns|turn} {o}", "{turns what it holds|turn what they hold}", "{turns its hand|turn their hands}"),
    "release": (
        "{lets|let} go of {o}",
        "{lets go of what it held|let go of what they held}",
        "{opens its gripper|open their grippers}",
    ),
    "open": ("", "", "{opens its gripper|open their grippers}"),
    "close": ("", "", "{closes its gripper|close their grippers}"),
    "handover": (
        _TAKES_OVER % ("{o}", "{o}"),
        _TAKES_OVER % ("an object", "an object"),
        "{closes its gripper as the other arm opens its own|meet, one gripper closing as the other opens}",
    ),
    "retract": ("", "", "{retracts|retract} {d}"),
    "hold": (
        "{holds|hold} {o} still",
        "{holds an object still|hold still what they hold}",
        "{rests with a closed gripper|rest with closed grippers}",
    ),
    "idle": ("", "", "{rests|rest}"),
    "unknown": ("", "", "{moves its fingers|move their fingers}"),
}
SEEN = "hardly {moves|move} while the picture changes"  # unknown, and no arm takes part
STILL = "hardly {moves|move}"  # the same of an arm by itself
BACKS_OFF = "{backs|back} off {d} after a missed grasp"  # a second approach, as long as it leads upward

SUBTASKS: dict[str, Phrases] = {
    **{name: ACTIONS[name] for name in ("grasp", "handover", "reach", "press", "push", "pull")},
    "approach": ("{approaches|approach} {o}", "{approaches|approach} an object", "{moves|move} in"),
    "transport": (
        "{carries|carry} {o} {d}",
        "{carries what it holds|carry what they hold} {d}",
        "{moves|move} {d} {with its gripper closed|}",
    ),
    "place": (
        "{puts|put} {o} down and {lets|let} go",
        "{puts down what it holds|put down what they hold} and {lets|let} go",
        "{opens its gripper|open their grippers}",
    ),
    "retract": ("", "", "{withdraws|withdraw} {d}"),
    "unknown": ("", "", "{moves|move} {d}"),
}
COMPLETED: dict[str, Phrases] = {  # subtasks in which the hand also takes hold, or lets go
    "approach": (
        "{approaches|approach} {o} and {grasps|grasp} it",
        "{approaches|approach} an object and {grasps|grasp} it",
        "{moves in and closes its gripper|move in and close their grippers}",
    ),
    "transport": (
        "{carries|carry} {o} {d} and {lets|let} it go",
        "{carries what it holds|carry what they hold} {d} and {lets|let} go",
        "{moves|move} {d} {with its gripper closed, then opens it|}",
    ),
}
_GOES = "{moves|move} {o} {d}"
FIXED: dict[str, Phrases] = {  # of things that are pulled, pushed, slid or turned: nobody carries a drawer
    **{name: (_GOES, _GOES, _GOES) for name in ("lift", "move", "lower", "place", "transport")},
    "let_go": (f"{_GOES} and {{lets|let}} it go", "", ""),
}
RECOVERIES: dict[str, Phrases] = {
    "missed_grasp": ("", "", "{closes its gripper on nothing|close their grippers on nothing}"),
    "reopen": ("", "", "{opens its gripper|open their grippers} again after a missed grasp"),
    "second_approach": (
        "{reaches|reach} {d} for {o} again after a missed grasp",
        "{reaches|reach} {d} again after a missed grasp",
        "{reaches|reach} {d} again after a missed grasp",
    ),
    "regrasp": (
        "{grasps|grasp} {o} again",
        "{grasps|grasp} an object again",
        "{closes its gripper|close their grippers} again",
    ),
    "correction": ("", "", "{corrects its path|correct their paths}"),
    "hesitation": ("", "", "{pauses|pause}"),
}
SLIPS = ", and {its|their} hold slips"
AS_IF = "{moves|move} {d} as if to %s"  # a guess from the path alone
LASTING = frozenset(("reach", "move", "retract", "hold", "idle", "lift", "lower"))  # of which "briefly" can be said
THIRD = {"press": "presses", "push": "pushes"}  # verbs that take more than an s
WORK = {"press": {"press", "push"}, "push": {"push", "open", "close", "shut", "slide", "move"}}
WORK["pull"] = (WORK["push"] | {"pull"}) - {"push"}
