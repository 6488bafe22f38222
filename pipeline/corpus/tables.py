"""Reading tables back: parts of the ledger, filtered to the items that count.

In: {part path: items}. Out: Polars frames or rows grouped by episode, sorted by the table's key, so that how episodes
are grouped into parts never shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from pipeline.corpus.ledger import damaged
from schemas.ids import camera_id, episode_of
from schemas.table import Table
from stages import storage

# pages carry a checksum: a flipped bit is an error where it is read, not a value
CHECKED = pads.ParquetFileFormat(
    default_fragment_scan_options=pads.ParquetFragmentScanOptions(page_checksum_verification=True)
)
Parts = Mapping[str, Sequence[str]]
AT = camera_id("", "")


def read(root: str, table: Table[Any], parts: Parts, columns: list[str] | None = None) -> pa.Table:
    """Rows of the wanted items, sorted by key. Items are episodes, episode@camera for tables by camera, sources for
    tables by source; `*` takes all. Raises Quarantined(DAMAGED_FILE), storage.Unreachable."""
    schema = table.schema
    of = "episode_id" if "episode_id" in schema.names else "source"
    pieces = []
    for path, items in sorted(parts.items()):
        uri = storage.join(root, path)
        fs, local = storage.filesystem(uri)
        by_camera = "*" not in items and any(AT in item for item in items)
        wanted = sorted({episode_of(item) for item in items}) if by_camera else sorted(items)
        rows_filter = None if "*" in items else pc.field(of).isin(wanted)
        read_too = list(dict.fromkeys([*columns, "episode_id", "camera"])) if by_camera and columns else columns
        try:
            with storage.reaching(uri):
                piece = pads.dataset(local, filesystem=fs, format=CHECKED).to_table(
                    filter=rows_filter, columns=read_too
                )
        except (OSError, pa.ArrowException) as error:
            raise damaged(uri, error) from error
        if by_camera:
            names = pc.binary_join_element_wise(piece["episode_id"], piece["camera"], AT)
            piece = piece.filter(pc.is_in(names, pa.array(list(items))))
        pieces.append(piece if columns is None else piece.select(columns))
    empty = schema.empty_table()
    whole = pa.concat_tables(pieces) if pieces else (empty.select(columns) if columns else empty)
    keys = [k for k in table.key if k in whole.column_names]
    return whole.sort_by([(k, "ascending") for k in keys]) if keys else whole


def frame(root: str, table: Table[Any], parts: Parts, columns: list[str] | None = None) -> pl.DataFrame:
    """The same as a Polars frame."""
    result = pl.from_arrow(read(root, table, parts, columns))
    assert isinstance(result, pl.DataFrame)
    return result


def by_episode(root: str, table: Table[Any], parts: Parts) -> dict[str, list[dict[str, Any]]]:
    """{episode_id: its rows in key order}, list columns as Python or NumPy sequences."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(read(root, table, parts)):
        grouped.setdefault(row["episode_id"], []).append(row)
    return grouped


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as dicts; lists of numbers become NumPy arrays (to_pylist would make a Python object of every value)."""
    columns: dict[str, Sequence[Any]] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if pa.types.is_list(kind) and pa.types.is_floating(kind.value_type):
            columns[name] = [None if not v.is_valid else v.values.to_numpy(zero_copy_only=False) for v in column]
        else:
            columns[name] = column.to_pylist()
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
