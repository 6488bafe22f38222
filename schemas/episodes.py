"""`episodes`: one row an episode, as the source declares it, with the spans that people (or other programs) have marked
in it, which `segment` lets win over its own. Written by ingest.

A label lies on the canonical clock in seconds, as events do, or between frames of the source's video (rows, where
there is none), half-open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

import pyarrow as pa

from schemas.table import Column, Table, one_of

LABEL = pa.struct(
    [
        pa.field("level", pa.string(), nullable=False),
        pa.field("track", pa.string(), nullable=False),
        pa.field("unit", pa.string(), nullable=False),  # seconds or frames
        pa.field("start", pa.float64(), nullable=False),
        pa.field("end", pa.float64(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("primitive", pa.string()),
        pa.field("said_by", pa.string(), nullable=False),  # file, or column of the source
    ]
)


class LabelRow(TypedDict):
    """A label as it lies in `episodes.labels`."""

    level: str
    track: str
    unit: str
    start: float
    end: float
    text: str
    primitive: str | None
    said_by: str


@dataclass(frozen=True, slots=True)
class Label:
    """Somebody's span of one level and track: [start, end) in s or in source frames, the words for it, its primitive if
    one was given, and where it was read. origin: a person set it, or it came with the source."""

    level: str
    start: float
    end: float
    text: str
    unit: Literal["seconds", "frames"] = "seconds"
    track: str = "all"
    primitive: str | None = None
    said_by: str = ""
    origin: Literal["human", "source"] = "human"

    def row(self) -> LabelRow:
        return {
            "level": self.level,
            "track": self.track,
            "unit": self.unit,
            "start": self.start,
            "end": self.end,
            "text": self.text,
            "primitive": self.primitive,
            "said_by": self.said_by,
        }


@dataclass(frozen=True, slots=True)
class Decided(Label):
    """One that a person has set on the review page, where they saw what labels had made of the episode."""


CAMERA = pa.struct(
    [
        pa.field("name", pa.string(), nullable=False),  # camera name, e.g. "wrist"
        pa.field("feature", pa.string(), nullable=False),  # the source's own key, e.g. "observation.images.wrist"
        pa.field("uri", pa.string(), nullable=False),  # video file
        pa.field("from_s", pa.float64(), nullable=False),  # where the episode starts inside that file, s
        pa.field("to_s", pa.float64()),  # where it ends, s; null: the file's end
        pa.field("start_s", pa.float64(), nullable=False),  # time of that instant on the source's clock, s
        pa.field("fps", pa.float64()),  # its declared rate, 1/s; null: the episode's
        pa.field("calibration", pa.string()),  # JSON, as in meta/calibration.json; null: uncalibrated
    ]
)


class CameraRow(TypedDict):
    name: str
    feature: str
    uri: str
    from_s: float
    to_s: float | None
    start_s: float
    fps: float | None
    calibration: str | None


class EpisodeRow(TypedDict):
    """A row of `episodes`."""

    episode_id: str
    source: str
    recording_id: str
    dataset_uri: str
    episode_key: str
    episode_index: int | None
    format: str
    robot: str
    profile: str
    arms: list[str]
    fps: float
    rows_are_frames: bool
    n_rows: int
    t0: float
    t1: float
    task: str
    split: str
    cameras: list[CameraRow]
    marks: str
    layout: str
    extras_refused: list[str]
    labels: list[LabelRow]
    checks: list[str]
    flags: list[str]


EPISODES: Table[EpisodeRow] = Table(
    name="episodes",
    key=("episode_id",),
    columns=(
        Column("episode_id", pa.string(), "source/000003"),
        Column("source", pa.string(), "name of the source: the dataset's folder, or the name given as name=URI"),
        Column("recording_id", pa.string(), "the recording that the episode was cut from; splits hash this"),
        Column("dataset_uri", pa.string(), "root of the dataset"),
        Column("episode_key", pa.string(), "key in the source, its own choice"),
        Column("episode_index", pa.int64(), "index in the source; null where it does not number them", nullable=True),
        Column("format", pa.string(), "such as lerobot/v3.0"),
        Column("robot", pa.string(), "robot type as the source declares it"),
        Column("profile", pa.string(), "robot profile that read it; 'inferred' if none matched"),
        Column("arms", pa.list_(pa.string()), "arms with a motion signal: single, or left and right"),
        Column("fps", pa.float64(), "declared rate of rows and frames, 1/s"),
        Column("rows_are_frames", pa.bool_(), "each row of the log is declared to be a frame of every camera"),
        Column("n_rows", pa.int64(), "rows of the log, of the stream that has most"),
        Column("t0", pa.float64(), "first timestamp of the log, s on the source's clock"),
        Column("t1", pa.float64(), "last timestamp of the log, s on the source's clock"),
        Column("task", pa.string(), "task text; empty if the source has none"),
        Column("split", pa.string(), "train or val, by hash of the recording"),
        Column("cameras", pa.list_(CAMERA), "cameras with the place of the episode in their files"),
        Column("marks", pa.string(), "what the source says of the episode as a whole, JSON: success, operator, ..."),
        Column("layout", pa.string(), "what the numbers of its streams are, JSON: schemas.sample.Layout"),
        Column("extras_refused", pa.list_(pa.string()), "columns that only ride along and could not be used, and why"),
        Column("labels", pa.list_(LABEL), "spans that the source brings along, schemas.episodes.Label"),
        Column("checks", pa.list_(pa.string()), "cleaning checks made and passed"),
        Column("flags", pa.list_(pa.string()), "schemas.reasons.Flag values"),
    ),
    laws=(one_of("split", ("train", "val")),),
)
