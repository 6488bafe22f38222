"""From the text of an answer to its fields, mended where that is plain, and what may be said of an event.

In: what a model wrote. Out: `Fields`, or what is wrong, in words that can be sent back to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from schemas.events import PRIMITIVES
from stages.text import plain

VERBS = tuple(p for p in PRIMITIVES if p not in ("task", "approach", "transport", "unknown"))
OUTCOMES = ("success", "not grasped", "dropped", "wrong object", "released unexpectedly", "repeated attempt", "unknown")
ARMS = ("left", "right", "both", "single")
SAME_VERB = {  # other words that mean just one of ours, whatever they are about
    "pick": "grasp", "pick up": "lift", "grab": "grasp", "take": "grasp", "grip": "grasp", "seize": "grasp",
    "raise": "lift", "carry": "move", "transport": "move", "put": "place", "put down": "place", "set down": "place",
    "let go": "release", "withdraw": "retract", "approach": "reach", "reach for": "reach", "move toward": "reach",
    "turn": "rotate", "twist": "rotate", "wait": "idle", "rest": "idle", "pause": "idle", "stay": "idle",
    "hand over": "handover", "insert": "place", "descend": "lower", "drag": "pull",
}  # fmt: skip
NOTHING = re.compile(
    r"(none|n/?a|null|nil|empty|unspecified|not (known|visible|sure|applicable)|nothing|object|thing|item|\?|-|…"
    r"|(no|an?|unknown|unidentified|some)( object| thing| item)?"
    r"|((robot|robotic|left|right|single|both) )*(arms?|grippers?|hands?|robot|fingers?|manipulator))?"
)
THOUGHTS = re.compile(r"^.*</think>", re.DOTALL)
FENCE = re.compile(r"^```\w*|```$")


@dataclass(frozen=True, slots=True)
class Fields:
    """An answer's fields; "" where nothing is said. mended: the text was not as asked for, and could be read."""

    verb: str = ""
    thing: str = ""
    source: str = ""  # from
    goal: str = ""  # to
    arm: str = ""
    outcome: str = ""
    caption: str = ""
    mended: bool = False
    word: str = ""  # the verb as it was said, without its ending

    def mend(self, **changes: str) -> Fields:
        return replace(self, **changes, mended=True)


def read(text: str, wanted: Sequence[str]) -> Fields | None:
    """Fields of an answer; None where no JSON object of them can be made out."""
    found, mended = _object(text)
    if found is None or not set(wanted) & set(found):
        return None
    values = {name: _value(found.get(name)) for name in wanted}
    mended = mended or any(name not in found or not isinstance(found[name], str) for name in wanted)
    verb, outcome, arm = (_word(values.get(k, "")) for k in ("verb", "outcome", "arm"))
    word = _stem(verb)
    known = verb if verb in VERBS else word if word in VERBS else SAME_VERB.get(word, verb)
    arm = re.sub(r"^the |^its | (arms?|grippers?|hands?)$", "", arm)
    arm = "" if NOTHING.fullmatch(arm) else arm
    outcome = "unknown" if outcome in ("", "failure", "failed", "partial", "in progress", "ongoing") else outcome
    return Fields(
        verb=known,
        thing=_thing(values.get("object", "")),
        source=_thing(values.get("from", "")),
        goal=_thing(values.get("to", "")),
        arm=arm,
        outcome=outcome,
        caption=values.get("caption", ""),
        mended=mended or known != verb,
        word=word,
    )


def _object(text: str) -> tuple[Mapping[str, object] | None, bool]:
    """(the first JSON object in a text, whether anything had to be mended)."""
    own = THOUGHTS.sub("", text).strip()
    try:
        whole = json.loads(own)
        if isinstance(whole, dict):
            return whole, False
    except (ValueError, RecursionError):
        pass
    own = FENCE.sub("", own).strip()
    start = own.find("{")
    if start < 0:
        return None, True
    try:
        found, _ = json.JSONDecoder().raw_decode(own[start:])
        return (found, True) if isinstance(found, dict) else (None, True)
    except (ValueError, RecursionError):
        pairs = re.findall(r'"(\w+)"\s*:\s*"((?:[^"\\]|\\.)*)"', own[start : start + 4000])  # cut off in the middle
        return (dict(pairs), True) if pairs else (None, True)


def _value(value: object) -> str:
    if isinstance(value, list):
        value = ", ".join(str(v) for v in value[:3])
    return plain("" if value is None else str(value)[:2000])


def _thing(text: str) -> str:
    """A name without article and full stop; "" for words that say nothing."""
    name = re.sub(r"^(the|a|an)\s+", "", text.strip().rstrip("."), flags=re.IGNORECASE)
    return "" if NOTHING.fullmatch(name.casefold()) else name


def _word(text: str) -> str:
    return text.casefold().replace("_", " ").strip(" .!")


def _stem(verb: str) -> str:
    """The first word without its ending: grasping, grasps, grasped -> grasp; picking up -> pick up."""
    first, _, rest = verb.partition(" ")
    known = {w.split()[0] for w in (*VERBS, *SAME_VERB)}
    for end, put in (("ing", ""), ("ing", "e"), ("es", ""), ("s", ""), ("ed", ""), ("ed", "e")):
        stem = first.removesuffix(end) + put
        if first.endswith(end) and stem not in known and len(stem) > 2 and stem[-1] == stem[-2]:
            stem = stem[:-1]
        if first.endswith(end) and stem in known:
            return f"{stem} {rest}".strip()
    return verb
