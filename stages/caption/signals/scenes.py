"""What is known of each event, for a sentence about it: from its neighbours, its arms' paths, the task in force.

In: the events of an episode, of both arms together and of each, its signals and clock. Out: one `Scene` an event, in
the same order. What an arm does is told from its own events; a thing is named only where
those of both agree that there is one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise

import numpy as np

from schemas.alignments import AlignmentRow
from schemas.episodes import EpisodeRow
from schemas.events import EventRow
from stages.caption.signals import task as grammar
from stages.caption.signals.describe import Scene
from stages.episode import Signal

TAKES, HAD = ("grasp", "handover"), ("release", "place")
WORK = ("press", "push", "pull")
HAND = ("grasp", "release", "handover", "open", "close")
WITH_THING = ("hold", "lift", "move", "lower", "place", "push", "pull", "rotate", "transport")
ENDS = {  # of a subtask: the action that completes it, and the evidence at its end that does so too
    "approach": ("grasp", {"closed", "closing_ended"}),
    "transport": ("release", {"opened", "opening_started", "opening_ended"}),
}

read = cache(grammar.read)


def scenes(
    episode: EpisodeRow, signals: Mapping[str, Signal], alignment: AlignmentRow, events: Sequence[EventRow]
) -> list[Scene]:
    """One an event. An object is certain in an episode in which something is taken once at most."""
    by_id = {e["event_id"]: e for e in events}
    done, holds = _completed(events), _holding(events)
    wanted = _reached_for(events, holds)
    once, strokes = _counted(events, _taken), _counted(events, _strokes)
    forward, shown = _forward(episode), _shown_by(events)
    acts = [e for e in events if e["track"] != "all" and e["level"] == "L1" and e["arms"]]
    found: list[Scene] = []
    for own in events:
        event = shown.get(own["event_id"], own)
        said = _said(event, by_id) or episode["task"]
        held, track = holds[event["event_id"]], event["track"]
        works = event["primitive"] in WORK and strokes[track] == 1
        found.append(
            Scene(
                level=event["level"],
                primitive=event["primitive"],
                recovery=event["recovery"] or "",
                arms=_acting(event) or _within(event, acts),
                arms_of_robot=len(episode["arms"]),
                holds=held,
                certain=once[track] <= 1 and (held or event["event_id"] in wanted or works),
                completes=event["event_id"] in done,
                shift=_shift(signals, alignment, event),
                forward=forward,
                seconds=event["end_s"] - event["start_s"],
                said=said,
                task=read(said),
                track=track,
            )
        )
    return found


def _said(event: EventRow, by_id: Mapping[str, EventRow]) -> str:
    """The instruction in force: of the L3 span that holds the event, where somebody has given it words."""
    top: EventRow | None = event
    while top is not None and top["level"] != "L3":
        top = by_id.get(top["parent_id"] or "")
    return (top["label"] or "") if top is not None else ""


def _completed(events: Sequence[EventRow]) -> set[str]:
    """Subtasks in which the hand takes hold (of an approach) or lets go (of a transport): an action of theirs says so,
    or that change of the hand is what ends them."""
    own = {e["event_id"]: ENDS[e["primitive"]] for e in events if e["level"] == "L2" and e["primitive"] in ENDS}
    by_id = {e["event_id"]: e for e in events}
    done = set()
    for event in events:
        holder = event["parent_id"] or ""
        ends, parent = own.get(event["event_id"]), own.get(holder)
        if ends and any(r["edge"] == "end" and r["kind"] in ends[1] for r in event["evidence"]):
            done.add(event["event_id"])
        acts = parent and event["primitive"] == parent[0] and not event["recovery"]
        if acts and set(event["arms"]) & set(_acting(by_id[holder])):
            done.add(holder)
    return done


def _acting(event: EventRow) -> list[str]:
    """Arms that the sentence is about: of what is done with a thing that is held those that hold it."""
    return event["holds"] if event["primitive"] in WITH_THING and event["holds"] else event["arms"]


def _within(event: EventRow, acts: Sequence[EventRow]) -> list[str]:
    """The arm of a span of its own of which as a whole it does nothing, and an action in which it does something."""
    own = (a for a in acts if a["track"] == event["track"] and event["level"] in ("L2", "L3"))
    moves = any(event["start_frame"] <= a["start_frame"] < event["end_frame"] for a in own)
    return [event["track"]] if moves else []


def _shown_by(events: Sequence[EventRow]) -> dict[str, EventRow]:
    """{subtask: the action that says what it is} of subtasks in which no action moves an arm: the first in which a hand
    acts, else the first."""
    below: dict[str, list[EventRow]] = {}
    for event in events:
        if event["level"] == "L1" and event["parent_id"]:
            below.setdefault(event["parent_id"], []).append(event)
    found = {}
    for event in events:
        own = below.get(event["event_id"], [])
        if event["level"] == "L2" and own and all(e["static"] or e["primitive"] in HAND for e in own):
            acts = [e for e in own if not e["static"]]
            found[event["event_id"]] = (acts or own)[0]
    return found


def _by_level(events: Sequence[EventRow]) -> list[list[EventRow]]:
    """Of each track by itself, in order of time."""
    found: dict[tuple[str, str], list[EventRow]] = {}
    for event in events:
        found.setdefault((event["track"], event["level"]), []).append(event)
    return [sorted(own, key=lambda e: e["start_frame"]) for own in found.values()]


def _holding(events: Sequence[EventRow]) -> dict[str, bool]:
    """{event: its arms hold something throughout}; of a grasp whether they do so after it, of a release before."""
    found = {e["event_id"]: bool(_acting(e)) and set(_acting(e)) <= set(e["holds"]) for e in events}
    plain = dict(found)
    for own in _by_level(events):
        for event, after in pairwise(own):
            if event["primitive"] in (*TAKES, "approach"):
                taking = set(event["arms"]) & set(after["holds"] or ())
                found[event["event_id"]] = bool(taking) and (
                    len(event["arms"]) == 1 or event["primitive"] == "handover"
                )
            if after["primitive"] in HAD and not plain[after["event_id"]]:
                found[after["event_id"]] = bool(after["arms"]) and set(after["arms"]) <= set(event["holds"])
    return found


def _counted(events: Sequence[EventRow], count: Callable[[Sequence[EventRow]], int]) -> dict[str, int]:
    """{track: how many}: of both arms together as their events say; of one arm the most that these or those of the
    single arms, added up, say."""
    tracks: dict[str, list[EventRow]] = {"all": []}
    for event in events:
        tracks.setdefault(event["track"], []).append(event)
    found = {track: count(own) for track, own in tracks.items()}
    most = max(found["all"], sum(n for track, n in found.items() if track != "all"))
    return {track: found["all"] if track == "all" else most for track in tracks}


def _strokes(events: Sequence[EventRow]) -> int:
    """How often something is pressed, pushed or pulled by what holds nothing."""
    return sum(e["level"] == "L1" and e["primitive"] in WORK and not e["holds"] for e in events)


def _taken(events: Sequence[EventRow]) -> int:
    """How often something is taken: grasps that do not miss, or stretches in which something is held, whichever are
    more."""
    actions = sorted((e for e in events if e["level"] == "L1"), key=lambda e: e["start_frame"])
    number = 0
    for arm in sorted({arm for e in actions for arm in (*e["arms"], *e["holds"])}):
        takes = [e["primitive"] == "grasp" and not e["recovery"] and arm in e["arms"] for e in actions]
        holds = [arm in e["holds"] for e in actions]
        number += max(sum(now and not before for before, now in pairwise([False, *own])) for own in (takes, holds))
    return number


def _reached_for(events: Sequence[EventRow], holds: Mapping[str, bool]) -> set[str]:
    """Events on the way to a thing: what their arm does next is to take hold for certain, or to press, push or pull."""
    found = set()
    for own in _by_level(events):
        aim: EventRow | None = None
        for event in reversed(own):
            primitive = event["primitive"]
            if (primitive in TAKES and not event["recovery"]) or primitive in WORK:
                aim = event if holds[event["event_id"]] or (primitive in WORK and not event["holds"]) else None
            elif primitive in ("release", "retract", "place") and not event["recovery"]:
                aim = None
            elif aim is not None and event["arms"] == aim["arms"] and primitive in ("reach", "align"):
                found.add(event["event_id"])
    return found


def _forward(episode: EpisodeRow) -> str:
    """Which way the robot faces in the frame of its positions."""
    for array, said in json.loads(episode["layout"] or "{}").items():
        if array.startswith("position.") and said.get("forward"):
            return str(said["forward"])
    return ""


def _shift(signals: Mapping[str, Signal], alignment: AlignmentRow, event: EventRow) -> list[tuple[float, float, float]]:
    """The way that each of the event's arms goes, m; none where an arm has no pose in metres."""
    found = []
    for arm in event["arms"]:
        position = signals.get(f"position/{arm}")
        if position is None or position.unit != "m" or position.values.shape[1] < 3:
            return []
        ends = np.asarray(alignment["signal_time_s"])[[event["start_frame"], event["end_frame"] - 1]]
        start, end = position.at(ends)
        x, y, z = (float(v) for v in (end - start)[:3])
        found.append((x, y, z))
    return found
