"""Statistics of the arrays of one layout, gathered tar by tar and merged: mean, std, min, max, q01, q99 of each column.

In: float[n, D] at a time. Out: a `Partial`, a few arrays that merge and travel as one npz a tar. Moments and extremes
are exact; quantiles come from t-digests (Dunning 2019, of Apache DataSketches), which are the same on every run and
merge to the same bytes in the same order: q01 and q99 lie within 0.2 % of their rank. (Its KLL sketches draw at
random.)
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from datasketches import tdigest_double

COMPRESSION = 500  # of a digest: 11 kB a column at most
Partial = Mapping[str, npt.NDArray[Any]]


class Statistics:
    """Running statistics of one array with D columns."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.total, self.squares = np.zeros(width), np.zeros(width)
        self.low, self.high = np.full(width, np.inf), np.full(width, -np.inf)
        self.digests = [tdigest_double(COMPRESSION) for _ in range(width)]

    def add(self, values: npt.NDArray[Any]) -> None:
        """Rows float[n, D]; those with a value that is not finite are left out."""
        rows = values[np.isfinite(values).all(axis=1)].astype(np.float64)
        if not len(rows):
            return
        self.count += len(rows)
        self.total += rows.sum(axis=0)
        self.squares += (rows**2).sum(axis=0)
        self.low, self.high = np.minimum(self.low, rows.min(axis=0)), np.maximum(self.high, rows.max(axis=0))
        for digest, column in zip(self.digests, rows.T, strict=True):
            digest.update(np.ascontiguousarray(column))

    def merge(self, partial: Partial) -> None:
        """Add what `summary` has made of other rows."""
        self.count += int(partial["count"])
        self.total += partial["sum"]
        self.squares += partial["squares"]
        self.low, self.high = np.minimum(self.low, partial["min"]), np.maximum(self.high, partial["max"])
        ends = np.cumsum(partial["digest_bytes"])
        for digest, end, size in zip(self.digests, ends, partial["digest_bytes"], strict=True):
            digest.merge(tdigest_double.deserialize(partial["digests"][end - size : end].tobytes()))

    def summary(self) -> Partial:
        """Arrays that `merge` takes."""
        blobs = [digest.serialize() for digest in self.digests]
        return {
            "count": np.array(self.count),
            "sum": self.total,
            "squares": self.squares,
            "min": self.low,
            "max": self.high,
            "digest_bytes": np.array([len(b) for b in blobs], dtype=np.int64),
            "digests": np.frombuffer(b"".join(blobs), dtype=np.uint8),
        }

    def figures(self) -> dict[str, Any]:
        """JSON-able count, mean, std, min, max, q01, q99."""
        mean = self.total / self.count
        variance = np.maximum(self.squares / self.count - mean**2, 0.0)
        return {
            "count": self.count,
            "mean": mean.tolist(),
            "std": np.sqrt(variance).tolist(),
            "min": self.low.tolist(),
            "max": self.high.tolist(),
            "q01": [digest.get_quantile(0.01) for digest in self.digests],
            "q99": [digest.get_quantile(0.99) for digest in self.digests],
        }


def merged(partials: Iterable[Partial]) -> Statistics:
    """Statistics over all of them, in their order; at least one."""
    result: Statistics | None = None
    for partial in partials:
        if result is None:
            result = Statistics(len(partial["sum"]))
        result.merge(partial)
    assert result is not None
    return result


def to_bytes(partials: Mapping[str, Partial]) -> bytes:
    """{name: partial} as an npz, the same bytes for the same figures."""
    buffer = io.BytesIO()
    np.savez(buffer, **{f"{name}:{key}": value for name, one in partials.items() for key, value in one.items()})  # type: ignore[arg-type]
    return buffer.getvalue()


def from_bytes(blob: bytes) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """The partials that `to_bytes` wrote."""
    partials: dict[str, dict[str, npt.NDArray[Any]]] = {}
    with np.load(io.BytesIO(blob)) as arrays:
        for label in arrays.files:
            name, key = label.rsplit(":", 1)
            partials.setdefault(name, {})[key] = arrays[label]
    return partials
