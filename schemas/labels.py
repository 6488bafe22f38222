"""Spans that people (or other programs) have marked: what `segment` lets win over its own.

A label lies on the canonical clock in seconds, as events do, or between frames of the source's video (rows, where
there is none), half-open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

import pyarrow as pa

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
    one was given, and where it was read."""

    level: str
    start: float
    end: float
    text: str
    unit: Literal["seconds", "frames"] = "seconds"
    track: str = "all"
    primitive: str | None = None
    said_by: str = ""

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
