"""`make bench-closed-loop-pixels`: the policy from pictures on two tasks; writes its section of docs/closed-loop.md.

In: a release of whole episodes with pictures (`make sample-train`). Out: success by task with intervals. Each seed
trains anew and is tried from starts of its own. Outcomes are kept as they come, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import fill

import numpy as np
import torch

from stages.train.experiments.statistics import mean
from stages.train.policies.network import parameters
from stages.train.policies.pictures import Seen, seen
from stages.train.policies.pixel_fit import pixel_fit
from stages.train.policies.pixels import PixelSettings
from stages.train.simulation.evaluate import evaluate, interval
from stages.train.simulation.tasks import TASKS

WANTED = ("pick-place-v3", "button-press-topdown-v3")
SEEDS, EPISODES = 3, 25
FIRST = 30_000
"""Number of the first start; the one trial that settled the number of steps was of starts 10,000 and on."""
ASKED = 0.30
HEADING = "## From pictures"

SECTION = """\
{heading}

Written by `make bench-closed-loop-pixels` on {date}.

Two tasks, {told}; {given.seeds} trainings, each tried from {given.episodes} starts a task of its own, which no
demonstration has. Episodes, limits and success are those of above. The policy is shown {views} at {own.side} px, the
robot's own state (hand, its velocity, gripper) and the instruction as hashed words; where things are, and the dark mark
that a puck is to be put on, it has to see. A small convolutional network a camera and the two-step head have
{size:.2f} million parameters together: {settings.steps:,} steps of {settings.batch} rows, AdamW from {settings.rate:g}
down to nothing along a cosine, a running mean of the weights, pictures moved by up to {own.shift} px; {seconds:.0f} s
of one core. Idle rows are left out. It was settled by one trial, with another seed from other starts (10,000 on), on
the same demonstrations.

Share of successes. In brackets: 95 % by Wilson's score over all {of} episodes of a task, as if they were of one policy.
Behind ±: 95 % by Student's t over the trainings. Neither speaks of other demonstrations: all trainings had the same.

{table}

Pick-place {reached} the {asked:.0f} % that were asked for{surely}.
"""


@dataclass(frozen=True, slots=True)
class Part:
    """One training: its successes by task, of so many episodes each; seconds of a core; demonstrations by task."""

    seed: int
    successes: dict[str, int]
    episodes: int
    seconds: float
    parameters: int
    demonstrations: dict[str, int]


def demonstrations(own: Seen) -> dict[str, int]:
    """How many of each task."""
    held = own.examples
    numbers = {task: held.texts.index(TASKS[task].instruction) for task in WANTED}
    return {task: len(np.unique(held.episode[held.task == number])) for task, number in numbers.items()}


def measured(given: argparse.Namespace, settings: PixelSettings) -> list[Part]:
    """All parts; those in the file `given.parts` are not measured again."""
    parts = [Part(**json.loads(line)) for line in given.parts.read_text().splitlines()] if given.parts.exists() else []
    missing = [seed for seed in range(given.seeds) if seed not in {part.seed for part in parts}]
    if not missing:
        return parts
    own = seen(
        given.shards,
        [TASKS[task].instruction for task in WANTED],
        settings.cameras,
        settings.side,
        settings.regression.horizon,
    )
    for seed in missing:
        begun = time.process_time()
        policy = pixel_fit(own, settings, torch.Generator().manual_seed(seed), watch=_progress)
        spent = time.process_time() - begun
        starts = range(FIRST + seed * given.episodes, FIRST + (seed + 1) * given.episodes)
        outcomes = evaluate(
            policy, WANTED, starts, processes=given.processes, cameras=settings.cameras, side=settings.side
        )
        done = {task: sum(o.success for o in outcomes if o.task == task) for task in WANTED}
        size = parameters(policy.network)
        parts.append(Part(seed, done, given.episodes, spent, size, demonstrations(own)))
        given.parts.parent.mkdir(parents=True, exist_ok=True)
        with given.parts.open("a", encoding="utf-8") as file:
            print(json.dumps(asdict(parts[-1])), file=file)
        print(f"seed {seed}: {done} of {given.episodes}", flush=True)
    return parts


def _progress(step: int, loss: float) -> None:
    if step % 200 == 0:
        print(f"step {step}: loss {loss:.2f}", flush=True)


def section(parts: Sequence[Part], given: argparse.Namespace, settings: PixelSettings) -> str:
    """Markdown. Raises ValueError where parts are of unlike episodes or demonstrations."""
    if len({(part.episodes, tuple(part.demonstrations.items())) for part in parts}) > 1:
        raise ValueError("parts are of unlike episodes or demonstrations: they make no one table")
    of, counts = sum(part.episodes for part in parts), parts[0].demonstrations
    lines = [
        "| task | all | " + " | ".join(f"seed {part.seed}" for part in parts) + " |",
        "| --- | --- |" + " --- |" * len(parts),
    ]
    sums = {task: sum(part.successes[task] for part in parts) for task in WANTED}
    for task in WANTED:
        low, high = interval(sums[task], of)
        each = " | ".join(f"{part.successes[task]} of {part.episodes}" for part in parts)
        spread = mean([part.successes[task] / part.episodes for part in parts]).half
        said = f"**{100 * sums[task] / of:.0f} %** ± {100 * spread:.0f} ({100 * low:.0f} to {100 * high:.0f})"
        lines.append(f"| {task} | {said} | {each} |")
    share = sums[WANTED[0]] / of
    spread = mean([part.successes[WANTED[0]] / part.episodes for part in parts]).half
    surely = share - spread > ASKED and interval(sums[WANTED[0]], of)[0] > ASKED
    text = SECTION.format(
        heading=HEADING,
        date=datetime.date.today().isoformat(),
        told=", ".join(f"{counts[task]} demonstrations of {task}" for task in WANTED),
        views=" and ".join(f"the {name} camera" for name in settings.cameras),
        own=settings,
        settings=settings.regression,
        given=given,
        size=parts[0].parameters / 1e6,
        seconds=sum(part.seconds for part in parts) / len(parts),
        of=of,
        table="\n".join(lines),
        reached="is above" if share > ASKED else "is not above",
        asked=100 * ASKED,
        surely=", by both intervals" if surely else "",
    )
    return "\n\n".join(part if part[0] in "|#" else fill(part, 120) for part in text.strip().split("\n\n")) + "\n"


def section_of(page: str) -> str:
    """A page's section from pictures, up to the next heading of its rank; empty where it has none."""
    found = re.search(rf"^{HEADING}\n.*?(?=^##? |\Z)", page, re.MULTILINE | re.DOTALL)
    return found.group().rstrip() + "\n" if found else ""


def with_section(page: str, own: str) -> str:
    """The page with this section at its end, in place of the one that it has."""
    held = section_of(page).rstrip()
    rest = (page.replace(held, "").replace("\n\n\n\n", "\n\n") if held else page).rstrip() or "# Closed loop"
    return f"{rest}\n\n{own.rstrip()}\n" if own else f"{rest}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", nargs="+", required=True)
    parser.add_argument("--parts", type=Path, required=True, help="JSONL of what has been measured")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--episodes", type=int, default=EPISODES)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--write", type=Path, help="a page that is to have the section")
    given = parser.parse_args()
    torch.set_num_threads(1)
    settings = PixelSettings()
    text = section(measured(given, settings), given, settings)
    print(text)
    if given.write:
        page = given.write.read_text(encoding="utf-8") if given.write.exists() else ""
        given.write.write_text(with_section(page, text), encoding="utf-8")


if __name__ == "__main__":
    main()
