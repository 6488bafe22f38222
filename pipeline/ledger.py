"""The ledger: what is done, as immutable parts and one small commit file each.

In: rows that a task produced. Out: `tables/<table>/<part>.parquet` and `ledger/<stage>/<unit>.json`. The commit file
is the truth: it is written last and atomically, it lists the items covered (each with its fingerprint and whether it
was quarantined) and the files with their sha256. A Parquet file that no commit names does not exist for a reader.
Killed at any instant, a task leaves either its commit or nothing that counts. A commit carries a hash of itself: one
that does not match it was damaged on disk, counts for nothing, and its unit is done again.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.fingerprint import fingerprint
from schemas import TABLES
from schemas.reasons import Quarantined, Reason
from stages import storage

OK, QUARANTINED, RETRY = "ok", "quarantined", "retry"
ROW_GROUP = {"signals": 8, "alignments": 1, "observations": 4}  # wide rows: a reader fetches the episodes it wants


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


class Ledger:
    """The ledger of the corpus at `root` (URI)."""

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, relative: str) -> str:
        return storage.join(self.root, relative)

    def load(self, stage: str) -> list[Commit]:
        """All commits of a stage that are whole, by unit."""
        return [commit for _, commit in self.scan(stage) if commit is not None]

    def scan(self, stage: str) -> list[tuple[str, Commit | None]]:
        """(unit, its commit; None: damaged) of every commit file of a stage, by unit."""
        names = storage.listing(self.path(f"ledger/{stage}"))
        units = sorted(n.removesuffix(".json") for n in names if n.endswith(".json"))
        with ThreadPoolExecutor(8) as pool:
            blobs = pool.map(lambda unit: self._read(f"ledger/{stage}/{unit}.json"), units)
            return [(unit, _from_json(blob)) for unit, blob in zip(units, blobs, strict=True)]

    def _read(self, path: str) -> bytes:
        """A commit file; nothing where the disk cannot give it back."""
        try:
            return storage.read_bytes(self.path(path))
        except OSError:
            return b""

    @contextmanager
    def intact(self, path: str, sha256: str) -> Iterator[str]:
        """A local path with a file of the corpus, hashed before it is used. Raises Quarantined(DAMAGED_FILE)."""
        with ExitStack() as stack:
            try:
                local = stack.enter_context(storage.local_copy(self.path(path)))
                with open(local, "rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
                if found != sha256:
                    raise OSError("sha256 is not the committed one")
            except OSError as error:
                raise damaged(self.path(path), error) from error
            yield local

    def publish(
        self,
        stage: str,
        items: Sequence[Item],
        rows: Mapping[str, Iterable[Mapping[str, Any]]],
        counts: Mapping[str, float],
        blobs: Mapping[str, tuple[str, bytes]] | None = None,
        written: Mapping[str, PartFile] | None = None,
    ) -> Commit:
        """Write tables (`rows`) and other files (`blobs`: {name: (path, bytes)}), then the commit that makes them
        count.

        `written` names files that the task has already put in place. Raises schemas.SchemaError for rows that do not
        fit.
        """
        tables = {table: TABLES[table].build(found) for table, found in rows.items()}
        return self.publish_tables(stage, items, tables, counts, blobs, written)

    def publish_tables(
        self,
        stage: str,
        items: Sequence[Item],
        tables: Mapping[str, pa.Table],
        counts: Mapping[str, float],
        blobs: Mapping[str, tuple[str, bytes]] | None = None,
        written: Mapping[str, PartFile] | None = None,
    ) -> Commit:
        """The same for tables that are Arrow tables already, validated and sorted by their key."""
        unit = fingerprint(stage, sorted((i.name, i.fingerprint) for i in items))
        files = dict(written or {})
        for table, data in tables.items():
            if data.num_rows:
                files[table] = self._write_table(table, unit, data)
        for name, (path, blob) in (blobs or {}).items():
            storage.write_bytes(self.path(path), blob)
            files[name] = PartFile(path, 0, len(blob), hashlib.sha256(blob).hexdigest())
        commit = Commit(stage, unit, tuple(items), files, dict(counts))
        self.write(commit)
        return commit

    def write(self, commit: Commit) -> None:
        """Write the file that makes a commit count; all that it names must be in place."""
        storage.write_bytes(self.path(f"ledger/{commit.stage}/{commit.unit}.json"), _to_json(commit))

    def identify(self, path: str) -> PartFile:
        """A file that is in place, as a commit names it. Raises FileNotFoundError."""
        blob = storage.read_bytes(self.path(path))
        return PartFile(path, 0, len(blob), hashlib.sha256(blob).hexdigest())

    def _write_table(self, table: str, unit: str, data: pa.Table) -> PartFile:
        buffer = io.BytesIO()
        pq.write_table(data, buffer, compression="zstd", row_group_size=ROW_GROUP.get(table), write_page_checksum=True)
        blob = buffer.getvalue()
        digest = hashlib.sha256(blob).hexdigest()
        path = f"tables/{table}/{unit}-{digest[:8]}.parquet"
        storage.write_bytes(self.path(path), blob)
        return PartFile(path, data.num_rows, len(blob), digest)


def damaged(uri: str, error: Exception) -> Quarantined:
    """What is raised for a file of the corpus that cannot be used as it is."""
    return Quarantined(Reason.DAMAGED_FILE, f"{uri}: {error}; corpus verify, then corpus repair", retryable=True)


class State:
    """What a stage has done, by item and fingerprint; of two commits for the same success counts before failure."""

    def __init__(self, commits: Iterable[Commit] = ()) -> None:
        self.done: dict[tuple[str, str], tuple[str, Commit]] = {}
        for commit in commits:
            self.add(commit)

    def add(self, commit: Commit) -> None:
        for item in commit.items:
            key = (item.name, item.fingerprint)
            if key not in self.done or self.done[key][0] != OK:
                self.done[key] = (item.status, commit)

    def status(self, name: str, fingerprint: str) -> str | None:
        """ok, quarantined, retry, or None where nothing is committed."""
        found = self.done.get((name, fingerprint))
        return found[0] if found else None

    def files(self, table: str, wanted: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
        """{path of a part: the wanted items that it covers} for one table."""
        parts: dict[str, list[str]] = {}
        for key in wanted:
            found = self.done.get(key)
            if found and table in found[1].files:
                parts.setdefault(found[1].files[table].path, []).append(key[0])
        return parts


def _to_json(commit: Commit) -> bytes:
    body = json.dumps(asdict(commit), sort_keys=True, separators=(",", ":")).encode()
    return b'{"sha256":"%s","commit":%s}\n' % (hashlib.sha256(body).hexdigest().encode(), body)


def _from_json(blob: bytes) -> Commit | None:
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
