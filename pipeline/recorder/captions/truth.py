"""What a captioner should have answered, from what the recorder knows: phases, thing, colour, destination.

In: an event's frames, the phases of its episode, the thing. Out: the fields of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

VERBS = {"missed_grasp": "grasp", "reopen": "open", "insert": "place"}  # a true phase: its verb, where it has another
PLACES = {  # task: (where the thing stands first, where it goes)
    "pick-place-v3": ("table", "dark mark"), "bin-picking-v3": ("bin", "other bin"),
    "shelf-place-v3": ("table", "shelf"),
    "assembly-v3": ("table", "peg"), "basketball-v3": ("table", "hoop"), "peg-insert-side-v3": ("table", "box"),
    "box-close-v3": ("table", "box"), "pick-place-wall-v3": ("table", "dark mark"), "hammer-v3": ("table", "nail"),
    "stick-push-v3": ("table", "thermos"),
}  # fmt: skip
WITHOUT = {"reach", "align", "retract", "idle", "open", "close"}  # verbs that bring a thing nowhere
SENTENCES = {
    "reach": "reaches for the {thing}", "align": "lines its gripper up with the {thing}",
    "grasp": "grasps the {thing}", "lift": "lifts the {thing}", "move": "carries the {thing}{to}",
    "lower": "lowers the {thing}{to}", "place": "puts the {thing} down{on}", "push": "pushes the {thing}",
    "pull": "pulls the {thing}", "press": "presses the {thing}", "release": "lets go of the {thing}",
    "retract": "draws back from the {thing}", "hold": "holds the {thing} still", "idle": "rests",
    "open": "opens its gripper", "close": "closes its gripper", "rotate": "turns the {thing}",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """What is true of an episode: half-open phases on video frames, the thing with its colour, where it comes from and
    goes to ("" where nothing is carried)."""

    phases: Sequence[tuple[int, int, str]]
    thing: str
    places: tuple[str, str] = ("", "")


def name_answer(told: Told) -> dict[str, str]:
    return {"object": told.thing, "from": told.places[0], "to": told.places[1]}


def phase_of(told: Told, start: int, end: int) -> str:
    """The phase that a span shares most frames with."""
    shared: dict[str, int] = {}
    for a, b, name in told.phases:
        shared[name] = shared.get(name, 0) + max(0, min(b, end) - max(a, start))
    return max(shared, key=lambda name: shared[name])


def event_answer(told: Told, start: int, end: int) -> dict[str, str]:
    """Fields of the answer to an event [start, end) of video frames."""
    phase = phase_of(told, start, end)
    verb = VERBS.get(phase, phase)
    if verb == "push" and told.thing.endswith("button"):
        verb = "press"
    again = phase == "reach" and any(name == "reopen" and b <= start + 1 for a, b, name in told.phases)
    outcome = "not grasped" if phase == "missed_grasp" else "repeated attempt" if again else "success"
    source, goal = ("", "") if verb in WITHOUT else told.places
    if phase == "missed_grasp":
        sentence = "closes its gripper on nothing"
    elif phase == "reopen":
        sentence = "opens its gripper again after a missed grasp"
    elif again:
        sentence = f"reaches for the {told.thing} again after a missed grasp"
    else:
        near = f" {'on' if goal in ('dark mark', 'shelf', 'peg', 'box', 'nail') else 'at'} the {goal}" if goal else ""
        sentence = SENTENCES[verb].format(thing=told.thing, to=f" to the {goal}" if goal else "", on=near)
    return {
        "verb": verb, "object": "" if verb == "idle" else told.thing, "from": source, "to": goal, "arm": "single",
        "outcome": outcome, "caption": f"The arm {sentence}.",
    }  # fmt: skip
