"""`samples`: what became of every event of the shard level. Written by shard; its rows of a release are
`index.parquet`."""

from typing import TypedDict

import pyarrow as pa

from schemas.table import Column, Table, one_of, within

STATUSES = ("sampled", "reserve", "static", "too_short", "too_long", "bad_pictures", "quarantined")


class SampleRow(TypedDict):
    """A row of `samples`."""

    event_id: str
    episode_id: str
    key: str
    split: str
    status: str
    shard: str | None
    robot: str
    level: str
    n_frames: int
    vl_cluster: int
    action_cluster: int
    inclusion: float
    weight: float


SAMPLES: Table[SampleRow] = Table(
    name="samples",
    key=("event_id",),
    columns=(
        Column("event_id", pa.string(), "event"),
        Column("episode_id", pa.string(), "source/000003"),
        Column("key", pa.string(), "WebDataset key"),
        Column("split", pa.string(), "train or val"),
        Column("status", pa.string(), "sampled (it is in a shard), reserve (drawn out by balance), or why not"),
        Column("shard", pa.string(), "file name of its shard; null unless sampled", nullable=True),
        Column("robot", pa.string(), "robot type"),
        Column("level", pa.string(), "L0 to L3"),
        Column("n_frames", pa.int64(), "frames of its clips and rows of its arrays"),
        Column("vl_cluster", pa.int32(), "-1 where the event was not clustered"),
        Column("action_cluster", pa.int32(), "-1 where the event was not clustered"),
        Column("inclusion", pa.float64(), "probability with which it was drawn, 0 to 1"),
        Column("weight", pa.float64(), "what is left to weight in the loader; mean 1 over the samples of a split"),
    ),
    laws=(one_of("status", STATUSES), one_of("split", ("train", "val")), within("inclusion", 0.0, 1.0)),
)
