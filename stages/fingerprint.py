"""Fingerprints: a short hash of everything an output depends on, so that a rerun does only what is missing.

A stage's fingerprint for an item hashes the stage's name, its integer VERSION, its config and its inputs' fingerprints.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from typing import Any

import polars as pl
from pydantic import BaseModel

AT_ONCE = 20_000  # rows whose texts are held together


def fingerprint(*parts: Any) -> str:
    """16 hex digits over the JSON form of `parts`: models and dataclasses by value, mappings in key order. Keys that a
    model names in `UNHASHED` do not count: nothing that is hashed depends on them."""
    return _digest(json.dumps(parts, sort_keys=True, default=_plain, separators=(",", ":")))


def each_fingerprint(shared: str, *columns: pl.Series) -> pl.Series:
    """The same of (shared, value, value ...) for each row of columns of text and numbers."""
    frame = pl.DataFrame({str(n): c for n, c in enumerate(columns)})
    if all(c.dtype == pl.String and not _escapes(c) for c in columns):
        quoted = (pl.concat_str(pl.lit('"'), pl.col(name), pl.lit('"')) for name in frame.columns)
        return _digests(frame, _array(shared, (q.fill_null("null") for q in quoted)))
    found = (_digest(json.dumps((shared, *row), separators=(",", ":"))) for row in frame.iter_rows())
    return pl.Series(found, dtype=pl.String)


def each_json_fingerprint(shared: str, *columns: pl.Series) -> pl.Series:
    """The same for columns whose values are JSON already."""
    frame = pl.DataFrame({str(n): c for n, c in enumerate(columns)})
    return _digests(frame, _array(shared, (pl.col(name) for name in frame.columns)))


def _escapes(column: pl.Series) -> bool:
    """Whether JSON writes some text otherwise than between quotes."""
    return bool(column.str.contains(r"[^0-9A-Za-z /@_.\-]").any())


def _array(shared: str, values: Iterable[pl.Expr]) -> pl.Expr:
    parts = [part for value in values for part in (pl.lit(","), value)]
    return pl.concat_str(pl.lit("[" + json.dumps(shared)), *parts, pl.lit("]")).alias("text")


def _digests(frame: pl.DataFrame, text: pl.Expr) -> pl.Series:
    """Of the text of each row, some rows at a time: as objects of Python they take five times the room."""
    pieces = (frame.select(text)["text"] for frame in frame.iter_slices(AT_ONCE))
    found = [pl.Series([_digest(t) for t in piece], dtype=pl.String) for piece in pieces]
    return pl.concat(found) if found else pl.Series(dtype=pl.String)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude=set(getattr(value, "UNHASHED", ())))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"no fingerprint for {type(value).__name__}")
