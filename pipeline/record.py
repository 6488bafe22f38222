"""What the last build wanted: which items of the ledger count, under which configuration, from which sources.

In: rows (stage, item, fingerprint) and a manifest. Out: `plan.parquet`, which holds both and a hash over them in its
metadata, so that one atomic write publishes them and damage shows; and `manifest.json`, a copy of the manifest for
people, which also names the sources should the plan be lost.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from stages import storage

PLAN, MANIFEST = "plan.parquet", "manifest.json"
SCHEMA = {"stage": pl.String, "item": pl.String, "fingerprint": pl.String}
Manifest = dict[str, Any]


class NoCorpus(FileNotFoundError):
    """There is no corpus at this place."""


class DamagedPlan(ValueError):
    """plan.parquet is there and is not what was written."""


def write(root: str, plan: pl.DataFrame, manifest: Manifest) -> None:
    """Publish both. Raises storage.Unwritable."""
    text = json.dumps(manifest, sort_keys=True)
    table = (
        plan.select(list(SCHEMA)).to_arrow().replace_schema_metadata({"manifest": text, "digest": _digest(plan, text)})
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    blob = sink.getvalue().to_pybytes()
    copied = {**manifest, "plan_sha256": hashlib.sha256(blob).hexdigest()}
    storage.write_bytes(storage.join(root, PLAN), blob)
    storage.write_bytes(storage.join(root, MANIFEST), json.dumps(copied, indent=1, sort_keys=True).encode())


def read(root: str) -> tuple[pl.DataFrame, Manifest]:
    """(plan, manifest). Raises NoCorpus, DamagedPlan."""
    where = storage.join(root, PLAN)
    try:
        blob = storage.read_bytes(where)
    except FileNotFoundError as error:
        if storage.exists(storage.join(root, MANIFEST)):
            raise DamagedPlan(f"{where} is gone: corpus repair --corpus {root}, or build again") from error
        raise NoCorpus(f"no corpus at {root}: build one with corpus build --source URI --corpus {root}") from error
    try:
        table = pq.read_table(pa.BufferReader(blob))
        plan = pl.from_arrow(table)
        assert isinstance(plan, pl.DataFrame)
        metadata = table.schema.metadata or {}
        text = metadata[b"manifest"].decode()
        whole = metadata[b"digest"].decode() == _digest(plan, text)
    except (OSError, pa.ArrowException, KeyError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise DamagedPlan(f"{where} cannot be read: {error}; corpus repair --corpus {root}, or build again") from error
    if not whole:
        raise DamagedPlan(f"{where} is not as it was written: corpus repair --corpus {root}, or build again")
    manifest: Manifest = json.loads(text)
    return plan, manifest


def copy(root: str) -> Manifest | None:
    """The manifest as people see it; None where it cannot be read."""
    try:
        value: Manifest = json.loads(storage.read_bytes(storage.join(root, MANIFEST)))
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def complaints(root: str, manifest: Manifest) -> dict[str, str]:
    """{file: what is wrong} of a plan that could be read, and of the copy of its manifest.

    A build that was killed between the two writes leaves an old copy: the next build, or a repair, writes both.
    """
    found = copy(root)
    if found is None or {k: v for k, v in found.items() if k != "plan_sha256"} != manifest:
        return {MANIFEST: "it is not the manifest that plan.parquet holds"}
    if hashlib.sha256(storage.read_bytes(storage.join(root, PLAN))).hexdigest() != found.get("plan_sha256"):
        return {PLAN: "sha256 is not the one in manifest.json"}
    return {}


def own_hash(value: Manifest) -> str:
    """sha256 over the JSON form of a mapping without its own key `sha256`."""
    rest = {k: v for k, v in value.items() if k != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _digest(plan: pl.DataFrame, manifest: str) -> str:
    digest = hashlib.sha256(manifest.encode())
    for column in SCHEMA:
        digest.update("\n".join(plan[column].to_list()).encode())
        digest.update(b"\0")
    return digest.hexdigest()
