"""Removing episodes from a corpus: rows of all parts, commits, proxies, answers, tars, plan, what was drawn of them.

In: a corpus and names of episodes. Out: how much went. Each part that holds a row of theirs is written anew without it,
under a commit of its own, before the old commit goes: an item of another episode has a commit at every instant, with
the fingerprint that it had, so that the next build finds it done. Tars that hold a sample of theirs lose their commit:
the release is drawn anew from the others (`pipeline/forget/redraw.py`). Each step finds what is left of it by looking,
so that doing all of them again after a kill ends in the same state.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.corpus import decisions, record, tombstones
from pipeline.corpus.commit import OK, Commit, Item, PartFile
from pipeline.corpus.compact import DamagedPart
from pipeline.corpus.garbage import OURS, TEMPORARY, configured
from pipeline.corpus.view import Corpus
from pipeline.forget.inscribe import of_forgotten
from pipeline.stages import by_parts
from schemas.ids import episode_of, sample_key
from schemas.quarantine import QUARANTINE
from schemas.samples import TARS
from stages import storage
from stages.caption.vlm import cache
from stages.shard.members import members

DRAWN = ("report.html", "verdicts.json", "ray.log")  # made again by the next build, the report by this command
MODELS = "models/"  # aggregates; one whose commit was taken back by a repair goes on serving
REDACTED = "a forgotten episode"


@dataclass(slots=True)
class Gone:
    """What went, or would go: rows by table, files of media, answers (and of those that do not say what they were asked
    about), tars, releases, other files."""

    rows: Counter[str] = field(default_factory=Counter)
    media: int = 0
    answers: int = 0
    answers_of_nobody: int = 0
    tars: int = 0
    other: int = 0


@dataclass(slots=True)
class Purge:
    """Of some episodes; `dry`: count, and touch nothing."""

    corpus: Corpus
    names: frozenset[str]
    dry: bool = False
    gone: Gone = field(default_factory=Gone)
    _events: dict[str, bool] = field(default_factory=dict)  # tar: whether it holds one of theirs

    @property
    def root(self) -> str:
        return self.corpus.root

    def plan(self) -> None:
        """Nothing is wanted of them any more; pictures drawn of them go."""
        own = [of_forgotten(item, self.names) for item in self.corpus.plan["item"].to_list()]
        if not self.dry and any(own):
            kept = self.corpus.plan.filter([not o for o in own])
            record.write(self.root, kept, self.corpus.manifest)
        for name in DRAWN:
            self._remove(name)

    def ledgers(self) -> None:
        """Rows and commits, those of stages of an earlier version too. Raises DamagedPart."""
        told = self.corpus.ledger.state("samples").commits()
        for commit in told:
            for row in self._rows(commit.files[TARS.name]).to_pylist() if TARS.name in commit.files else ():
                self._events[row["tar"]] = any(episode_of(e) in self.names for e in row["events"])
        folder = storage.join(self.root, "ledger")
        there = {path.split("/", 1)[0] for path in storage.listing(folder)} - {storage.name_of(tombstones.FOLDER)}
        ordered = [s for s in self.corpus.ledgers if s in there]  # shard before samples, which says what its tars hold
        for stage in [*ordered, *sorted(there - set(ordered))]:
            self._ledger(stage)

    def _ledger(self, stage: str) -> None:
        commits = {c.unit: c for c in self.corpus.ledger.state(stage).commits()}
        of_episodes = {s.name for s in by_parts(self.corpus.stages)}
        gone = []
        for commit in commits.values():
            if "shard" in commit.files:
                if self._tar_holds(commit):
                    self.gone.tars += 1
                    gone.append(commit.unit)
                continue
            items = [i for i in commit.items if not of_forgotten(i.name, self.names)]
            narrow = stage in of_episodes and len(items) == len(commit.items)
            try:
                tables = self._without(commit, (QUARANTINE.name,) if narrow else None)
            except DamagedPart:
                if items and commit.unit in self._counting(stage):
                    raise
                gone.append(commit.unit)  # nothing that counts rests on it, and no repair would mend it
                continue
            if len(items) == len(commit.items) and not tables:
                continue
            kept = self._published_again(commit, items, tables, commits) if items and not self.dry else None
            if kept != commit.unit:
                gone.append(commit.unit)
        if gone and not self.dry:
            self.corpus.ledger.remove(stage, gone)
        if not self.dry:
            self.corpus.ledger.tidy(stage)

    def _counting(self, stage: str) -> set[str]:
        """Units that an item of the plan rests on."""
        return set(self.corpus.units(stage)) if stage in self.corpus.ledgers else set()

    def _published_again(
        self, commit: Commit, items: list[Item], tables: dict[str, pa.Table], commits: dict[str, Commit]
    ) -> str:
        """Put a commit of fewer items in place of another; its unit. One that is there already and went better stays:
        the items alone, done by another build."""
        files = {
            name: file
            for name, file in commit.files.items()
            if name not in tables and not (name.startswith("media/") and self._of_media(file.path))
        }
        unit = self.corpus.ledger.unit_of(commit.stage, items)
        there = commits.get(unit)
        if there is not None and unit != commit.unit and _failures(there.items) <= _failures(items):
            return unit
        return self.corpus.ledger.publish_again(commit, items, tables, files).unit

    def _without(self, commit: Commit, only: Collection[str] | None) -> dict[str, pa.Table]:
        """{table: what is left of it} of those tables of a commit that hold something of theirs."""
        found = {}
        for name, file in commit.files.items():
            if file.path.endswith(".parquet") and (only is None or name in only):
                table = self._rows(file)
                left = without(table, self.names)
                if left is not table:
                    self.gone.rows[name] += table.num_rows - left.num_rows
                    found[name] = left
        return found

    def _rows(self, file: PartFile) -> pa.Table:
        """A part, hashed before it is read: what is damaged must not be given a hash that says it is whole."""
        try:
            blob = storage.read_bytes(self.corpus.ledger.path(file.path))
        except FileNotFoundError as error:
            raise self._broken(file.path) from error
        if hashlib.sha256(blob).hexdigest() != file.sha256:
            raise self._broken(file.path)
        return pq.read_table(io.BytesIO(blob))

    def _broken(self, path: str) -> DamagedPart:
        words = "corpus repair first, then run this again"
        return DamagedPart(f"{path} is not what was committed: {words} (--corpus {self.root})")

    def _tar_holds(self, commit: Commit) -> bool:
        """By the table of tars, else by the names in the tar; one that cannot be read is made again."""
        item = commit.items[0].name
        if item not in self._events:
            uri = self.corpus.ledger.path(commit.files["shard"].path)
            own = re.compile("|".join(re.escape(sample_key(name)) + r"-L[0-3]\D.*" for name in self.names))
            try:
                with storage.local_copy(uri) as local:
                    self._events[item] = any(own.fullmatch(key) for key in members(local))
            except storage.Unusable:
                raise
            except (OSError, ValueError):
                self._events[item] = True
        return self._events[item]

    def decisions(self) -> None:
        """What people decided about them on the review page."""
        rows = decisions.forget(self.corpus.root, self.names, self.dry)
        if rows:
            self.gone.rows["decisions"] += rows

    def media(self) -> None:
        """Proxies and thumbnails, whether a commit names them or not."""
        for name in sorted(self.names):
            folder = f"media/{name}"
            for path in sorted(storage.listing(self.corpus.ledger.path(folder))):
                if OURS.fullmatch(f"{folder}/{path}") or TEMPORARY.fullmatch(f"{folder}/{path}"):
                    self.gone.media += 1
                    self._remove(f"{folder}/{path}", counted=False)
            if not self.dry:
                storage.remove_empty_folders(self.corpus.ledger.path(folder))

    def _of_media(self, path: str) -> bool:
        return any(path.startswith(f"media/{name}/") for name in self.names)

    def answers(self) -> None:
        """What models have said of them, and what does not say whom it is about and nobody else has asked for."""
        folder = storage.join(self.root, cache.FOLDER)
        blobs = {name: storage.read_bytes(storage.join(folder, name)) for name in sorted(storage.listing(folder))}
        about: dict[str, set[str]] = {}
        for blob in blobs.values():
            for key, answer in filter(None, map(cache.parsed, blob.splitlines())):
                about.setdefault(key, set()).add(answer.episode)
        gone = {key for key, own in about.items() if own & self.names}
        lost = {key for key, own in about.items() if own == {""}}
        self.gone.answers, self.gone.answers_of_nobody = len(gone), len(lost)
        for name, blob in blobs.items() if gone | lost else ():
            lines = [raw + b"\n" for raw in blob.splitlines() if (of := cache.parsed(raw)) and of[0] not in gone | lost]
            if self.dry or b"".join(lines) == blob:
                continue
            if lines:
                storage.write_bytes(storage.join(folder, name), b"".join(lines))
            else:
                storage.remove(storage.join(folder, name))

    def release(self, name: str) -> None:
        """A release and its books, whole."""
        folder = self.corpus.ledger.path(f"shards/{name}")
        for path in storage.listing(folder):
            self._remove(f"shards/{name}/{path}", counted=False)
        if not self.dry:
            storage.remove_empty_folders(folder)
            units = [c.unit for c in self.corpus.ledger.state("samples").commits() if c.items[0].fingerprint == name]
            self.corpus.ledger.remove("samples", units)

    def leftovers(self) -> None:
        """Files of ours that no commit names, the old parts and tars among them, what killed processes left, and pages
        of `corpus explain`."""
        if self.dry:
            return
        pages = {f"explain-{sample_key(name)}.{kind}" for name in self.names for kind in ("png", "html")}
        named = set(configured(self.corpus))
        for stage in {path.split("/", 1)[0] for path in storage.listing(storage.join(self.root, "ledger"))}:
            if stage != storage.name_of(tombstones.FOLDER):
                named |= set(self.corpus.ledger.state(stage).files["path"])
        for path in sorted(storage.listing(self.root)):
            ours = OURS.fullmatch(path) and not path.startswith(MODELS)
            drawn = storage.name_of(path) in pages
            if path not in named and (ours or drawn or TEMPORARY.fullmatch(path)):
                self._remove(path)

    def _remove(self, path: str, counted: bool = True) -> None:
        self.gone.other += counted
        if not self.dry:
            storage.remove(self.corpus.ledger.path(path))


def without(table: pa.Table, names: Collection[str]) -> pa.Table:
    """Rows that are of none of these episodes, nor of a list of events with one of theirs; messages of others that name
    one do so no longer. The table itself where nothing changes."""
    keep = [True] * table.num_rows
    if "episode_id" in table.column_names:
        keep = pc.invert(pc.is_in(table["episode_id"], pa.array(sorted(names), pa.string()))).to_pylist()
    elif "events" in table.column_names and pa.types.is_list(table.schema.field("events").type):
        keep = [not any(episode_of(e) in names for e in events) for events in table["events"].to_pylist()]
    left = table if all(keep) else table.filter(pa.array(keep))
    if "message" in left.column_names:
        told: list[Any] = left["message"].to_pylist()
        said = [None if m is None else redacted(m, names) for m in told]
        if said != told:
            at = left.column_names.index("message")
            left = left.set_column(at, left.schema.field(at), pa.array(said, left.schema.field(at).type))
    return left


def redacted(message: str, names: Collection[str]) -> str:
    """A message about one episode that names another, such as one that claims the same pictures."""
    for name in names:
        message = re.sub(rf"(?<![\w/\-]){re.escape(name)}(?!\w)", REDACTED, message)
    return message


def _failures(items: Collection[Item]) -> int:
    return sum(i.status != OK for i in items)
