"""The ledger: what is done, as immutable parts and one small commit each.

In: tables that a task produced. Out: `tables/<table>/<part>.parquet` and `ledger/<stage>/<unit>.json`. The commit is
the truth: it is written last and atomically, it lists the items covered (each with its fingerprint and whether it was
quarantined) and the files with their sha256. A Parquet file that no commit names does not exist for a reader. Killed at
any instant, a task leaves either its commit or nothing that counts. A commit carries a hash of itself: one that does
not match it was damaged on disk, counts for nothing, and its unit is done again.

Many commits are folded into a checkpoint, `ledger/<stage>/checkpoint-<number>-<sha>.parquet`, in two copies. The whole
one of the highest number counts, and every JSON commit beside it: the checkpoint is in place before the JSON files that
it holds are removed, and they before the checkpoint of the number before. Whatever is there twice says the same.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corpus.commit import Commit, Item, PartFile, from_json, to_json
from pipeline.corpus.state import State
from schemas.ids import TOGETHER
from schemas.reasons import Quarantined, Reason
from schemas.table import Table
from stages import storage
from stages.fingerprint import fingerprint

WIDE = 1000  # bytes of a row from which a table is parted into row groups: a reader fetches the episodes it wants
AT_ONCE = 50_000  # rows of a checkpoint that are unpacked together
LOOKS = 5  # while a build folds commits
READERS = 8
FOLDED = 64  # JSON commits of a stage that are left as they are; more are folded into a checkpoint
CHECKPOINT = re.compile(r"checkpoint-(\d{6,})-([0-9a-f]{16})(-copy)?\.parquet")


class Ledger:
    """The ledger of the corpus at `root` (URI)."""

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, relative: str) -> str:
        return storage.join(self.root, relative)

    def state(self, stage: str) -> State:
        """What a stage has done, by all commits that are whole."""
        return self._look(stage).state

    def damaged(self, stage: str) -> list[str]:
        """Files of a stage's ledger that are not as they were written: units, and checkpoints."""
        return self._look(stage).damaged

    def fold(self, stage: str, least: int = FOLDED) -> None:
        """Put commits into a checkpoint where over `least` of them lie beside it, or where a build was killed before
        the checkpoint had its copy."""
        names = self._names(stage)
        alone = any(CHECKPOINT.fullmatch(n) and _twin(n) not in names for n in names)
        if alone or len([n for n in names if n.endswith(".json")]) > least:
            found = self._look(stage)
            if not found.unread:  # what could not be read is not replaced by what could: a repair sees to it
                self._write_checkpoint(stage, found, found.state.rows())

    def remove(self, stage: str, names: Iterable[str]) -> None:
        """Remove commits, by unit, and damaged checkpoints, by name. A checkpoint that cannot be read, and that nobody
        names, stays; commits in one that is whole then stay too."""
        gone, found = set(names), self._look(stage)
        rows = found.state.rows()
        folded = set(rows["unit"]) - set(found.units)
        for unit in gone & {*found.units, *found.damaged}:
            if not CHECKPOINT.fullmatch(unit):
                storage.remove(self.path(f"ledger/{stage}/{unit}.json"))
        if set(found.unread) - gone:
            return
        named = {name for name in gone & set(found.damaged) if CHECKPOINT.fullmatch(name)}
        if named or gone & folded or (found.checkpoints and gone & set(found.units)):
            kept = rows.filter(~pl.col("unit").is_in(list(gone)))
            self._write_checkpoint(stage, found, kept)

    def tidy(self, stage: str) -> None:
        """Remove checkpoints that count no longer, which a process that was killed has left, and give the one that
        counts its copy."""
        found = self._look(stage)
        numbers = {_parsed(name)[0] for name in found.checkpoints}
        alone = any(_twin(name) not in found.checkpoints for name in found.checkpoints)
        if (len(numbers) > 1 or alone) and not found.unread:
            self._write_checkpoint(stage, found, found.state.rows())

    def _write_checkpoint(self, stage: str, found: _Found, rows: pl.DataFrame) -> None:
        """Put rows in place of all commits and checkpoints that were found."""
        buffer = io.BytesIO()
        by_kind = rows.sort("kind", "unit", maintain_order=True)  # who asks for items passes over groups of files
        by_kind.write_parquet(buffer, compression="zstd", row_group_size=AT_ONCE)
        blob = buffer.getvalue()
        name = f"checkpoint-{found.number + 1:06d}-{hashlib.sha256(blob).hexdigest()[:16]}"
        for copy in ("", "-copy"):
            storage.write_bytes(self.path(f"ledger/{stage}/{name}{copy}.parquet"), blob)
        for unit in found.units:
            storage.remove(self.path(f"ledger/{stage}/{unit}.json"))
        for old in found.checkpoints:
            storage.remove(self.path(f"ledger/{stage}/{old}"))

    def _names(self, stage: str) -> list[str]:
        return sorted(storage.listing(self.path(f"ledger/{stage}")))

    def _look(self, stage: str) -> _Found:
        """All of a stage's ledger. Nothing else reads it. A build may fold commits while somebody looks: what was
        listed and is gone lies in a checkpoint that was not there yet, so that another look is taken."""
        for _ in range(LOOKS):
            with suppress(FileNotFoundError):
                return self._look_once(stage)
        return self._look_once(stage)

    def _look_once(self, stage: str) -> _Found:
        """Raises FileNotFoundError where a file goes while they are read."""
        names = self._names(stage)
        units = [n.removesuffix(".json") for n in names if n.endswith(".json")]
        checkpoints = sorted((n for n in names if CHECKPOINT.fullmatch(n)), key=_newest_first)
        damaged, unread, whole, number, read = [], [], None, 0, -1
        for name in checkpoints:
            number = max(number, _parsed(name)[0])
            blob = self._read(f"ledger/{stage}/{name}")
            if hashlib.sha256(blob).hexdigest()[:16] != _parsed(name)[1]:
                damaged.append(name)
                unread.append(name)
            elif whole is None:
                whole, read = blob, _parsed(name)[0]
                damaged += [twin for twin in [_twin(name)] if twin not in names]  # one copy is none
        unread = [name for name in unread if _parsed(name)[0] > read]  # a whole one of its number says the same
        state, beside = State(stage, checkpoint=whole), []
        for unit, commit in zip(units, self._commits(stage, units), strict=True):
            if commit is None:
                damaged.append(unit)
            else:
                beside.append(commit.unit)
                state.add(commit)
        return _Found(state, beside, checkpoints, damaged, unread, number)

    def _commits(self, stage: str, units: Sequence[str]) -> Iterator[Commit | None]:
        """A few at a time; None where a file is not as it was written. Raises FileNotFoundError."""
        with ThreadPoolExecutor(READERS) as pool:
            for start in range(0, len(units), FOLDED):
                some = units[start : start + FOLDED]
                yield from map(from_json, pool.map(lambda u: self._read(f"ledger/{stage}/{u}.json"), some))

    def _read(self, path: str) -> bytes:
        """A file of the ledger; nothing where the disk cannot give it back. Raises FileNotFoundError."""
        try:
            return storage.read_bytes(self.path(path))
        except FileNotFoundError:
            raise
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

    @staticmethod
    def unit_of(stage: str, items: Sequence[Item]) -> str:
        """The unit of a commit that covers these items."""
        return fingerprint(stage, sorted((i.name, i.fingerprint) for i in items))

    def publish(
        self,
        stage: str,
        items: Sequence[Item],
        tables: Mapping[Table[Any], Iterable[Mapping[str, Any]] | pa.Table],
        counts: Mapping[str, float],
        blobs: Mapping[str, tuple[str, bytes]] | None = None,
        written: Mapping[str, PartFile] | None = None,
    ) -> Commit:
        """Write tables (rows, or Arrow tables that are validated and sorted already) and other files (`blobs`: {name:
        (path, bytes)}), then the commit that makes them count.

        `written` names files that the task has already put in place. Raises schemas.SchemaError for rows that do not
        fit.
        """
        built = {t: rows if isinstance(rows, pa.Table) else t.build(rows) for t, rows in tables.items()}
        unit = self.unit_of(stage, items)
        files = dict(written or {})
        for table, data in built.items():
            if data.num_rows:
                files[table.name] = self._write_table(table.name, unit, data)
        for name, (path, blob) in (blobs or {}).items():
            storage.write_bytes(self.path(path), blob)
            files[name] = PartFile(path, 0, len(blob), hashlib.sha256(blob).hexdigest())
        commit = Commit(stage, unit, tuple(items), files, dict(counts))
        self.write(commit)
        return commit

    def publish_again(
        self, old: Commit, items: Sequence[Item], tables: Mapping[str, pa.Table], files: Mapping[str, PartFile]
    ) -> Commit:
        """A commit of fewer items in place of another: tables by name, whole and sorted, and files that lie there
        already. The old one is not removed."""
        unit = self.unit_of(old.stage, items)
        made = {name: self._write_table(name, unit, data) for name, data in tables.items() if data.num_rows}
        commit = Commit(old.stage, unit, tuple(items), {**files, **made}, old.counts)
        self.write(commit)
        return commit

    def write(self, commit: Commit) -> None:
        """Write the file that makes a commit count; all that it names must be in place."""
        storage.write_bytes(self.path(f"ledger/{commit.stage}/{commit.unit}.json"), to_json(commit))

    def _write_table(self, table: str, unit: str, data: pa.Table) -> PartFile:
        buffer = io.BytesIO()
        options = {"compression": "zstd", "write_page_checksum": True}
        with pq.ParquetWriter(buffer, data.schema, **options) as writer:
            for group in _row_groups(data):
                writer.write_table(group, row_group_size=max(1, group.num_rows))
        blob = buffer.getvalue()
        digest = hashlib.sha256(blob).hexdigest()
        path = f"tables/{table}/{unit}-{digest[:8]}.parquet"
        storage.write_bytes(self.path(path), blob)
        return PartFile(path, data.num_rows, len(blob), digest)


@dataclass(frozen=True, slots=True)
class _Found:
    """What lies in a stage's ledger: all whole commits; units with a JSON file of their own; names of all checkpoints;
    what is damaged; damaged checkpoints of which no other says the same; the highest number of a checkpoint."""

    state: State
    units: list[str]
    checkpoints: list[str]
    damaged: list[str]
    unread: list[str]
    number: int


def _row_groups(data: pa.Table) -> Iterator[pa.Table]:
    """Groups of TOGETHER episodes, of a table of wide rows; else the table."""
    if not data.num_rows or data.nbytes < WIDE * data.num_rows or "episode_id" not in data.column_names:
        yield data
        return
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(data["episode_id"].to_pylist()), 1) if a != b), data.num_rows]
    edges = [*starts[:-1:TOGETHER], data.num_rows]
    for start, end in pairwise(edges):
        yield data.slice(start, end - start)


def _parsed(name: str) -> tuple[int, str, bool]:
    match = CHECKPOINT.fullmatch(name)
    assert match is not None
    return int(match[1]), match[2], bool(match[3])


def _twin(name: str) -> str:
    """The other copy of a checkpoint."""
    return name.replace("-copy.", ".") if "-copy." in name else name.replace(".parquet", "-copy.parquet")


def _newest_first(name: str) -> tuple[int, str, bool]:
    number, digest, copy = _parsed(name)
    return -number, digest, copy


def damaged(uri: str, error: Exception) -> Quarantined:
    """What is raised for a file of the corpus that cannot be used as it is."""
    return Quarantined(Reason.DAMAGED_FILE, f"{uri}: {error}; corpus verify, then corpus repair", retryable=True)
