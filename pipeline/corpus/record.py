"""What the last build wanted: which items of the ledger count, under which configuration, from which sources.

In: rows (stage, item, fingerprint) and a manifest. Out: `plan.parquet`, which holds both, so that one atomic write
publishes them; and `manifest.json`, a copy of the manifest for people, which also holds the plan's sha256 (a damaged
Parquet file can crash its reader) and names the sources should the plan be lost.
"""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from stages import storage

PLAN, MANIFEST = "plan.parquet", "manifest.json"
SCHEMA: dict[str, pl.DataType] = {"stage": pl.Categorical(), "item": pl.String(), "fingerprint": pl.String()}
FILED = pa.schema([(name, pa.large_string()) for name in SCHEMA])
Manifest = dict[str, Any]
AT_ONCE = 50_000  # rows
HASHED = 2**25  # bytes that are read together
OF_POLARS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)  # the second of text that is none


class NoCorpus(FileNotFoundError):
    """There is no corpus at this place."""


class DamagedPlan(ValueError):
    """plan.parquet is there and is not what was written."""


def rows_of(stage: str, wanted: pl.DataFrame) -> pl.DataFrame:
    """What a stage wants (item, fingerprint, ...) as rows of the plan."""
    return wanted.select(pl.lit(stage, SCHEMA["stage"]).alias("stage"), "item", "fingerprint")


def write(root: str, plan: pl.DataFrame, manifest: Manifest) -> None:
    """Publish both, the copy first: it names the bytes of the plan before and after, so that a plan is known to be
    whole before it is parsed, whichever was there when a build was killed. Raises storage.Unusable."""
    text = json.dumps(manifest, sort_keys=True)
    metadata = {"manifest": text, "digest": _digest(plan, text)}
    schema, sink = FILED.with_metadata(metadata), io.BytesIO()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for piece in plan.select(list(SCHEMA)).iter_slices(AT_ONCE):
            writer.write_table(piece.to_arrow().cast(schema))
    blob = sink.getbuffer()
    hashes = {hashlib.sha256(blob).hexdigest(), *_hash_of(storage.join(root, PLAN))}
    copied = {**manifest, "plan_sha256": sorted(hashes)}
    copied["sha256"] = own_hash(copied)
    storage.write_bytes(storage.join(root, MANIFEST), json.dumps(copied, indent=1, sort_keys=True).encode())
    storage.write_bytes(storage.join(root, PLAN), blob)


def read(root: str) -> tuple[pl.DataFrame, Manifest]:
    """(plan, manifest). Raises NoCorpus, DamagedPlan."""
    blob, _ = _whole(root)
    return _parsed(blob, root)


def manifest(root: str) -> Manifest:
    """The manifest alone: of a plan whose bytes are known its rows are not read. Raises NoCorpus, DamagedPlan."""
    blob, known = _whole(root)
    if not known:
        return _parsed(blob, root)[1]
    value: Manifest = json.loads(pq.read_schema(pa.BufferReader(blob)).metadata[b"manifest"])
    return value


def _whole(root: str) -> tuple[bytes, bool]:
    """(bytes of the plan, whether they are known to be those that were written)."""
    where, hashes = storage.join(root, PLAN), _hashes(root)
    blob = _bytes(where)
    if blob is None:
        if storage.exists(storage.join(root, MANIFEST)):
            raise DamagedPlan(f"{where} is gone or cannot be read: {_cure(root)}")
        raise NoCorpus(f"no corpus at {root}: build one with corpus build --source URI --corpus {root}")
    if hashes and hashlib.sha256(blob).hexdigest() not in hashes:
        raise DamagedPlan(f"{where} is not as it was written: {_cure(root)}")
    return blob, bool(hashes)


def _parsed(blob: bytes, root: str) -> tuple[pl.DataFrame, Manifest]:
    where = storage.join(root, PLAN)
    try:
        file = pq.ParquetFile(pa.BufferReader(blob))
        plan = pl.concat([pl.DataFrame(schema=SCHEMA), *(_group(file, n) for n in range(file.num_row_groups))])
        metadata = file.schema_arrow.metadata or {}
        text = metadata[b"manifest"].decode()
        whole = metadata[b"digest"].decode() == _digest(plan, text)
    except (OSError, pa.ArrowException, KeyError, TypeError, UnicodeDecodeError, *OF_POLARS) as error:
        raise DamagedPlan(f"{where} cannot be read: {error}; {_cure(root)}") from error
    if not whole:
        raise DamagedPlan(f"{where} is not as it was written: {_cure(root)}")
    value: Manifest = json.loads(text)
    return plan, value


def _cure(root: str) -> str:
    return f"corpus repair --corpus {root}, or build again"


def _group(file: pq.ParquetFile, number: int) -> pl.DataFrame:
    """One row group: what is held besides the plan itself is small."""
    table = file.read_row_group(number)
    table.validate(full=True)
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame.cast(SCHEMA)  # type: ignore[arg-type]


def _bytes(uri: str) -> bytes | None:
    try:
        return storage.read_bytes(uri)
    except OSError:
        return None


def _hash_of(uri: str) -> list[str]:
    """sha256 of a file, read in pieces; none where it is not there or cannot be read."""
    digest = hashlib.sha256()
    try:
        with storage.opened(uri) as (file, _):
            while piece := file.read(HASHED):
                digest.update(piece)
    except OSError:
        return []
    return [digest.hexdigest()]


def _hashes(root: str) -> list[str]:
    """sha256 of the plans that the copy of the manifest knows; empty where it is damaged itself."""
    found = (copy(root) or {}).get("plan_sha256")
    return [h for h in found if isinstance(h, str)] if isinstance(found, list) else []


def copy(root: str) -> Manifest | None:
    """The manifest as people see it, with the hashes of the plan; None where it is not as it was written."""
    try:
        value: Manifest = json.loads(storage.read_bytes(storage.join(root, MANIFEST)))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and value.get("sha256") == own_hash(value) else None


def complaints(root: str, manifest: Manifest) -> dict[str, str]:
    """{file: what is wrong} of a plan that could be read, and of the copy of its manifest.

    A build that was killed between the two writes leaves an old plan: the next build, or a repair, writes both.
    """
    found = copy(root)
    if found is None or {k: v for k, v in found.items() if k not in ("plan_sha256", "sha256")} != manifest:
        return {MANIFEST: "it is not the manifest that plan.parquet holds"}
    return {}


def own_hash(value: Manifest) -> str:
    """sha256 over the JSON form of a mapping without its own key `sha256`."""
    rest = {k: v for k, v in value.items() if k != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _digest(plan: pl.DataFrame, manifest: str) -> str:
    digest = hashlib.sha256(manifest.encode())
    for column in SCHEMA:
        for number, piece in enumerate(plan[column].to_frame().iter_slices(AT_ONCE)):
            if piece[column].null_count():
                raise TypeError(f"{column} has nulls")
            digest.update(b"\n" * (number > 0) + piece[column].cast(pl.String).str.join("\n").item().encode())
        digest.update(b"\0")
    return digest.hexdigest()
