"""`make bench-closed-loop`: the baselines on the hard tasks, over draws of demonstrations; writes docs/closed-loop.md.

In: a release of whole episodes of many demonstrations a task. Out: success by policy and task. Each draw takes others
of the demonstrations, trains anew, and is tried from starts of its own, which all policies of the draw share. Outcomes
are kept as they come, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from stages.train.closed_loop.__main__ import MAKERS
from stages.train.examples import Examples, examples
from stages.train.experiments.statistics import Mean, difference, mean
from stages.train.policies import RegressionPolicy, Settings
from stages.train.policies.network import parameters
from stages.train.simulation.evaluate import evaluate, interval
from stages.train.simulation.world import HARD, TASKS
from tests.benchmarks.closed_loop.pixels import section_of, with_section

DRAWS, EPISODES, DEMONSTRATIONS = 5, 50, 30
FIRST = 20_000
"""Number of the first start; the settings were chosen on starts 10,000 and on."""
ASKED = 0.85
FEWEST = 3
"""Draws of which an interval is given: two may agree by chance, and look certain."""

PAGE = """\
# Closed loop from the state

Written by `make bench-closed-loop` on {date}.

The five Meta-World tasks that take a grasp, {given.demonstrations} demonstrations of each, {given.episodes} episodes a
task, {given.draws} draws. A draw takes its demonstrations from a pool ({rows:,} instants; a fifth of them miss their
first grasp and try again), trains with a seed of its own and is tried from starts of its own, which all policies of the
draw share and no demonstration has. Demonstrations come through the pipeline and the shard loader. An episode has 20 s;
it has succeeded once the task's own rule has held for a second, so that what is only carried past the goal has not.

A policy sees hand, velocity, opening, object poses, goal and their differences (36 numbers), and the instruction as
hashed words. Both regressions have one network of {size:.2f} million parameters: {settings.steps:,} steps of
{settings.batch} rows, AdamW at {settings.rate:g}, a running mean of the weights, chunks of {settings.horizon} actions,
{settings.execute} of them executed; {seconds:.0f} s of one core for the two steps. Steps and horizon were chosen on
other demonstrations and other starts. Rows on which nobody does anything (the hand is told to stand, the fingers have
long done what they were told) are left out, and chunks closed up over them.

Share of successes. In brackets: 95 % by Wilson's score over a task's {given.episodes} episodes of each draw. Behind ±:
95 % by Student's t over the draws, which speaks of other demonstrations too.

{table}

By draw, in percent:

{draws}

{verdicts}
"""


@dataclass(frozen=True, slots=True)
class Part:
    """One policy of one draw: its successes by task, of so many episodes each; seconds of training; parameters."""

    draw: int
    policy: str
    successes: dict[str, int]
    episodes: int
    seconds: float
    parameters: int

    @property
    def share(self) -> float:
        return sum(self.successes.values()) / (self.episodes * len(self.successes))


def drawn(own: Examples, count: int, draw: int) -> Examples:
    """So many demonstrations of each hard task, without repetition."""
    rng = np.random.default_rng([draw, 1])
    chosen: list[int] = []
    for task in HARD:
        there = np.unique(own.episode[own.task == own.texts.index(TASKS[task].instruction)])
        chosen += rng.choice(there, count, replace=False).tolist()
    return own.of_episodes(chosen)


def measured(own: Examples, given: argparse.Namespace) -> list[Part]:
    """All parts; those in the file `given.parts` are not measured again."""
    parts = [Part(**json.loads(line)) for line in given.parts.read_text().splitlines()] if given.parts.exists() else []
    there = {(part.draw, part.policy) for part in parts}
    for name in given.policies:
        for draw in range(given.draws):
            if (draw, name) in there:
                continue
            demonstrations = drawn(own, given.demonstrations, draw)
            begun = time.process_time()
            policy = MAKERS[name](demonstrations, torch.Generator().manual_seed(draw))
            spent = time.process_time() - begun
            first = FIRST + draw * given.episodes
            outcomes = evaluate(policy, HARD, range(first, first + given.episodes), processes=given.processes)
            done = {task: sum(o.success for o in outcomes if o.task == task) for task in HARD}
            size = parameters(policy.network) if isinstance(policy, RegressionPolicy) else 0
            parts.append(Part(draw, name, done, given.episodes, spent, size))
            with given.parts.open("a", encoding="utf-8") as file:
                print(json.dumps(asdict(parts[-1])), file=file)
            print(f"{name}, draw {draw}: {parts[-1].share:.1%}", flush=True)
    return parts


def page(parts: Sequence[Part], rows: int, given: argparse.Namespace) -> str:
    """Markdown. rows: instants of the pool."""
    by_name = {name: sorted((p for p in parts if p.policy == name), key=lambda p: p.draw) for name in MAKERS}
    by_name = {name: own for name, own in by_name.items() if own}
    learnt, settings = next(iter(by_name.values())), Settings()
    table = [["", "all", *(task.removesuffix("-v3") for task in HARD)]]
    draws = [["", *(str(draw) for draw in range(given.draws))]]
    for name, own in by_name.items():
        overall = mean([part.share for part in own])
        cells = [share([part.successes[task] for part in own], given.episodes) for task in HARD]
        table.append([name, f"**{100 * overall.value:.1f} %**{reach(overall)}", *cells])
        by_draw = {part.draw: f"{100 * part.share:.1f}" for part in own}
        draws.append([name, *(by_draw.get(draw, "-") for draw in range(given.draws))])
    return PAGE.format(
        date=datetime.date.today().isoformat(),
        given=given,
        rows=rows,
        settings=settings,
        size=learnt[0].parameters / 1e6,
        seconds=mean([part.seconds for part in learnt]).value,
        table=markdown(table),
        draws=markdown(draws),
        verdicts="\n".join(verdicts(by_name)),
    )


def reach(own: Mean) -> str:
    """Half of its interval; of fewer draws than FEWEST nothing."""
    return f" ± {100 * own.half:.1f}" if own.n >= FEWEST else ""


def share(successes: Sequence[int], of: int) -> str:
    low, high = interval(sum(successes), of * len(successes))
    return f"{100 * sum(successes) / (of * len(successes)):.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def markdown(table: Sequence[Sequence[str]]) -> str:
    head, *body = table
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *body))


def verdicts(by_name: dict[str, list[Part]]) -> Iterator[str]:
    """What the intervals say, in sentences."""
    first, *others = by_name
    reached = "reaches" if mean([part.share for part in by_name[first]]).value >= ASKED else "does not reach"
    yield f"The {first} {reached} the {ASKED:.0%} that were asked for. Against it, paired by draw:"
    yield ""
    for name in others:
        both = {part.draw for part in by_name[name]} & {part.draw for part in by_name[first]}
        gap = difference(*([p.share for p in by_name[which] if p.draw in both] for which in (name, first)))
        if gap.n < FEWEST:
            yield f"- {name}: {100 * gap.value:+.1f} points in as many draws as have been measured so far ({gap.n})"
            continue
        sure = ("better" if gap.value > 0 else "worse") if gap.resolved else "no difference that the draws resolve"
        yield f"- {name}: {100 * gap.value:+.1f} ± {100 * gap.half:.1f} points, {sure}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", nargs="+", required=True)
    parser.add_argument("--parts", type=Path, required=True, help="JSONL of what has been measured")
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--episodes", type=int, default=EPISODES)
    parser.add_argument("--demonstrations", type=int, default=DEMONSTRATIONS)
    parser.add_argument("--policies", nargs="+", default=list(MAKERS), choices=list(MAKERS))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    own = examples(given.shards, Settings().horizon, caption="L1")
    text = page(measured(own, given), len(own), given)
    print(text)
    if given.write:
        held = given.write.read_text(encoding="utf-8") if given.write.exists() else ""
        given.write.write_text(with_section(text, section_of(held)), encoding="utf-8")


if __name__ == "__main__":
    main()
