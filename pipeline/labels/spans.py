"""A span as label files have it: written, from frames alone to a row that can be given back, and read."""

from __future__ import annotations

from typing import Any, TypedDict


class FrameSpan(TypedDict):
    """A span for programs that count frames: canonical ones, [start, end). The caption may be empty."""

    event_id: str
    episode_id: str
    level: str
    track: str
    start_frame: int
    end_frame: int
    primitive: str
    caption: str


class TimedSpan(FrameSpan):
    """The same with its ends in s from the episode's beginning, who set it, and who says what it is called."""

    id: str
    start_s: float
    end_s: float
    origin: str
    said_by: str | None


class WrittenSpan(TimedSpan):
    """The same with what it says as it is written out (`returned.exported`)."""

    exported: str


class JsonSpan(TypedDict):
    """A span of a JSON file, below its episode and level; start, end: s from the episode's beginning."""

    start: float
    end: float
    caption: str
    primitive: str
    track: str
    id: str
    origin: str
    said_by: str | None
    exported: str


class ReadSpan(TypedDict):
    """A span of another program's file, in source frames, [start, end): its names are ours, its values unchecked."""

    episode_id: Any
    level: Any
    track: Any
    start_frame: Any
    end_frame: Any
    primitive: Any
    caption: Any
