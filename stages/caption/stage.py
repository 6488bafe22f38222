"""caption: the events of an episode in, one `captions` row each out.

What a person has called an event stands. Without a model all others are the signals' own; with one, L1 and L0 are asked
about, and L2, L3 and what each arm does by itself are put together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import partial

from schemas.alignments import ALIGNMENTS, AlignmentRow
from schemas.captions import CAPTIONS, CaptionRow
from schemas.episodes import EPISODES
from schemas.events import EVENTS, EventRow
from schemas.observations import OBSERVATIONS, ObservationRow
from schemas.signals import SIGNALS
from stages.caption import backends, compose
from stages.caption.config import CaptionConfig
from stages.caption.signals.describe import Scene, describe, template_hash
from stages.caption.stills import CaptionWork, full_size, jpeg
from stages.caption.vlm.answers import Fields
from stages.caption.vlm.asking import Asking, asking
from stages.caption.vlm.cache import Cache
from stages.caption.vlm.episode import Told, talk
from stages.caption.vlm.handling import actions
from stages.caption.vlm.prompts import prompts_hash
from stages.caption.vlm.requests import Answer, Request
from stages.episode import signals_of
from stages.review.overlay import Words, words_for
from stages.review.spans import Span, ms
from stages.video.decode import picked
from stages.work import Outcome, Unit, Workspace

Media = Callable[[str], AbstractContextManager[str]]


@dataclass(frozen=True, slots=True)
class Model:
    """A model and its answers so far."""

    backend: backends.Backend
    cache: Cache

    def ask(self, requests: Sequence[Request], episode: str = "") -> list[Answer]:
        """Answers about an episode, in order; those that are known are not asked for again, and noted under its name
        too where they were asked about another, so that they can be forgotten with it."""
        keys = [r.key(self.backend.identity) for r in requests]
        held = {k: a for k in keys if (a := self.cache.get(k)) is not None and a.episode != episode}
        self.cache.add({k: replace(a, episode=episode) for k, a in held.items()})
        missing = {k: r for k, r in zip(keys, requests, strict=True) if self.cache.get(k) is None}
        names = list(missing)

        def keep(number: int, answer: Answer) -> None:
            self.cache.add({names[number]: replace(answer, episode=episode)})

        told = self.backend.ask(list(missing.values()), keep) if missing else []
        fresh = dict(zip(names, told, strict=True))
        return [self.cache.get(k) or fresh[k] for k in keys]


def caption(unit: Unit[CaptionWork], work: Workspace, config: CaptionConfig) -> Outcome:
    """Sentences for the events of a unit's episodes."""
    outcome, model, decoded = Outcome(), _model(work, config), dict[str, int]()

    def one(name: str) -> tuple[list[CaptionRow], Told | None]:
        (episode,), (alignment,) = work.rows(EPISODES, name), work.rows(ALIGNMENTS, name)
        signals = signals_of(work.rows(SIGNALS, name))
        events = named(work.rows(EVENTS, name), unit.payload.words.get(name, ()))
        clips = work.rows(OBSERVATIONS, name)
        asked = asking(episode, signals, alignment, events, [c["camera"] for c in clips], config.moments, config.static)
        told = None
        if model is not None and clips:  # without a camera there is nothing to see
            frames = asked.frames(asked.handlings(), asked.asked())
            if name in unit.payload.files:
                seen, decoded[name] = full_size(unit.payload.files[name], alignment, frames, config.picture_side)
            else:
                seen = pictures(work.media, clips, alignment, frames, config.picture_side)
            told = talk(asked, seen, partial(model.ask, episode=name))
        return caption_rows(asked, told, config, model.backend.name if model else ""), told

    made: dict[str, tuple[list[CaptionRow], Told | None]] = {}
    at_once = model.backend.at_once if model else 1
    with ThreadPoolExecutor(max(1, min(at_once, len(unit.names)))) as pool:
        running = {name: pool.submit(one, name) for name in unit.names}

        def collect(name: str) -> None:
            made[name] = running[name].result()

        outcome.each(unit.names, collect)
    for name, (rows, told) in made.items():
        outcome.add(CAPTIONS, rows)
        outcome.count(name, captions=len(rows), **_figures(rows))
        if told is not None:
            outcome.count(name, question_tokens=told.tokens[0], answer_tokens=told.tokens[1])  # of names
        if told is not None and told.unanswered:
            outcome.count(name, unanswered=told.unanswered)
        if name in decoded:
            outcome.count(name, full_size_frames=decoded[name])
    if model is not None:
        model.cache.flush()
    return outcome


def named(events: Sequence[EventRow], words: Sequence[Words]) -> list[EventRow]:
    """Events with what reviewers have called them, before any other words for them."""
    if not words:
        return list(events)
    spans = [Span(ms(e["start_s"]), ms(e["end_s"]), e["primitive"]) for e in events]
    said = words_for(words, {e["event_id"]: (e["level"], e["track"], s) for e, s in zip(events, spans, strict=True)})
    return [{**e, "label": said[e["event_id"]].text, "origin": "human"} if e["event_id"] in said else e for e in events]


def _model(work: Workspace, config: CaptionConfig) -> Model | None:
    """The model that the configuration names; None for `signals`."""
    if config.captioner == "signals":
        return None
    fields = backends.Settings.__dataclass_fields__
    settings = backends.Settings(**{name: getattr(config, name) for name in fields})
    model = Model(work.kept(backends.make, settings), work.kept(Cache, work.place("answers")))
    model.cache.refresh()
    return model


def _figures(rows: Sequence[CaptionRow]) -> dict[str, float]:
    asked = [r for r in rows if r["source"] == "vlm" or r["status"] not in ("ok", "human")]
    if not asked:
        return {}
    by_status = {f"caption_{s}": sum(r["status"] == s for r in asked) for s in {r["status"] for r in asked}}
    tokens = {name: sum(r[name] for r in rows) for name in ("question_tokens", "answer_tokens")}
    return {**by_status, **tokens}


def pictures(
    media: Media, clips: Sequence[ObservationRow], alignment: AlignmentRow, frames: set[int], side: int
) -> dict[tuple[str, int], bytes]:
    """{(camera, canonical frame): JPEG} from the proxies, at most `side` px long. media: a local path with a file of
    the corpus."""
    index = {c["name"]: c["frame_index"] for c in alignment["cameras"]}
    found: dict[tuple[str, int], bytes] = {}
    with ExitStack() as stack:
        for clip in clips:
            path = stack.enter_context(media(f"media/{clip['proxy']}"))
            shrink = min(1.0, side / max(clip["width"], clip["height"]))
            size = (max(1, round(clip["width"] * shrink)), max(1, round(clip["height"] * shrink)))
            numbers = {f: int(index[clip["camera"]][f]) for f in frames}
            decoded = picked(path, sorted(set(numbers.values())), clip["gop"], size)
            encoded = {n: jpeg(picture) for n, picture in decoded.items()}
            found |= {(clip["camera"], f): encoded[n] for f, n in numbers.items()}
    return found


def caption_rows(asked: Asking, told: Told | None, config: CaptionConfig, model: str = "") -> list[CaptionRow]:
    """One row an event, in order. model: what it is called."""
    whole = {(e["start_frame"], e["end_frame"]): e for e in actions(asked.events)}
    events = [*asked.events, *asked.of_arms]
    rows = [_row(event, asked, told, whole, config, model) for event in events]
    after = compose.next_texts(events, {r["event_id"]: r["text"] for r in rows})
    left = compose.remaining(events)
    for row in rows:
        row["next_text"], row["remaining_s"] = after[row["event_id"]], left[row["event_id"]]
    return rows


def _row(
    event: EventRow,
    asked: Asking,
    told: Told | None,
    whole: Mapping[tuple[int, int], EventRow],
    config: CaptionConfig,
    name: str,
) -> CaptionRow:
    scene = asked.scenes[event["event_id"]]
    fields = Fields(verb=event["primitive"], arm=_arm(scene))
    # a local event that is a whole action has that action's words
    local = (event["level"], event["track"]) == ("L0", "all")
    same = whole.get((event["start_frame"], event["end_frame"])) if local else None
    heard = told.events if told is not None else {}
    said = heard.get(event["event_id"]) or (heard.get(same["event_id"]) if same else None)
    thing = _thing(event, asked, told)
    speaker = event if event["label"] else same
    label = speaker["label"] if speaker else None
    if label and speaker:
        source = "source" if speaker["origin"] == "source" else "human"
        text, status, model = label, "human" if source == "human" else "ok", source
        fields = Fields(arm=fields.arm)
    elif said is not None and said.fields is not None:
        text, source, status, model, fields = said.fields.caption, "vlm", said.status, name, said.fields
        text = text if text.endswith((".", "!", "?")) else f"{text}."
    elif told is None or said is not None:
        text, source, model = describe(scene), "signals", "signals/2"
        status = said.status if said else "ok"
        named = scene.task.held or scene.task.thing
        if named and named in text and "task: " not in text:
            fields = replace(fields, thing=re.sub(r"^(the|this|that) ", "", named))
    else:
        text, source, status, model = compose.of_children(scene, thing), "composed", "ok", "composed/1"
        fields = replace(fields, thing=thing if thing and thing in text.split("task: ")[0] else "")
    paid = said.tokens if said and event["event_id"] in heard else (0, 0)
    sure = said.confidence if said and said.fields else math.nan
    return {
        "event_id": event["event_id"],
        "episode_id": event["episode_id"],
        "level": event["level"],
        "text": text,
        "source": source,
        "status": status,
        "verb": fields.verb or event["primitive"],
        "object": fields.thing,
        "from_place": fields.source,
        "to_place": fields.goal,
        "arm": fields.arm,
        "outcome": fields.outcome,
        "confidence": None if math.isnan(sure) else sure,
        "phrasings": compose.phrasings(config.phrasings, text, fields, event),
        "next_text": "",
        "remaining_s": 0.0,
        "contradictions": said.contradictions if said else 0,
        "complaint": said.complaint if said else "",
        "model": model,
        "prompt_hash": template_hash() if source == "signals" else prompts_hash(),
        "question_tokens": paid[0],
        "answer_tokens": paid[1],
    }


def _thing(event: EventRow, asked: Asking, told: Told | None) -> str:
    """What the thing of an event is called, where all its handlings agree."""
    if told is None or not told.things:
        return ""
    own = [
        told.things[n]
        for n, h in enumerate(asked.handlings())
        if h.start < event["end_frame"] and event["start_frame"] < h.end
    ]
    return own[0] if len(set(own)) == 1 else ""


def _arm(scene: Scene) -> str:
    arms = list(scene.arms)
    if scene.alone:
        return scene.track
    if scene.arms_of_robot == 1:
        return "single"
    return "" if not arms else arms[0] if len(arms) == 1 else "both"
