"""What the driver costs when there is nothing to do, or one episode more, by the number of episodes.

In: a number of episodes. Out: seconds and memory of two processes: the command `corpus build` where all is done, and
survey and plan of the same dataset with one episode more. The dataset is LeRobot v3.0 metadata with three cameras, its
data and video files are empty; the ledger is what a build of it would have left, without the parts that a rerun does
not read. Nothing is decoded: `python -m tests.benchmarks.scale --episodes 100000`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import config
from pipeline.build.driver import record_plan
from pipeline.check import after
from pipeline.corpus.commit import Commit, Item, PartFile
from pipeline.corpus.ledger import Ledger
from pipeline.corpus.record import own_hash
from pipeline.plan import CORPUS, SCHEMA, Plan
from pipeline.release.choice import FOLDER, inputs_of
from pipeline.report import page as reports
from pipeline.stages import STAGES
from schemas.alignments import LAG_VOTES
from schemas.clusters import FITTED
from schemas.ids import sample_key
from schemas.samples import SAMPLES as TABLE
from schemas.samples import TARS
from stages.align import VOTE
from stages.cluster import FIT
from stages.embed import EMBED
from stages.fingerprint import fingerprint
from stages.ingest import INGEST
from stages.ingest.survey import survey
from stages.shard import SAMPLES, SHARD
from stages.stage import Scope
from tests.benchmarks.builds import ROOT

CAMERAS = ("front", "left", "right")
PER_FILE = 100  # episodes of a data or video file
PER_PART = 1024  # run.episodes_per_part, as docs/scale.md advises
EVENTS = 8  # of the shard level an episode
PER_TAR = 400  # samples
ASKED = (f"run.episodes_per_part={PER_PART}",)


@dataclass(frozen=True)
class Scale:
    """Seconds, and bytes at the peak of one process: a rerun with nothing to do; survey and plan of one episode more,
    with the units that it is planned to take."""

    episodes: int
    items: int
    rerun_s: float
    rerun_bytes: float
    more_s: float
    more_bytes: float
    more_units: int


def write_metadata(root: Path, episodes: int) -> None:
    """LeRobot v3.0, three cameras; every file there is, and empty."""
    keys = [f"observation.images.{c}" for c in CAMERAS]
    info = {
        "codebase_version": "v3.0",
        "robot_type": "metaworld_sawyer",
        "fps": 20,
        "features": {
            "observation.state": {"dtype": "float32", "shape": [4], "names": ["x", "y", "z", "gripper"]},
            "action": {"dtype": "float32", "shape": [4], "names": ["dx", "dy", "dz", "gripper"]},
            **{key: {"dtype": "video", "shape": [480, 640, 3]} for key in keys},
        },
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    }
    (root / "meta/episodes/chunk-000").mkdir(parents=True, exist_ok=True)
    (root / "meta/info.json").write_text(json.dumps(info))
    number = np.arange(episodes)
    file, place = number // PER_FILE, number % PER_FILE
    columns = {
        "episode_index": number,
        "length": np.full(episodes, 200),
        "tasks": [["put the block away"]] * episodes,
        "data/chunk_index": file // 1000,
        "data/file_index": file % 1000,
    }
    for key in keys:
        columns |= {
            f"videos/{key}/chunk_index": file // 1000,
            f"videos/{key}/file_index": file % 1000,
            f"videos/{key}/from_timestamp": place * 10.0,
            f"videos/{key}/to_timestamp": place * 10.0 + 10.0,
        }
    pq.write_table(pa.table(columns), root / "meta/episodes/chunk-000/file-000.parquet")
    for f in range(int(file[-1]) + 1):
        data = root / f"data/chunk-{f // 1000:03d}/file-{f % 1000:03d}.parquet"
        clips = [root / f"videos/{key}/chunk-{f // 1000:03d}/file-{f % 1000:03d}.mp4" for key in keys]
        for path in (data, *clips):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.touch()


def planned(source: Path, corpus: Path) -> Plan:
    asked = config.load(None, ASKED)
    return Plan(survey([f"logs={source}"], asked.of(INGEST)), asked, Ledger(str(corpus)))


def write_ledger(source: Path, corpus: Path) -> None:
    """What a build has left behind that came to its end."""
    plan = planned(source, corpus)
    ledger = plan.ledger
    for stage in (s for s in STAGES if s not in (SHARD, SAMPLES)):
        wanted = plan.want(stage)
        if stage in (VOTE, FIT):
            (_voted if stage is VOTE else _fitted)(plan, wanted)
        else:
            for commit in _commits(stage.name, wanted, stage.writes[0].name, stage.scope is Scope.CAMERA):
                ledger.write(commit)
            ledger.fold(stage.name)
        plan.states[stage.name] = ledger.state(stage.name)
    _release(plan)


def _voted(plan: Plan, wanted: pl.DataFrame) -> None:
    """The one table that is read while a plan is made."""
    items = [Item(i, p) for i, p in wanted.select("item", "fingerprint").iter_rows()]
    votes = {LAG_VOTES: [_vote(i.name) for i in items]}
    plan.states[VOTE.name].add(plan.ledger.publish(VOTE.name, items, votes, {"seconds": 1.0}))


def _fitted(plan: Plan, wanted: pl.DataFrame) -> None:
    """Which episodes the centroids were fitted on."""
    items = [Item(i, p) for i, p in wanted.select("item", "fingerprint").iter_rows()]
    made = plan.alive(EMBED).sort("episode_id")
    columns = {
        "episode_id": made["episode_id"].to_arrow(),
        "embedded": made["fingerprint"].to_arrow(),
        "settings": [fingerprint(plan.settings(FIT), "")] * made.height,  # no centroids are given
        "events": np.full(made.height, 2 * EVENTS),
    }
    table, blob = pa.table(columns).cast(FITTED.schema), {"model": ("models/clusters-0123456789abcdef.npz", b"")}
    plan.states[FIT.name].add(plan.ledger.publish(FIT.name, items, {FITTED: table}, {"seconds": 1.0}, blob))


def _commits(stage: str, wanted: pl.DataFrame, table: str, media: bool, first: int = 0) -> Iterator[Commit]:
    """first: number of the first unit; one of a number that is there already takes its place."""
    counts = {"episodes": 1.0, "rows": 200.0, "hours": 10 / 3600, "events": 2.0 * EVENTS}
    for number, rows in enumerate(wanted.iter_slices(PER_PART), first):
        unit = f"{number:016x}"
        files = {table: PartFile(f"tables/{table}/{unit}-00000000.parquet", rows.height, 1000, "0" * 64)}
        items = []
        for item, digest in rows.select("item", "fingerprint").iter_rows():
            items.append(Item(item, digest, "ok", counts))
            if media:
                for end in ("mp4", "jpg"):
                    path = f"media/{item.replace('@', '/')}-{digest[:8]}.{end}"
                    files[path] = PartFile(path, 0, 1000, digest * 4)
        yield Commit(stage, unit, tuple(items), files, {"seconds": 1.0, "peak_bytes": 3e8})


def _vote(source: str) -> dict[str, object]:
    counts = dict.fromkeys(("lag_frames", "voted_frames", "votes", "voters", "estimates"), 0)
    return {"source": source, "score": None, "weak": False, "disagrees": False, **counts}


def _release(plan: Plan) -> None:
    """Tars in the ledger, every event's fate, a manifest."""
    ledger, name = plan.ledger, inputs_of(plan)
    episodes = plan.survey.episodes["episode_id"].to_list()
    count = len(episodes) * EVENTS
    ids = [f"{e}/L1/{i * 1000:07d}" for e in episodes for i in range(EVENTS)]
    tars = [f"train-{n:06d}.tar" for n in range(-(-count // PER_TAR))]
    event = np.arange(count)
    columns = {
        "event_id": ids,
        "episode_id": _each(event // EVENTS, episodes),
        "key": [sample_key(i) for i in ids],
        "split": ["train"] * count,
        "status": ["sampled"] * count,
        "shards": pa.ListArray.from_arrays(np.arange(count + 1, dtype=np.int32), _each(event // PER_TAR, tars)),
        "robot": ["metaworld_sawyer"] * count,
        "level": ["L1"] * count,
        "n_frames": np.full(count, 25),
        "vl_cluster": (event % 1000).astype(np.int32),
        "action_cluster": (event % 999).astype(np.int32),
        "inclusion": np.ones(count),
        "repeats": np.ones(count, dtype=np.int64),
        "weight": np.ones(count),
    }
    ledger.publish(
        SAMPLES.name, [Item(CORPUS, name)], {TABLE: pa.table(columns, schema=TABLE.schema), TARS: TARS.build([])}, {}
    )
    items = {tar: f"train-{fingerprint(tar)}" for tar in tars}
    for item in items.values():
        path = f"{FOLDER}/{item}.tar"
        ledger.write(Commit(SHARD.name, item, (Item(item, item),), {"shard": PartFile(path, 0, 1000, "0" * 64)}))
        Path(ledger.root, path).parent.mkdir(parents=True, exist_ok=True)
        Path(ledger.root, path).touch()
    ledger.fold(SHARD.name)
    folder = Path(ledger.root, "shards", name)
    folder.mkdir(parents=True)
    sizes = {"sizes": [1, 1], "gini": 0.0, "entropy": 1.0}
    balance = {"events": count, "sampled": count}
    balance |= {space: dict.fromkeys(("before", "sampled", "random"), sizes) for space in ("vl", "action")}
    (folder / "stats.json").write_text(json.dumps({"balance": balance}))
    manifest = {
        "shards": {
            tar: {"path": f"{FOLDER}/{item}.tar", "bytes": 1000, "count": PER_TAR, "sha256": "0" * 64}
            for tar, item in items.items()
        },
        "samples": count,
        "events": {"sampled": count},
        "config": plan.all_config.model_dump(mode="json", exclude={"run"}),
    }
    (folder / "manifest.json").write_text(json.dumps({**manifest, "sha256": own_hash(manifest)}))
    plan.wanted[SAMPLES.name] = pl.DataFrame(
        {"item": [CORPUS], "fingerprint": [name], "episode_id": [None], "source": [None]}, SCHEMA
    )
    plan.states |= {stage.name: ledger.state(stage.name) for stage in (SHARD, SAMPLES)}
    record_plan(plan, name, complete=True)
    for made in (reports.NAME, after.NAME):  # the command would make them, from tables that are not there
        Path(ledger.root, made).touch()


def _each(number: np.ndarray, names: list[str]) -> pa.Array:
    """Names by their numbers, in one chunk however many there are."""
    return pa.DictionaryArray.from_arrays(number, names).cast(pa.string())


def one_more(source: Path, corpus: Path) -> int:
    """Units that are planned where a dataset has grown; each is taken as done, and the next stage is planned."""
    plan, units = planned(source, corpus), 0
    for stage in (s for s in STAGES if s.run is not None and s not in (SHARD, SAMPLES)):
        plan.want(stage)
        missing = plan.missing(stage)
        made = plan.units(stage, missing, 2)
        assert missing.height <= len(CAMERAS), f"{stage.name}: {missing.height} items of one episode"
        units += len(made)
        if stage is VOTE:
            _voted(plan, missing)
            continue
        if stage is FIT:
            assert missing.is_empty(), "one more episode is no reason to fit anew"
            continue
        for commit in _commits(stage.name, missing, stage.writes[0].name, False, 2**32):
            plan.states[stage.name].add(commit)
    return units


def measured(arguments: list[str]) -> tuple[float, float, str]:
    """(seconds, bytes at its peak, standard output) of a process. Raises CalledProcessError."""
    started = time.perf_counter()
    own = {k: v for k, v in os.environ.items() if k != "_RJEM_MALLOC_CONF"}  # Polars sets it here; a user has none
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=own)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise subprocess.CalledProcessError(status, arguments, printed)
    return time.perf_counter() - started, usage.ru_maxrss * 1024.0, printed


def scale(episodes: int, folder: Path) -> Scale:
    """Write dataset and ledger, then measure."""
    source, corpus = folder / f"logs{episodes}", folder / f"corpus{episodes}"
    # in a process of its own: a child's peak counts what its parent held when it was forked
    measured(["-m", "tests.benchmarks.scale", "--prepare", str(source), str(corpus), "--episodes", str(episodes)])
    items = pq.read_metadata(corpus / "plan.parquet").num_rows
    sets = [word for value in ASKED for word in ("--set", value)]
    build = ["-m", "pipeline", "build", "--source", f"logs={source}", "--corpus", str(corpus), *sets]
    rerun_s, rerun_bytes, printed = measured(build)
    assert "0 were done before" not in printed, printed
    write_metadata(source, episodes + 1)
    more_s, more_bytes, units = measured(["-m", "tests.benchmarks.scale", "--more", str(source), str(corpus)])
    return Scale(episodes, items, rerun_s, rerun_bytes, more_s, more_bytes, int(units))


def report(results: list[Scale]) -> Iterator[str]:
    """Markdown."""
    yield "## The driver alone, three cameras an episode"
    yield ""
    yield "| episodes | items of the ledger | rerun, s | memory, GB | one episode more, s | memory, GB | its units |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for r in results:
        rerun, more = f"{r.rerun_s:.1f} | {r.rerun_bytes / 1e9:.2f}", f"{r.more_s:.1f} | {r.more_bytes / 1e9:.2f}"
        yield f"| {r.episodes:,} | {r.items:,} | {rerun} | {more} | {r.more_units} |"
    few, many = results[0], results[-1]
    yield ""
    if many.items > few.items:
        each = (many.rerun_bytes - few.rerun_bytes) / (many.items - few.items)
        yield f"{each:.0f} bytes of the driver's memory an item."
        yield ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, nargs="+", default=[100_000])
    parser.add_argument("--more", nargs=2, metavar=("SOURCE", "CORPUS"), help="plan a dataset that has grown")
    parser.add_argument("--prepare", nargs=2, metavar=("SOURCE", "CORPUS"), help="write a dataset and its ledger")
    asked = parser.parse_args()
    if asked.prepare:
        source, corpus = map(Path, asked.prepare)
        write_metadata(source, asked.episodes[0])
        write_ledger(source, corpus)
        return 0
    if asked.more:
        print(one_more(*map(Path, asked.more)))
        return 0
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        print("\n".join(report([scale(n, Path(folder)) for n in asked.episodes])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
