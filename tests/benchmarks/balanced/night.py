"""A night: the sample ten times, then 1 % of new episodes; and the same corpus built afresh with its centroids.

In: a folder to work in. Out: what the night cost: bytes of tars written, events labelled, samples whose repeats
changed; whether the fresh build comes to the same rows; and shard writing against its floor (bare tar, and encoding
what must be encoded).
"""

from __future__ import annotations

import json
import shutil
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from pipeline.corpus.view import Corpus
from tests.benchmarks.builds import SAMPLE, timed_build, times

COPIES, NEW = 10, 4  # of the sample; episodes of a night, of 440
OPTIONS = ("caption.captioner=signals",)
ROWS = ["event_id", "status", "repeats", "inclusion", "vl_cluster", "action_cluster"]


@dataclass(frozen=True)
class Night:
    """What `night` measures; changed: old events that are drawn another number of times; sizes in bytes."""

    episodes: int
    samples: int
    tars: int
    size: int
    new_tars: int
    written: int
    labelled: int
    events: int
    changed: int
    same_rows: bool
    shard_work: float  # seconds of all cores
    tar_seconds: float  # bare tar of the same members


def few(source: Path, target: Path, number: int) -> Path:
    """The first episodes of a LeRobot v3.0 dataset."""
    shutil.copytree(source, target)
    info = json.loads((target / "meta/info.json").read_text())
    kept = 0
    for path in sorted((target / "meta/episodes").rglob("*.parquet")):
        table = pq.read_table(path)
        table = table.slice(0, max(0, number - kept))
        kept += table.num_rows
        pq.write_table(table, path) if table.num_rows else path.unlink()
    (target / "meta/info.json").write_text(json.dumps({**info, "total_episodes": kept}))
    return target


def night(folder: Path) -> Night:
    corpus, sources = folder / "corpus", times(SAMPLE, COPIES, folder)
    first = timed_build(sources, corpus, *OPTIONS)
    before, old = _tars(corpus), _rows(corpus)
    tonight = [*sources, f"night={few(SAMPLE / 'cell_b', folder / 'night', NEW)}"]
    timed_build(tonight, corpus, *OPTIONS, fresh=False)
    after, now = _tars(corpus), _rows(corpus)
    opened = Corpus(str(corpus))
    (model,) = opened.files("fit").filter(name="model")["path"].to_list()
    timed_build(tonight, folder / "fresh", *OPTIONS, f"cluster.centroids={corpus}/{model}")
    new = {name: size for name, size in after.items() if name not in before}
    joined = now.join(old, on="event_id", suffix="_before")
    started = time.perf_counter()
    _bare(corpus, folder / "bare.tar")
    return Night(
        episodes=len(opened.wanted("ingest")),
        samples=int(now["repeats"].sum()),
        tars=len(after),
        size=sum(after.values()),
        new_tars=len(new),
        written=sum(new.values()),
        labelled=now.height - joined.height,
        events=now.height,
        changed=joined.filter(pl.col("repeats") != pl.col("repeats_before")).height,
        same_rows=_rows(folder / "fresh").equals(now),
        shard_work=first.work["shard"],
        tar_seconds=time.perf_counter() - started,
    )


def _tars(corpus: Path) -> dict[str, int]:
    """{path: bytes} of the release's tars, by what is in them."""
    manifest = json.loads((corpus / "shards/latest/manifest.json").read_text())
    return {about["path"]: about["bytes"] for about in manifest["shards"].values()}


def _rows(corpus: Path) -> pl.DataFrame:
    return Corpus(str(corpus)).table("samples").select(ROWS).sort("event_id")


def _bare(corpus: Path, target: Path) -> None:
    """The members of all tars of the release, read and written again."""
    with tarfile.open(target, "w") as out:
        for path in _tars(corpus):
            with tarfile.open(corpus / path) as tar:
                for member in tar:
                    out.addfile(member, tar.extractfile(member))
