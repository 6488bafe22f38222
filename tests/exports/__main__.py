"""What other packages make of a corpus: `make check-exports`, which writes docs/exports.md.

In: a corpus with a release. Out: its export opened and trained on by the lerobot package, its release trained on
through `layout="lerobot"` and opened by Megatron Energon, and trained on over http by the base install alone, each in
an environment of its own; figures as Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.exports.environments import NoPython, environments
from tests.exports.environments import base as base_of
from tests.load.server import serving

ROOT = Path(__file__).parents[2]
STEPS = 50
PAGE = Path(__file__).with_name("page.md")  # with places for the figures


def run(python: Path | str, *arguments: str, also: bool = False) -> dict[str, Any]:
    """The JSON on the last line of what a command prints; also: with this project on its path. Raises SystemExit."""
    more = {"PYTHONPATH": str(ROOT)} if also else {}
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [str(python), *arguments],
        cwd=ROOT,
        env={**os.environ, **more, **quiet},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}\n{' '.join(arguments)} failed")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measured(corpus: Path, shown: str, made: dict[str, Path]) -> dict[str, Any]:
    """All figures that PAGE has places for."""
    release = corpus / "shards/latest"
    with tempfile.TemporaryDirectory() as folder:
        out, began = Path(folder, "lerobot"), time.perf_counter()
        command = [sys.executable, "-m", "pipeline", "export", "lerobot", "--corpus", str(corpus), "--to", str(out)]
        subprocess.run(command, cwd=ROOT, check=True)
        seconds = time.perf_counter() - began
        size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
        check = "tests/exports/lerobot_check.py"
        datasets = {}
        for path in sorted(out.iterdir()):
            datasets[path.name] = run(made["lerobot"], check, "open", str(path))
            print(path.name, datasets[path.name], flush=True)
        first = sorted(datasets)[0]
        one = run(made["lerobot"], check, "train", "--steps", "1", "--dataset", str(out / first))
        print(one, flush=True)
    many = run(made["lerobot"], check, "train", "--steps", str(STEPS), "--release", str(release), also=True)
    print(many, flush=True)
    energon = run(made["energon"], "tests/exports/energon_check.py", str(release))
    print(energon, flush=True)
    with serving(corpus) as served:
        url = f"{served.url}/shards/latest"
        base = {what: run(made["base"], "tests/exports/base_check.py", what, url) for what in ("train", "resume")}
    print(base, flush=True)
    version = subprocess.run([made["lerobot"], "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "python": version,
        "corpus": shown,
        "megabytes": size / 1e6,
        "export_s": seconds,
        "lerobot": many["lerobot"],
        "torch": many["torch"],
        "datasets": "\n".join(_line(name, about) for name, about in datasets.items()),
        "batch": many["batch"],
        "trained_on": first,
        "one_steps": one["steps"],
        "one_losses": _losses(one),
        "one_s": one["seconds"],
        "steps": many["steps"],
        "losses": _losses(many),
        "train_s": many["seconds"],
        "base_packages": ", ".join(base["train"]["packages"]),
        "base_torch": base["train"]["torch"],
        "base_steps": base["train"]["steps"],
        "base_first": base["train"]["first"],
        "base_last": base["train"]["last"],
        "torchdata": base["resume"]["torchdata"],
        "stops": base["resume"]["stops"],
        "epoch_batches": base["resume"]["batches"],
        "energon": energon["energon"],
        "energon_torch": energon["torch"],
        "train": energon["opened"]["train"]["samples"],
        "events": energon["opened"]["train"]["events"],
        "val": energon["opened"]["val"]["samples"],
        "tars": energon["tars"],
        "offsets": energon["prepared"]["offsets"],
        "samples": energon["prepared"]["samples"],
        "parts": energon["prepared"]["sample_parts"],
    }


def _line(name: str, about: dict[str, Any]) -> str:
    keys = ("robot", "episodes", "frames", "cameras", "pictures", "tasks", "events", "subtasks")
    return f"| {name} | {' | '.join(str(about[key]) for key in keys)} |"


def _losses(about: dict[str, Any]) -> str:
    return ", ".join(f"{loss:.2f}" for loss in about["losses"])


def main() -> None:
    """Run all, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--of", default="pipeline/sample", help="what it was built of, for the page")
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    try:
        made = environments(given.environments.absolute()) | {"base": base_of(given.environments.absolute())}
    except NoPython as error:
        raise SystemExit(f"check-exports: {error}") from error
    figures = measured(given.corpus.absolute(), given.of, made)
    page = PAGE.read_text().format(**figures)
    if given.write:
        given.write.write_text(page)
    else:
        print(page)


if __name__ == "__main__":
    main()
