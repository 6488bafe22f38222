"""`embeddings`, `fitted` and `clusters`: two vectors an event of the embedded levels, written by embed; which episodes
the centroids in force were fitted on, by fit; and the labels that cluster gives, all that reaches a loader.

Each level is clustered by itself: label 3 of L1 has nothing to do with label 3 of L2.
"""

from typing import Any, TypedDict

import numpy.typing as npt
import pyarrow as pa

from schemas.ids import LEVELS
from schemas.table import Column, Table, one_of


class EmbeddingRow(TypedDict):
    """A row of `embeddings`."""

    event_id: str
    episode_id: str
    vl: npt.NDArray[Any]
    action: npt.NDArray[Any]
    layout: str
    encoder: str


EMBEDDINGS: Table[EmbeddingRow] = Table(
    name="embeddings",
    key=("event_id",),
    columns=(
        Column("event_id", pa.string(), "event"),
        Column("episode_id", pa.string(), "source/000003"),
        Column("vl", pa.list_(pa.float16()), "float16[Dv], L2-normalised image part then L2-normalised text part"),
        Column("action", pa.list_(pa.float16()), "float16[Da], the arms' course; its channels: stages.embed.action"),
        Column("layout", pa.string(), "arms and streams that `action` is of: comparable where this is the same"),
        Column("encoder", pa.string(), "what made `vl`, with widths: picture encoder Di + text encoder Dt"),
    ),
)


class FittedRow(TypedDict):
    """A row of `fitted`."""

    episode_id: str
    embedded: str
    settings: str
    events: int


FITTED: Table[FittedRow] = Table(
    name="fitted",
    key=("episode_id",),
    columns=(
        Column("episode_id", pa.string(), "source/000003"),
        Column("embedded", pa.string(), "fingerprint under which its events were embedded when centroids were fitted"),
        Column("settings", pa.string(), "hash of the settings of that fit"),
        Column("events", pa.int64(), "events of all levels that were embedded"),
    ),
)


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
