"""`corpus repair` and `corpus gc`: take back what is broken or superseded, so that a build does just that again.

In: a corpus and its faults. Out: names of what was removed. A broken unit is mended by removing its commit: to the next
build its items are missing, and the same inputs under the same fingerprints give the same rows and bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from pipeline import lock, record
from pipeline.config import CorpusConfig
from pipeline.corpus import Corpus
from pipeline.ledger import Commit, Ledger
from pipeline.record import MANIFEST, PLAN
from pipeline.survey import Survey
from pipeline.verify import STAGES, Fault
from stages import storage


class NotComplete(RuntimeError):
    """Garbage can only be told from the rest where a build has come to its end."""


OURS = ("tables/", "media/", "models/")  # folders whose every file a commit must name


def take_back(root: str, faults: Iterable[Fault], found: Survey) -> tuple[list[str], list[str]]:
    """Remove the commits (and files) of broken units, and the release's manifest where it must be finished again.

    Returns (removed, kept): what rests on a source file that is not there now stays as it is, damaged: taking it back
    would lose what is whole in the same unit. Until the next build ends nothing counts as complete, so that gc waits.
    """
    ledger, broken = Ledger(storage.normalise(root)), list(faults)
    kept = sorted({f.where for f in broken if f.unit and not _can_be_redone(ledger, f.unit, found)})
    broken = [f for f in broken if f.where not in kept]
    removed = [f"ledger/{stage}/{unit}.json" for stage, unit in sorted({f.unit for f in broken if f.unit})]
    removed += [f.where for f in broken if f.kind == "changed" and f.unit]
    release = (record.copy(ledger.root) or {}).get("release")
    if release and any(_touches_release(f) for f in broken):
        removed.append(f"shards/{release}/manifest.json")
    with suppress(record.DamagedPlan):
        plan, manifest = record.read(ledger.root)
        record.write(ledger.root, plan, {**manifest, "complete": False})
    for path in dict.fromkeys(removed):
        storage.remove(ledger.path(path))
    return list(dict.fromkeys(removed)), kept


def _can_be_redone(ledger: Ledger, unit: tuple[str, str], found: Survey) -> bool:
    """Whether the source files that a unit of ingest or observe was made from are there; later stages need none."""
    stage, name = unit
    commit = next((c for u, c in ledger.scan(stage) if u == name), None)
    if stage not in ("ingest", "observe") or commit is None:  # a damaged commit cannot say what it covers
        return stage not in ("ingest", "observe") or not found.lost
    for item in commit.items:
        reference = found.episodes.get(item.name.split("@")[0])
        if reference is None or (stage == "ingest" and reference.file is None):
            return False
        if stage == "observe" and not any(c.name == item.name.split("@")[1] and c.file for c in reference.cameras):
            return False
    return True


def _touches_release(fault: Fault) -> bool:
    if fault.unit is None:
        return fault.where not in (PLAN, MANIFEST, "shards/latest")
    return fault.unit[0] in ("shard", "samples")


def sources_of(root: str) -> tuple[list[str], CorpusConfig]:
    """Source arguments and configuration of the last build, from plan.parquet or, where it is damaged, from the copy of
    its manifest. Raises NoCorpus, DamagedPlan."""
    try:
        manifest = record.read(root)[1]
    except record.DamagedPlan:
        found = record.copy(root)
        if found is None:
            raise
        manifest = found
    sources = {**manifest["sources"], **manifest["lost_sources"]}
    return [f"{name}={uri}" for name, uri in sources.items()], CorpusConfig.model_validate(manifest["config"])


def _whole_ledger(corpus: Corpus, stage: str) -> list[Commit]:
    """All commits of a stage. Raises NotComplete where one is damaged or missing: what it names looks superseded."""
    scanned, state = corpus.ledger.scan(stage), corpus.state(stage)
    broken = [f"{unit}.json is damaged" for unit, commit in scanned if commit is None]
    broken += [f"{i} has no commit" for i, print_ in corpus.wanted(stage) if state.status(i, print_) is None]
    if broken:
        raise NotComplete(f"ledger/{stage}: {broken[0]}: corpus repair --corpus {corpus.root} first")
    return [commit for _, commit in scanned if commit is not None]


def collect_garbage(corpus: Corpus, releases: bool) -> tuple[list[str], int]:
    """Remove commits that no item of the plan rests on, then files that no commit names; with `releases` also all
    shards but the newest release. Returns what was removed and how many bytes it was."""
    if not corpus.manifest["complete"]:
        raise NotComplete("the last build did not reach its end, so nobody can tell what is superseded: build first")
    named: set[str] = set()
    removed: list[str] = []
    for stage in STAGES:
        used = {commit.unit for commit in corpus.commits(stage)}
        for commit in _whole_ledger(corpus, stage):
            if commit.unit in used:
                named.update(f.path for f in commit.files.values())
            elif stage != "shard" or releases:
                removed.append(f"ledger/{stage}/{commit.unit}.json")
            else:
                named.update(f.path for f in commit.files.values())  # an old release keeps its books
    files = storage.listing(corpus.root)
    for path in files:
        old_release = path.startswith("shards/") and path.split("/")[1] not in (corpus.manifest["release"], "latest")
        left_behind = storage.is_temporary(path) or path.startswith(f"{lock.NAME}.")
        if (path.startswith(OURS) and path not in named) or (releases and old_release) or left_behind:
            removed.append(path)
    size = sum(files[path].size for path in removed if path in files)
    for path in removed:
        storage.remove(corpus.ledger.path(path))
    return removed, size
