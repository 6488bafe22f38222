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
SAME_VERB = {
    "pick": "grasp", "pick up": "lift", "grab": "grasp", "take": "grasp", "grip": "grasp", "raise": "lift",
    "carry": "move", "transport": "move", "transfer": "move", "put": "place", "put down": "place", "set down": "place",
    "let go": "release", "drop": "release", "withdraw": "retract", "approach": "reach", "reach for": "reach",
    "move toward": "reach", "turn": "rotate", "wait": "idle", "rest": "idle", "pause": "idle", "stay": "idle",
    "hand over": "handover", "insert": "place", "slide": "push", "descend": "lower", "pull back": "retract",
}  # fmt: skip
NOTHING = re.compile(
    r"(none|n/?a|null|nil|unknown|unspecified|not (known|visible|sure|applicable)|nothing|object|\?|-|…)?"
)
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

    def mend(self, **changes: str) -> Fields:
        return replace(self, **changes, mended=True)


def read(text: str, wanted: Sequence[str]) -> Fields | None:
    """Fields of an answer; None where no JSON object of them can be made out."""
    found, mended = _object(text)
    if found is None or not set(wanted) & set(found):
        return None
    values = {name: _value(found.get(name)) for name in wanted}
    mended = mended or any(name not in found or not isinstance(found[name], str) for name in wanted)
    verb, outcome, arm = (values.get(k, "").casefold().replace("_", " ") for k in ("verb", "outcome", "arm"))
    verb = verb.removesuffix(".")
    known = verb if verb in VERBS or not verb else SAME_VERB.get(verb, _stem(verb))
    arm = arm.removesuffix(" arm").removesuffix(" hand")
    return Fields(
        verb=known,
        thing=_thing(values.get("object", "")),
        source=_thing(values.get("from", "")),
        goal=_thing(values.get("to", "")),
        arm=arm,
        outcome=outcome or "unknown",
        caption=values.get("caption", ""),
        mended=mended or known != verb,
    )


def _object(text: str) -> tuple[Mapping[str, object] | None, bool]:
    """(the first JSON object in a text, whether anything had to be mended)."""
    own = text.strip()
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


def _stem(verb: str) -> str:
    """grasping, grasps, grasped -> grasp."""
    for end, put in (("ing", ""), ("ing", "e"), ("es", ""), ("s", ""), ("ed", ""), ("ed", "e")):
        stem = verb.removesuffix(end) + put
        if verb.endswith(end) and (stem in VERBS or stem in SAME_VERB):
            return SAME_VERB.get(stem, stem)
    return verb
