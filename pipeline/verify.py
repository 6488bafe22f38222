"""`corpus verify`: is everything that the ledger promises there, whole, and lawful?

In: a corpus. Out: `Fault`s, each with the ledger unit to do again (None where a rebuild of the release mends it).
Files are hashed against their commits; tables are held against their schemas and laws across all parts; every event
of the shard level must have a fate; every sample of every tar is read again.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
import polars as pl
import webdataset

from pipeline.corpus import WRITTEN_BY, Corpus
from pipeline.ledger import OK, PartFile
from schemas import TABLES, SchemaError
from stages import storage

STAGES = (
    "survey",
    "ingest",
    "observe",
    "lag",
    "vote",
    "align",
    "segment",
    "caption",
    "embed",
    "cluster",
    "samples",
    "shard",
)
RELEASE_FILES = ("index.parquet", "stats.json")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong: kind (missing, changed, law, sample), where, a sentence; `unit` is (stage, unit) to redo."""

    kind: str
    where: str
    message: str
    unit: tuple[str, str] | None


def verify(corpus: Corpus) -> list[Fault]:
    """All faults, files first. Laws and samples are looked at only where every file is whole."""
    faults = [*_files(corpus), *_release_files(corpus)]
    return faults or [*_laws(corpus), *_fates(corpus), *_samples(corpus)]


def _files(corpus: Corpus) -> Iterator[Fault]:
    for stage in STAGES:
        state = corpus.state(stage)
        for item, print_ in corpus.wanted(stage):
            if state.status(item, print_) is None:
                yield Fault("missing", f"ledger/{stage}", f"{item} has no commit", None)
        for commit in corpus.commits(stage):
            for file in commit.files.values():
                yield from _whole(corpus, file, (stage, commit.unit))


def _whole(corpus: Corpus, file: PartFile, unit: tuple[str, str] | None) -> Iterator[Fault]:
    try:
        blob = storage.read_bytes(corpus.ledger.path(file.path))
    except FileNotFoundError:
        yield Fault("missing", file.path, "the file is gone", unit)
        return
    if len(blob) != file.bytes:
        yield Fault("changed", file.path, f"{len(blob)} bytes, committed were {file.bytes}", unit)
    elif hashlib.sha256(blob).hexdigest() != file.sha256:
        yield Fault("changed", file.path, "sha256 is not the committed one", unit)


def _release_files(corpus: Corpus) -> Iterator[Fault]:
    name = corpus.manifest["release"]
    if not name:
        return
    folder = f"shards/{name}"
    try:
        manifest = json.loads(storage.read_bytes(corpus.ledger.path(f"{folder}/manifest.json")))
        expected = {f"{folder}/{file}": manifest["files"][file] for file in RELEASE_FILES}
    except FileNotFoundError:
        yield Fault("missing", f"{folder}/manifest.json", "the file is gone", None)
        return
    except (ValueError, KeyError) as error:
        yield Fault("changed", f"{folder}/manifest.json", f"cannot be read: {error!r}", None)
        return
    for path, sha256 in expected.items():
        try:
            found = hashlib.sha256(storage.read_bytes(corpus.ledger.path(path))).hexdigest()
        except FileNotFoundError:
            yield Fault("missing", path, "the file is gone", None)
            continue
        if found != sha256:
            yield Fault("changed", path, "sha256 is not that of the manifest", None)


def _laws(corpus: Corpus) -> Iterator[Fault]:
    """Each table as a whole: schema, key unique over all parts, its own laws."""
    for name, stage in WRITTEN_BY.items():
        if corpus.wanted(stage):
            table = corpus.table(name).to_arrow().cast(TABLES[name].schema)
            try:
                TABLES[name].validate(table)
            except SchemaError as error:
                yield Fault("law", f"tables/{name}", str(error), None)


def _fates(corpus: Corpus) -> Iterator[Fault]:
    """Every episode is in events or in quarantine, every event has a caption, each of the shard level a fate."""
    if not corpus.wanted("segment"):
        return
    events, captions = corpus.table("events"), corpus.table("captions")
    aside = set(corpus.quarantine()["episode_id"].to_list())
    seen = set(events["episode_id"].unique().to_list()) | aside
    for episode, _ in corpus.wanted("ingest"):
        if episode not in seen:
            yield Fault("law", "tables/events", f"{episode} is neither in events nor in quarantine", None)
    captioned = {e for e, print_ in corpus.wanted("caption") if corpus.state("caption").status(e, print_) == OK}
    bare = events.filter(pl.col("episode_id").is_in(list(captioned))).join(captions, on="event_id", how="anti")
    for event in bare["event_id"].to_list():
        yield Fault("law", "tables/captions", f"{event} has no caption", None)
    if corpus.wanted("samples"):
        level = corpus.manifest["config"]["shard"]["level"]
        for event in events.filter(level=level).join(corpus.table("samples"), on="event_id", how="anti")["event_id"]:
            if event.rsplit("/", 2)[0] not in aside:
                yield Fault("law", "tables/samples", f"{event} is in no shard and has no reason not to be", None)


def _samples(corpus: Corpus) -> Iterator[Fault]:
    """Every sample read again: rows and frames agree, and the tars hold just what the samples table says."""
    if not corpus.manifest["release"]:
        return
    expected = {r["key"]: r for r in corpus.table("samples").filter(status="sampled").to_dicts()}
    for commit in corpus.commits("shard"):
        path, unit = commit.files["shard"].path, ("shard", commit.unit)
        with storage.local_copy(corpus.ledger.path(path)) as local:
            for sample in webdataset.WebDataset(local, shardshuffle=False, empty_check=False):
                row = expected.pop(sample["__key__"], None)
                if row is None:
                    yield Fault("sample", path, f"{sample['__key__']} is not in the samples table", unit)
                    continue
                complaint = _complaint(sample, row["n_frames"])
                if complaint:
                    yield Fault("sample", path, f"{sample['__key__']}: {complaint}", unit)
    for key, row in expected.items():
        yield Fault("sample", f"shards/{corpus.manifest['release']}/{row['shard']}", f"{key} is not in its tar", None)


def _complaint(sample: dict[str, bytes], frames: int) -> str | None:
    """What is wrong with a sample, None if nothing is."""
    try:
        meta = json.loads(sample["json"])
        with np.load(io.BytesIO(sample["lowdim.npz"])) as arrays:
            rows = {name: len(arrays[name]) for name in arrays.files}
        lengths: dict[str, int] = {**rows, "KEY.json": meta["n_frames"]}
        for name in (n for n in sample if n.endswith(".mp4")):
            with av.open(io.BytesIO(sample[name]), "r") as container:
                lengths[name] = sum(1 for _ in container.decode(video=0))
    except (KeyError, ValueError, OSError, zipfile.BadZipFile, av.FFmpegError) as error:
        return f"cannot be read: {error!r}"
    wrong = {name: length for name, length in lengths.items() if length != frames}
    return f"{wrong} where the table says {frames} frames" if wrong else None
