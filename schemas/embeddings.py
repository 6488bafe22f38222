"""`embeddings`: two vectors an event of the embedded levels. Written by embed."""

from typing import Any, TypedDict

import numpy.typing as npt
import pyarrow as pa

from schemas.table import Column, Table


class EmbeddingRow(TypedDict):
    """A row of `embeddings`."""

    event_id: str
    episode_id: str
    vl: npt.NDArray[Any]
    action: npt.NDArray[Any]


EMBEDDINGS: Table[EmbeddingRow] = Table(
    name="embeddings",
    key=("event_id",),
    columns=(
        Column("event_id", pa.string(), "event"),
        Column("episode_id", pa.string(), "source/000003"),
        Column("vl", pa.list_(pa.float32()), "float32[Dv], L2-normalised image part then L2-normalised text part"),
        Column("action", pa.list_(pa.float32()), "float32[Da], the trajectory resampled; see stages.embed.action"),
    ),
)
