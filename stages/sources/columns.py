"""One column of a log as numbers.

In: an Arrow table and a column's name. Out: float64[T, D]; lists in lists are laid out flat.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.reasons import Quarantined, Reason

Float = npt.NDArray[np.float64]


def values_of(table: pa.Table, column: str, width: int | None, where: str) -> Float:
    """float64[T, width] of a column, NaN where it has no value.

    Raises Quarantined where it is absent, ragged, of another width (None: one value), or holds no numbers.
    """
    if column not in table.column_names:
        raise Quarantined(Reason.MISSING_COLUMN, f"{where}: no column {column!r}, found {table.column_names}")
    array = table[column].combine_chunks()
    measured = 1
    while _is_list(array.type):
        lengths = pc.unique(pc.list_value_length(array)).to_pylist()
        if len(lengths) != 1 or lengths[0] is None:
            widths = [w if w is None else w * measured for w in lengths[:5]]
            raise Quarantined(
                Reason.WRONG_SHAPE, f"{where}: column {column} has rows of width {widths}, metadata says {width}"
            )
        measured *= lengths[0]
        array = pc.list_flatten(array)
    if measured != (width or 1):
        raise Quarantined(
            Reason.WRONG_SHAPE, f"{where}: column {column} has rows of width [{measured}], metadata says {width or 1}"
        )
    kind = array.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise Quarantined(Reason.WRONG_TYPE, f"{where}: column {column} is of type {kind}, numbers are expected")
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64).reshape(table.num_rows, measured)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def runs(values: npt.NDArray[Any]) -> Iterator[tuple[int, int]]:
    """[first, last) of each stretch of equal values."""
    return pairwise([0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)])
