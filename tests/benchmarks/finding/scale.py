"""Corpora of many events, planted, and what a search of them takes in a process of its own.

In: how many events. Out: seconds and memory. Captions are put together of a few hundred things and all primitives,
vectors are random; parts hold 4,000 events, as they do where 128 episodes share one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline import config
from pipeline.corpus import record
from pipeline.corpus.commit import Item
from pipeline.corpus.ledger import Ledger
from schemas.captions import CAPTIONS
from schemas.clusters import EMBEDDINGS
from schemas.episodes import EPISODES
from schemas.events import EVENTS, PRIMITIVES
from schemas.table import Table
from tests.benchmarks.finding.planted import EMPTY, write_plan

PART, EACH = 4_000, 32  # events of a part, and of an episode
SEEN, SAID = 1280, 512
THINGS = [f"{colour} {thing}" for colour in ("red", "blue", "green", "white") for thing in (
    "cup", "plate", "ring", "block", "towel", "bottle", "banana", "sponge", "drawer", "lid", "cable", "bowl", "spoon",
)]  # fmt: skip
CHILD = """
import json, sys, time
from pipeline.corpus.view import Corpus
from pipeline.find import find
corpus = Corpus(sys.argv[1])
opened = time.perf_counter()
find(corpus, "missed grasp of a cup", by=sys.argv[2])
first = time.perf_counter()
cpu = time.process_time()
find(corpus, "lift the green ring", by=sys.argv[2])
second, cpu = time.perf_counter(), time.process_time() - cpu
(peak,) = [int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(json.dumps({"first": first - opened, "second": second - first, "cpu": cpu, "peak": peak}))
"""


@dataclass(frozen=True)
class Took:
    """events; way; seconds of the first search (which loads the text encoder), of a second one, and of its cores; peak
    bytes; bytes of the embeddings."""

    events: int
    way: str
    first: float
    second: float
    cpu: float
    peak: float
    embeddings: int


def measured(sizes: tuple[int, ...]) -> list[Took]:
    found = []
    for events in sizes:
        with tempfile.TemporaryDirectory() as folder:
            size = plant(folder, events)
            for way in ("words", "all"):
                words = [sys.executable, "-c", CHILD, folder, way]
                got = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
                found.append(Took(events, way, got["first"], got["second"], got["cpu"], got["peak"], size))
    return found


def plant(root: str, events: int) -> int:
    """Write it; bytes of the embeddings."""
    ledger, plan, size, started = Ledger(root), [], 0, time.perf_counter()
    for start in range(0, events, PART):
        number = min(PART, events - start)
        tables = _tables(start, number)
        names = sorted(set(tables["ingest"][1]["episode_id"].to_pylist()))
        items = [Item(name, "0") for name in names]
        for stage, (table, rows) in tables.items():
            size += sum(f.bytes for f in ledger.publish(stage, items, {table: rows}, {}).files.values()) * (
                stage == "embed"
            )
        plan += [(stage, name, "0") for stage in tables for name in names]
    for stage in ("ingest", "segment", "caption", "embed"):
        ledger.fold(stage)
    write_plan(root, pl.DataFrame(plan, schema=record.SCHEMA, orient="row"), config.load(None, []))
    print(f"{events} events planted in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return size


def _tables(start: int, number: int) -> dict[str, tuple[Table[Any], pa.Table]]:
    random = np.random.default_rng(start)
    episode = [f"s/{(start + i) // EACH:06d}" for i in range(number)]
    ids = [f"{e}/L1/{(start + i) % EACH * 1000:07d}" for i, e in enumerate(episode)]
    verbs = [PRIMITIVES[i] for i in random.integers(5, len(PRIMITIVES), number)]
    things = [THINGS[i] for i in random.integers(0, len(THINGS), number)]
    recovery = [
        ("missed_grasp" if v == "grasp" and r < 0.1 else None)
        for v, r in zip(verbs, random.random(number), strict=True)
    ]
    second = np.arange(start, start + number) % EACH
    both = {"event_id": ids, "episode_id": episode, "level": ["L1"] * number}
    frames = {"start_frame": 20 * second, "end_frame": 20 * second + 20, "start_s": second * 1.0, "end_s": second + 1.0}
    text = [f"The arm does {v} with the {t}." for v, t in zip(verbs, things, strict=True)]
    names = sorted(set(episode))
    width = SEEN + SAID
    offsets = pa.array(np.arange(number + 1, dtype=np.int32) * width)
    flat = (random.standard_normal(number * width, dtype=np.float32) / 30).astype(np.float16)
    vectors = {"vl": pa.ListArray.from_arrays(offsets, pa.array(flat))}
    encoder = [f"eye {SEEN} + use-multilingual-v3 {SAID}"] * number
    task = {"episode_id": names, "source": ["s"] * len(names), "task": [f"tidy {n[-3:]}" for n in names]}
    marks = {"marks": ["{}"] * len(names)}
    return {
        "ingest": (EPISODES, _filled(EPISODES, task | marks)),
        "segment": (EVENTS, _filled(EVENTS, both | frames | {"primitive": verbs, "recovery": recovery})),
        "caption": (CAPTIONS, _filled(CAPTIONS, both | {"text": text, "object": things})),
        "embed": (EMBEDDINGS, _filled(EMBEDDINGS, both | vectors | {"encoder": encoder})),
    }


def _filled(table: Table[Any], given: dict[str, Any]) -> pa.Table:
    """A table of the columns that are given, the others empty."""
    number = len(given["episode_id"])
    columns = []
    for column in table.columns:
        if column.name in given:
            values = given[column.name]
            own = values if isinstance(values, pa.Array) else pa.array(values, column.type)
        else:
            own = pa.array([None if column.nullable else EMPTY.get(str(column.type), [])] * number, column.type)
        columns.append(own)
    return pa.Table.from_arrays(columns, schema=table.schema)
