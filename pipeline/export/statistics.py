"""Statistics as LeRobot keeps them: of each episode beside its entry, of the dataset in `meta/stats.json`.

In: values, float[n, D], an episode at a time. Out: min, max, mean, std, count, and the quantiles that its policies
normalise with. Of a dataset moments and extremes are exact and quantiles come from t-digests (`stages.shard.stats`); of
an episode all are exact. Pictures have one figure a channel, shape [3, 1, 1], and count pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.shard.stats import Statistics

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
Figures = dict[str, Any]  # lists


class Collected:
    """Statistics of all features of a dataset, while its episodes go by."""

    def __init__(self) -> None:
        self._own: dict[str, Statistics] = {}
        self._pictures: dict[str, int] = {}

    def add(self, feature: str, values: npt.NDArray[Any], pictures: int | None = None) -> Figures:
        """Take an episode's values in, and say what they are by themselves; pictures: how many these are pixels of."""
        self._own.setdefault(feature, Statistics(values.shape[1])).add(values)
        if pictures is not None:
            self._pictures[feature] = self._pictures.get(feature, 0) + pictures
        rows = values.astype(np.float64)
        found: dict[str, npt.NDArray[np.float64]] = {
            "min": rows.min(axis=0),
            "max": rows.max(axis=0),
            "mean": rows.mean(axis=0),
            "std": rows.std(axis=0),
            **dict(zip(QUANTILES, np.quantile(rows, list(QUANTILES.values()), axis=0), strict=True)),
        }
        return _shaped({k: v.tolist() for k, v in found.items()}, len(rows), pictures)

    def whole(self) -> dict[str, Figures]:
        """Figures of the dataset, by feature."""
        found = {}
        for feature, one in self._own.items():
            figures: Mapping[str, Any] = one.figures()
            own = {key: figures[key] for key in ("min", "max", "mean", "std")}
            own |= {key: [digest.get_quantile(share) for digest in one.digests] for key, share in QUANTILES.items()}
            found[feature] = _shaped(own, one.count, self._pictures.get(feature))
        return found


def _shaped(figures: Mapping[str, list[float]], rows: int, pictures: int | None) -> Figures:
    if pictures is None:
        return {**figures, "count": [rows]}
    return {**{key: [[[value]] for value in values] for key, values in figures.items()}, "count": [pictures]}
