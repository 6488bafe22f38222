"""`clusters`: the two cluster labels of an event, all that reaches a loader. Written by cluster."""

import pyarrow as pa

from schemas.table import Column, Table

CLUSTERS = Table(
    name="clusters",
    key=("event_id",),
    columns=(
        Column("event_id", pa.string(), "event"),
        Column("episode_id", pa.string(), "source/000003"),
        Column("vl_cluster", pa.int32(), "topic of instruction x scene"),
        Column("vl_distance", pa.float32(), "squared distance to its centroid in the projected space"),
        Column("action_cluster", pa.int32(), "kind of motion"),
        Column("action_distance", pa.float32(), "squared distance to its centroid in the projected space"),
    ),
)
