"""`corpus repair`: take back what is broken, so that a build does just that again.

In: a corpus and its faults. Out: names of what was removed. A broken unit is mended by removing its commit: to the next
build its items are missing, and the same inputs under the same fingerprints give the same rows and bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

import polars as pl

from pipeline.config import CorpusConfig, config_for
from pipeline.corpus import record, tombstones
from pipeline.corpus.commit import Commit
from pipeline.corpus.ledger import Ledger
from pipeline.corpus.record import MANIFEST, PLAN
from pipeline.corpus.verify import Fault
from pipeline.stages import STAGES, Stages
from schemas.ids import source_of
from stages import storage
from stages.caption.vlm import cache
from stages.ingest.survey import Survey


def invalidate(root: str, faults: Iterable[Fault], found: Survey) -> tuple[list[str], list[str]]:
    """Remove the commits (and files) of broken units, and the release's manifest where it must be finished again.

    Returns (removed, kept): what rests on a source file that is not there now stays as it is, damaged: taking it back
    would lose what is whole in the same unit. Until the next build ends nothing counts as complete, so that gc waits.
    """
    ledger, broken = Ledger(storage.normalise(root)), list(faults)
    commits = {
        stage: {c.unit: c for c in ledger.state(stage).commits()} for stage in {f.unit[0] for f in broken if f.unit}
    }
    kept = sorted({f.where for f in broken if f.unit and not _can_be_redone(commits, f.unit, found)})
    broken = [f for f in broken if f.where not in kept]
    units = sorted({f.unit for f in broken if f.unit})
    removed = [f"ledger/{stage}/{unit}" for stage, unit in units]
    files = [f.where for f in broken if f.kind == "changed" and f.unit and not f.where.startswith("ledger/")]
    release = (record.copy(ledger.root) or {}).get("release")
    if release and any(_touches_release(f) for f in broken):
        files.append(f"shards/{release}/manifest.json")
    with suppress(record.DamagedPlan):
        plan, manifest = record.read(ledger.root)
        record.write(ledger.root, plan, {**manifest, "complete": False})
    for stage in {stage for stage, _ in units}:
        ledger.remove(stage, [unit for own, unit in units if own == stage])
    for path in files:
        storage.remove(ledger.path(path))
    answers = sorted({f.where for f in broken if f.where.startswith(f"{cache.FOLDER}/")})
    for path in answers:  # the lines that are whole stay
        storage.write_bytes(ledger.path(path), cache.whole(storage.read_bytes(ledger.path(path))))
    return list(dict.fromkeys([*removed, *files, *answers])), kept


def _can_be_redone(commits: Mapping[str, Mapping[str, Commit]], unit: tuple[str, str], found: Survey) -> bool:
    """Whether the source files that a unit of ingest or observe was made from are there; later stages need none."""
    stage, name = unit
    commit = commits[stage].get(name)
    if stage not in ("ingest", "observe") or commit is None:  # a damaged commit cannot say what it covers
        return stage not in ("ingest", "observe") or not found.lost
    return all(_is_there(stage, item.name, found) for item in commit.items)


def _is_there(stage: str, item: str, found: Survey) -> bool:
    if stage == "observe":
        return not found.cameras.filter(pl.col("uri").is_not_null(), item=item).is_empty()
    if found.episodes.filter(episode_id=item).is_empty():
        return False
    dataset, episode = found.datasets[source_of(item)], found.episode(item)
    return dataset.has(episode)


def _touches_release(fault: Fault) -> bool:
    if fault.unit is None:
        others = (cache.FOLDER, tombstones.FOLDER)
        return fault.where not in (PLAN, MANIFEST, "shards/latest") and not fault.where.startswith(others)
    return fault.unit[0] in ("shard", "samples")


def sources_of(root: str, stages: Stages = STAGES) -> tuple[list[str], CorpusConfig]:
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
    return [f"{name}={uri}" for name, uri in sources.items()], config_for(stages).model_validate(manifest["config"])
