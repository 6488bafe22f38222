"""`make bench`: builds against their floor, memory and cost as a corpus grows, idle reruns; `--write F` for Markdown.

Everything is measured in one run, on the bundled sample named several times and on generated tables; ratios are what to
read, since seconds are the machine's own.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.builds import SAMPLE, Run, sample_times, timed_build
from tests.benchmarks.floor import floor_seconds
from tests.benchmarks.idle import Idle, idle

SIZES = (1, 4, 10)
FLOOR_AT = 4


def sample_files() -> list[tuple[str, float]]:
    """(path, frames/s) of every video of the sample."""
    return [
        (str(path), float(json.loads((cell / "meta/info.json").read_text())["fps"]))
        for cell in sorted(p for p in SAMPLE.iterdir() if (p / "meta").is_dir())
        for path in sorted(cell.rglob("*.mp4"))
    ]


def growth(runs: dict[int, Run], floors: list[tuple[float, float]]) -> Iterator[str]:
    one, largest = runs[SIZES[0]], runs[SIZES[-1]]
    build = runs[FLOOR_AT]
    floor = sum(map(sum, floors)) / len(floors)
    video, forward = (sum(f[i] for f in floors) / len(floors) for i in (0, 1))
    yield "## Against the floor"
    yield ""
    measured = " and ".join(f"{sum(f):.1f}" for f in floors)
    yield f"{build.episodes} episodes, {build.frames} frames, {build.pictures} pictures."
    yield f"Floor: {floor:.1f} s ({video:.1f} s to decode and encode, {forward:.1f} s forward; {measured} s before"
    yield f"and after the build). Build: {build.seconds:.1f} s. **Build / floor = {build.seconds / floor:.2f}**"
    yield ""
    yield "| stage | work, s | share | of the floor's work |"
    yield "| --- | --- | --- | --- |"
    total, cores = sum(build.work.values()), os.cpu_count() or 1
    under = {"observe": video * cores, "embed": forward * cores}
    for stage, seconds in build.work.items():
        ratio = f"{seconds / under[stage]:.2f}" if stage in under else ""
        yield f"| {stage} | {seconds:.1f} | {seconds / total:.0%} | {ratio} |"
    idle = build.seconds * cores - total
    yield f"| start-up, scheduling, waiting (both cores) | {idle:.1f} | | |"
    yield ""
    yield "## As the corpus grows"
    yield ""
    yield "| episodes | build, s | s an episode | work, s an episode | largest worker, MB | driver, MB |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for run in runs.values():
        work = sum(run.work.values()) / run.episodes
        memory = f"{max(run.peak.values()) / 1e6:.0f} | {run.driver_peak / 1e6:.0f}"
        yield f"| {run.episodes} | {run.seconds:.1f} | {run.seconds / run.episodes:.3f} | {work:.3f} | {memory} |"
    yield ""
    each = [r.seconds / r.episodes for r in (one, largest)]
    works = [sum(r.work.values()) / r.episodes for r in (one, largest)]
    wall, work = (pair[1] / pair[0] - 1 for pair in (each, works))
    yield f"1x to {SIZES[-1]}x: {wall:+.0%} wall time an episode, {work:+.0%} work an episode."
    four = runs[4]
    largest_worker = max(four.peak.values()) / max(one.peak.values()) - 1
    driver = four.driver_peak / one.driver_peak - 1
    yield f"1x to 4x: {largest_worker:+.0%} memory of the largest worker, {driver:+.0%} of the driver."
    yield ""


def reruns(results: dict[int, Idle]) -> Iterator[str]:
    yield "## A build that finds nothing to do"
    yield ""
    yield "| episodes (tables alone) | first build, s | rerun, s | its memory, MB | items of the ledger |"
    yield "| --- | --- | --- | --- | --- |"
    for episodes, r in results.items():
        yield f"| {episodes} | {r.first:.1f} | {r.again:.2f} | {r.memory / 1e6:.0f} | {r.items} |"
    few, many = results[min(results)], results[max(results)]
    yield ""
    yield f"{(many.memory - few.memory) / (many.items - few.items):.0f} bytes of the driver's memory an item."
    yield ""


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure builds; print Markdown.")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--only", choices=("growth", "idle"))
    asked = parser.parse_args()
    cores = os.cpu_count() or 1
    machine = f"{cores} cores ({platform.machine()}), Python {platform.python_version()}"
    lines = [
        "# Benchmarks",
        "",
        f"`make bench`, {datetime.date.today()}, {machine}.",
        "",
    ]
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        if asked.only != "idle":
            runs, floors = {}, []
            for number in SIZES:
                files = sample_files() * number
                if number == FLOOR_AT:
                    pictures = runs[1].pictures * number
                    floors.append(floor_seconds(files, pictures, cores))
                runs[number] = timed_build(sample_times(number), folder / "corpus")
                if number == FLOOR_AT:
                    floors.append(floor_seconds(files, pictures, cores))
                print(number, runs[number], floors, flush=True)
            lines += growth(runs, floors)
        if asked.only != "growth":
            results: dict[int, Idle] = {}
            for episodes in (100, 1_000, 10_000):
                results[episodes] = idle(episodes, folder)
                print(episodes, results[episodes], flush=True)
            lines += reruns(results)
    text = "\n".join(lines).rstrip() + "\n"
    print(text)
    if asked.write:
        asked.write.parent.mkdir(exist_ok=True)
        asked.write.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
