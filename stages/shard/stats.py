"""Normalisation statistics per robot, gathered shard by shard and merged: mean, std, min, max, q01, q99 of each
dimension.

In: arrays of samples. Out: plain dicts that merge. Moments and extremes are exact; quantiles are exact up to `ROWS`
rows of a robot in a shard and from an even stride of its rows beyond that, so memory does not grow with the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

ROWS = 4096
FIELDS = ("state", "action", "gripper")


class RobotStats:
    """Running statistics of one robot's field, float32[n, D] at a time."""

    def __init__(self) -> None:
        self.rows: list[npt.NDArray[np.float32]] = []

    def add(self, values: npt.NDArray[np.float32]) -> None:
        self.rows.append(values)

    def summary(self) -> dict[str, Any]:
        """JSON-able partial statistics."""
        values = np.concatenate(self.rows).astype(np.float64)
        step = max(1, -(-len(values) // ROWS))
        return {
            "count": len(values),
            "sum": values.sum(axis=0).tolist(),
            "squares": (values**2).sum(axis=0).tolist(),
            "min": values.min(axis=0).tolist(),
            "max": values.max(axis=0).tolist(),
            "rows": values[::step].astype(np.float32).tolist(),
        }


def merge(partials: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Partial summaries of one robot's field become mean, std, min, max, q01, q99 and count."""
    parts = list(partials)
    count = sum(p["count"] for p in parts)
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


def _quantiles(parts: list[Mapping[str, Any]]) -> npt.NDArray[np.float64]:
    """float64[2, D]: q01 and q99; where a part holds a stride of its rows, each stands for as many as were left out."""
    rows = np.concatenate([np.asarray(p["rows"], dtype=np.float64) for p in parts])
    if all(len(p["rows"]) == p["count"] for p in parts):
        return np.asarray(np.quantile(rows, [0.01, 0.99], axis=0))
    weights = np.concatenate([np.full(len(p["rows"]), p["count"] / len(p["rows"])) for p in parts])
    return np.asarray(np.quantile(rows, [0.01, 0.99], axis=0, weights=weights, method="inverted_cdf"))
