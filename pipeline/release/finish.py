"""The files that describe a release, written once its tars are there.

In: the plan, the choice, the commits of its tars. Out: `index.parquet`, `plan.npz`, `clusters.parquet`,
`cells.parquet`, `stats.json`, `README.md` (its dataset card), `.nv-meta/` (for Energon) and `manifest.json` in
`shards/<release>/`, the fate of every event in the ledger, and `shards/latest` pointing at the release.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corpus.commit import OK, Commit, Item
from pipeline.corpus.ledger import Ledger
from pipeline.corpus.record import own_hash
from pipeline.corpus.tables import frame
from pipeline.plan import CORPUS, Plan
from pipeline.release import energon
from pipeline.release.card import NAME as CARD
from pipeline.release.card import card, sources
from pipeline.release.choice import Release
from pipeline.release.clusters import drawn
from pipeline.release.evenness import figures
from schemas import plan as loading
from schemas.episodes import EPISODES
from schemas.quarantine import QUARANTINE
from schemas.samples import SAMPLES as TABLE
from schemas.samples import TARS, TarRow
from stages import storage
from stages.balance import Balance
from stages.cluster import model_of
from stages.shard import INDEX, SAMPLES, SHARD
from stages.shard.layout import layout_key, layout_of
from stages.shard.place import Tar
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
FILES = (  # beside the manifest
    "index.parquet",
    "clusters.parquet",
    "cells.parquet",
    "plan.npz",
    "stats.json",
    CARD,
    *energon.FILES,
)
CELLS = {"vl": pl.Int64, "action": pl.Int64, "recovery": pl.Boolean, "weight": pl.Float64, "n": pl.Int64}
ByName = dict[str, Statistics]


def manifest(root: str, name: str) -> dict[str, Any]:
    """manifest.json of a complete release."""
    value: dict[str, Any] = json.loads(storage.read_bytes(storage.join(root, "shards", name, "manifest.json")))
    return value


def tars_of(root: str, name: str) -> list[str]:
    """Ledger items of a complete release's tars."""
    return [_item(about["path"]) for about in manifest(root, name)["shards"].values()]


def _item(path: str) -> str:
    return storage.name_of(path).removesuffix(".tar")


def is_complete(plan: Plan, name: str) -> bool:
    """Whether a release has its manifest, whole, and the commits of all its tars and of its samples."""
    try:
        found = manifest(plan.ledger.root, name)
    except (FileNotFoundError, ValueError):
        return False
    if not isinstance(found, dict) or found.get("sha256") != own_hash(found):
        return False
    tars = [_item(about["path"]) for about in found["shards"].values()]
    done = set(plan.states[SHARD.name].items.filter(status=OK)["item"])
    return all(tar in done for tar in tars) and plan.states[SAMPLES.name].status(CORPUS, name) == OK


def finish(plan: Plan, release: Release) -> None:
    """Write index, statistics and manifest, record the fate of every event, and link the tars."""
    ledger = plan.ledger
    units = plan.states[SHARD.name].of(plan.wanted[SHARD.name])
    of_tar = dict(units.select("item", "unit").iter_rows())
    by_unit = {c.unit: c for c in plan.states[SHARD.name].commits(list(of_tar.values()))}
    commits = {file: by_unit[of_tar[tar.name]] for file, tar in release.tars.items()}
    refused = list(_refused(ledger, list(commits.values())))
    gone = pl.col("event_id").is_in(refused)
    rows = release.rows.with_columns(
        status=pl.when(gone).then(pl.lit("quarantined")).otherwise(pl.col("status")),
        shards=pl.when(gone).then(pl.lit([], pl.List(pl.String))).otherwise(pl.col("shards")),
        repeats=pl.when(gone).then(0).otherwise(pl.col("repeats")),
    ).select(TABLE.schema.names)
    folder = release.folder(ledger.root)
    _write_table(storage.join(folder, "index.parquet"), _index(rows))
    clusters = drawn(release.clusters.table, release.balance)
    _write_table(storage.join(folder, "clusters.parquet"), clusters.to_arrow())
    _write_table(storage.join(folder, "cells.parquet"), _cells(release.balance).to_arrow())
    held = replace(_loading_plan(ledger, rows, commits), release=release.name)
    storage.write_bytes(storage.join(folder, "plan.npz"), loading.to_bytes(held))
    for file, data in energon.files(held, *_for_energon(ledger.root, commits)).items():
        storage.write_bytes(storage.join(folder, file), data)
    _write_json(
        storage.join(folder, "stats.json"),
        _statistics(plan, commits.values()) | {"balance": figures(release.balance), "drift": release.clusters.drift},
    )
    samples = {file: int(commit.items[0].counts["samples"]) for file, commit in sorted(commits.items())}
    page = card(plan, release.name, rows, samples, figures(release.balance))
    storage.write_bytes(storage.join(folder, CARD), page)
    if plan.states[SAMPLES.name].status(CORPUS, release.name) is None:
        fates = rows.sort(TABLE.key).to_arrow().cast(TABLE.schema)
        TABLE.validate(fates)
        tars = TARS.build(_tar_row(file, tar) for file, tar in release.tars.items())
        commit = ledger.publish(SAMPLES.name, [Item(CORPUS, release.name)], {TABLE: fates, TARS: tars}, {})
        plan.states[SAMPLES.name].add(commit)
    value = _manifest(plan, release, rows, commits, folder)
    _write_json(storage.join(folder, "manifest.json"), {**value, "sha256": own_hash(value)})


def _tar_row(file: str, tar: Tar) -> TarRow:
    return {
        "file": file,
        "tar": tar.name,
        "kind": tar.kind,
        "plan": tar.plan,
        "events": list(tar.events),
        "weights": list(tar.weights),
    }


def _index(rows: pl.DataFrame) -> pa.Table:
    """`samples` by `shard` instead of `shards`: one row a sample in a tar, and one without a tar for each event in
    reserve that is in none; a copy in a reserve tar has no weight."""
    shown = rows.filter((pl.col("status") == "reserve") | (pl.col("shards").list.len() > 0))
    each = shown.explode("shards").rename({"shards": "shard"}).sort("shard", "event_id", nulls_last=True)
    spare = pl.col("shard").is_null() | pl.col("shard").str.starts_with("reserve")
    return each.with_columns(weight=pl.when(spare).then(0.0).otherwise(pl.col("weight"))).to_arrow()


def _loading_plan(ledger: Ledger, rows: pl.DataFrame, commits: Mapping[str, Commit]) -> loading.Plan:
    """plan.npz: the rows of all tars in order, with the weights of this release."""
    parts = []
    for file, commit in sorted(commits.items()):
        part = loading.from_bytes(storage.read_bytes(ledger.path(commit.files["plan"].path)))
        if len(part):
            numbers = {**part.numbers, "tar": np.zeros(len(part), dtype=np.int32)}
            parts.append(loading.Plan(numbers, {**part.names, "tar": [file]}))
    whole = loading.concatenate(parts)
    ids = [whole.event_id(row) for row in range(len(whole))]
    events = pl.DataFrame({"event_id": ids}, schema={"event_id": pl.String})
    weight = events.join(rows.select("event_id", "weight"), on="event_id", how="left", maintain_order="left")["weight"]
    reserve = np.char.startswith(whole.text("tar").astype(str), "reserve")
    whole.numbers["weight"] = np.where(reserve, 0.0, weight.fill_null(0.0).to_numpy())
    return whole


def _for_energon(root: str, commits: Mapping[str, Commit]) -> tuple[dict[str, int], dict[str, str]]:
    """(samples of each tar, where it lies from the release's folder: in it on a disk, beside it on an object store)."""
    counts = {file: int(c.items[0].counts["samples"]) for file, c in commits.items()}
    beside = {file: f"../tars/{storage.name_of(c.files['shard'].path)}" for file, c in commits.items()}
    return counts, {file: file for file in commits} if storage.is_local(root) else beside


def _cells(balance: Balance | None) -> pl.DataFrame:
    """How many train events each cell of the two clusterings has, all that `corpus budget` reads."""
    if balance is None:
        return pl.DataFrame(schema=CELLS)
    cells = balance.cells
    return pl.DataFrame([cells.vl, cells.action, cells.recovery, cells.weight, cells.n], schema=CELLS)


def link(root: str, name: str) -> None:
    """The tars of a release, and their offsets, under their file names in its folder: hard links, so that it can be
    copied as it is; on an object store, which has no links, manifest.json says where they lie."""
    if not storage.is_local(root):
        return
    for file, about in manifest(root, name)["shards"].items():
        for end in ("", INDEX):
            storage.link(
                storage.join(root, f"{about['path']}{end}"), storage.join(root, "shards", name, f"{file}{end}")
            )


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


def point_nowhere(root: str) -> None:
    """No release is in force."""
    uri = storage.join(root, "shards", "latest")
    if not storage.is_local(uri):
        storage.remove(uri)
    elif os.path.islink(uri):
        with storage.writing(uri):
            os.unlink(uri)


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


def _statistics(plan: Plan, commits: Iterable[Commit]) -> dict[str, Any]:
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


def _manifest(
    plan: Plan, release: Release, rows: pl.DataFrame, commits: Mapping[str, Commit], folder: str
) -> dict[str, Any]:
    shards = {
        file: {
            "path": c.files["shard"].path,
            "sha256": c.files["shard"].sha256,
            "bytes": c.files["shard"].bytes,
            "count": int(c.items[0].counts["samples"]),
            "index_sha256": c.files["index"].sha256,
        }
        for file, c in sorted(commits.items())
    }
    path, sha256 = model_of(plan) or ("", "")
    layouts = plan.rows(EPISODES, ["layout"])["layout"].unique().sort().to_list()
    return {
        "release": release.name,
        "plan": release.inputs,
        "shards": shards,
        "files": {name: _sha256(storage.join(folder, name)) for name in FILES},
        "samples": sum(s["count"] for s in shards.values()),
        "events": dict(rows.group_by("status").len().sort("status").iter_rows()),
        "layouts": {layout_key(text): layout_of(text) for text in layouts},
        "config": plan.all_config.model_dump(mode="json", exclude={"run"}),
        "sources": sources(plan, rows),
        "clusters": path,
        "clusters_sha256": sha256,
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
