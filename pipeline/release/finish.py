"""The files that describe a release, written once its tars are there.

In: the plan, the choice, the commits of its tars. Out: `index.parquet`, `stats.json`, `manifest.json` in
`shards/<release>/`, the fate of every event in the ledger, and `shards/latest` pointing at the release.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corpus.commit import OK, Commit, Item
from pipeline.corpus.ledger import Ledger
from pipeline.corpus.record import own_hash
from pipeline.corpus.tables import frame
from pipeline.plan import CORPUS, Plan
from pipeline.release.choice import Release, item_of
from schemas.episodes import EPISODES
from schemas.quarantine import QUARANTINE
from schemas.samples import SAMPLES as TABLE
from stages import storage
from stages.cluster import CLUSTER
from stages.shard import SAMPLES, SHARD
from stages.shard.balance import report
from stages.shard.layout import layout_key, layout_of
from stages.shard.stats import Statistics, from_bytes

LIBRARIES = (
    "ray",
    "pyarrow",
    "polars",
    "decord2",
    "av",
    "transformers",
    "torch",
    "scikit-learn",
    "faiss-cpu",
    "webdataset",
    "numpy",
)
ByName = dict[str, Statistics]


def manifest(root: str, name: str) -> dict[str, Any]:
    """manifest.json of a complete release."""
    value: dict[str, Any] = json.loads(storage.read_bytes(storage.join(root, "shards", name, "manifest.json")))
    return value


def tars_of(root: str, name: str) -> list[str]:
    """Ledger items of a complete release's tars."""
    return [item_of(name, tar) for tar in manifest(root, name)["shards"]]


def is_complete(plan: Plan, name: str) -> bool:
    """Whether a release has its manifest, whole, and the commits of all its tars and of its samples."""
    try:
        found = manifest(plan.ledger.root, name)
    except (FileNotFoundError, ValueError):
        return False
    if not isinstance(found, dict) or found.get("sha256") != own_hash(found):
        return False
    tars = (item_of(name, tar) for tar in found["shards"])
    done = set(plan.states[SHARD.name].items.filter(status=OK)["item"])
    return all(tar in done for tar in tars) and plan.states[SAMPLES.name].status(CORPUS, name) == OK


def finish(plan: Plan, release: Release) -> None:
    """Write index, statistics and manifest, record the fate of every event."""
    ledger = plan.ledger
    commits = sorted(
        plan.states[SHARD.name].commits(plan.states[SHARD.name].of(plan.wanted[SHARD.name])["unit"].to_list()),
        key=lambda c: c.files["shard"].path,
    )
    refused = _refused(ledger, commits)
    for row in release.rows:
        if row["event_id"] in refused:
            row |= {"status": "quarantined", "shard": None}
    table = TABLE.build(release.rows)
    folder = release.folder(ledger.root)
    _write_table(storage.join(folder, "index.parquet"), table.filter(pa.compute.equal(table["status"], "sampled")))
    _write_json(storage.join(folder, "stats.json"), _statistics(plan, commits) | {"balance": report(release.rows)})
    if plan.states[SAMPLES.name].status(CORPUS, release.name) is None:
        commit = ledger.publish(SAMPLES.name, [Item(CORPUS, release.name)], {TABLE: release.rows}, {})
        plan.states[SAMPLES.name].add(commit)
    value = _manifest(plan, release, commits, folder)
    _write_json(storage.join(folder, "manifest.json"), {**value, "sha256": own_hash(value)})


def point_latest(root: str, name: str) -> None:
    """`shards/latest`: a relative link on a disk, a text object with the release's name on an object store."""
    uri = storage.join(root, "shards", "latest")
    if not storage.is_local(uri):
        if not storage.exists(uri) or storage.read_bytes(uri) != name.encode():
            storage.write_bytes(uri, name.encode())
        return
    if os.path.islink(uri) and os.readlink(uri) == name:
        return
    temporary = storage.join(root, "shards", ".latest.tmp")
    with storage.writing(uri):
        with suppress(FileNotFoundError):
            os.remove(temporary)  # of a build that was killed here
        os.symlink(name, temporary)
        os.replace(temporary, uri)


def _refused(ledger: Ledger, commits: list[Commit]) -> set[str]:
    parts = {c.files[QUARANTINE.name].path: ["*"] for c in commits if QUARANTINE.name in c.files}
    return set(frame(ledger.root, QUARANTINE, parts)["event_id"].drop_nulls().to_list()) if parts else set()


def _partials(ledger: Ledger, commits: Iterable[Commit]) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """(source, layout, array, what of it merges) of the train tars, in their order; one tar is held at a time."""
    for commit in commits:
        if storage.name_of(commit.files["shard"].path).startswith("train"):
            for key, partial in from_bytes(storage.read_bytes(ledger.path(commit.files["stats"].path))).items():
                source, layout, array = key.split("/")
                yield source, layout, array, partial


def _statistics(plan: Plan, commits: list[Commit]) -> dict[str, Any]:
    """{layouts: {layout: {array: figures}}, robots: the same by robot}, over the train tars.

    Sources of one robot type whose logs are laid out differently (two labs' "unknown") do not share statistics: each
    then has its own entry, `robot@source`.
    """
    layouts: dict[str, ByName] = {}
    sources: dict[str, ByName] = {}
    laid_out: dict[str, set[str]] = {}
    for source, layout, array, partial in _partials(plan.ledger, commits):
        laid_out.setdefault(source, set()).add(layout)
        for whose, into in ((layout, layouts), (source, sources)):
            own = into.setdefault(whose, {})
            own.setdefault(array, Statistics(len(partial["sum"]))).merge(partial)
    by_robot: dict[str, list[str]] = {}
    for source in sorted(sources):
        by_robot.setdefault(plan.survey.datasets[source].robot, []).append(source)
    robots: dict[str, Any] = {}
    for robot, names in sorted(by_robot.items()):
        shared = set[str]().union(*(laid_out[name] for name in names))
        if len(shared) == 1:
            robots[robot] = _figures(layouts[next(iter(shared))])
        else:
            robots |= {f"{robot}@{name}" if len(names) > 1 else robot: _figures(sources[name]) for name in names}
    return {"layouts": {key: _figures(own) for key, own in sorted(layouts.items())}, "robots": robots}


def _figures(own: ByName) -> dict[str, Any]:
    return {array: one.figures() for array, one in sorted(own.items())}


def _manifest(plan: Plan, release: Release, commits: list[Commit], folder: str) -> dict[str, Any]:
    shards = {
        storage.name_of(c.files["shard"].path): {
            "sha256": c.files["shard"].sha256,
            "bytes": c.files["shard"].bytes,
            "count": int(c.items[0].counts["samples"]),
        }
        for c in commits
    }
    statuses = np.unique([r["status"] for r in release.rows], return_counts=True)
    layouts = plan.rows(EPISODES, ["layout"])["layout"].unique().sort().to_list()
    return {
        "release": release.name,
        "shards": shards,
        "files": {name: _sha256(storage.join(folder, name)) for name in ("index.parquet", "stats.json")},
        "samples": sum(s["count"] for s in shards.values()),
        "events": dict(zip(statuses[0].tolist(), statuses[1].tolist(), strict=True)),
        "layouts": {layout_key(text): layout_of(text) for text in layouts},
        "config": plan.all_config.model_dump(mode="json", exclude={"run"}),
        "sources": sorted(plan.survey.datasets),
        "clusters": f"models/clusters-{plan.wanted[CLUSTER.name]['fingerprint'][0]}.npz",
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def _sha256(uri: str) -> str:
    return hashlib.sha256(storage.read_bytes(uri)).hexdigest()


def _write_table(uri: str, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    storage.write_bytes(uri, sink.getvalue().to_pybytes())


def _write_json(uri: str, value: Any) -> None:
    storage.write_bytes(uri, json.dumps(value, indent=1, sort_keys=True).encode())
