"""`corpus gc`: remove what newer builds have superseded, and never what no build wrote.

In: a corpus whose last build has come to its end. Out: what was removed. A file goes only if its name is one that a
build gives and no commit that counts names it. What the last build's configuration points at stays, wherever it lies:
centroids are an input. So does the work on a source that could not be read this time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from pipeline import lock
from pipeline.corpus import Corpus
from pipeline.ledger import Commit
from pipeline.verify import STAGES
from schemas.ids import source_of
from stages import storage
from stages.ingest.sources import named

HASH, TAR = "[0-9a-f]{16}", r"(?:train|val)-\d{6}"
OURS = re.compile(  # files that a build writes under a name of their own
    rf"tables/\w+/{HASH}-[0-9a-f]{{8}}\.parquet"
    r"|media/[\w\-]+/\d{6,}/[^/]+-[0-9a-f]{8}\.(mp4|jpg)"
    rf"|models/clusters-{HASH}\.npz"
    rf"|tables/shard_stats/{HASH}-{TAR}\.npz"
)
TEMPORARY = re.compile(  # of a process that was killed
    r"(tables/\w+|ledger/\w+|media/[\w\-]+/\d{6,}|models|shards/[0-9a-f]{16}|shards)/\.[^/]+\.[0-9a-f]{8}\.tmp"
    r"|\.(plan\.parquet|manifest\.json|report\.html|build\.lock)\.[0-9a-f]{8}\.tmp|shards/\.latest\.tmp"
)
RELEASE = re.compile(rf"shards/({HASH})/({TAR}\.tar|index\.parquet|stats\.json|manifest\.json)")


class NotComplete(RuntimeError):
    """Garbage can only be told from the rest where a build has come to its end."""


def collect_garbage(corpus: Corpus, releases: bool, dry_run: bool = False) -> tuple[list[str], int]:
    """Remove commits that no item of the plan rests on, then files that no commit names; with `releases` also all
    shards but the newest release. Returns what was removed (dry_run: would be) and how many bytes it was."""
    if not corpus.manifest["complete"]:
        raise NotComplete("the last build did not reach its end, so nobody can tell what is superseded: build first")
    named, removed = set(_configured(corpus)), []
    for stage in STAGES:
        used = {commit.unit for commit in corpus.commits(stage)}
        for commit in _whole_ledger(corpus, stage):
            old_release = stage == "shard" and not releases  # keeps its books
            if commit.unit in used or old_release or _of_a_lost_source(corpus, commit):
                named.update(f.path for f in commit.files.values())
            else:
                removed.append(f"ledger/{stage}/{commit.unit}.json")
    files = storage.listing(corpus.root)
    for path in files:
        release = RELEASE.fullmatch(path)
        superseded = OURS.fullmatch(path) or (releases and release and release[1] != corpus.manifest["release"])
        left_behind = TEMPORARY.fullmatch(path) or re.fullmatch(rf"{re.escape(lock.NAME)}\.\d+", path)
        if path not in named and (superseded or left_behind):
            removed.append(path)
    size = sum(files[path].size for path in removed if path in files)
    for path in removed if not dry_run else ():
        storage.remove(corpus.ledger.path(path))
    return removed, size


def _configured(corpus: Corpus) -> Iterator[str]:
    """Paths inside the corpus that the last build's configuration names, links followed."""
    config, root = corpus.manifest["config"], corpus.root
    given = [config["cluster"]["centroids"], config["ingest"]["profile"]]
    given += [named(file)[1] for file in config["segment"]["labels"]]
    for uri in filter(None, given):
        place = storage.normalise(uri)
        places = {place, os.path.realpath(place)} if storage.is_local(place) else {place}
        for start in {root, os.path.realpath(root)} if storage.is_local(root) else {root}:
            yield from (p.removeprefix(f"{start}/") for p in places if p.startswith(f"{start}/"))


def _of_a_lost_source(corpus: Corpus, commit: Commit) -> bool:
    """Whether a commit holds work on a source that the last build could not read: it may be back tomorrow."""
    return any(source_of(item.name) in corpus.manifest["lost"] for item in commit.items)


def _whole_ledger(corpus: Corpus, stage: str) -> list[Commit]:
    """All commits of a stage. Raises NotComplete where one is damaged or missing: what it names looks superseded."""
    scanned, state = corpus.ledger.scan(stage), corpus.state(stage)
    broken = [f"{unit}.json is damaged" for unit, commit in scanned if commit is None]
    broken += [f"{i} has no commit" for i, print_ in corpus.wanted(stage) if state.status(i, print_) is None]
    if broken:
        raise NotComplete(f"ledger/{stage}: {broken[0]}: corpus repair --corpus {corpus.root} first")
    return [commit for _, commit in scanned if commit is not None]
