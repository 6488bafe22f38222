"""`corpus compact`: many small parts become few, and nothing else changes.

In: a corpus whose nightly builds each left a part of a few episodes a stage. Out: parts of up to `episodes` episodes,
published before the small ones are taken away, so that it may be killed at any moment: until then both are there, and a
reader takes each item from one commit. Items keep their fingerprints, so the next build finds nothing to do. A part is
hashed before it is read: what is damaged must be repaired, never copied under a new hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.corpus.commit import OK, Commit, Item, PartFile
from pipeline.corpus.garbage import NotComplete
from pipeline.corpus.tables import read
from pipeline.corpus.view import Corpus
from pipeline.stages import by_parts
from schemas.ids import episode_of
from schemas.quarantine import QUARANTINE
from schemas.table import Table
from stages import storage

MEDIA = ("proxy", "thumbnails")  # columns that name files of media/


class DamagedPart(ValueError):
    """A part that would be merged is not what was committed."""


@dataclass(frozen=True, slots=True)
class Small:
    """A commit to merge, and the items of it that count."""

    commit: Commit
    items: tuple[Item, ...]

    @property
    def episodes(self) -> set[str]:
        return {episode_of(item.name) for item in self.items}


def compact(corpus: Corpus, episodes: int) -> dict[str, tuple[int, int]]:
    """{stage: (parts before, parts after)}. Raises NotComplete, DamagedPart, storage.Unusable."""
    if not corpus.manifest["complete"]:
        raise NotComplete("the last build did not reach its end: run it again, then compact")
    result = {}
    for stage in (s.name for s in by_parts(corpus.stages)):
        if corpus.ledger.damaged(stage):
            raise DamagedPart(f"ledger/{stage} is damaged: corpus repair --corpus {corpus.root}")
        before = corpus.commits(stage)
        merged = 0
        for group in _groups(corpus, stage, before, episodes):
            _merge(corpus, stage, group)
            merged += len(group) - 1
        result[stage] = (len(before), len(before) - merged)
    return result


def small_parts(corpus: Corpus, episodes: int) -> int:
    """How many parts a compaction would do away with."""
    names = [s.name for s in by_parts(corpus.stages)]
    groups = (_groups(corpus, name, corpus.commits(name), episodes) for name in names)
    return sum(len(group) - 1 for found in groups for group in found)


def _groups(corpus: Corpus, stage: str, commits: Sequence[Commit], episodes: int) -> Iterator[list[Small]]:
    """Neighbouring small commits (half a part or less), as many as fit in one part; two at least."""
    wanted = {item: (digest, unit) for item, digest, _, unit in corpus.done(stage).iter_rows()}
    small = []
    for commit in commits:
        if any(i.name not in wanted for i in commit.items):
            continue  # of a source that this build was not asked for: its work is kept until gc
        live = tuple(i for i in commit.items if wanted[i.name] == (i.fingerprint, commit.unit))
        one = Small(commit, live)
        if live and len(one.episodes) <= episodes // 2:
            small.append(one)
    small.sort(key=lambda s: min(i.name for i in s.items))
    group: list[Small] = []
    held: set[str] = set()
    for one in small:
        if group and len(held | one.episodes) > episodes:
            if len(group) > 1:
                yield group
            group, held = [], set()
        group.append(one)
        held |= one.episodes
    if len(group) > 1:
        yield group


def _merge(corpus: Corpus, stage: str, group: Sequence[Small]) -> None:
    items = [item for small in group for item in small.items]
    pieces: dict[str, list[pa.Table]] = {}
    for small in group:
        for name, file in small.commit.files.items():
            if name in corpus.tables:
                _whole(corpus, file)
                pieces.setdefault(name, []).append(_rows(corpus, corpus.tables[name], file.path, small.items))
    tables = {corpus.tables[name]: _sorted(corpus.tables[name], found) for name, found in pieces.items()}
    media = {f"media/{p}" for table in tables.values() for c in MEDIA for p in _column(table, c)}
    written = {n: f for small in group for n, f in small.commit.files.items() if n not in corpus.tables and n in media}
    counts = {
        "seconds": sum(s.commit.counts.get("seconds", 0.0) for s in group),
        "peak_bytes": max(s.commit.counts.get("peak_bytes", 0) for s in group),
    }
    made = corpus.ledger.publish(stage, items, tables, counts, written=written)
    kept = {file.path for file in made.files.values()}
    gone = [small.commit for small in group if small.commit.unit != made.unit]
    corpus.ledger.remove(stage, [commit.unit for commit in gone])
    for commit in gone:
        for name, file in commit.files.items():
            if name in corpus.tables and file.path not in kept:
                storage.remove(corpus.ledger.path(file.path))


def _whole(corpus: Corpus, file: PartFile) -> None:
    try:
        found = hashlib.sha256(storage.read_bytes(corpus.ledger.path(file.path))).hexdigest()
    except OSError:
        found = "nothing"
    if found != file.sha256:
        raise DamagedPart(f"{file.path} is not what was committed: corpus repair --corpus {corpus.root}")


def _rows(corpus: Corpus, table: Table[Any], path: str, items: Sequence[Item]) -> pa.Table:
    """Rows of a part that belong to items that count."""
    if table is not QUARANTINE:
        return read(corpus.root, table, {path: [i.name for i in items]})
    whole = read(corpus.root, QUARANTINE, {path: ["*"]})
    aside = pa.array([i.name for i in items if i.status != OK], pa.string())
    episodes = pa.array(sorted({episode_of(i.name) for i in items}), pa.string())
    of_event = pc.and_(pc.is_valid(whole["event_id"]), pc.is_in(whole["episode_id"], episodes))
    return whole.filter(pc.or_(pc.is_in(whole["item"], aside), of_event))


def _sorted(declared: Table[Any], pieces: Sequence[pa.Table]) -> pa.Table:
    if any(piece.column_names != declared.schema.names for piece in pieces):
        raise NotComplete(f"{declared.name} was written by another version of the project: build again, then compact")
    table = pa.concat_tables(pieces).cast(declared.schema).sort_by([(k, "ascending") for k in declared.key])
    declared.validate(table)
    return table


def _column(table: pa.Table, column: str) -> list[str]:
    return list(table[column].to_pylist()) if column in table.column_names else []
