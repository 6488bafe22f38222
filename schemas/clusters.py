"""`clusters`: the two cluster labels of an event, all that reaches a loader. Written by cluster.

Each level is clustered by itself: label 3 of L1 has nothing to do with label 3 of L2.
"""

from typing import TypedDict

import pyarrow as pa

from schemas.ids import LEVELS
from schemas.table import Column, Table, one_of


class ClusterRow(TypedDict):
    """A row of `clusters`."""

    event_id: str
    episode_id: str
    level: str
    vl_cluster: int
    vl_distance: float
    action_cluster: int
    action_distance: float


CLUSTERS: Table[ClusterRow] = Table(
    name="clusters",
    key=("event_id",),
    columns=(
        Column("event_id", pa.string(), "event"),
        Column("episode_id", pa.string(), "source/000003"),
        Column("level", pa.string(), "L0 to L3"),
        Column("vl_cluster", pa.int32(), "topic of instruction x scene"),
        Column("vl_distance", pa.float32(), "squared distance to its centroid in the projected space"),
        Column("action_cluster", pa.int32(), "kind of motion"),
        Column("action_distance", pa.float32(), "squared distance to its centroid in the projected space"),
    ),
    laws=(one_of("level", LEVELS),),
)
