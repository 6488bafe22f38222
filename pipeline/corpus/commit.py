"""What a task leaves in the ledger: one small file, in two forms.

A commit is published as JSON that carries a hash of itself. Many of them become rows of a checkpoint, a Parquet file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

OK, QUARANTINED, RETRY = "ok", "quarantined", "retry"
FIGURES = pl.List(pl.Struct({"name": pl.String, "value": pl.Float64}))
Schema = dict[str, pl.DataType | type[pl.DataType]]
ROWS: Schema = {  # a row an item, a file, and a unit, of each commit
    "unit": pl.String,
    "kind": pl.String,  # item, file or unit
    "name": pl.String,  # of an item or a file
    "fingerprint": pl.String,  # of an item
    "status": pl.String,  # of an item
    "path": pl.String,  # of a file; so are the next three
    "rows": pl.Int64,
    "bytes": pl.Int64,
    "sha256": pl.String,
    "counts": FIGURES,  # of an item, or of the unit
}


@dataclass(frozen=True, slots=True)
class Item:
    """A piece of work: its name (episode, episode@camera, a shard), its fingerprint, how it went, and its figures."""

    name: str
    fingerprint: str
    status: str = OK
    counts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartFile:
    """A file of a commit: path inside the corpus, rows (0 for a file that is no table), bytes, sha256."""

    path: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One published unit of a stage. `counts` are figures of the unit as a whole, such as seconds."""

    stage: str
    unit: str
    items: tuple[Item, ...]
    files: Mapping[str, PartFile]
    counts: Mapping[str, float] = field(default_factory=dict)


def to_json(commit: Commit) -> bytes:
    body = json.dumps(asdict(commit), sort_keys=True, separators=(",", ":")).encode()
    return b'{"sha256":"%s","commit":%s}\n' % (hashlib.sha256(body).hexdigest().encode(), body)


def from_json(blob: bytes) -> Commit | None:
    """The commit; None where the file does not match the hash in it."""
    head, separator, body = blob.removesuffix(b"}\n").partition(b'","commit":')
    if not separator or head.removeprefix(b'{"sha256":"').decode("latin-1") != hashlib.sha256(body).hexdigest():
        return None
    raw = json.loads(body)
    return Commit(
        raw["stage"],
        raw["unit"],
        tuple(Item(**i) for i in raw["items"]),
        {name: PartFile(**f) for name, f in raw["files"].items()},
        raw["counts"],
    )


def to_rows(commits: Iterable[Commit]) -> pl.DataFrame:
    """Commits as ROWS says, in their order."""
    none = (None, None, None, None)
    rows: list[tuple[Any, ...]] = []
    for c in commits:
        rows.append((c.unit, "unit", None, None, None, *none, _figures(c.counts)))
        rows += [(c.unit, "item", i.name, i.fingerprint, i.status, *none, _figures(i.counts)) for i in c.items]
        rows += [(c.unit, "file", n, None, None, f.path, f.rows, f.bytes, f.sha256, None) for n, f in c.files.items()]
    return pl.DataFrame(rows, schema=ROWS, orient="row")


def from_rows(stage: str, rows: pl.DataFrame) -> list[Commit]:
    """The commits of such rows."""
    found = []
    for (unit,), own in rows.partition_by("unit", as_dict=True, maintain_order=True).items():
        items, files = own.filter(kind="item"), own.filter(kind="file")
        counts = own.filter(kind="unit")["counts"].to_list()
        found.append(
            Commit(
                stage,
                str(unit),
                tuple(
                    Item(n, p, s, _mapping(c))
                    for n, p, s, c in items.select("name", "fingerprint", "status", "counts").iter_rows()
                ),
                {n: PartFile(*of) for n, *of in files.select("name", "path", "rows", "bytes", "sha256").iter_rows()},
                _mapping(counts[0]),
            )
        )
    return found


def _figures(counts: Mapping[str, float]) -> list[dict[str, Any]]:
    return [{"name": n, "value": float(v)} for n, v in counts.items()]


def _mapping(figures: Iterable[Mapping[str, Any]] | None) -> dict[str, float]:
    return {f["name"]: f["value"] for f in figures or ()}
