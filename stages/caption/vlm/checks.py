"""What an answer may not say: what signals contradict, and what is no caption.

In: the fields of an answer, the event, what signals know of it. Out: complaints, in words that can be sent back to the
model. An injection, in a picture or in a task, has to get through all of this: the verb must be one that the gripper
did, the sentence must say that verb or thing of an arm, and in plain words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from schemas.events import EventRow
from stages.caption.signals.describe import Scene
from stages.caption.vlm.answers import ARMS, OUTCOMES, VERBS, Fields

LONGEST_WORDS, LONGEST_NAME, SHORTEST_WORDS = 40, 5, 3
CAMERA = re.compile(
    r"\b(camera|image|picture|photo|frame|video|footage|screen|view(?:ed|er|point)?|visible|shown)s?\b", re.I
)
EMPTY = re.compile(
    r"\b(none|n/a|null|undefined|unspecified|not specified|placeholder|lorem)\b|[{}\[\]<>|\\`]|\.\.\.|https?:", re.I
)
ENGLISH = re.compile(r"\b(the|its|it|an?|with|of|their|and|for)\b", re.I)
NOT_LATIN = re.compile(r"[^\x00-ɏ‐-‧’]")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9' -]*")
SOMEBODY = re.compile(r"\b(arm|arms|gripper|grippers|hand|hands|robot|fingers|manipulator|end[- ]effector)\b", re.I)
SAYS: Mapping[str, str] = {  # a verb: what a sentence about it has one of
    "reach": r"reach|approach|mov|extend|go(es|ing)?\b|head", "align": r"align|line|adjust|position|approach|reach",
    "grasp": r"grasp|grip|clos|grab|take|pick|hold|clamp|seiz", "lift": r"lift|rais|pick|take|mov",
    "move": r"mov|carr|transport|bring|take|transfer|shift", "lower": r"lower|descend|bring|mov|set|put|plac",
    "place": r"plac|put|set|lay|insert|deposit|stack|lower|drop|slid|fit|clos", 
    "push": r"push|slid|press|mov|shov|drive|open|clos|hit",
    "pull": r"pull|drag|draw|open|slid|mov", "press": r"press|push", "rotate": r"rotat|turn|twist|spin",
    "release": r"releas|let|open|drop|put|plac", "open": r"open|releas", "close": r"clos|grip",
    "handover": r"hand|pass|take|transfer|give", "retract": r"retract|withdraw|back|away|leav|return|lift|rais|mov",
    "hold": r"hold|keep|stay|still|grip|rest", "idle": r"rest|idle|wait|still|stay|pause|paus|motionless|stop|nothing",
}  # fmt: skip
COLOURS = {
    "red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink", "brown", "white", "black", "grey",
    "gray", "silver", "golden", "beige",
}  # fmt: skip
CLOSING, OPENING = {"grasp", "close"}, {"release", "open"}
CARRIES = {"lift", "hold"}  # with an empty, open hand neither can be
BARE = {"reach", "align", "retract", "idle", "open"}  # what a hand does that holds nothing
BY_HAND = {"grasp", "close", "release", "open", "handover", "place"}  # primitives in which fingers act


def complaints(fields: Fields, event: EventRow, scene: Scene, opening: Mapping[str, tuple[float, float]]) -> list[str]:
    """All that is wrong with an answer. opening: {arm: gripper's opening at the first and at the last frame}."""
    return [*_verb(fields, event, opening), *_arm(fields, event, scene), *_names(fields), *_sentence(fields)]


def contradictions(
    fields: Fields, event: EventRow, scene: Scene, opening: Mapping[str, tuple[float, float]]
) -> list[str]:
    """Those in which signals and answer cannot both be right."""
    return [*_verb(fields, event, opening), *_arm(fields, event, scene)]


def _verb(fields: Fields, event: EventRow, opening: Mapping[str, tuple[float, float]]) -> list[str]:
    verb, primitive = fields.verb, event["primitive"]
    if verb not in VERBS:
        return [f"verb must be one of {', '.join(VERBS)}"]
    if verb == primitive:
        return []
    changes = [last - first for first, last in opening.values()]
    closes = any(c < -0.1 for c in changes) or primitive in ("grasp", "close", "handover")
    opens = any(c > 0.1 for c in changes) or primitive in ("release", "open", "handover", "place")
    found = []
    if verb in CLOSING and opening and not closes:
        found.append(f"the gripper does not close in this event, so it cannot {verb}")
    if verb in OPENING and opening and not opens:
        found.append(f"the gripper does not open in this event, so it cannot {verb}")
    if verb in BARE - {"idle"} and event["holds"] and primitive not in BY_HAND:
        found.append(f"the hand holds something throughout, so it cannot {verb}")
    if verb in CARRIES and opening and not event["holds"] and all(min(pair) > 0.9 for pair in opening.values()):
        found.append(f"the gripper is open throughout, so it cannot {verb}")
    if verb == "handover" and primitive != "handover":
        found.append("no hand takes over from the other in this event")
    if event["static"] and verb not in ("idle", "hold") and primitive not in BY_HAND:
        found.append("nothing moves in this event: it is idle or hold")
    if verb in ("idle", "hold") and primitive in BY_HAND and not event["static"] and (closes or opens):
        found.append("the gripper acts in this event, so it is neither idle nor hold")
    return found


def _arm(fields: Fields, event: EventRow, scene: Scene) -> list[str]:
    if fields.arm not in ARMS:
        return [f"arm must be one of {', '.join(ARMS)}"]
    moved = set(event["arms"]) | set(event["holds"])
    if scene.arms_of_robot == 1 or not moved:
        return []
    claimed = {"left", "right"} if fields.arm == "both" else {fields.arm}
    if not claimed <= moved:
        return [f"the arms that move are {', '.join(sorted(moved))}, not {fields.arm}"]
    return []


def _names(fields: Fields) -> list[str]:
    found = []
    for field, name in (("object", fields.thing), ("from", fields.source), ("to", fields.goal)):
        if name and not is_name(name):
            found.append(f"{field} must be a plain name of at most {LONGEST_NAME} words, such as red cup")
    if fields.outcome not in OUTCOMES:
        found.append(f"outcome must be one of {', '.join(OUTCOMES[:-1])}")
    return found


def is_name(text: str) -> bool:
    """Whether a text can be the name of a thing."""
    plain = NAME.fullmatch(text) and len(text.split()) <= LONGEST_NAME and len(text) <= 50
    return bool(plain) and not CAMERA.search(text) and not EMPTY.search(text)


def _sentence(fields: Fields) -> list[str]:
    text, words = fields.caption, fields.caption.split()
    if not SHORTEST_WORDS <= len(words) <= LONGEST_WORDS or len(text) > 300:
        return [f"caption must be one sentence of {SHORTEST_WORDS} to {LONGEST_WORDS} words"]
    found = []
    if NOT_LATIN.search(text) or not ENGLISH.search(text):
        found.append("caption must be in English")
    if CAMERA.search(text):
        found.append("caption must not speak of cameras or pictures")
    if EMPTY.search(text):
        found.append("caption must be plain words, without placeholders")
    if not SOMEBODY.search(text):
        found.append("caption must say what the arm does")
    says = SAYS.get(fields.verb, "")
    if (
        says
        and not re.search(says, text, re.I)
        and (not fields.thing or fields.thing.casefold() not in text.casefold())
    ):
        found.append(f"caption must say that the arm does {fields.verb}")
    if fields.thing and not _calls(text, fields):
        found.append(f"caption must call the object {fields.thing}, as the field does")
    if len(re.findall(r"[.!?](?:\s|$)", text)) > 1:
        found.append("caption must be one sentence")
    return found


def _calls(text: str, fields: Fields) -> bool:
    """Whether a sentence speaks of the thing of the fields: by its last word, or as `it`, and of no colour but those
    that the fields name."""
    said = re.findall(r"[a-z]+", text.casefold())
    named = re.findall(r"[a-z]+", f"{fields.thing} {fields.source} {fields.goal}".casefold())
    last = named[len(fields.thing.split()) - 1] if named else ""
    of_it = last in said or f"{last}s" in said or "it" in said or fields.verb in BARE | {"idle", "close", "hold"}
    return of_it and not (COLOURS & set(said)) - set(named)


def same_thing(one: str, other: str) -> bool:
    """Whether two names may be of one thing: no word of the one denies one of the other."""
    a, b = set(one.casefold().split()), set(other.casefold().split())
    return not a or not b or a <= b or b <= a


def told(found: Sequence[str]) -> str:
    return "; ".join(found)
