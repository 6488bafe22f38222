"""A bounded inspection of a source: some of its episodes read, cut and held to their video, nothing written.

In: a survey, a source of it, the configuration. Out: `Inspection`: figures for the verdict, and the first episode's
signals, first cuts and pictures for those who want to see.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline.check.verdict import Figures
from pipeline.config import CorpusConfig
from schemas.episodes import EpisodeRow
from schemas.events import EventRow
from schemas.ids import camera_id
from schemas.reasons import Quarantined, Reason
from stages import storage
from stages.align import ALIGN, Decision
from stages.align.clock import pair
from stages.align.stage import alignment_row
from stages.episode import Signal, both_arms, signals_of
from stages.ingest import INGEST
from stages.ingest.describe import extra_columns
from stages.ingest.extract import extract, needed_columns
from stages.ingest.survey import Survey
from stages.observe import OBSERVE, Span, span_of
from stages.observe.file import placed_in
from stages.observe.quality import judge
from stages.segment import SEGMENT
from stages.segment.stage import event_rows
from stages.sources.protocol import Camera, Dataset
from stages.work import as_quarantined

Float = npt.NDArray[np.float64]
EPISODES, VIDEOS = 24, 4  # read; held to their videos
ROWS = 300_000  # of all of them
THUMBNAILS = 8
FROZEN = 12  # of 255: what coding noise changes in a picture that stands still


@dataclass(slots=True)
class Inspection:
    """Of one source: figures; of the first sound episode its row, signals, L1 events and {camera: pictures}."""

    figures: Figures
    listed: int
    episode: EpisodeRow | None = None
    signals: Mapping[str, Signal] = field(default_factory=dict)
    events: list[EventRow] = field(default_factory=list)
    pictures: dict[str, list[npt.NDArray[np.uint8]]] = field(default_factory=dict)
    marks: Counter[tuple[str, str]] = field(default_factory=Counter)  # what the source says of its episodes
    told: int = 0  # episodes with spans of their own, such as instructions that change


def inspect(found: Survey, source: str, config: CorpusConfig) -> Inspection:
    """Raises storage.Unusable."""
    dataset, layout, episodes = found.datasets[source], found.layouts[source], found.listed[source]
    result = Inspection(Figures(), len(episodes))
    reader = dataset.reader(needed_columns(dataset, layout), extra_columns(dataset, layout))
    own = found.cameras.filter(pl.col("episode_id").str.starts_with(f"{source}/") & pl.col("uri").is_not_null())
    aside: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    rows = 0
    for number in _spread(len(episodes), EPISODES):
        if rows > ROWS:
            break
        of = episodes.make(number)
        result.figures.episodes += 1
        try:
            episode, raw = extract(dataset, of, layout, reader.read(of), config.of(INGEST))
            rows += episode["n_rows"]
            signals = signals_of(raw)
            if result.figures.episodes <= VIDEOS:
                _held_to_video(of.cameras, of.episode_id, episode, dataset, own, config)
            alignment = alignment_row(episode, signals, (), (), Decision(0, False, False), config.of(ALIGN))
            events = [
                e
                for e in both_arms(event_rows(of.episode_id, signals, alignment, config.of(SEGMENT)))
                if e["level"] == "L1"
            ]
        except storage.Unusable:
            raise
        except Exception as error:
            refused = as_quarantined(error)
            if refused.reason is Reason.LEFT_OUT:  # nothing is wrong with it
                result.figures.left_out += 1
                continue
            aside[refused.reason.value] += 1
            result.figures.examples.setdefault(refused.reason.value, " ".join(refused.message.split())[:300])
            continue
        flags.update(alignment["flags"])
        _count(result.figures, events)
        result.marks.update((k, str(v)) for k, v in json.loads(episode["marks"]).items())
        result.told += bool(episode["labels"])
        if result.episode is None:
            result.episode, result.signals, result.events = episode, signals, events
            result.pictures = _pictures(of.cameras, of.episode_id, dataset, own, config)
            moves = any(not e["static"] for e in events)
            result.figures.dead = tuple(n for n, p in result.pictures.items() if _shows_nothing(p, moves))
    result.figures.aside, result.figures.flags = dict(aside), dict(flags)
    return result


def _shows_nothing(pictures: Sequence[npt.NDArray[np.uint8]], moves: bool) -> bool:
    """Whether all are black, blank or over-exposed; or the same, in an episode in which an arm moves."""
    luma = [p.mean(axis=2).astype(np.uint8) for p in pictures]
    dead = all(judge(np.clip(16 + 0.859 * one, 0, 255).astype(np.uint8)) for one in luma)
    first = pictures[0].astype(np.int16)
    return dead or (moves and len(pictures) > 2 and all(int(np.abs(p - first).max()) <= FROZEN for p in pictures[1:]))


def _spread(number: int, most: int) -> list[int]:
    """Evenly from the first to the last."""
    return (
        sorted({round(i * (number - 1) / max(1, most - 1)) for i in range(min(number, most))})
        if number > most
        else list(range(number))
    )


def _count(figures: Figures, events: Sequence[EventRow]) -> None:
    for event in events:
        seconds = event["end_s"] - event["start_s"]
        figures.seconds += seconds
        figures.idle += seconds * (event["primitive"] in ("idle", "hold") and event["static"])
        figures.unknown += seconds * (event["primitive"] == "unknown")


def _held_to_video(
    cameras: Sequence[Camera],
    episode_id: str,
    episode: EpisodeRow,
    dataset: Dataset,
    own: pl.DataFrame,
    config: CorpusConfig,
) -> None:
    """Raises Quarantined where a camera's pictures cannot be had, or do not fit the rows. No picture is decoded."""
    pts: dict[str, Float] = {}
    for camera, span, local in _files(cameras, episode_id, dataset, own):
        pictures = dataset.pictures(camera, local)
        first, end, start = placed_in(pictures.info, span, config.of(OBSERVE), camera.expected)
        pts[camera.name] = pictures.info.pts_s[first:end] - start
    if pts and episode["rows_are_frames"]:
        rows = np.arange(episode["n_rows"]) / episode["fps"]
        pair(rows, pts, episode["fps"], config.of(ALIGN))


def _files(
    cameras: Sequence[Camera], episode_id: str, dataset: Dataset, own: pl.DataFrame
) -> Iterator[tuple[Camera, Span, str]]:
    """(camera, its span, a local copy of its file)."""
    for camera in cameras:
        item = camera_id(episode_id, camera.name)
        rows = own.filter(item=item).to_dicts()
        if camera.file is None or not rows:
            continue
        (at,) = rows
        if at["claimed"]:
            raise Quarantined(
                Reason.OVERLAPPING_SPANS, f"{camera.file.uri}: {item} and {at['claimed']} claim the same pictures"
            )
        span = span_of(camera, episode_id, dataset, at, "")
        with storage.local_copy(camera.file.uri) as local:
            yield camera, span, local


def _pictures(
    cameras: Sequence[Camera],
    episode_id: str,
    dataset: Dataset,
    own: pl.DataFrame,
    config: CorpusConfig,
) -> dict[str, list[npt.NDArray[np.uint8]]]:
    """A few pictures of each camera, evenly over the episode; a camera that fails has none."""
    found: dict[str, list[npt.NDArray[np.uint8]]] = {}
    for camera, span, local in _files(cameras, episode_id, dataset, own):
        try:
            pictures = dataset.pictures(camera, local)
            first, end, _ = placed_in(pictures.info, span, config.of(OBSERVE), camera.expected)
            wanted = set(np.linspace(first, end - 1, THUMBNAILS).round().astype(int).tolist())
            _, frames = pictures.frames("pyav")
            for number, frame in enumerate(frames):
                if number in wanted:
                    height = 120
                    width = max(2, round(frame.width * height / frame.height))
                    small = np.asarray(frame.reformat(width, height, "rgb24").to_ndarray(), dtype=np.uint8)
                    found.setdefault(camera.name, []).append(small)
                if number >= end:
                    break
        except Quarantined:
            continue
    return found
