"""caption: the events of an episode in, one `captions` row each out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from schemas.alignments import ALIGNMENTS, AlignmentRow
from schemas.captions import CAPTIONS, CaptionRow
from schemas.episodes import EPISODES, EpisodeRow
from schemas.events import EVENTS, EventRow
from schemas.signals import SIGNALS
from stages.caption.config import CaptionConfig
from stages.caption.describe import Kinematics, describe, template_hash
from stages.episode import Signal, both_arms, signals_of
from stages.work import Inputs, Outcome, Unit, Workspace


def caption(unit: Unit[Inputs], work: Workspace, config: CaptionConfig) -> Outcome:
    """Sentences for the events of a unit's episodes."""
    outcome = Outcome()

    def one(name: str) -> None:
        (episode,), (alignment,) = work.rows(EPISODES, name), work.rows(ALIGNMENTS, name)
        signals, events = signals_of(work.rows(SIGNALS, name)), both_arms(work.rows(EVENTS, name))
        rows = caption_rows(episode, signals, alignment, events, config)
        outcome.add(CAPTIONS, rows)
        outcome.count(name, captions=len(rows))

    return outcome.each(unit.names, one)


def caption_rows(
    episode: EpisodeRow,
    signals: Mapping[str, Signal],
    alignment: AlignmentRow,
    events: Sequence[EventRow],
    config: CaptionConfig,
) -> list[CaptionRow]:
    """One row an event, by the captioner that `config` names; what a person has called an event stands."""
    prompt = template_hash()
    completed = _completed(events)
    rows = []
    for event in events:
        if event["label"]:
            rows.append(_row(event, event["label"], "human", "human", prompt))
            continue
        closed = _closed(signals, alignment, event)
        text = describe(
            {**event, "gripper_closed": closed, "completes": event["event_id"] in completed},
            _kinematics(signals, alignment, event),
            episode["task"],
            len(episode["arms"]),
        )
        rows.append(_row(event, text, config.captioner, "signals/1", prompt))
    return rows


def _row(event: EventRow, text: str, source: str, model: str, prompt: str) -> CaptionRow:
    return {
        "event_id": event["event_id"],
        "episode_id": event["episode_id"],
        "level": event["level"],
        "text": text,
        "source": source,
        "status": "ok",
        "model": model,
        "prompt_hash": prompt,
    }


def _completed(events: Sequence[EventRow]) -> set[str]:
    """Subtasks in which the hand takes hold (of an approach) or lets go (of a transport): an action of theirs says so,
    or that change of the hand is what ends them."""
    acts = {
        "approach": ("grasp", {"closed", "closing_ended"}),
        "transport": ("release", {"opened", "opening_ended"}),
    }
    subtasks = {e["event_id"]: acts[e["primitive"]] for e in events if e["level"] == "L2" and e["primitive"] in acts}
    done = set()
    for event in events:
        holder = event["parent_id"] or ""
        own, parent = subtasks.get(event["event_id"]), subtasks.get(holder)
        if own and any(r["edge"] == "end" and r["kind"] in own[1] for r in event["evidence"]):
            done.add(event["event_id"])
        if parent and event["primitive"] == parent[0] and not event["recovery"]:
            done.add(holder)
    return done


def _leading(event: EventRow, signals: Mapping[str, Signal], kind: str) -> Signal | None:
    """Signal of the event's first acting arm that has one."""
    for arm in [*event["arms"], "single", "right", "left"]:
        if f"{kind}/{arm}" in signals:
            return signals[f"{kind}/{arm}"]
    return None


def _kinematics(signals: Mapping[str, Signal], alignment: AlignmentRow, event: EventRow) -> Kinematics:
    seconds = event["end_s"] - event["start_s"]
    position = _leading(event, signals, "position")
    if position is None or position.unit != "m":
        return Kinematics(None, seconds)
    ends = np.asarray(alignment["signal_time_s"])[[event["start_frame"], event["end_frame"] - 1]]
    start, end = position.at(ends)
    x, y, z = (float(v) for v in end - start)
    return Kinematics((x, y, z), seconds)


def _closed(signals: Mapping[str, Signal], alignment: AlignmentRow, event: EventRow) -> bool:
    """Whether the leading arm's gripper is nearer to its most closed than to its most open in the episode."""
    gripper = _leading(event, signals, "gripper")
    if gripper is None:
        return False
    values = gripper.at(np.asarray(alignment["signal_time_s"]))[:, 0]
    middle = (values.min() + values.max()) / 2
    return bool(np.ptp(values) > 0.1 and values[event["start_frame"] : event["end_frame"]].mean() < middle)
