"""An episode through a model: name its things, ask about its events, check, ask once more, and fall back.

In: an episode as it is asked about, its pictures, and a way to ask. Out: what was said of each event that was asked
about, or why nothing could be.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from schemas.events import EventRow
from stages.caption.signals.describe import Scene
from stages.caption.signals.task import Task
from stages.caption.vlm import checks
from stages.caption.vlm.answers import VERBS, Fields, read
from stages.caption.vlm.asking import Asking
from stages.caption.vlm.handling import WORKS, actions, handles, several, takes
from stages.caption.vlm.requests import Answer, Request

# how sure an answer is whose model tells no probabilities: how often the sample's captions were right whose verb agrees
# with the signals' own, or does not (of 253 and 13, docs/captions.md of 2026-11-27)
AGREES, DIFFERS = 0.96, 0.08
FROM, TO = ("grasp", "lift", "move"), ("move", "lower", "place", "push", "handover")  # verbs that say from or to where
Ask = Callable[[Sequence[Request]], list[Answer]]
Pictures = Mapping[tuple[str, int], bytes]


@dataclass(frozen=True, slots=True)
class Said:
    """What a model has said of an event. fields: None where all was refused, or nobody answered. contradictions: of the
    first answer with the signals; confidence: NaN where not told."""

    fields: Fields | None
    status: str
    confidence: float = math.nan
    contradictions: int = 0
    complaint: str = ""
    tokens: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Told:
    """Of an episode: {event: what was said}, a name (or "") a handling, questions that nobody answered, tokens of the
    questions about names."""

    events: Mapping[str, Said]
    things: Sequence[str]
    unanswered: int
    tokens: tuple[int, int]


def talk(episode: Asking, seen: Pictures, ask: Ask) -> Told:
    """All questions about an episode."""
    names, unanswered, tokens = _names(episode, seen, ask)
    events = episode.asked()
    things = [names[episode.handling_of(e)] if names else "" for e in events]
    questions = [episode.event(e, thing, seen) for e, thing in zip(events, things, strict=True)]
    said = _asked(episode, events, things, questions, ask)
    unanswered += sum(s.status == "error" for s in said)
    return Told({e["event_id"]: s for e, s in zip(events, said, strict=True)}, names, unanswered, tokens)


def openings(episode: Asking, event: EventRow) -> dict[str, tuple[float, float]]:
    """{arm: opening of its gripper at the first and the last frame of an event}, 0 closed to 1 open."""
    times = np.asarray(episode.alignment["signal_time_s"])[[event["start_frame"], event["end_frame"] - 1]]
    found = {}
    for arm in ("single", "left", "right"):
        signal = episode.signals.get(f"gripper/{arm}")
        if signal is not None:
            first, last = signal.at(times)[:, 0]
            found[arm] = (float(first), float(last))
    return found


def _names(episode: Asking, seen: Pictures, ask: Ask) -> tuple[list[str], int, tuple[int, int]]:
    """(a name a handling, unanswered questions, tokens). What the operator's words name for certain stands."""
    own, handlings = actions(episode.events), episode.handlings()
    busy = [n for n, h in enumerate(handlings) if handles(own, h)] or list(range(min(1, len(handlings))))
    single = [n for n in busy if not several(own, handlings[n])]  # of one thing: no other has a name for all its events
    questions = {n: episode.name(handlings[n], seen) for n in single}
    answers = ask(list(questions.values()))
    names, again = dict.fromkeys(range(len(handlings)), ""), {}
    for number, answer in zip(single, answers, strict=True):
        name = _name(answer)
        task = episode.scenes[own[handlings[number].first]["event_id"]].task
        certain = _certain(task, takes(own, handlings[number])) if len(busy) == 1 else ""
        names[number] = name if not certain or (name and checks.same_thing(name, certain)) else certain
        if answer.status != "error" and (not name or names[number] != name):
            wrong = f"the operator calls it {certain}" if certain else "object must be a plain name such as red cup"
            again[number] = questions[number].again(wrong)
    second = ask(list(again.values())) if again else []
    for number, answer in zip(again, second, strict=True):
        name = _name(answer)
        if name and checks.same_thing(name, names[number]) and len(name) > len(names[number]):
            names[number] = name
    every = [*answers, *second]
    return [names[n] for n in range(len(handlings))], sum(a.status == "error" for a in every), _sum(every)


def _name(answer: Answer) -> str:
    fields = read(answer.text, ("object", "from", "to"))
    return fields.thing if fields and checks.is_name(fields.thing) else ""


def _certain(task: Task, taken: bool) -> str:
    """What the operator's words name for certain: of a thing that is taken what is held, else what is worked on (who
    closes the box with the lid takes the lid)."""
    return re.sub(r"^(the|this|that) ", "", task.held if taken else task.held or task.thing)


def _asked(
    episode: Asking, events: Sequence[EventRow], things: Sequence[str], questions: Sequence[Request], ask: Ask
) -> list[Said]:
    first = ask(questions)
    said = [_judged(episode, e, t, a) for e, t, a in zip(events, things, first, strict=True)]
    wrong = [n for n, s in enumerate(said) if s.fields is None and s.status not in ("error", "blocked")]
    if wrong:
        second = ask([questions[n].again(said[n].complaint) for n in wrong])
        for n, answer in zip(wrong, second, strict=True):
            better = _judged(episode, events[n], things[n], answer)
            tokens = _sum([first[n], answer])
            status = "repaired" if better.fields else better.status
            said[n] = Said(
                better.fields,
                status,
                better.confidence,
                said[n].contradictions,
                better.complaint or said[n].complaint,
                tokens,
            )
    return said


def _judged(episode: Asking, event: EventRow, thing: str, answer: Answer) -> Said:
    """One answer, mended where that is plain; without fields where it is refused."""
    if answer.status in ("error", "blocked"):
        return Said(None, answer.status, complaint=answer.message or answer.status, tokens=answer.tokens)
    fields = read(answer.text, ("verb", "object", "from", "to", "arm", "outcome", "caption"))
    refused = "truncated" if answer.status == "truncated" else "fallback"
    if fields is None:
        return Said(None, refused, complaint="the answer must be one JSON object", tokens=answer.tokens)
    scene, opening = episode.scenes[event["event_id"]], openings(episode, event)
    against = len(checks.contradictions(fields, event, scene, opening))
    fields = _one_name(_plain(fields, event, scene), thing)
    found = checks.complaints(fields, event, scene, opening)
    if thing and fields.thing and not checks.same_thing(fields.thing, thing):
        found.append(f"the object is called {thing} in this episode")
    if found:
        return Said(None, refused, answer.confidence, against, checks.told(found), answer.tokens)
    mended = fields.mended or answer.status == "truncated"
    sure = answer.confidence
    if math.isnan(sure):
        sure = AGREES if fields.verb == event["primitive"] else DIFFERS
    return Said(fields, "repaired" if mended else "ok", sure, against, "", answer.tokens)


def _plain(fields: Fields, event: EventRow, scene: Scene) -> Fields:
    """What signals know better, or what has one name only: the arm; a verb that is none of ours, or that speaks of a
    thing (a drawer is opened by a pull); how a missed grasp went."""
    primitive, arms = event["primitive"], event["holds"] or event["arms"]
    if scene.arms_of_robot == 1 and fields.arm != "single":
        fields = fields.mend(arm="single")
    if not fields.arm and arms:
        fields = fields.mend(arm="both" if len(arms) > 1 else arms[0])
    of_thing = fields.verb in ("open", "close") and fields.thing and primitive in WORKS
    if primitive in VERBS and (of_thing or fields.verb not in VERBS):
        fields = fields.mend(verb=primitive, word=fields.word or fields.verb)
    if event["recovery"] == "missed_grasp" and fields.outcome == "success":
        fields = fields.mend(outcome="not grasped")
    comes = fields.source if fields.verb in FROM and fields.outcome != "not grasped" else ""
    return replace(fields, source=comes, goal=fields.goal if fields.verb in TO else "")


def _one_name(fields: Fields, thing: str) -> Fields:
    """A shorter or longer name of the same thing becomes the one that the episode uses."""
    if not thing or not fields.thing or fields.thing == thing or not checks.same_thing(fields.thing, thing):
        return fields
    said = fields.caption
    if thing.casefold() not in said.casefold():
        said = re.sub(rf"\b{re.escape(fields.thing)}\b", lambda _: thing, said, count=1)
    return fields.mend(thing=thing, caption=said)


def _sum(answers: Sequence[Answer]) -> tuple[int, int]:
    return sum(a.tokens[0] for a in answers), sum(a.tokens[1] for a in answers)
