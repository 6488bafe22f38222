"""`make soak`: break builds and corpora over and over, and hold what comes out to an undisturbed build.

Part 1: builds killed at every point of every publish, and at random moments; the same command again; the corpus must
then be the undisturbed one to the last byte. Part 2: wounds planted in tables, media, models, shards, commits, plan and
manifest; `corpus verify` must find each and `corpus repair` mend it, to the last byte. Part 3: datasets broken at
random (tests/faults/broken_inputs.py). Part 4: the property tests, with other and more examples than `make test` draws.
Prints a line a case; `--write F` writes the tally as Markdown. Exit code 1 if one case fails.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import logging
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from pipeline.cli import main as corpus_command
from pipeline.corpus.ledger import Ledger
from pipeline.corpus.verify import faults_of
from tests.corpora import contents
from tests.faults import broken_inputs
from tests.faults.builds import arguments, dataset, killed_after, killed_at
from tests.faults.corruption import plant
from tests.faults.crash import PHASES, Point

FOLDED = ("ingest", "observe", "embed")  # stages whose commits lie in checkpoints
WORKER_STAGES = ("ingest", "observe", "lag", "align", "segment", "caption", "embed", "cluster", "shard")
DRIVER_FILES = (
    "/ledger/vote/",
    "/ledger/samples/",
    "/shards/.*/index.parquet",
    "/shards/.*/plan.npz",
    "/shards/.*/.nv-meta/index.sqlite",
    "/shards/.*/.nv-meta/split.yaml",
    "/shards/.*/stats.json",
    "/shards/.*/README.md",
    "/shards/.*/manifest.json",
    "/shards/latest",
    "/plan.parquet",
    "/manifest.json",
)
MORE = (
    "/tables/signals/",
    "/tables/events/",
    r"/media/.*\.mp4",
    r"/media/.*\.jpg",
    r"/shards/.*\.tar$",
    r"/shards/.*\.tar\.idx",
    "/models/",
)


WORDS = """\
A kill is `kill -9` of the build's process group at a point of a publish (`begun`: half a temporary file is on disk;
`written`: a whole one, not renamed; `published`: right after the rename), or at a random moment; then the same
command again. Commits of three stages are folded into checkpoints, each copy of which is such a point. It passes if
all table rows, proxies, tars, index, statistics and manifest are those of an undisturbed build to the last byte,
`corpus verify` finds nothing, and after `corpus gc` no other file is there. A wound is damage to one file; it passes
if `corpus verify` names the file and `corpus repair` brings back the same bytes. An input is a dataset broken at
random, twenty in a build beside a whole one; it passes if the build ends without a traceback (also none in
quarantine) in five minutes, no process above 2 GB, and no intact episode is lost. Properties are the tests with drawn
examples, twenty times as many as in `make test`, other ones each time."""


@dataclass
class Case:
    """One thing done to a build or a corpus, and what came of it."""

    part: str
    group: str
    what: str
    fault: str  # empty: as it should be
    seconds: float


class Soak:
    """The undisturbed corpus and what others are held to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = dataset(folder / "logs", 4)
        self.undisturbed = folder / "undisturbed"
        self.run(*arguments(self.source, self.undisturbed))
        self.expected = contents(self.undisturbed)
        self.run("gc", "--corpus", str(self.undisturbed), "--releases")
        self.files = files(self.undisturbed)

    def run(self, *words: str) -> str:
        """`corpus WORDS` in this process: one Ray serves all."""
        result = CliRunner().invoke(corpus_command, list(words))
        if result.exit_code:
            raise AssertionError(f"corpus {words[0]} exits with {result.exit_code}: {result.output[-600:]}")
        return result.output

    def kills(self, random_kills: int) -> Iterator[Case]:
        places = [(f"/ledger/{stage}/", stage) for stage in WORKER_STAGES] + [(w, "driver") for w in DRIVER_FILES]
        points = [(Point(w, phase), g) for w, g in places for phase in PHASES if g != "driver" or phase != "written"]
        points += [(Point(where, phase), "files") for where in MORE for phase in ("begun", "written")]
        points += [
            (Point(f"/ledger/{stage}/checkpoint", phase, nth), "checkpoints")
            for stage in FOLDED
            for phase in PHASES
            for nth in (1, 2)
        ]
        for point, group in points:
            yield self._case("kill", group, f"{point.where} {point.phase}", lambda p=point: self._kill(p))
        chance = random.Random(0)
        for number in range(random_kills):
            seconds = chance.uniform(2.0, 16.0)
            yield self._case("kill", "random moment", f"{seconds:.1f} s, {number}", lambda s=seconds: self._kill(s))

    def _kill(self, where: Point | float) -> None:
        corpus = self.folder / "killed"
        shutil.rmtree(corpus, ignore_errors=True)
        words = arguments(self.source, corpus)
        died = killed_at(where, words) if isinstance(where, Point) else killed_after(where, words)
        if isinstance(where, Point):
            assert died, "the build did not come by this point"
        self.run(*words)
        assert contents(corpus) == self.expected, "another corpus than the undisturbed one"
        faults = faults_of(str(corpus))
        assert not faults, f"verify: {faults[:3]}"
        self.run("gc", "--corpus", str(corpus), "--releases")
        assert files(corpus) == self.files, "gc leaves what a killed build left behind"

    def wounds(self, number: int) -> Iterator[Case]:
        corpus = self.folder / "wounded"
        shutil.copytree(self.undisturbed, corpus, symlinks=True)
        self.run("gc", "--corpus", str(corpus), "--releases")
        for stage in FOLDED:
            Ledger(str(corpus)).fold(stage, least=0)
        for seed in range(number):
            yield self._case("wound", "", str(seed), lambda s=seed: self._wound(corpus, s))

    def _wound(self, corpus: Path, seed: int) -> None:
        path, done = plant(corpus, seed)
        self.last = (path.relative_to(corpus).parts[0] if path.parent != corpus else "plan, manifest", done)
        name = str(path.relative_to(corpus))
        tars = [t for t in (corpus / "shards/tars").iterdir() if path.exists() and t.samefile(path)]
        names = [name, *(str(t.relative_to(corpus)) for t in tars)]  # a tar of a release is one of these, linked
        faults = faults_of(str(corpus))
        assert any(n.startswith(f.where) for n in names for f in faults), (
            f"{name}, {done}: not found; verify says {faults[:3]}"
        )
        self.run("repair", "--corpus", str(corpus))
        assert contents(corpus) == self.expected, f"{name}, {done}: repaired to something else"
        assert not faults_of(str(corpus)), f"{name}, {done}: faults are left"

    def inputs(self, number: int) -> Iterator[Case]:
        for start in range(0, number, broken_inputs.BATCH):
            begun, seeds = time.monotonic(), range(start, min(start + broken_inputs.BATCH, number))
            found = broken_inputs.batch(self.folder / "broken", seeds)
            each = (time.monotonic() - begun) / len(found)
            for what, fault in found:
                yield Case("input", what.split(" ", 1)[-1].split("/")[0].split(":")[0], what, fault, each)

    def properties(self) -> Iterator[Case]:
        command = [sys.executable, "-m", "pytest", "-m", "hypothesis", "-q", "-p", "no:cacheprovider", "tests"]
        begun = time.monotonic()
        environment = {**os.environ, "HYPOTHESIS_PROFILE": "soak"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        tally = done.stdout.strip().splitlines()[-1]
        yield Case("property", "tests", tally, done.stdout[-3000:] if done.returncode else "", time.monotonic() - begun)

    def _case(self, part: str, group: str, what: str, run) -> Case:  # type: ignore[no-untyped-def]
        started = time.monotonic()
        fault = ""
        try:
            run()
        except (AssertionError, subprocess.TimeoutExpired) as error:
            fault = str(error)
        if part == "wound":
            group, what = self.last[0], f"{self.last[1]}, seed {what}"
        return Case(part, group, what, fault, time.monotonic() - started)


def files(corpus: Path) -> set[str]:
    """Every file but parts and commits, whose names tell how episodes were grouped."""
    every = (str(p.relative_to(corpus)) for p in corpus.rglob("*") if p.is_file())
    return {p for p in every if p.endswith(".tmp") or not p.startswith(("tables/", "ledger/", "ray.log"))}


def markdown(cases: list[Case], seconds: float) -> str:
    """The tally, dated."""
    lines = [
        "# Soak",
        "",
        f"`make soak`, {datetime.date.today()}, {os.cpu_count()} cores ({platform.machine()}), Python "
        f"{platform.python_version()}, {seconds / 60:.0f} min.",
        "",
        WORDS,
        "",
        "| | where | cases | passed |",
        "| --- | --- | --- | --- |",
    ]
    count = Counter((c.part, c.group) for c in cases)
    good = Counter((c.part, c.group) for c in cases if not c.fault)
    lines += [f"| {part} | {group} | {n} | {good[part, group]} |" for (part, group), n in count.items()]
    lines += [f"| all | | {len(cases)} | {sum(good.values())} |", ""]
    lines += [f"- Failed: {c.part} {c.group} {c.what}: {' '.join(c.fault.split())}"[:400] for c in cases if c.fault]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Break builds and corpora, and hold them to an undisturbed build.")
    parser.add_argument("--write", type=Path, help="Markdown file for the tally")
    parser.add_argument("--random-kills", type=int, default=10)
    parser.add_argument("--wounds", type=int, default=100)
    parser.add_argument("--inputs", type=int, default=200)
    asked = parser.parse_args()
    import ray

    from pipeline.build.session import SETTINGS

    os.environ.update(SETTINGS)
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    started, cases = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        soak = Soak(Path(folder))
        parts = (
            soak.kills(asked.random_kills), soak.wounds(asked.wounds), soak.inputs(asked.inputs), soak.properties(),
        )  # fmt: skip
        for case in itertools.chain(*parts):
            cases.append(case)
            print(f"{case.part} {case.group} {case.what}: {case.fault or 'ok'} ({case.seconds:.0f} s)", flush=True)
    text = markdown(cases, time.monotonic() - started)
    print(text)
    if asked.write:
        asked.write.parent.mkdir(exist_ok=True)
        asked.write.write_text(text)
    return 1 if any(c.fault for c in cases) else 0


if __name__ == "__main__":
    sys.exit(main())
