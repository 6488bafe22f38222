"""`quarantine`: what was set aside, where, and why. Written by the runner for every stage."""

import pyarrow as pa

from schemas.reasons import Reason
from schemas.table import Column, Table, one_of

QUARANTINE = Table(
    name="quarantine",
    key=("stage", "item"),
    columns=(
        Column("item", pa.string(), "what the stage was working on: an episode, episode@camera, an event"),
        Column("episode_id", pa.string(), "source/000003"),
        Column("event_id", pa.string(), "event, where one event of the episode is bad", nullable=True),
        Column("source", pa.string(), "source of the episode"),
        Column("stage", pa.string(), "stage that set it aside"),
        Column("reason", pa.string(), "one of schemas.reasons.Reason"),
        Column("message", pa.string(), "file or field, found, expected"),
        Column("retryable", pa.bool_(), "the same input may succeed next time; the next build tries again"),
    ),
    laws=(one_of("reason", [r.value for r in Reason]),),
)
