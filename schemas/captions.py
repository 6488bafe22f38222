"""`captions`: one plain sentence an event. Written by caption."""

from typing import TypedDict

import pyarrow as pa

from schemas.table import Column, Table, one_of


class CaptionRow(TypedDict):
    """A row of `captions`."""

    event_id: str
    episode_id: str
    level: str
    text: str
    source: str
    status: str
    model: str
    prompt_hash: str


CAPTIONS: Table[CaptionRow] = Table(
    name="captions",
    key=("event_id",),
    columns=(
        Column("event_id", pa.string(), "event it describes"),
        Column("episode_id", pa.string(), "source/000003"),
        Column("level", pa.string(), "L0 to L3"),
        Column("text", pa.string(), "one English sentence"),
        Column("source", pa.string(), "who wrote it: signals, vlm or human"),
        Column("status", pa.string(), "ok, or why the text is not what the captioner was asked for"),
        Column("model", pa.string(), "name and version of the captioner"),
        Column("prompt_hash", pa.string(), "hash of the prompt or of the templates"),
    ),
    laws=(one_of("source", ("signals", "vlm", "human")),),
)
