"""Normalisation statistics per robot, gathered shard by shard and merged: mean, std, min, max, q01, q99 of each
dimension.

In: arrays of samples. Out: dicts of arrays that merge, and travel as one npz a shard. Moments and extremes are exact;
quantiles are exact up to `ROWS` rows of a robot in a shard and from an even stride of its rows beyond that, so memory
does not grow with the corpus.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

ROWS = 4096
FIELDS = ("state", "action", "gripper")
Partial = Mapping[str, npt.NDArray[Any]]


class RobotStats:
    """Running statistics of one robot's field, float32[n, D] at a time."""

    def __init__(self) -> None:
        self.rows: list[npt.NDArray[np.float32]] = []

    def add(self, values: npt.NDArray[np.float32]) -> None:
        self.rows.append(values)

    def summary(self) -> Partial:
        """What merges: count, sums, sums of squares, extremes and rows (float32[at most ROWS, D]) for the quantiles."""
        values = np.concatenate(self.rows).astype(np.float64)
        step = max(1, -(-len(values) // ROWS))
        return {
            "count": np.array(len(values)),
            "sum": values.sum(axis=0),
            "squares": (values**2).sum(axis=0),
            "min": values.min(axis=0),
            "max": values.max(axis=0),
            "rows": values[::step].astype(np.float32),
        }


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


def merge(partials: Iterable[Partial]) -> dict[str, Any]:
    """Partial summaries of one robot's field become JSON-able mean, std, min, max, q01, q99 and count."""
    parts = list(partials)
    count = sum(int(p["count"]) for p in parts)
    mean = np.sum([p["sum"] for p in parts], axis=0) / count
    variance = np.maximum(np.sum([p["squares"] for p in parts], axis=0) / count - mean**2, 0.0)
    low, high = _quantiles(parts)
    return {
        "count": count,
        "mean": mean.tolist(),
        "std": np.sqrt(variance).tolist(),
        "min": np.min([p["min"] for p in parts], axis=0).tolist(),
        "max": np.max([p["max"] for p in parts], axis=0).tolist(),
        "q01": low.tolist(),
        "q99": high.tolist(),
    }


def _quantiles(parts: list[Partial]) -> npt.NDArray[np.float64]:
    """float64[2, D]: q01 and q99; where a part holds a stride of its rows, each stands for as many as were left out."""
    rows = np.concatenate([p["rows"].astype(np.float64) for p in parts])
    if all(len(p["rows"]) == p["count"] for p in parts):
        return np.asarray(np.quantile(rows, [0.01, 0.99], axis=0))
    weights = np.concatenate([np.full(len(p["rows"]), p["count"] / len(p["rows"])) for p in parts])
    return np.asarray(np.quantile(rows, [0.01, 0.99], axis=0, weights=weights, method="inverted_cdf"))
