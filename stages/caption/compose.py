"""What a caption row says besides its sentence: other phrasings, what comes next, how long the task still takes; and
the sentences of L2 and L3, put together from what their children are about.

In: events, what is known of them. Out: texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from schemas.captions import PhrasingRow
from schemas.events import EventRow
from stages.caption.signals.describe import Scene, describe
from stages.caption.signals.task import Task
from stages.caption.vlm.answers import Fields

HELD = (  # primitives of which signals say only with proof that it is done with a thing
    "grasp", "lift", "move", "lower", "place", "release", "hold", "transport", "handover",
)  # fmt: skip
STYLES = ("short", "detailed")
ORDERS = {  # a verb as an order, with a thing and without
    "reach": ("reach for", "reach"), "align": ("line up with", "line up"), "grasp": ("grasp", "close the gripper"),
    "lift": ("lift", "move up"), "move": ("carry", "move"), "lower": ("lower", "move down"),
    "place": ("put down", "put down what is held"), "push": ("push", "push"), "pull": ("pull", "pull"),
    "press": ("press", "press"), "rotate": ("turn", "turn the hand"), "release": ("let go of", "open the gripper"),
    "open": ("", "open the gripper"), "close": ("", "close the gripper"),
    "handover": ("pass", "pass from hand to hand"),
    "retract": ("draw back from", "draw back"), "hold": ("hold", "hold still"), "idle": ("", "rest"),
    "approach": ("approach", "move in"), "transport": ("carry", "carry what is held"),
}  # fmt: skip


def of_children(scene: Scene, thing: str) -> str:
    """The sentence of an L2 or L3 event, or of one arm's: the signals' own, with the name that its thing has in the
    episode; of one arm only where it has the thing in hand, since the other one may be at it."""
    proven = scene.holds or scene.completes or (scene.primitive not in HELD and not scene.alone)
    if not thing or scene.level == "L3" or not proven:
        return describe(scene)
    named = Task(held=f"the {thing}", thing=f"the {thing}", verb=scene.task.verb, fixed=scene.task.fixed)
    return describe(replace(scene, certain=True, task=named))


def phrasings(styles: Sequence[str], text: str, fields: Fields, event: EventRow) -> list[PhrasingRow]:
    """The caption said otherwise, one a style."""
    if not fields.verb:  # a person's words: no verb of ours is theirs
        return [{"style": style, "text": text} for style in styles]
    made = {"short": _short(fields), "detailed": _detailed(text, fields, event)}
    return [{"style": style, "text": made[style] or text} for style in styles]


def _short(fields: Fields) -> str:
    with_thing, without = ORDERS.get(fields.verb, ("", ""))
    if fields.outcome == "not grasped":
        return without
    if fields.thing and with_thing:
        where = f" from the {fields.source}" if fields.source and fields.verb in ("grasp", "lift") else ""
        where = f" to the {fields.goal}" if fields.goal and fields.verb in ("move", "lower", "transport") else where
        return f"{with_thing} the {fields.thing}{where}"
    return without


def _detailed(text: str, fields: Fields, event: EventRow) -> str:
    ways = [f" from the {fields.source}"] if fields.source and fields.verb in ("grasp", "lift", "move") else []
    ways += [f" to the {fields.goal}"] if fields.goal and fields.verb in ("move", "lower") else []
    seconds, plain = event["end_s"] - event["start_s"], text.rstrip(".")
    if fields.goal and fields.goal in plain:  # the way is told already
        ways = []
    plain += "".join(ways)
    more = (
        [f"which fails ({fields.outcome})"]
        if fields.outcome not in ("", "success", "unknown", "repeated attempt")
        else []
    )
    lasts = f"for {seconds:.1f} s" if fields.verb in ("idle", "hold") else f"in {seconds:.1f} s"
    return ", ".join([plain, *more, lasts]) + "."


def next_texts(events: Sequence[EventRow], texts: Mapping[str, str]) -> dict[str, str]:
    """{event: the caption of the event after it, of its level and track}; "" at the end."""
    found: dict[str, str] = {}
    for place in dict.fromkeys((e["level"], e["track"]) for e in events):
        own = sorted((e for e in events if (e["level"], e["track"]) == place), key=lambda e: e["start_frame"])
        after = [texts[e["event_id"]] for e in own[1:]]
        found |= dict(zip((e["event_id"] for e in own), [*after, ""], strict=True))
    return found


def remaining(events: Sequence[EventRow]) -> dict[str, float]:
    """{event: s from its start to the end of the task (the L3 event) that holds it}."""
    by_id = {e["event_id"]: e for e in events}
    found = {}
    for event in events:
        top = event
        while top["parent_id"] and top["parent_id"] in by_id:
            top = by_id[top["parent_id"]]
        found[event["event_id"]] = top["end_s"] - event["start_s"]
    return found
