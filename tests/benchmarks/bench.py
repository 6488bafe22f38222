"""`make bench`: builds against their floor, memory and cost as a corpus grows, idle reruns; `--write F` for Markdown.

Everything is measured in one run: on the bundled sample named several times, on generated tables, and on recordings of
your own where `--source DIR` (a folder of datasets) is given, named `--times` times. Ratios are what to read, since
seconds are the machine's own.
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

from tests.benchmarks.builds import SAMPLE, Run, timed_build, times
from tests.benchmarks.floor import floor_seconds
from tests.benchmarks.idle import Idle, idle
from tests.benchmarks.scale import report, scale

SIZES = (1, 4, 10)
FLOOR_AT = 10
CORES = os.cpu_count() or 1
SECTIONS = ("own", "growth", "idle", "scale")
EPISODES = (10_000, 100_000)  # of the driver alone


def videos(folder: Path) -> list[tuple[str, float]]:
    """(path, frames/s) of every video of the datasets in a folder."""
    return [
        (str(path), float(json.loads(info.read_text())["fps"]))
        for info in sorted(folder.rglob("meta/info.json"))
        for path in sorted(info.parents[1].rglob("*.mp4"))
    ]


def against(title: str, build: Run, floor: tuple[float, float]) -> Iterator[str]:
    """Build over floor, and where the work goes."""
    video, forward = floor
    yield f"## Against the floor: {title}"
    yield ""
    yield f"{build.episodes} episodes, {build.frames} frames, {build.pictures} pictures embedded."
    yield f"Floor {video + forward:.1f} s: {video:.1f} s to decode and encode, {forward:.1f} s of forward passes."
    yield f"Build {build.seconds:.1f} s."
    yield f"**Build / floor = {build.seconds / (video + forward):.2f}**"
    yield ""
    yield "| stage | work, s | share | over the floor's |"
    yield "| --- | --- | --- | --- |"
    total = sum(build.work.values())
    under = {"observe": video * CORES, "embed": forward * CORES}
    for stage, seconds in build.work.items():
        ratio = f"{seconds / under[stage]:.2f}" if stage in under else ""
        yield f"| {stage} | {seconds:.1f} | {seconds / total:.0%} | {ratio} |"
    yield f"| start-up, scheduling, waiting (all cores) | {build.seconds * CORES - total:.1f} | | |"
    yield ""


def growth(runs: dict[int, Run]) -> Iterator[str]:
    """Cost and memory by size."""
    yield "## As the corpus grows"
    yield ""
    yield "| episodes | build, s | s an episode | work, s an episode | largest worker, MB | driver, MB |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for run in runs.values():
        memory = f"{max(run.peak.values()) / 1e6:.0f} | {run.driver_peak / 1e6:.0f}"
        each = f"{run.seconds / run.episodes:.3f} | {sum(run.work.values()) / run.episodes:.3f}"
        yield f"| {run.episodes} | {run.seconds:.1f} | {each} | {memory} |"
    one, four, ten = (runs[size] for size in SIZES)
    wall = (ten.seconds / ten.episodes) / (one.seconds / one.episodes) - 1
    later = ((ten.seconds - four.seconds) / (ten.episodes - four.episodes)) / (
        (four.seconds - one.seconds) / (four.episodes - one.episodes)
    ) - 1
    work = (sum(ten.work.values()) / ten.episodes) / (sum(one.work.values()) / one.episodes) - 1
    memory = max(four.peak.values()) / max(one.peak.values()) - 1
    driver = four.driver_peak / one.driver_peak - 1
    yield ""
    yield f"1x to 10x: {wall:+.0%} wall time an episode, {work:+.0%} work. One episode more costs {later:+.0%}"
    yield "between 4x and 10x against between 1x and 4x (start-up left out)."
    yield f"1x to 4x: {memory:+.0%} memory of the largest worker, {driver:+.0%} of the driver."
    yield ""


def reruns(results: dict[int, Idle]) -> Iterator[str]:
    """Builds that find nothing to do."""
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


def measure(sections: tuple[str, ...], own: Path | None, number: int, folder: Path) -> Iterator[str]:
    """Run the sections; lines of Markdown, and progress on standard error."""
    if own is not None and "own" in sections:
        build = timed_build(times(own.resolve(), number, folder), folder / "corpus")
        floor = floor_seconds(videos(own) * number, build.pictures, CORES)
        print(build, floor, file=sys.stderr, flush=True)
        yield from against(f"recordings given by --source, {number} times", build, floor)
    if "growth" in sections:
        runs = {}
        for size in SIZES:
            runs[size] = timed_build(times(SAMPLE, size, folder), folder / "corpus")
            print(runs[size], file=sys.stderr, flush=True)
            if size == FLOOR_AT:
                floor = floor_seconds(videos(SAMPLE) * size, runs[size].pictures, CORES)
                print(floor, file=sys.stderr, flush=True)
        yield from against("the sample, 256x256", runs[FLOOR_AT], floor)
        yield from growth(runs)
    if "idle" in sections:
        results = {}
        for episodes in (100, 1_000, 10_000):
            results[episodes] = idle(episodes, folder)
            print(results[episodes], file=sys.stderr, flush=True)
        yield from reruns(results)
    if "scale" in sections:
        yield from report([scale(episodes, folder) for episodes in EPISODES])


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure builds; print Markdown.")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--only", choices=SECTIONS, action="append")
    parser.add_argument("--source", type=Path, help="a folder of LeRobot datasets, to measure on them too")
    parser.add_argument("--times", type=int, default=1, help="how many times it is named")
    asked = parser.parse_args()
    machine = f"{CORES} cores ({platform.machine()}), Python {platform.python_version()}"
    more = "Where the time goes beyond the floor, what was tried, how far these figures vary: `performance.md`."
    lines = ["# Benchmarks", "", f"`make bench`, {datetime.date.today()}, {machine}.", more, ""]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        lines += measure(tuple(asked.only or SECTIONS), asked.source, asked.times, Path(folder))
    text = "\n".join(lines).rstrip() + "\n"
    print(text)
    if asked.write:
        asked.write.parent.mkdir(exist_ok=True)
        asked.write.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
