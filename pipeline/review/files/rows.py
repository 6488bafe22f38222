"""Decisions as files, out and in: JSONL and Parquet hold all of them, CSV the flat part with spans as JSON.

In: rows, or the bytes of such a file. Out: bytes, or rows, each with its place in the file; what is no decision comes
out with why.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.review.decisions import DECISIONS, LATER, DecisionRow
from schemas.table import SchemaError
from stages.text import plain

Rows = Sequence[DecisionRow]
TYPES = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
FORMULA = ("=", "+", "-", "@", "\t", "'")  # what a cell must not begin with: a spreadsheet would reckon
MOST_CELL = 2**31 - 1  # of what a cell may hold: spans of a long stretch are over the 128 kB that csv would take
NAMES = frozenset(c.name for c in DECISIONS.columns)


def jsonl(rows: Rows) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def to_csv(rows: Rows) -> bytes:
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, [c.name for c in DECISIONS.columns], lineterminator="\n")
    table.writeheader()
    table.writerows({k: _cell(v) for k, v in row.items()} for row in rows)
    return buffer.getvalue().encode()


def _cell(value: Any) -> Any:
    """A list or a struct as JSON; text that a spreadsheet would take for a formula behind an apostrophe."""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def parquet(rows: Rows) -> bytes:
    sink = io.BytesIO()
    pq.write_table(DECISIONS.build(rows), sink, compression="zstd")
    return sink.getvalue()


FORMATS: dict[str, Callable[[Rows], bytes]] = {"jsonl": jsonl, "csv": to_csv, "parquet": parquet}


def read(form: str, blob: bytes) -> Iterator[tuple[str, DecisionRow | None, str]]:
    """(where in the file, a decision just as a part of the corpus gives it back, why it is none). Raises ValueError,
    pa.ArrowException, csv.Error for a file that is none of the format at all."""
    for where, found in _READ[form](blob):
        try:
            row: DecisionRow = DECISIONS.build([found()]).to_pylist()[0]
        except (
            SchemaError,
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            OverflowError,
            RecursionError,
            pa.ArrowException,
        ) as error:
            yield where, None, plain(f"it is no decision: {error}", 300)
        else:
            yield where, row, ""


Found = Iterator[tuple[str, Callable[[], DecisionRow]]]


def _of_jsonl(blob: bytes) -> Found:
    for number, line in enumerate(blob.decode("utf-8-sig").split("\n"), 1):
        if line.strip():
            yield f"line {number}", partial(_of_line, line)


def _of_csv(blob: bytes) -> Found:
    csv.field_size_limit(MOST_CELL)
    table = csv.DictReader(io.StringIO(blob.decode("utf-8-sig"), newline=""))
    if lacking := NAMES - set(table.fieldnames or ()) - set(LATER):
        raise ValueError(f"no columns {', '.join(sorted(lacking))}")
    for cells in table:
        yield f"line {table.line_num}", partial(_of_cells, cells)


def _of_line(line: str) -> DecisionRow:
    return _row(json.loads(line))


def _of_cells(cells: Mapping[str, str]) -> DecisionRow:
    row: dict[str, Any] = {}
    for column in DECISIONS.columns:
        cell = cells.get(column.name)
        if cell is None and column.name in LATER:
            continue
        if cell is None:
            raise ValueError(f"no {column.name}")
        if column.nullable and cell == "":
            row[column.name] = None
        elif pa.types.is_list(column.type) or pa.types.is_struct(column.type):
            row[column.name] = json.loads(cell)
        elif pa.types.is_integer(column.type):
            row[column.name] = int(cell)
        elif pa.types.is_boolean(column.type):
            row[column.name] = {"true": True, "false": False}[cell.casefold()]
        else:
            row[column.name] = cell[1:] if cell.startswith("'") else cell
    return _row(row)


def _of_parquet(blob: bytes) -> Found:
    for number, row in enumerate(pq.read_table(pa.BufferReader(blob)).to_pylist()):
        yield f"row {number}", partial(_row, row)


def _row(row: Any) -> DecisionRow:
    """Just the columns of a decision, also of one that was written before some of them were."""
    if lacking := sorted(NAMES - set(LATER) - set(row)):
        raise ValueError(f"it has no {', '.join(lacking)}")
    return cast(DecisionRow, {name: row[name] if name not in LATER else row.get(name, LATER[name]) for name in NAMES})


_READ: dict[str, Callable[[bytes], Found]] = {"jsonl": _of_jsonl, "csv": _of_csv, "parquet": _of_parquet}
