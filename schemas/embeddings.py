"""`embeddings`: two vectors an event of the embedded levels. Written by embed."""

import pyarrow as pa

from schemas.table import Column, Table

EMBEDDINGS = Table(
    name="embeddings",
    key=("event_id",),
    columns=(
        Column("event_id", pa.string(), "event"),
        Column("episode_id", pa.string(), "source/000003"),
        Column("vl", pa.list_(pa.float32()), "float32[Dv], L2-normalised image part then L2-normalised text part"),
        Column("action", pa.list_(pa.float32()), "float32[Da], the trajectory resampled; see stages.embed.action"),
    ),
)
