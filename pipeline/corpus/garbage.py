"""`corpus gc`: remove what newer builds have superseded, and never what no build wrote.

In: a corpus whose last build has come to its end. Out: what was removed. A file goes only if its name is one that a
build gives and no commit that counts names it. What the last build's configuration points at stays, wherever it lies:
centroids are an input. So does the work on a source that could not be read this time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import polars as pl

from pipeline.config import named_files
from pipeline.corpus import lock
from pipeline.corpus.commit import Commit
from pipeline.corpus.view import Corpus
from schemas.ids import source_of
from stages import storage

HASH, KIND = "[0-9a-f]{16}", "(?:train|val|reserve)"
OURS = re.compile(  # files that a build writes under a name of their own
    rf"tables/\w+/{HASH}-[0-9a-f]{{8}}\.parquet"
    r"|media/[\w\-]+/\w+/[^/]+-[0-9a-f]{8}\.(mp4|jpg)"
    rf"|models/clusters-{HASH}\.npz"
    rf"|tables/shard_(?:stats|plan)/{KIND}-{HASH}\.npz|shards/tars/{KIND}-{HASH}\.tar(?:\.idx)?"
    rf"|tables/shard_stats/{HASH}-{KIND}-\d{{6}}\.npz"  # of a version before tars were shared between releases
)
TEMPORARY = re.compile(  # of a process that was killed
    r"(tables/\w+|ledger/\w+|decisions|media/[\w\-]+/\w+|models|shards/tars|shards/[0-9a-f]{16}(/\.nv-meta)?|shards)"
    r"/\.[^/]+\.[0-9a-f]{8}\.tmp"
    r"|\.(plan\.parquet|manifest\.json|report\.html|build\.lock)\.[0-9a-f]{8}\.tmp|shards/\.latest\.tmp"
)
RELEASE = re.compile(
    rf"shards/({HASH})/({KIND}-\d{{6}}\.tar(?:\.idx)?|(?:index|clusters|cells)\.parquet|plan\.npz|README\.md|stats\.json"
    r"|manifest\.json|\.nv-meta/(?:dataset\.yaml|split\.yaml|\.info\.json|index\.sqlite|index\.uuid))"
)


class NotComplete(RuntimeError):
    """Garbage can only be told from the rest where a build has come to its end."""


def collect_garbage(corpus: Corpus, releases: bool, dry_run: bool = False) -> tuple[list[str], int]:
    """Remove commits that no item of the plan rests on, then files that no commit names; with `releases` also all
    shards but the newest release. Returns what was removed (dry_run: would be) and how many bytes it was."""
    if not corpus.manifest["complete"]:
        raise NotComplete("the last build did not reach its end, so nobody can tell what is superseded: build first")
    named, removed = set(configured(corpus)), []
    superseded_units: dict[str, list[str]] = {}
    for stage in corpus.ledgers:
        used = set(corpus.units(stage))
        for commit in _whole_ledger(corpus, stage):
            old_release = stage == "shard" and not releases  # keeps its books
            if commit.unit in used or old_release or _of_a_lost_source(corpus, commit) or _open(corpus, stage, commit):
                named.update(f.path for f in commit.files.values())
            else:
                superseded_units.setdefault(stage, []).append(commit.unit)
                removed.append(f"ledger/{stage}/{commit.unit}.json")
    files = storage.listing(corpus.root)
    for path in files:
        release = RELEASE.fullmatch(path)
        superseded = OURS.fullmatch(path) or (releases and release and release[1] != corpus.manifest["release"])
        left_behind = TEMPORARY.fullmatch(path) or re.fullmatch(rf"{re.escape(lock.NAME)}\.\d+", path)
        if path not in named and (superseded or left_behind):
            removed.append(path)
    size = sum(files[path].size for path in removed if path in files)
    if not dry_run:
        for stage, units in superseded_units.items():
            corpus.ledger.remove(stage, units)
        for path in removed:
            storage.remove(corpus.ledger.path(path))
    return removed, size


def configured(corpus: Corpus) -> Iterator[str]:
    """Paths inside the corpus that the last build's configuration names, links followed."""
    root = corpus.root
    for _, uri in named_files(corpus.manifest["config"]):
        place = storage.normalise(uri)
        places = {place, os.path.realpath(place)} if storage.is_local(place) else {place}
        for start in {root, os.path.realpath(root)} if storage.is_local(root) else {root}:
            yield from (p.removeprefix(f"{start}/") for p in places if p.startswith(f"{start}/"))


def _open(corpus: Corpus, stage: str, commit: Commit) -> bool:
    """Whether a commit left something open, for which its items were done again under another fingerprint: without it
    the next build would want the first one again."""
    again = next((s.again for s in corpus.stages if s.name == stage), "")
    return bool(again) and any(item.counts.get(again, 0) > 0 for item in commit.items)


def _of_a_lost_source(corpus: Corpus, commit: Commit) -> bool:
    """Whether a commit holds work on a source that the last build could not read: it may be back tomorrow."""
    return any(source_of(item.name) in corpus.manifest["lost"] for item in commit.items)


def _whole_ledger(corpus: Corpus, stage: str) -> list[Commit]:
    """All commits of a stage. Raises NotComplete where one is damaged or missing: what it names looks superseded."""
    broken = [f"{name} is damaged" for name in corpus.ledger.damaged(stage)]
    broken += [f"{item} has no commit" for item in corpus.done(stage).filter(pl.col("unit").is_null())["item"]]
    if broken:
        raise NotComplete(f"ledger/{stage}: {broken[0]}: corpus repair --corpus {corpus.root} first")
    return corpus.state(stage).commits()
