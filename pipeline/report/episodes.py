"""Episodes to look at: speed, gripper, spans of three levels with captions, thumbnails at their times.

In: a corpus. Out: `Timeline`s, of a few episodes of each source, of the least confident ones, or of one that is named.
Wide tables (signals, alignments) are read for these episodes alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from pipeline.corpus.commit import OK
from pipeline.corpus.view import Corpus
from pipeline.report import pictures
from pipeline.report.pictures import Strip
from pipeline.report.refusals import clipped
from schemas.alignments import ALIGNMENTS, AlignedCamera
from schemas.episodes import EPISODES
from schemas.events import EVENTS
from schemas.ids import source_of, unit_hash
from schemas.observations import OBSERVATIONS
from schemas.signals import SIGNALS
from stages.episode import Signal, signals_of, speeds

TIMELINES = 4
LEVELS = ("L2", "L1", "L0")
CAPTIONED = "L1"
CAPTIONS = 18  # listed under a timeline
CAMERAS = 3
TEXT = 160  # characters of a task or a caption

Float = npt.NDArray[np.float64]


class Clock(TypedDict):
    """What a drawing needs of an `alignments` row: canonical frames in s and on the log's clock, frames of cameras."""

    episode_id: str
    time_s: Sequence[float]
    signal_time_s: Sequence[float]
    cameras: list[AlignedCamera]


class Task(TypedDict):
    """What a drawing needs of an `episodes` row."""

    episode_id: str
    task: str
    robot: str


class Span(TypedDict):
    """What a drawing needs of an `events` row: canonical frames, s from the episode's beginning."""

    event_id: str
    level: str
    track: str
    start_frame: int
    start_s: float
    end_s: float
    primitive: str
    static: bool
    confidence: float


class Captioned(Span):
    """The same with its caption, which may be empty."""

    caption: str


class Mark(TypedDict):
    """A candidate boundary: when, s from the episode's beginning; strength 0 to 1; level of the boundary that rests on
    it, None where none does."""

    time_s: float
    kind: str
    arm: str
    signal: str
    strength: float
    level: str | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """An episode to draw: time_s float64[T]; per arm speed and opening float64[T], 0 to 1; spans by level; strips with
    the time of each picture, s; `ending` is what all captions end with, listed once; marks: candidate boundaries, if
    they are to be seen; arms: spans of an arm's own track by its name and level."""

    episode_id: str
    task: str
    robot: str
    time_s: Float
    speed: Mapping[str, Float]
    gripper: Mapping[str, Float]
    spans: Mapping[str, list[Captioned]]
    strips: list[tuple[Strip, list[float]]]
    captions: list[Captioned]
    more: int
    ending: str
    marks: Sequence[Mark] = ()
    arms: Mapping[str, list[Captioned]] = field(default_factory=dict)


def timelines(corpus: Corpus) -> list[Timeline]:
    """A few episodes, spread over the sources; the ones of smallest hash, so that a rerun shows the same."""
    by_source: dict[str, list[str]] = {}
    for episode in sorted(corpus.done("segment").filter(status=OK)["item"], key=lambda e: unit_hash(f"shown:{e}")):
        by_source.setdefault(source_of(episode), []).append(episode)
    ranks = max((len(g) for g in by_source.values()), default=0)
    spread = [group[i] for i in range(ranks) for group in by_source.values() if i < len(group)]
    return [timeline_of(corpus, episode) for episode in spread[:TIMELINES]]


def timeline_of(corpus: Corpus, episode: str, cameras: int = CAMERAS) -> Timeline:
    """Of one episode, without marks and arms; pictures of so many cameras."""
    alignment = corpus.narrow(ALIGNMENTS, Clock, [episode])[0]
    time = np.asarray(alignment["time_s"], dtype=np.float64)
    log_time = np.asarray(alignment["signal_time_s"], dtype=np.float64)
    about = corpus.narrow(EPISODES, Task, [episode])[0]
    spans, listed, ending = _spans(corpus, episode)
    signals = signals_of(corpus.rows(SIGNALS, [episode]))
    return Timeline(
        episode,
        clipped(about["task"], TEXT),
        about["robot"],
        time,
        {arm: _scaled(speed) for arm, speed in speeds(signals, log_time).items()},
        _openings(signals, log_time),
        spans,
        _strips(corpus, episode, time, alignment["cameras"], cameras),
        listed[:CAPTIONS],
        max(0, len(listed) - CAPTIONS),
        ending,
    )


def _spans(corpus: Corpus, episode: str) -> tuple[dict[str, list[Captioned]], list[Captioned], str]:
    """Spans by level, those of CAPTIONED with their captions, and how all of these end."""
    texts = dict(corpus.table("captions", [episode], ["event_id", "text"]).iter_rows())
    rows = sorted(corpus.narrow(EVENTS, Span, [episode]), key=lambda e: e["start_frame"])
    events = [captioned(e, texts.get(e["event_id"]) or "") for e in rows if e["track"] == "all"]
    spans = {level: [e for e in events if e["level"] == level] for level in LEVELS}
    listed = spans[CAPTIONED]
    ending = shared_ending([e["caption"] for e in listed])
    listed = [captioned(e, clipped(e["caption"].removesuffix(ending), TEXT)) for e in listed]
    for event in events:
        event["caption"] = clipped(event["caption"], TEXT)
    return spans, listed, clipped(ending, TEXT)


def captioned(span: Span, caption: str) -> Captioned:
    """A span with these words."""
    return {
        "event_id": span["event_id"],
        "level": span["level"],
        "track": span["track"],
        "start_frame": span["start_frame"],
        "start_s": span["start_s"],
        "end_s": span["end_s"],
        "primitive": span["primitive"],
        "static": span["static"],
        "confidence": span["confidence"],
        "caption": caption,
    }


def shared_ending(captions: list[str]) -> str:
    """What all captions end with, from a comma on: `, with the task "stack the cups".` Empty for fewer than two."""
    first = captions[0] if len(captions) > 1 else ""
    endings = (first[place:] for place in range(len(first)) if first.startswith(", ", place))
    return next((e for e in endings if all(c.endswith(e) for c in captions)), "")


def _scaled(speed: Float) -> Float:
    top = float(np.percentile(speed, 98)) or 1.0
    return np.asarray(np.clip(speed / top, 0, 1))


def _openings(signals: Mapping[str, Signal], log_time: Float) -> dict[str, Float]:
    return {s.arm: s.at(log_time)[:, 0] for s in signals.values() if s.kind == "gripper"}


def _strips(
    corpus: Corpus, episode: str, time: Float, cameras: list[AlignedCamera], most: int
) -> list[tuple[Strip, list[float]]]:
    """Strips of the first cameras; a picture's time is that of the canonical frame which shows its source frame."""
    shown = {c["name"]: np.asarray(c["frame_index"]) for c in cameras}
    found: list[tuple[Strip, list[float]]] = []
    for row in corpus.narrow(OBSERVATIONS, pictures.Filmed, [episode]):
        if row["camera"] in shown and len(found) < most:
            strip = pictures.strip(corpus, row)
            places = np.searchsorted(shown[row["camera"]], strip.numbers)
            found.append((strip, [float(time[min(p, len(time) - 1)]) for p in places]))
    return found
