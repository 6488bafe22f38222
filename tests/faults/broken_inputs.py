"""Datasets broken at random, many in one build beside a whole one: part of `make soak`, or by itself
`python -m tests.faults.broken_inputs --number 200`.

A seed picks a version of the format, one file and one wound: bytes cut, flipped, zeroed or put in; a value of the
metadata replaced by one that hurts; a column of another type, shape or content; a file that is a pipe, a folder, a link
that leaves, a loop, empty, or 10 GB of nothing. It passes if the build ends without a traceback (also none in
quarantine), in time, no process above 2 GB, and no intact episode is lost: those of the whole source, and those of the
broken one that the wound did not touch.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corpus.view import Corpus
from tests.datasets import Episode, write_dataset

EPISODES, LENGTH = 3, 40
BATCH, SECONDS = 20, 300
MEMORY = 2 << 30
CAMERA = "observation.images.front"
HURTS: tuple[Any, ...] = (
    None, True, -1, 0, 10**18, 10**400, float("nan"), float("inf"), 1e300, -0.5, "", "x", "[/red]", "\x1b[2J\x00",
    "\udc80", "../../../etc/passwd", "/etc/passwd", "{0.__class__}", "{episode_index:09999999999d}", "%s%n", "ž" * 5000,
    [], {}, [[]], [None], {"a": {"b": {}}}, ["x"] * 100, "v1.0", [1, 2, 3], {"x": 1},
)  # fmt: skip


@dataclass(frozen=True)
class Broken:
    """A dataset that was broken: what was done, and its episodes that nothing was done to."""

    root: Path
    what: str
    intact: frozenset[int]


def broken(root: Path, seed: int) -> Broken:
    """Write a dataset at `root` and break it."""
    chance = random.Random(seed)
    version = chance.choice(["v2.1", "v2.1", "v3.0"])
    write_dataset(
        root, [Episode(LENGTH, LENGTH * i) for i in range(EPISODES)], version=version, per_file=2,
        robot=chance.choice(["metaworld_sawyer", "unknown"]),
    )  # fmt: skip
    info = root / "meta/info.json"
    info.write_text(json.dumps({**json.loads(info.read_text()), "total_episodes": EPISODES}))
    (root / "meta/stats.json").write_text(
        json.dumps({"observation.state": {"min": [0.0, 0, 0, 0], "max": [1.0, 1, 1, 1]}})
    )
    (root / "meta/calibration.json").write_text(
        json.dumps({"cameras": {CAMERA: {"K": [[100.0, 0, 96], [0, 100.0, 48], [0, 0, 1]]}}})
    )
    path = chance.choice(sorted(p for p in root.rglob("*") if p.is_file()))
    wounds: list[Callable[[Path, random.Random], str]] = [_bytes, _kind]
    if path.suffix in (".json", ".jsonl"):
        wounds += [_value] * 3
    if path.suffix == ".parquet":
        wounds += [_column] * 3
    what = chance.choice(wounds)(path, chance)
    return Broken(
        root, f"{path.relative_to(root)}: {what}", frozenset(_untouched(path.relative_to(root), version, what))
    )


def _untouched(path: Path, version: str, what: str) -> set[int]:
    """Episodes that a wound to a file leaves intact; those of a wound to what describes all of them are not known."""
    every = set(range(EPISODES))
    if path.parts[0] in ("data", "videos"):
        number = int(re.findall(r"\d+", path.stem)[-1])
        return every - ({number} if version != "v3.0" else {2 * number, 2 * number + 1})
    if path.name in ("stats.json", "calibration.json"):
        return every
    if path.name == "episodes.jsonl" and what.startswith("line"):
        return every - {int(what.split()[1])}
    return set()


def _bytes(path: Path, chance: random.Random) -> str:
    data = bytearray(path.read_bytes())
    place = chance.randrange(max(1, len(data)))
    way = chance.choice(["cut", "flip", "zero", "insert", "double", "empty"])
    if way == "cut":
        del data[place:]
    elif way == "flip":
        for _ in range(chance.choice([1, 8, 64])):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif way == "zero":
        data[place : place + 64] = bytes(len(data[place : place + 64]))
    elif way == "insert":
        data[place:place] = chance.randbytes(50)
    elif way == "double":
        data.extend(bytes(data))
    else:
        data.clear()
    path.write_bytes(data)
    return f"bytes, {way} at {place}"


def _kind(path: Path, chance: random.Random) -> str:
    way = chance.choice(["gone", "pipe", "folder", "link out", "loop", "dangling", "sparse", "unreadable"])
    kept = path.read_bytes()
    path.unlink()
    if way == "pipe":
        os.mkfifo(path)
    elif way == "folder":
        path.mkdir()
    elif way == "link out":
        outside = path.parent / f"../../../../outside-{chance.randrange(10**9)}"
        Path(os.path.abspath(outside)).write_bytes(kept)
        path.symlink_to(os.path.abspath(outside))
    elif way == "loop":
        path.symlink_to(path.name)
    elif way == "dangling":
        path.symlink_to("nowhere")
    elif way == "sparse":
        path.touch()
        os.truncate(path, 10 << 30)
    elif way == "unreadable":
        path.write_bytes(kept)
        path.chmod(0)
    return way


def _value(path: Path, chance: random.Random) -> str:
    """One value of a JSON file, or of a line of it, replaced, renamed or nested."""
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    number = chance.randrange(len(lines))
    value = json.loads(lines[number])
    places = list(_places(value))
    where, key = chance.choice(places)
    way = chance.choice(["replace", "replace", "replace", "delete", "rename", "nest"])
    if way == "replace":
        where[key] = chance.choice(HURTS)
    elif way == "delete":
        del where[key]
    elif way == "rename" and isinstance(where, dict):
        where[f"{key}?"] = where.pop(key)
    else:
        where[key] = {"deep": where[key]}
    lines[number] = json.dumps(value)
    if way == "nest" and chance.random() < 0.3:
        lines[number] = "[" * 200_000
    path.write_text("\n".join(lines))
    start = f"line {number}" if path.suffix == ".jsonl" else "value"
    return f"{start} {way} {key}"


def _places(value: Any) -> Any:
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _column(path: Path, chance: random.Random) -> str:
    table = pq.read_table(path)
    at = chance.randrange(table.num_columns)
    name, rows = table.column_names[at], table.num_rows
    other: dict[str, Callable[[], pa.Array]] = {
        "text": lambda: pa.array(["[/red]\x1b"] * rows),
        "nulls": lambda: pa.nulls(rows),
        "nan": lambda: pa.array(np.full(rows, np.nan)),
        "huge": lambda: pa.array([10**15] * rows),
        "negative": lambda: pa.array([-1] * rows),
        "mappings": lambda: pa.array([{"x": 1}] * rows),
        "ragged": lambda: pa.array([[1.0] * (i % 3) for i in range(rows)]),
        "nested": lambda: pa.array([[[1.0, 2.0], [3.0, 4.0]]] * rows),
        "wide": lambda: pa.array([np.zeros(5000)] * rows),
        "flags": lambda: pa.array([True] * rows),
        "bytes": lambda: pa.array([b"\x00\xff"] * rows),
        "days": lambda: pa.array([0] * rows, pa.timestamp("ns")),
    }
    way = chance.choice([*other, "gone", "reversed", "many rows", "no rows", "twice"])
    if way in other:
        table = table.set_column(at, name, other[way]())
    elif way == "gone":
        table = table.drop_columns([name])
    elif way == "reversed":
        table = table.take(np.arange(rows)[::-1])
    elif way == "many rows":
        table = pa.table({name: np.zeros(3_000_000, dtype=np.int8)})
    elif way == "no rows":
        table = table.slice(0, 0)
    else:
        table = table.append_column(name, table[name])
    pq.write_table(table, path)
    return f"column {name}: {way}"


def batch(folder: Path, seeds: range) -> list[tuple[str, str]]:
    """(what was done, what went wrong; empty: nothing) for each seed, all of them in one build."""
    shutil.rmtree(folder, ignore_errors=True)
    whole = write_dataset(folder / "in" / "whole", [Episode(LENGTH, LENGTH * i) for i in range(2)])
    cases = {f"b{seed}": broken(folder / "in" / f"b{seed}", seed) for seed in seeds}
    words = [w for root in (whole, *(c.root for c in cases.values())) for w in ("--source", str(root))]
    command = [sys.executable, "-m", "pipeline", "build", *words, "--corpus", str(folder / "corpus")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    try:
        done = subprocess.run(
            [*command, "--set", "shard.target_bytes=100000"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [(", ".join(c.what for c in cases.values()), f"the build hung for {SECONDS} s")]
    output = done.stdout + done.stderr
    if done.returncode not in (0, 1) or "Traceback" in output:
        return [(", ".join(c.what for c in cases.values()), f"exit code {done.returncode}: {output[-1500:]}")]
    corpus = Corpus(str(folder / "corpus"))
    most = max(corpus.status()["peak_mb"].max() or 0, 0) * 1e6  # type: ignore[operator]
    driver = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 if before else 0
    events = set(corpus.table("events")["episode_id"])
    aside = corpus.quarantine(evidence=False)
    result = []
    for name, case in cases.items():
        own = aside.filter(source=name).to_dicts()
        faults = [
            f"internal error: {r['message'][:800]}" for r in own if r["reason"] in ("internal_error", "worker_died")
        ]
        lost = sorted(i for i in case.intact if f"{name}/{i:06d}" not in events)
        if lost:
            faults.append(
                f"intact episodes {lost} are lost: {corpus.manifest['lost'].get(name)}, {[r['message'] for r in own]}"
            )
        known = set(corpus.manifest["lost"]) | {r["source"] for r in own} | {e.split("/")[0] for e in events}
        if name not in known:
            faults.append("nothing is said of it")
        result.append((f"{name} {case.what}", "; ".join(faults)))
    if not {"whole/000000", "whole/000001"} <= events:
        result.append(("the whole source", "it was not built"))
    if max(most, driver) > MEMORY:
        result.append(("memory", f"a process took {max(most, driver) / 1e6:.0f} MB"))
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description="Break datasets at random and build them.")
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--write", type=Path, help="Markdown file for the tally")
    asked, found = parser.parse_args(), list[tuple[str, str]]()
    with tempfile.TemporaryDirectory(prefix="broken-") as folder:
        for start in range(asked.first, asked.first + asked.number, BATCH):
            for what, fault in batch(Path(folder), range(start, min(start + BATCH, asked.first + asked.number))):
                found.append((what, fault))
                print(f"{what}: {fault or 'ok'}", flush=True)
    failed = [f"{what}: {fault}" for what, fault in found if fault]
    print(f"{len(failed)} faults")
    if asked.write:
        asked.write.write_text(_markdown(found, failed, asked.first))
    return 1 if failed else 0


def _markdown(found: list[tuple[str, str]], failed: list[str], first: int) -> str:
    """How many of each kind of wound, and which failed."""
    every, good = Counter[str](), Counter[str]()
    for what, fault in found:
        kind = re.split(r"[ ,:]", what.partition(": ")[2])[0] or what
        every[kind] += 1
        good[kind] += not fault
    lines = [
        "# Datasets broken at random",
        "",
        f"`python -m tests.faults.broken_inputs --number {len(found)} --first {first}`, {datetime.date.today()}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}: {len(found)} datasets in builds of {BATCH}.",
        "",
        *str(__doc__).split("\n\n", 1)[1].strip().splitlines(),
        "",
        "| kind of wound | datasets | passed |",
        "| --- | --- | --- |",
        *(f"| {kind} | {number} | {good[kind]} |" for kind, number in every.most_common()),
        f"| all | {len(found)} | {len(found) - len(failed)} |",
        "",
        *(f"Failed: {line}" for line in failed),
    ]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
