"""plan.npz: all that a loader must know of a release's samples before it opens a tar. NumPy alone.

One row a sample in a tar: where its bytes lie, how long it is, what it is called and how often a pass takes it. Texts
that repeat are codes into lists of names. `index.parquet` says the same to those who have pyarrow, without the bytes.
Fields are added, never renamed.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.ids import event_at, sample_key

VERSION = 1
Numbers = npt.NDArray[Any]
# codes into a list of names: tar (file name in the release's folder), the rest as in KEY.json; recovery: what is mended
# (empty: nothing)
CODED = ("tar", "episode", "level", "source", "robot", "task", "primitive", "recovery", "split", "layout")
NUMBERS: dict[str, tuple[str, tuple[int, ...]]] = {  # dtype, shape of a row
    "start_ms": ("int64", ()),  # of the event, on the source's clock, as in its id
    "start_s": ("float64", ()),  # of the event, s from the episode's start
    "end_s": ("float64", ()),
    "frame": ("int32", ()),  # of the episode that is the sample's first, history with it
    "n_frames": ("int32", ()),  # rows of every array, history and future with them
    "before": ("int32", ()),  # frames of history
    "after": ("int32", ()),  # frames of future
    "fps": ("float64", ()),
    "vl_cluster": ("int32", ()),
    "action_cluster": ("int32", ()),
    "vl_group": ("int32", ()),  # the coarser cluster that it lies in
    "action_group": ("int32", ()),
    "confidence": ("float32", ()),
    "weight": ("float64", ()),  # how often a pass takes this copy: 0 in a reserve tar
    "offset": ("int64", ()),  # of the sample's first header in its tar, bytes
    "size": ("int64", ()),  # of all its members with their headers, bytes
    "json": ("int64", (2,)),  # offset and size of KEY.json's bytes in the tar
    "lowdim": ("int64", (2,)),
    "calib": ("int64", (2,)),
}
CLIPS = "clips"  # int64[N, C, 2]: offset and size of each camera's clip; size 0: the sample has none
PICTURES = "pictures"  # int32[N, C, 2]: height and width of its pictures, px
CAMERAS = "cameras"  # the C names, as in KEY.<camera>.mp4


class NotAPlan(ValueError):
    """Bytes that hold no plan, or one of a later version."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """numbers: columns, codes among them; names: the list of each coded column, and CAMERAS; release: name of the one
    that it is of (empty: of a tar alone, or of several)."""

    numbers: dict[str, Numbers]
    names: dict[str, list[str]]
    release: str = ""

    def __len__(self) -> int:
        return len(self.numbers["offset"])

    def text(self, column: str) -> npt.NDArray[np.object_]:
        """The texts of a coded column, object[N]."""
        names = np.array([*self.names[column], ""], dtype=object)[:-1]
        return names[self.numbers[column]]

    def event_id(self, row: int) -> str:
        code = {c: self.names[c][self.numbers[c][row]] for c in ("episode", "level")}
        return event_at(code["episode"], code["level"], int(self.numbers["start_ms"][row]))

    def key(self, row: int) -> str:
        """Of the sample in its tar."""
        return sample_key(self.event_id(row))

    def take(self, rows: npt.NDArray[Any]) -> Plan:
        """The plan of some rows, by number or by mask, with all names."""
        return Plan({name: values[rows] for name, values in self.numbers.items()}, self.names, self.release)


def build(rows: Sequence[dict[str, Any]], cameras: Sequence[str]) -> Plan:
    """A plan of rows that hold CODED as texts, NUMBERS, and CLIPS and PICTURES as {camera: pair}."""
    numbers: dict[str, Numbers] = {}
    names: dict[str, list[str]] = {CAMERAS: list(cameras)}
    for column in CODED:
        names[column] = sorted({row[column] for row in rows})
        code = {name: n for n, name in enumerate(names[column])}
        numbers[column] = np.array([code[row[column]] for row in rows], dtype=np.int32)
    for column, (kind, shape) in NUMBERS.items():
        numbers[column] = np.array([row[column] for row in rows], dtype=kind).reshape(len(rows), *shape)
    for column, kind in ((CLIPS, "int64"), (PICTURES, "int32")):
        pairs = [[row[column].get(camera, (0, 0)) for camera in cameras] for row in rows]
        numbers[column] = np.array(pairs, dtype=kind).reshape(len(rows), len(cameras), 2)
    return Plan(numbers, names)


def concatenate(plans: Sequence[Plan]) -> Plan:
    """All rows of several plans, in order, under common lists of names, which are sorted."""
    if not plans:
        return build([], [])
    names = {c: sorted({n for plan in plans for n in plan.names[c]}) for c in (*CODED, CAMERAS)}
    numbers = {c: np.concatenate([p.numbers[c] for p in plans]) for c in NUMBERS}
    for column in CODED:
        parts = [_places(plan.names[column], names[column])[plan.numbers[column]] for plan in plans]
        numbers[column] = np.concatenate(parts).astype(np.int32)
    for column in (CLIPS, PICTURES):
        total = np.zeros((len(numbers["offset"]), len(names[CAMERAS]), 2), dtype=plans[0].numbers[column].dtype)
        first = 0
        for plan in plans:
            total[first : first + len(plan), _places(plan.names[CAMERAS], names[CAMERAS])] = plan.numbers[column]
            first += len(plan)
        numbers[column] = total
    return Plan(numbers, names)


def _places(own: Sequence[str], common: Sequence[str]) -> npt.NDArray[np.int64]:
    place = {name: n for n, name in enumerate(common)}
    return np.array([place[name] for name in own], dtype=np.int64)


def to_bytes(plan: Plan) -> bytes:
    """plan.npz: the same bytes for the same plan. Lists of names are JSON, as uint8."""
    lists = {f"{c}.names": np.frombuffer(json.dumps(n).encode(), dtype=np.uint8) for c, n in plan.names.items()}
    lists["release"] = np.frombuffer(plan.release.encode(), dtype=np.uint8)
    arrays = dict(sorted((plan.numbers | lists).items()))
    sink = io.BytesIO()
    np.savez_compressed(sink, version=np.array(VERSION), **arrays)  # type: ignore[arg-type]
    return sink.getvalue()


def _check(numbers: dict[str, Numbers], names: dict[str, list[str]]) -> None:
    """Raises ValueError where a column cannot be what it should."""
    count = len(numbers["offset"])
    cameras = (len(names[CAMERAS]), 2)
    shapes = {**dict.fromkeys(CODED, ()), **{c: shape for c, (_, shape) in NUMBERS.items()}}
    for column, shape in {**shapes, CLIPS: cameras, PICTURES: cameras}.items():
        values = numbers[column]
        kind = NUMBERS[column][0] if column in NUMBERS else "int64" if column == CLIPS else "int32"
        if values.dtype != kind or values.shape != (count, *shape):
            raise ValueError(f"column {column} is {values.dtype}{list(values.shape)}, not {kind}{[count, *shape]}")
    for column in CODED:
        if count and not 0 <= numbers[column].min() <= numbers[column].max() < len(names[column]):
            raise ValueError(f"column {column} has codes beyond its {len(names[column])} names")
    own = numbers["n_frames"] - numbers["before"] - numbers["after"]
    bad = (own < 1) | (numbers["before"] < 0) | (numbers["after"] < 0)
    bad |= ~((numbers["fps"] > 0) & np.isfinite(numbers["fps"]))
    bad |= ~((numbers["weight"] >= 0) & np.isfinite(numbers["weight"]))
    for column in ("json", "lowdim", "calib", CLIPS):
        bad |= (numbers[column].reshape(count, -1) < 0).any(axis=1)
    if bad.any():
        raise ValueError(f"row {int(np.flatnonzero(bad)[0])} has lengths, places, a rate or a weight that cannot be")


def from_bytes(data: bytes) -> Plan:
    """Raises NotAPlan."""
    try:
        with np.load(io.BytesIO(data)) as found:
            version = int(found["version"])
            if version > VERSION:
                raise NotAPlan(f"a plan of version {version}; this code reads up to {VERSION}")
            numbers = {c: found[c] for c in (*CODED, *NUMBERS, CLIPS, PICTURES)}
            names = {c: json.loads(found[f"{c}.names"].tobytes()) for c in (*CODED, CAMERAS)}
            release = found["release"].tobytes().decode()
        _check(numbers, names)
    except (KeyError, ValueError, OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise error if isinstance(error, NotAPlan) else NotAPlan(f"no plan: {error}") from error
    return Plan(numbers, names, release)
