"""A release: the choice of events, its shards, and the files that describe them.

In: the plan after cluster. Out: `shards/<release>/` with tars, `index.parquet`, `stats.json`, `manifest.json`, and
`shards/latest` pointing at it. A release is immutable: its name is the fingerprint of all that went into it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.fingerprint import fingerprint
from pipeline.ledger import Commit, Item, Ledger
from pipeline.parts import frame
from pipeline.plan import Plan
from pipeline.record import own_hash
from pipeline.work import Unit
from schemas import TABLES
from stages import shard, storage
from stages.shard.balance import effective_size, entropy, gini
from stages.shard.select import pack, select
from stages.shard.stats import from_bytes, merge

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
LOWDIM_BYTES = 4096  # npz, json and tar headers of a sample, about


@dataclass(slots=True)
class Release:
    """The choice of one build: its name, all rows of the shard level, and the rows of each tar."""

    name: str
    rows: list[dict[str, Any]]
    shards: dict[str, list[dict[str, Any]]]

    def folder(self, root: str) -> str:
        return storage.join(root, "shards", self.name)


def release_name(plan: Plan) -> str:
    """Fingerprint of the shard stage: its config, the clusters, and every episode that it draws from."""
    episodes = sorted(plan.wanted["embed"][e] for e in plan.alive("embed"))
    return fingerprint("shard", shard.VERSION, plan.config.shard, plan.wanted["cluster"], episodes)


def is_complete(root: str, name: str) -> bool:
    """Whether a release has a manifest that is whole."""
    try:
        found = manifest(root, name)
    except (FileNotFoundError, ValueError):
        return False
    return isinstance(found, dict) and found.get("sha256") == own_hash(found)


def manifest(root: str, name: str) -> dict[str, Any]:
    """manifest.json of a complete release."""
    value: dict[str, Any] = json.loads(storage.read_bytes(storage.join(root, "shards", name, "manifest.json")))
    return value


def item_of(release: str, tar: str) -> str:
    """Ledger item of a tar: it is its own fingerprint, since the release's name is one."""
    return f"{release}-{tar.removesuffix('.tar')}"


def choose(plan: Plan, ledger: Ledger) -> Release:
    """Draw and pack the events of `shard.level`. Holds one narrow row an event of that level."""
    config, alive = plan.config.shard, plan.alive("embed")
    parts = plan.parts("shard", alive)
    narrow = ["event_id", "episode_id", "level", "track", "start_frame", "end_frame", "static"]
    events = frame(ledger.root, "events", parts["events"], narrow).filter(level=config.level, track="all")
    labels = plan.states["cluster"].files("clusters", list(plan.wanted["cluster"].items()))
    clusters = frame(ledger.root, "clusters", {path: ["*"] for path in labels})
    episodes = frame(ledger.root, "episodes", parts["episodes"], ["episode_id", "split", "robot"])
    sizes = _bytes_per_frame(ledger, parts)
    rows = select(
        events.to_dicts(),
        {e: (v, a) for e, v, a in clusters.select("event_id", "vl_cluster", "action_cluster").iter_rows()},
        {r["episode_id"]: r for r in episodes.to_dicts()},
        config,
    )
    estimated = {r["event_id"]: int(r["n_frames"] * sizes.get(r["episode_id"], 0.0)) + LOWDIM_BYTES for r in rows}
    return Release(release_name(plan), rows, pack(rows, estimated, config))


def units(plan: Plan, release: Release, workers: int) -> list[Unit]:
    """One unit a tar, with as many threads as its share of all samples is of the workers; the largest comes first."""
    result, number = [], sum(map(len, release.shards.values()))
    for name, rows in sorted(release.shards.items(), key=lambda tar: (-len(tar[1]), tar[0])):
        item = item_of(release.name, name)
        episodes = sorted({r["episode_id"] for r in rows})
        inputs = {"parts": plan.parts("shard", episodes), "media": plan.media(episodes)}
        threads = -(-workers * len(rows) // number)
        payload = {"release": release.name, "name": name, "rows": rows, "threads": threads, **inputs}
        result.append(Unit("shard", ((item, item),), payload, {e: plan.survey.episodes[e].source for e in episodes}))
    return result


def finish(plan: Plan, ledger: Ledger, release: Release, commits: list[Commit]) -> None:
    """Write index, statistics and manifest, record the fate of every event, then point `latest` at the release."""
    refused = _refused(ledger, commits)
    for row in release.rows:
        if row["event_id"] in refused:
            row |= {"status": "quarantined", "shard": None}
    table = TABLES["samples"].build(release.rows)
    folder = release.folder(ledger.root)
    _write_table(storage.join(folder, "index.parquet"), table.filter(pa.compute.equal(table["status"], "sampled")))
    _write_json(
        storage.join(folder, "stats.json"), {"robots": _robots(plan, ledger, commits), "balance": balance(release.rows)}
    )
    if plan.states["samples"].status("corpus", release.name) is None:
        commit = ledger.publish("samples", [Item("corpus", release.name)], {"samples": release.rows}, {})
        plan.states["samples"].add(commit)
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


def balance(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Per clustering: sizes, Gini and entropy over the train events before the draw, as drawn, and as weighted."""
    pool = pl.DataFrame(
        [r for r in rows if r["split"] == "train" and r["status"] in ("sampled", "reserve")],
        schema_overrides={"shard": pl.String},
        infer_schema_length=None,
    )
    if pool.is_empty():
        return {}
    drawn = pool.filter(pl.col("status") == "sampled")
    result: dict[str, Any] = {
        "events": pool.height,
        "sampled": drawn.height,
        "effective_sample_size": effective_size(drawn["weight"].to_numpy()),
    }
    for space in ("vl", "action"):
        column = f"{space}_cluster"
        sizes = pool.group_by(column).agg(before=pl.len()).sort(column)
        kept = drawn.group_by(column).agg(sampled=pl.len(), weighted=pl.col("weight").sum())
        sizes = sizes.join(kept, on=column, how="left").fill_null(0).sort(column)
        result[space] = {
            name: {
                "sizes": sizes[name].to_list(),
                "gini": gini(sizes[name].to_list()),
                "entropy": entropy(sizes[name].to_list()),
            }
            for name in ("before", "sampled", "weighted")
        }
    return result


def _bytes_per_frame(ledger: Ledger, parts: Mapping[str, Mapping[str, list[str]]]) -> dict[str, float]:
    """{episode: bytes of all its proxies per frame}."""
    table = frame(ledger.root, "observations", parts["observations"], ["episode_id", "camera", "proxy_bytes", "motion"])
    grouped = table.group_by("episode_id").agg(
        (pl.col("proxy_bytes") / pl.col("motion").list.len()).sum().alias("bytes")
    )
    return dict(grouped.iter_rows())


def _refused(ledger: Ledger, commits: list[Commit]) -> set[str]:
    parts = {c.files["quarantine"].path: ["*"] for c in commits if "quarantine" in c.files}
    return set(frame(ledger.root, "quarantine", parts)["event_id"].drop_nulls().to_list()) if parts else set()


def _robots(plan: Plan, ledger: Ledger, commits: list[Commit]) -> dict[str, Any]:
    """{robot: {field: statistics}} over the train shards.

    Sources of one robot type whose logs differ in width (two labs' "unknown") cannot share statistics: each then has
    its own entry, `robot@source`.
    """
    partials: dict[str, dict[str, list[Any]]] = {}
    for commit in sorted(commits, key=lambda c: c.files["shard"].path):
        if storage.name_of(commit.files["shard"].path).startswith("train"):
            for key, partial in from_bytes(storage.read_bytes(ledger.path(commit.files["stats"].path))).items():
                source, field = key.split("/")
                partials.setdefault(source, {}).setdefault(field, []).append(partial)
    by_robot: dict[str, list[str]] = {}
    for source in sorted(partials):
        by_robot.setdefault(plan.survey.datasets[source].robot, []).append(source)
    robots: dict[str, Any] = {}
    for robot, names in sorted(by_robot.items()):
        widths = {tuple((f, len(parts[0]["sum"])) for f, parts in sorted(partials[n].items())) for n in names}
        groups = {robot: names} if len(widths) == 1 else {f"{robot}@{n}": [n] for n in names}
        for name, members in groups.items():
            fields = partials[members[0]]
            robots[name] = {field: merge(p for m in members for p in partials[m][field]) for field in fields}
    return robots


def _manifest(plan: Plan, release: Release, commits: list[Commit], folder: str) -> dict[str, Any]:
    shards = {
        storage.name_of(c.files["shard"].path): {
            "sha256": c.files["shard"].sha256,
            "bytes": c.files["shard"].bytes,
            "count": int(c.items[0].counts["samples"]),
        }
        for c in sorted(commits, key=lambda c: c.files["shard"].path)
    }
    statuses = np.unique([r["status"] for r in release.rows], return_counts=True)
    return {
        "release": release.name,
        "shards": shards,
        "files": {name: _sha256(storage.join(folder, name)) for name in ("index.parquet", "stats.json")},
        "samples": sum(s["count"] for s in shards.values()),
        "events": dict(zip(statuses[0].tolist(), statuses[1].tolist(), strict=True)),
        "config": plan.config.model_dump(mode="json", exclude={"run"}),
        "sources": sorted(plan.survey.datasets),
        "clusters": f"models/clusters-{plan.wanted['cluster']['corpus']}.npz",
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
