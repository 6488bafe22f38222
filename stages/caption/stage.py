"""caption: the events of an episode in, one `captions` row each out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.alignments import ALIGNMENTS, AlignmentRow
from schemas.captions import CAPTIONS, CaptionRow
from schemas.episodes import EPISODES, EpisodeRow
from schemas.events import EVENTS, EventRow
from schemas.signals import SIGNALS
from stages.caption.config import CaptionConfig
from stages.caption.describe import describe, template_hash
from stages.caption.scenes import scenes
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
    rows = []
    for event, scene in zip(events, scenes(episode, signals, alignment, events), strict=True):
        text, said_by, model = event["label"], "human", "human"
        if not text:
            text, said_by, model = describe(scene), config.captioner, "signals/2"
        rows.append(_row(event, text, said_by, model, prompt))
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
