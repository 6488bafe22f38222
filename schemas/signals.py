"""`signals`: one row an episode and stream, each stream at its own rate. Written by ingest."""

from typing import Any, TypedDict

import numpy.typing as npt
import pyarrow as pa

from schemas.table import Column, Table, one_of

KINDS = (
    "state", "action", "gripper", "gripper_command", "hand", "position", "orientation", "joints", "velocity", "extra",
)  # fmt: skip


class SignalRow(TypedDict):
    """A row of `signals`."""

    episode_id: str
    stream: str
    kind: str
    arm: str
    origin: str
    unit: str
    width: int
    time_s: npt.NDArray[Any]
    values: npt.NDArray[Any]


SIGNALS: Table[SignalRow] = Table(
    name="signals",
    key=("episode_id", "stream"),
    columns=(
        Column("episode_id", pa.string(), "source/000003"),
        Column("stream", pa.string(), "kind, kind/arm or extra/column: state, gripper/single, extra/observation.force"),
        Column("kind", pa.string(), "what it is, one of schemas.signals.KINDS"),
        Column("arm", pa.string(), "single, left or right; empty for state, action and extras"),
        Column("origin", pa.string(), "source columns it was read from, e.g. observation.state[6]"),
        Column("unit", pa.string(), "m, rad, m/s, 1 (opening: 0 closed to 1 open; hand: which is which unknown), raw"),
        Column("width", pa.int32(), "D, values per instant"),
        Column("time_s", pa.list_(pa.float64()), "float64[N], s on the source's clock, as logged"),
        Column("values", pa.list_(pa.float32()), "float32[N * D], row-major"),
    ),
    laws=(one_of("kind", KINDS),),
)
