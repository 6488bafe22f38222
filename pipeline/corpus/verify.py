"""`corpus verify`: is everything that the ledger promises there, whole, and lawful?

In: a corpus. Out: `Fault`s, each with the ledger unit to do again (None where a rebuild of the release mends it).
Files are hashed against their commits; commits, plan and manifest against the hash they carry; tables are held against
their schemas and laws, part by part, so that memory does not grow with the corpus; every event of the shard level must
have a fate; every sample of every tar is read again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import av
import numpy as np
import polars as pl

from pipeline.corpus import decisions, record, tombstones
from pipeline.corpus.commit import OK, Commit, PartFile
from pipeline.corpus.tables import read
from pipeline.corpus.view import Corpus
from pipeline.stages import STAGES, Stages, writer_of
from schemas.quarantine import QUARANTINE
from schemas.table import SchemaError
from stages import storage
from stages.caption.vlm import cache
from stages.shard import INDEX

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong: kind (missing, changed, law, sample), where, a sentence; `unit` is (stage, unit) to redo."""

    kind: str
    where: str
    message: str
    unit: tuple[str, str] | None


def faults_of(root: str, stages: Stages = STAGES) -> list[Fault]:
    """All faults of the corpus at `root`; a damaged plan is one, and hides the rest. Raises NoCorpus."""
    try:
        corpus = Corpus(root, stages)
    except record.DamagedPlan as error:
        return [Fault("changed", record.PLAN, str(error), None)]
    return verify(corpus)


def verify(corpus: Corpus) -> list[Fault]:
    """All faults, files first. Laws and samples are looked at only where every file is whole."""
    faults = [*_record(corpus), *_ledger(corpus), *_files(corpus), *_release_files(corpus), *_answers(corpus)]
    faults += [*_forgotten(corpus), *_decisions(corpus)]
    return faults or [*_laws(corpus), *_fates(corpus), *_samples(corpus)]


def _record(corpus: Corpus) -> Iterator[Fault]:
    """(What a plan says is held against its own hash whenever a corpus is opened.)"""
    for where, message in record.complaints(corpus.root, corpus.manifest).items():
        yield Fault("changed", where, message, None)


def _ledger(corpus: Corpus) -> Iterator[Fault]:
    for stage in corpus.ledgers:
        for name in corpus.ledger.damaged(stage):
            file = name if name.endswith(".parquet") else f"{name}.json"
            yield Fault("changed", f"ledger/{stage}/{file}", "it does not match the hash in it", (stage, name))
        for item in corpus.done(stage).filter(pl.col("unit").is_null())["item"]:
            yield Fault("missing", f"ledger/{stage}", f"{item} has no commit", None)


def _files(corpus: Corpus) -> Iterator[Fault]:
    found = [
        (PartFile(path, rows, size, sha256), (stage, unit))
        for stage in corpus.ledgers
        for unit, _, path, rows, size, sha256 in corpus.files(stage).iter_rows()
    ]
    yield from _at_once(lambda pair: list(_whole(corpus, *pair)), found)


def _answers(corpus: Corpus) -> Iterator[Fault]:
    """What models have said: no commit names it, each line carries its own hash."""
    for name in sorted(storage.listing(corpus.ledger.path(cache.FOLDER))):
        for line in cache.damaged(storage.read_bytes(corpus.ledger.path(f"{cache.FOLDER}/{name}"))):
            words = f"line {line} does not match the hash in it; that answer is asked for again when it is needed"
            yield Fault("changed", f"{cache.FOLDER}/{name}", words, None)


def _decisions(corpus: Corpus) -> Iterator[Fault]:
    for where in decisions.damaged(corpus.root):
        message = "what people decided is not as it was written: the review server's store or a backup has what it held"
        yield Fault("changed", where, message, None)


def _forgotten(corpus: Corpus) -> Iterator[Fault]:
    """Tombstones, each in two copies, and whether all was removed that they stand for."""
    bad = tombstones.damaged(corpus.root)
    for name in bad:
        words = "it is not as it was written: forget that episode again, which writes both copies"
        yield Fault("changed", f"{tombstones.FOLDER}/{name}", words, None)
    for stone in tombstones.whole(corpus.root):
        if not stone.finished:
            words = f"{stone.episode_id} is not forgotten to the end: corpus forget {stone.episode_id} again"
            yield Fault("law", tombstones.FOLDER, words, None)


def _at_once(work: Callable[[T], list[Fault]], over: Iterable[T]) -> Iterator[Fault]:
    """Faults of each, in order; reading, hashing and decoding leave the interpreter, so threads help."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for faults in pool.map(work, over):
            yield from faults


def _whole(corpus: Corpus, file: PartFile, unit: tuple[str, str]) -> Iterator[Fault]:
    try:
        blob = storage.read_bytes(corpus.ledger.path(file.path))
    except FileNotFoundError:
        yield Fault("missing", file.path, "the file is gone", unit)
        return
    except OSError as error:  # a bad sector, say
        yield Fault("changed", file.path, f"cannot be read: {error}", unit)
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
    latest = corpus.latest()
    if latest != name:
        yield Fault("changed", "shards/latest", f"it points at {latest or 'nothing'}, the release is {name}", None)
    try:
        manifest = json.loads(storage.read_bytes(corpus.ledger.path(f"{folder}/manifest.json")))
        expected = {f"{folder}/{file}": manifest["files"][file] for file in sorted(manifest["files"])}
    except FileNotFoundError:
        yield Fault("missing", f"{folder}/manifest.json", "the file is gone", None)
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Fault("changed", f"{folder}/manifest.json", f"cannot be read: {error!r}", None)
        return
    if not _is_own_hash(manifest):
        yield Fault("changed", f"{folder}/manifest.json", "it does not match the hash in it", None)
    for path, sha256 in expected.items():
        try:
            found = hashlib.sha256(storage.read_bytes(corpus.ledger.path(path))).hexdigest()
        except FileNotFoundError:
            yield Fault("missing", path, "the file is gone", None)
            continue
        except OSError as error:
            yield Fault("changed", path, f"cannot be read: {error}", None)
            continue
        if found != sha256:
            yield Fault("changed", path, "sha256 is not that of the manifest", None)


def _is_own_hash(manifest: dict[str, Any]) -> bool:
    return manifest.get("sha256") == record.own_hash(manifest)


def _laws(corpus: Corpus) -> Iterator[Fault]:
    """Each part: schema, key, laws. An item counts in one commit, and all keys hold their item's name, so that no key
    can stand in two parts."""
    for name, declared in corpus.tables.items():
        if declared is QUARANTINE:
            continue
        stage = writer_of(corpus.stages, name).name
        units = dict(corpus.files(stage).select("path", "unit").iter_rows())
        for path, items in corpus.parts(name).items():
            table = read(corpus.root, declared, {path: items})
            if table.column_names != declared.schema.names:
                words = "it was written by another version of the project: build again"
                yield Fault("law", path, words, (stage, units[path]))
                continue
            try:
                declared.validate(table.cast(declared.schema))
            except SchemaError as error:
                yield Fault("law", path, str(error), (stage, units[path]))
    for stage in corpus.ledgers:
        for unit, path in corpus.files(stage).filter(name=QUARANTINE.name).select("unit", "path").iter_rows():
            try:
                QUARANTINE.validate(read(corpus.root, QUARANTINE, {path: ["*"]}).cast(QUARANTINE.schema))
            except SchemaError as error:
                yield Fault("law", path, str(error), (stage, unit))


def _fates(corpus: Corpus) -> Iterator[Fault]:
    """Every episode is in events or in quarantine, every event has a caption, each of the shard level a fate."""
    if not corpus.has("segment"):
        return
    events = corpus.table("events", columns=["event_id", "episode_id", "level", "track"]).filter(track="all")
    captions = corpus.table("captions", columns=["event_id"])
    refused = corpus.quarantine(evidence=False)
    aside = set(refused.filter(pl.col("event_id").is_null())["episode_id"].to_list())
    single = set(refused["event_id"].drop_nulls().to_list())
    seen = set(events["episode_id"].unique().to_list()) | aside
    for episode in corpus.wanted("ingest")["item"]:
        if episode not in seen:
            yield Fault("law", "tables/events", f"{episode} is neither in events nor in quarantine", None)
    captioned = corpus.done("caption").filter(status=OK).select(pl.col("item").alias("episode_id"))
    bare = events.join(captioned, on="episode_id", how="semi").join(captions, on="event_id", how="anti")
    for event in bare["event_id"].to_list():
        yield Fault("law", "tables/captions", f"{event} has no caption", None)
    if corpus.has("samples"):
        level = corpus.level()
        fates = corpus.table("samples", columns=["event_id"])
        fateless = events.filter(level=level).join(fates, on="event_id", how="anti")
        for event, episode in fateless.select("event_id", "episode_id").iter_rows():
            if episode not in aside and event not in single:
                yield Fault("law", "tables/samples", f"{event} is in no shard and has no reason not to be", None)


def _samples(corpus: Corpus) -> Iterator[Fault]:
    """Every sample read again: rows and frames agree, and the tars hold just what the samples table says."""
    if not corpus.manifest["release"]:
        return
    config, release = corpus.manifest["config"]["shard"], corpus.manifest["release"]
    rows = corpus.table("samples", columns=["key", "n_frames", "shards"]).explode("shards").drop_nulls("shards")
    by_tar = rows.partition_by("shards", as_dict=True)
    with suppress(OSError, ValueError, KeyError, TypeError):  # of a manifest that is told already
        found = json.loads(storage.read_bytes(corpus.ledger.path(f"shards/{release}/manifest.json")))
        paths = {file: about["path"] for file, about in found["shards"].items()}
        commits = {c.files["shard"].path: c for c in corpus.commits("shard")}
        tars = {file: commits[path] for file, path in paths.items() if path in commits}
        more = config["history"] + config["future"]
        work = [(tars[str(tar)], frame, more) for (tar,), frame in by_tar.items() if tar in tars]
        yield from _at_once(lambda given: list(_tar(corpus, *given)), work)
        for (tar,), frame in by_tar.items():
            if tar not in tars:
                where = f"shards/{release}/{tar}"
                yield Fault(
                    "sample", where, f"{frame.height} samples are said to be in it, and it is in no commit", None
                )
        yield from _links(corpus, release, paths, commits)


def _links(corpus: Corpus, release: str, paths: dict[str, str], commits: dict[str, Commit]) -> Iterator[Fault]:
    """On a disk each tar of the release, and its offsets, has a name in its folder too; a copied corpus has copies
    there."""
    if not storage.is_local(corpus.root):
        return
    made = {file: commits[path].files for file, path in paths.items() if path in commits}
    files = {file: own["shard"] for file, own in made.items()}
    files |= {f"{file}{INDEX}": own["index"] for file, own in made.items() if "index" in own}  # not of older versions
    for file, committed in files.items():
        path = committed.path
        where = f"shards/{release}/{file}"
        own, tar = corpus.ledger.path(where), corpus.ledger.path(path)
        if not os.path.isfile(tar):  # told already
            continue
        if not os.path.isfile(own):
            yield Fault("missing", where, "the file is gone", None)
        elif not os.path.samefile(own, tar):
            with open(own, "rb") as copied:
                if hashlib.file_digest(copied, "sha256").hexdigest() != committed.sha256:
                    yield Fault("changed", where, "sha256 is not the committed one", None)


def _tar(corpus: Corpus, commit: Commit, rows: pl.DataFrame, more: int) -> Iterator[Fault]:
    # here, since it imports torch: 1 s of every command's start
    from webdataset.tariterators import group_by_keys, tar_file_expander

    path, unit = commit.files["shard"].path, ("shard", commit.unit)
    expected = dict(rows.select("key", "n_frames").iter_rows())
    with storage.local_copy(corpus.ledger.path(path)) as local, open(local, "rb") as file:
        # by stream: a path with a # or a brace in it is no URL of webdataset's
        members = tar_file_expander([{"url": path, "stream": file}])
        for sample in group_by_keys(members):
            frames = expected.pop(sample["__key__"], None)
            if frames is None:
                yield Fault("sample", path, f"{sample['__key__']} is not in the samples table", unit)
                continue
            complaint = _complaint(sample, frames, more)
            if complaint:
                yield Fault("sample", path, f"{sample['__key__']}: {complaint}", unit)
    for key in expected:
        yield Fault("sample", path, f"{key} is not in its tar", None)


def _complaint(sample: dict[str, bytes], frames: int, more: int) -> str | None:
    """What is wrong with a sample of an event of so many frames, with at most `more` of history and future; None if
    nothing is."""
    try:
        meta = json.loads(sample["json"])
        around = meta["context"]["before"] + meta["context"]["after"]
        with np.load(io.BytesIO(sample["lowdim.npz"])) as arrays:
            rows = {name: len(arrays[name]) for name in arrays.files}
        lengths: dict[str, int] = {**rows, "KEY.json": meta["n_frames"]}
        for name in (n for n in sample if n.endswith(".mp4")):
            with av.open(io.BytesIO(sample[name]), "r") as container:
                lengths[name] = sum(1 for _ in container.decode(video=0))
    except (KeyError, ValueError, OSError, zipfile.BadZipFile, av.FFmpegError) as error:
        return f"cannot be read: {error!r}"
    if around > more:
        return f"it has {around} frames of history and future, {more} are asked for"
    wrong = {name: length for name, length in lengths.items() if length != frames + around}
    return f"{wrong} where the table says {frames} frames" if wrong else None
