"""`quarantine`: what was set aside, where, and why. Written by the runner for every stage."""

from typing import TypedDict

import pyarrow as pa

from schemas.reasons import Reason
from schemas.table import Column, Table, one_of

LINE = pa.struct(
    [
        pa.field("name", pa.string(), nullable=False),  # e.g. "observation.state[1]"
        pa.field("values", pa.list_(pa.float64()), nullable=False),  # NaN and Inf as they were logged
    ]
)
EVIDENCE = pa.struct(
    [
        pa.field("lines", pa.list_(LINE), nullable=False),  # signals around the bad row
        pa.field("first_row", pa.int64(), nullable=False),  # row of their first value
        pa.field("row", pa.int64(), nullable=False),  # the bad row
        pa.field("picture", pa.binary()),  # JPEG, e.g. the last frame that could be decoded
    ]
)


class LineRow(TypedDict):
    name: str
    values: list[float]


class ShownRow(TypedDict):
    lines: list[LineRow]
    first_row: int
    row: int
    picture: bytes | None


class QuarantineRow(TypedDict):
    """A row of `quarantine`."""

    item: str
    episode_id: str
    event_id: str | None
    source: str
    stage: str
    reason: str
    message: str
    retryable: bool
    evidence: ShownRow | None


QUARANTINE: Table[QuarantineRow] = Table(
    name="quarantine",
    key=("stage", "item"),
    columns=(
        Column("item", pa.string(), "what the stage was working on: an episode, episode@camera, an event, a label"),
        Column("episode_id", pa.string(), "source/000003"),
        Column("event_id", pa.string(), "event, or a person's label, where one of the episode is bad", nullable=True),
        Column("source", pa.string(), "source of the episode"),
        Column("stage", pa.string(), "stage that set it aside"),
        Column("reason", pa.string(), "one of schemas.reasons.Reason"),
        Column("message", pa.string(), "file or field, found, expected"),
        Column("retryable", pa.bool_(), "the same input may succeed next time; the next build tries again"),
        Column("evidence", EVIDENCE, "the signal or the frame that shows it; null where neither can", nullable=True),
    ),
    laws=(one_of("reason", [r.value for r in Reason]),),
)
