"""`samples`: what became of every event of the shard level, and where it lies; its rows that lie in a tar, one a tar,
are `index.parquet`. `tars`: what each tar was written from, so that it can be used, or made, again. By shard."""

import math
from typing import TypedDict

import pyarrow as pa

from schemas.table import Column, Table, one_of, within

STATUSES = ("sampled", "reserve", "static", "too_short", "too_long", "bad_pictures", "rejected", "quarantined")


class SampleRow(TypedDict):
    """A row of `samples`."""

    event_id: str
    episode_id: str
    key: str
    split: str
    status: str
    shards: list[str]
    robot: str
    level: str
    n_frames: int
    vl_cluster: int
    action_cluster: int
    inclusion: float
    repeats: int
    weight: float


class TarRow(TypedDict):
    """A row of `tars`."""

    file: str
    tar: str
    kind: str
    plan: str
    events: list[str]
    weights: list[float]


SAMPLES: Table[SampleRow] = Table(
    name="samples",
    key=("event_id",),
    columns=(
        Column("event_id", pa.string(), "event"),
        Column("episode_id", pa.string(), "source/000003"),
        Column("key", pa.string(), "WebDataset key"),
        Column("split", pa.string(), "train or val"),
        Column("status", pa.string(), "sampled (it is drawn), reserve (left out by balance), or why not"),
        Column("shards", pa.list_(pa.string()), "file names of the tars that hold it, each once"),
        Column("robot", pa.string(), "robot type"),
        Column("level", pa.string(), "L0 to L3"),
        Column("n_frames", pa.int64(), "frames of the event, without history and future"),
        Column("vl_cluster", pa.int32(), "-1 where the event was not clustered"),
        Column("action_cluster", pa.int32(), "-1 where the event was not clustered"),
        Column("inclusion", pa.float64(), "copies of it that the balance wants before rounding, at most 1"),
        Column("repeats", pa.int64(), "how many times it is drawn: its samples in a pass over the release"),
        Column("weight", pa.float64(), "how often a pass takes each copy in a train or val tar: repeats / copies"),
    ),
    laws=(
        one_of("status", STATUSES),
        one_of("split", ("train", "val")),
        within("inclusion", 0.0, 1.0),
        within("repeats", 0, math.inf),
        within("weight", 0.0, math.inf),
    ),
)
TARS: Table[TarRow] = Table(
    name="tars",
    key=("file",),
    columns=(
        Column("file", pa.string(), "file name in the release's folder"),
        Column("tar", pa.string(), "name of the tar in shards/tars: its kind, and a hash of all that follows"),
        Column("kind", pa.string(), "train, val or reserve"),
        Column("plan", pa.string(), "inputs of the release that it was first written for; KEY.json names them"),
        Column("events", pa.list_(pa.string()), "events in it, in order, those that could not be cut with them"),
        Column("weights", pa.list_(pa.float64()), "weight of each then, which KEY.json holds"),
    ),
    laws=(one_of("kind", ("train", "val", "reserve")),),
)
