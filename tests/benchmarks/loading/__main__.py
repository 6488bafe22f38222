"""`make bench-load`: the loader beside bare decoding and LeRobotDataset, in training, its memory, a plan of a million
samples; writes docs/loader.md.

LeRobot is measured where `make check-exports` has made its environment. Some five minutes.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.builds import SAMPLE
from tests.benchmarks.loading import measures, training
from tests.conftest import ROOT
from tests.exports.environments import NAMES

PAIRS, WINDOWS, HORIZON = 5, 150, 16
SOURCE = SAMPLE / "cell_a"
LEROBOT = ROOT / f".venv/exports-{NAMES[0]}/bin/python"
BACKENDS = ("torchcodec", "pyav")
WHOLE = ("shard.level=L3", "shard.keep=1", "shard.alpha=1", "shard.recovery_share=0")


def built(folder: Path, *settings: str) -> str:
    """A release of the source, by the sample's configuration."""
    command = [ROOT / ".venv/bin/corpus", "build", "--source", f"cell_a={SOURCE}", "--corpus", folder]
    command += ["--config", ROOT / "pipeline/configs/sample.yaml", *(a for s in settings for a in ("--set", s))]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return str(folder / "shards/latest")


def lerobot(backend: str) -> dict[str, float] | str:
    """Its figures, or why there are none."""
    if not LEROBOT.exists():
        return "not installed here: make check-exports"
    command = [
        str(LEROBOT),
        "tests/benchmarks/loading/lerobot_reader.py",
        str(SOURCE),
        backend,
        str(WINDOWS),
        str(HORIZON),
    ]
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"it fails here: {done.stderr.strip().splitlines()[-1][:120]}"
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def decoding(release: str) -> Iterator[str]:
    yield "## Beside bare decoding"
    yield ""
    yield "Pictures a second of one core: the same clips decoded to RGB in turn, bytes at hand, and the loader with"
    yield "all that it does (tar, JSON, arrays, batches of 8 whole events, three cameras, no worker process)."
    yield f"In turn, {PAIRS} times; the ratio is the median of the pairs'."
    yield ""
    yield "| | pictures/s of a core | of bare decoding |"
    yield "| --- | --- | --- |"
    kinds = {
        "batches of like length": {"bucket": True},
        "padded batches": {},
        "packed rows of 128 frames": {"pack": 128},
    }
    works = {name: measures.events(release, **settings) for name, settings in kinds.items()}
    works["decord, bare as well"] = measures.by_decord(release)
    floor = measures.bare(release)
    for work in (floor, *works.values()):
        work()
    rounds = [
        (measures.timed(floor), {name: measures.timed(work) for name, work in works.items()}) for _ in range(PAIRS)
    ]
    yield f"| PyAV, bare | {statistics.median(own for own, _ in rounds):,.0f} | |"
    for name in works:
        ratio = statistics.median(found[name] / own for own, found in rounds)
        yield f"| {name} | {statistics.median(found[name] for _, found in rounds):,.0f} | **{ratio:.2f}** |"


def beside_lerobot(release: str, episodes: str) -> Iterator[str]:
    yield "## Beside LeRobotDataset"
    yield ""
    yield f"The {SOURCE.name} half of the sample: the dataset itself, read by lerobot (AV1, as recorded); its corpus."
    yield f"Windows: {HORIZON} actions and the pictures of three cameras at one frame, at {WINDOWS} random frames; one"
    yield "process, one thread; pictures a second of CPU time, medians of three turns."
    yield ""
    yield "| | pictures/s of a core | against it |"
    yield "| --- | --- | --- |"
    chunk, whole = measures.windows(episodes, WINDOWS, HORIZON), measures.events(release, bucket=True)
    turns: dict[str, list[float]] = {}
    failed: dict[str, str] = {}
    for _ in range(3):
        for backend in BACKENDS:
            found = lerobot(backend)
            if isinstance(found, str):
                failed[backend] = found
            else:
                turns.setdefault(f"LeRobotDataset {found['lerobot']}, {backend}", []).append(
                    found["windows"] * found["cameras"]
                )
        turns.setdefault("the loader, random windows of whole episodes", []).append(3 * measures.timed(chunk))
        turns.setdefault("the loader, whole events", []).append(measures.timed(whole))
    peers = [name for name in turns if name.startswith("LeRobot")]
    best = max((statistics.median(turns[name]) for name in peers), default=None)
    for name, values in turns.items():
        own = statistics.median(values)
        against = (
            "" if best is None else f"{own / best:.2f}" if name in peers else f"**{own / best:.1f} times the quicker**"
        )
        yield f"| {name} | {own:,.0f} | {against} |"
    for backend, why in failed.items():
        yield f"| LeRobotDataset, {backend} | {why} | |"
    yield ""
    yield "lerobot 0.6.1 has no reader of Lance."


def held(release: str) -> Iterator[str]:
    yield "## Memory"
    yield ""
    for workers in (0, 2):
        found = measures.memory(release, 6, workers)
        shown = ", ".join(f"{value:.0f}" for value in found)
        words = f"- {workers} workers, MB that only these processes have, after each of six epochs"
        yield f"{words} (batches of 8 whole events): {shown}"


def plan() -> Iterator[str]:
    own = measures.million()
    yield "## A plan of a million samples"
    yield ""
    yield f"{own.megabytes:.0f} MB of plan.npz, read in {own.read:.1f} s into {own.memory:.0f} MB; order of an epoch"
    yield f"{own.order:.1f} s, a condition by `where` {own.where:.1f} s, `alpha` over 256 x 256 clusters"
    yield f"{own.alpha:.1f} s."


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    measures.one_thread()
    with tempfile.TemporaryDirectory() as folder:
        release, episodes = built(Path(folder, "events")), built(Path(folder, "episodes"), *WHOLE)
        parts = (
            decoding(release), training.lines(release), beside_lerobot(release, episodes), held(release), plan()
        )  # fmt: skip
        about = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        lines = ["# The loader", "", f"Measured by `make bench-load` on {datetime.date.today()}, {about}."]
        for part in parts:
            lines.append("")  # (a part's first line is its heading)
            for line in part:
                lines.append(line)
                print(line, flush=True)
    if given.write:
        given.write.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
