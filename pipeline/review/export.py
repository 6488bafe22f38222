"""Decisions as files: JSONL and Parquet hold all of them, CSV the flat part with spans as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow.parquet as pq

from schemas.review.decisions import DECISIONS, DecisionRow

Rows = Sequence[DecisionRow]
TYPES = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


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
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value


def parquet(rows: Rows) -> bytes:
    sink = io.BytesIO()
    pq.write_table(DECISIONS.build(rows), sink, compression="zstd")
    return sink.getvalue()


FORMATS: dict[str, Callable[[Rows], bytes]] = {"jsonl": jsonl, "csv": to_csv, "parquet": parquet}
