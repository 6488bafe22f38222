"""State and action vectors of robots that are not alike.

In: arrays of a sample by name, its layout. Out: one vector a row, of the same width for every sample: arrays side by
side, each in a place of its own that is as wide as its widest layout, with a mask of what the robot has. Normalised by
the statistics of the sample's own layout, which know its units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from schemas.sample import VALID, Layout
from stages.load.reading.release import Figures
from stages.load.reading.sample import Arrays

Floats = npt.NDArray[np.float32]
Normalise = Literal["none", "mean_std", "min_max", "quantile"]
LEAST = 1e-6  # a column that varies less than this is not divided by what it varies


@dataclass(frozen=True, slots=True)
class Vector:
    """name: in batches; arrays: what it is made of; widths: of each array's place; width: of the whole."""

    name: str
    arrays: tuple[str, ...]
    widths: tuple[int, ...]
    width: int

    def places(self) -> Iterable[tuple[str, int, int]]:
        """(array, first column of its place, width of the place)."""
        first = 0
        for array, width in zip(self.arrays, self.widths, strict=True):
            yield array, first, width
            first += width

    def of(
        self, arrays: Arrays, rows: npt.NDArray[np.int64]
    ) -> tuple[Floats, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Of these rows of a sample: (float32[T, width], bool[width]: columns that the robot has, bool[T]: rows that
        the log covers and all of whose values are numbers; those that are none are 0)."""
        values = np.zeros((len(rows), self.width), dtype=np.float32)
        mask, valid = np.zeros(self.width, dtype=bool), np.ones(len(rows), dtype=bool)
        for array, first, _ in self.places():
            own = arrays.get(array)
            if own is None or own.ndim != 2:
                continue
            values[:, first : first + own.shape[1]] = own[rows]
            mask[first : first + own.shape[1]] = True
            valid &= _flags(arrays, f"{VALID}.{array}", rows)
        wrong = ~np.isfinite(values)
        values[wrong] = 0.0
        valid &= ~wrong.any(axis=1)
        return values, mask, valid & _flags(arrays, VALID, rows)

    def columns(self, layout: Layout) -> list[str]:
        """A name of each column, as the source of a layout has it; `-` where it has none."""
        names = ["-"] * self.width
        for array, first, _ in self.places():
            own = [value["name"] for value in layout[array]["values"]] if array in layout else []
            names[first : first + len(own)] = own
        return names

    def figures(self, statistics: Mapping[str, Figures]) -> dict[str, Floats]:
        """{mean, std, min, max, q01, q99: float32[width]} of a layout; 0 and 1 where it has no such column."""
        found: dict[str, Floats] = {key: np.zeros(self.width, np.float32) for key in ("mean", "min", "q01")}
        found |= {key: np.ones(self.width, np.float32) for key in ("std", "max", "q99")}
        for array, first, _ in self.places():
            for key, values in found.items():
                if array in statistics:
                    own = statistics[array][key]
                    values[first : first + len(own)] = own
        return found


def _flags(arrays: Arrays, name: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """True where a sample has no such flags."""
    return arrays[name][rows] if name in arrays else np.ones(len(rows), dtype=bool)


def vector(name: str, arrays: str | Sequence[str], layouts: Iterable[Layout], width: int | None) -> Vector:
    """A vector that holds these arrays of all layouts. width: pad to so many columns. Raises ValueError where no layout
    has an array, or the width is too small."""
    names = (arrays,) if isinstance(arrays, str) else tuple(arrays)
    held = list(layouts)
    there = sorted({array for layout in held for array in layout})
    unknown = [array for array in names if held and array not in there]
    if unknown:
        raise ValueError(f"{name}: no sample has an array {unknown[0]!r}; there are {', '.join(there)}")
    widths = tuple(max((len(layout[a]["values"]) for layout in held if a in layout), default=0) for a in names)
    if width is not None and width < sum(widths):
        raise ValueError(f"{name}: {sum(widths)} columns do not fit into {width}")
    return Vector(name, names, widths, sum(widths) if width is None else width)


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """x -> (x - shift) / unit, by column."""

    shift: Floats
    unit: Floats

    def apply(self, values: Floats) -> Floats:
        return (values - self.shift) / self.unit

    def undo(self, values: Floats) -> Floats:
        return values * self.unit + self.shift


def scale(normalise: str, figures: Mapping[str, Floats]) -> Scale | None:
    """mean_std: to mean 0, standard deviation 1; min_max, quantile: min and max, or the quantiles 0.01 and 0.99, to -1
    and 1. Columns that do not vary become 0."""
    if normalise not in get_args(Normalise):
        raise ValueError(f"normalise={normalise!r}: choose one of {', '.join(get_args(Normalise))}")
    if normalise == "none":
        return None
    shift: Floats
    unit: Floats
    if normalise == "mean_std":
        shift, unit = figures["mean"], figures["std"]
    else:
        low, high = (figures[key] for key in (("min", "max") if normalise == "min_max" else ("q01", "q99")))
        shift, unit = (low + high) * np.float32(0.5), (high - low) * np.float32(0.5)
    return Scale(shift, np.where(unit > LEAST, unit, np.float32(1.0)).astype(np.float32))


def normalised(values: Floats, mask: npt.NDArray[np.bool_], by: Scale | None) -> Floats:
    """Columns that the robot does not have stay 0."""
    return values if by is None else cast("Floats", np.where(mask, by.apply(values), np.float32(0.0)))
