"""Fingerprints: a short hash of everything an output depends on, so that a rerun does only what is missing.

A stage's fingerprint for an item hashes the stage's name, its integer VERSION, its config and its inputs' fingerprints.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl
from pydantic import BaseModel

AT_ONCE = 20_000  # rows whose texts are held together


def fingerprint(*parts: Any) -> str:
    """16 hex digits over the JSON form of `parts`: models and dataclasses by value, mappings in key order. Keys that a
    model names in `UNHASHED` do not count: nothing that is hashed depends on them."""
    return _digest(json.dumps(parts, sort_keys=True, default=_plain, separators=(",", ":")))


def each_fingerprint(shared: str, *columns: Iterable[Any]) -> list[str]:
    """The same of (shared, value, value ...) for each row of columns of text and numbers."""
    if all(isinstance(c, pl.Series) and c.dtype == pl.String for c in columns):
        return [_digest(text) for text in _plain_texts(shared, columns)]  # type: ignore[arg-type]
    return [_digest(json.dumps((shared, *row), separators=(",", ":"))) for row in zip(*columns, strict=True)]


def each_json_fingerprint(shared: str, *columns: pl.Series) -> list[str]:
    """The same for columns whose values are JSON already."""
    frame = pl.DataFrame({str(n): c for n, c in enumerate(columns)})
    parts = [part for name in frame.columns for part in (pl.lit(","), pl.col(name))]
    text = pl.concat_str(pl.lit("[" + json.dumps(shared)), *parts, pl.lit("]")).alias("text")
    return [_digest(t) for piece in frame.iter_slices(AT_ONCE) for t in piece.select(text)["text"]]


def _plain_texts(shared: str, columns: Sequence[pl.Series]) -> Iterable[str]:
    """JSON of (shared, value, ...) a row, made column by column where no text needs an escape."""
    if any(c.str.contains(r"[^0-9A-Za-z /@_.\-]").any() or c.null_count() for c in columns):
        return (json.dumps((shared, *row), separators=(",", ":")) for row in zip(*columns, strict=True))
    frame = pl.DataFrame({str(n): c for n, c in enumerate(columns)})
    parts = [part for name in frame.columns for part in (pl.lit(',"'), pl.col(name), pl.lit('"'))]
    text = pl.concat_str(pl.lit("[" + json.dumps(shared)), *parts, pl.lit("]")).alias("text")
    return (t for piece in frame.iter_slices(AT_ONCE) for t in piece.select(text)["text"])


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
