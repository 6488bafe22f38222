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

LONGEST_WORDS, LONGEST_NAME, SHORTEST_WORDS = 40, 8, 3
CAMERA = re.compile(
    r"\bcameras?\b|\bfootage\b|\bviewer\b|\b(is|are) (visible|shown)\b"
    r"|\b(in|of|from|by) (the|this|that|each|an?) (\w+ )?(image|picture|photo|video|frame|view|scene)s?\b"
    r"|\b(image|picture|photo|video|frame)s? (shows?|depicts?|contains?)\b", re.I,
)  # fmt: skip
EMPTY = re.compile(
    r"\b(the|an?) none\b|\bn/a\b|\bnull\b|\bundefined\b|\b(not )?(un)?specified\b|\bplaceholder|\blorem\b"
    r"|[{}\[\]<>|\\`]|\.\.\.|https?:", re.I,
)  # fmt: skip
ENGLISH = re.compile(r"\b(the|its|with|of|their|and|for|from|onto|both|it)\b", re.I)
NOT_LATIN = re.compile(r"[^\x00-ɏ‐-‧’]")
NAME = re.compile(r"[^\W_][\w'’ &()/.,+-]*")
SOMEBODY = re.compile(
    r"\b(arm|arms|gripper|grippers|hand|hands|robot|fingers?|manipulator|end[- ]effector|claw|jaws?)\b", re.I
)
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
OPPOSITES: Mapping[str, str] = {  # a verb: words with which a sentence is about another
    "grasp": r"\breleas|\blets? go", "release": r"\bgrasp|\bgrab", "lift": r"\blower|\bdescend",
    "lower": r"\blifts?\b|\brais", "push": r"\bpull", "pull": r"\bpush", "reach": r"\blifts?\b|\bcarr|\breleas",
    "hold": r"\breleas", "idle": r"\blifts?\b|\bcarr|\bgrasp", "retract": r"\bgrasp|\bgrab",
}  # fmt: skip
AGAINST = ({"lift", "lower"}, {"push", "pull"}, {"grasp", "release"})  # verbs of which signals know which it is
CARRIES = {"lift", "hold"}  # with an empty, open hand neither can be
BARE = {"reach", "align", "retract", "idle", "open"}  # what a hand does that holds nothing
WORKS = {"push", "pull", "press", "rotate"}
MOVES = {"reach", "lift", "move", "lower", "push", "pull", "press", "rotate", "retract"}  # primitives of a moving arm
BY_HAND = {"grasp", "close", "release", "open", "handover", "place"}  # primitives in which fingers act


def complaints(fields: Fields, event: EventRow, scene: Scene, opening: Mapping[str, tuple[float, float]]) -> list[str]:
    """All that is wrong with an answer. opening: {arm: gripper's opening at the first and at the last frame}."""
    found = [*_verb(fields, event, opening), *_arm(fields, event, scene), *_names(fields), *_sentence(fields)]
    if event["recovery"] == "second_approach" and fields.verb == "reach" and _up(scene):
        found.append("the hand goes up in this event, away from what it missed: it is retract")
    return found


def contradictions(
    fields: Fields, event: EventRow, scene: Scene, opening: Mapping[str, tuple[float, float]]
) -> list[str]:
    """Those in which signals and answer cannot both be right."""
    return [*_verb(fields, event, opening), *_arm(fields, event, scene)]


def _up(scene: Scene) -> bool:
    """Whether all arms go mostly upward."""
    return bool(scene.shift) and all(z > 0.01 and z > 0.5 * (x * x + y * y + z * z) ** 0.5 for x, y, z in scene.shift)


def _verb(fields: Fields, event: EventRow, opening: Mapping[str, tuple[float, float]]) -> list[str]:
    verb, primitive = fields.verb, event["primitive"]
    if verb not in VERBS:
        return [f"verb must be one of {', '.join(VERBS)}"]
    if verb == primitive:
        return []
    changes = [last - first for first, last in opening.values()]
    closes = any(c < -0.1 for c in changes) or primitive in ("grasp", "close", "handover")
    opens = any(c > 0.1 for c in changes) or primitive in ("release", "open", "handover", "place")
    arms = {"left", "right"} if fields.arm == "both" else {fields.arm}
    found = []
    if any({verb, primitive} == pair for pair in AGAINST) and (event["holds"] or primitive in ("push", "pull")):
        found.append(f"signals show that it does {primitive}, not {verb}")
    if verb in CLOSING and opening and not closes:
        found.append(f"the gripper does not close in this event, so it cannot {verb}")
    if verb in OPENING and opening and not opens:
        found.append(f"the gripper does not open in this event, so it cannot {verb}")
    if verb in BARE - {"idle"} and arms <= set(event["holds"]) and primitive not in BY_HAND:
        found.append(f"the hand holds something throughout, so it cannot {verb}")
    if verb in CARRIES and opening and not event["holds"] and all(min(pair) > 0.8 for pair in opening.values()):
        found.append(f"the gripper is open throughout, so it cannot {verb}")
    if verb == "handover" and primitive not in ("handover", "grasp", "release"):
        found.append("no hand takes over from the other in this event")
    if event["static"] and verb not in ("idle", "hold") and primitive not in BY_HAND:
        found.append("nothing moves in this event: it is idle or hold")
    if verb in ("idle", "hold") and not event["static"] and primitive in MOVES:
        found.append(f"the arm moves in this event ({primitive}): it is neither idle nor hold")
    if verb in WORKS and primitive in ("grasp", "release", "handover"):
        found.append(f"the hand does {primitive} in this event, not {verb}")
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
    told = set(re.findall(r"\b(left|right) (?:arm|hand|gripper)", fields.caption.casefold()))
    if told and not told <= moved:
        return [f"the arms that move are {', '.join(sorted(moved))}; the caption speaks of {', '.join(sorted(told))}"]
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
    plain = NAME.fullmatch(text) and len(text.split()) <= LONGEST_NAME and len(text) <= 60
    return bool(plain) and not CAMERA.search(text) and not EMPTY.search(text) and not NOT_LATIN.search(text)


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
    says, other = SAYS.get(fields.verb, ""), OPPOSITES.get(fields.verb)
    own = fields.word.split()[0] if fields.word else ""
    if (says and not re.search(says, text, re.I)) and not (own and own in text.casefold()):
        found.append(f"caption must say that the arm does {fields.verb}")
    elif other and re.search(other, text, re.I) and not re.search(rf"\b{fields.verb}", text, re.I):
        found.append(f"caption must say that the arm does {fields.verb}, and nothing against it")
    if fields.thing and not _calls(text, fields):
        found.append(f"caption must call the object {fields.thing}, as the field does")
    if re.search(r"[.!?]\s+[A-Z]", text):
        found.append("caption must be one sentence")
    return found


def _calls(text: str, fields: Fields) -> bool:
    """Whether a sentence speaks of the thing of the fields: by its last word, or as `it`, and of no other colour of it
    than they do."""
    said, name = _words(text), _words(re.sub(r"\(.*?\)", "", fields.thing))
    if not name:
        return True
    places = [n for n, word in enumerate(said) if word == name[-1]]
    quiet = fields.verb in BARE | {"idle", "close", "hold"}
    if not places and not quiet and "it" not in said:
        return False
    mine = COLOURS & set(name)
    return not mine or all((COLOURS & set(said[max(0, n - 2) : n])) <= mine for n in places)


def _words(text: str) -> list[str]:
    """Words, small, in the singular where that is plain, grey for gray."""
    found = re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text.casefold())
    return [re.sub(r"(?<=[^s])s$", "", re.sub(r"(?<=x|s)es$", "", "grey" if w == "gray" else w)) for w in found]


def same_thing(one: str, other: str) -> bool:
    """Whether two names may be of one thing: the same last word, and no word of the one that the other denies."""
    a, b = _words(one), _words(other)
    return not a or not b or (a[-1] == b[-1] and (set(a) <= set(b) or set(b) <= set(a)))


def told(found: Sequence[str]) -> str:
    return "; ".join(found)
