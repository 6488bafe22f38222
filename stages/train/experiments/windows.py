"""Experiment 1: is a window that ends with its event better than a fixed one, and a caption than the task's words?

Two by two, on state: window (fixed chunk, event) x text (task, caption of the event), the same network, steps, batches
and executed actions; the event and its end told by a learned planner, and by an oracle beside it; fixed horizons as
controls. Each draw has demonstrations, initial weights and batches of its own; starts of the evaluation are the same
for all, and are none that steps or horizons were chosen on.

    python -m stages.train.experiments.windows --pool pool.npz --out windows.jsonl
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stages.train.experiments.cells import Cell, Result, run
from stages.train.experiments.events import Oracle, Planner, Teller
from stages.train.experiments.pool import Pool, looking_ahead, read, within_events
from stages.train.policies.fit import fit
from stages.train.policies.regression import RegressionPolicy, Settings
from stages.train.policy import Actions

if TYPE_CHECKING:
    from stages.train.simulation.world import Observation

DEMONSTRATIONS = 5  # a task: with 10 a fixed window under the task's words did 50 of 50 in a pilot
DRAWS = 8
STARTS = 20  # a task
FIRST_START = 500_000  # seeds of starts: none of a demonstration's, none that anything was chosen on
EXECUTE = 8
STEPS = 2000


@dataclass(frozen=True, slots=True)
class Condition:
    """window: fixed or event; text: task or caption; told: by whom (empty: nobody is asked)."""

    window: str
    text: str
    horizon: int = 16
    told: str = ""


CONDITIONS = {
    "fixed, task": Condition("fixed", "task"),
    "fixed, caption": Condition("fixed", "caption", told="planner"),
    "event, task": Condition("event", "task", told="planner"),
    "event, caption": Condition("event", "caption", told="planner"),
    "fixed, caption, oracle": Condition("fixed", "caption", told="oracle"),
    "event, task, oracle": Condition("event", "task", told="oracle"),
    "event, caption, oracle": Condition("event", "caption", told="oracle"),
    "fixed of 8, task": Condition("fixed", "task", 8),
    "fixed of 32, task": Condition("fixed", "task", 32),
    "event of 32, caption": Condition("event", "caption", 32, "planner"),
}


class Told:
    """A policy that is told its event: by an oracle after every step, so that it chooses anew where another one has
    begun, by a planner whenever it has done what it chose to do."""

    def __init__(self, policy: RegressionPolicy, condition: Condition, teller: Teller | None, fps: float) -> None:
        self.policy, self.condition, self.teller, self.fps = policy, condition, teller, fps
        self.reset()

    def reset(self) -> None:
        self.waiting: list[Actions] = []
        self.caption = ""
        if self.teller:
            self.teller.reset()

    def act(self, observation: Observation, instruction: str, next_event: str | None = None) -> Actions:
        own, count = self.condition, EXECUTE
        caption = ""
        if self.teller and (own.told == "oracle" or not self.waiting):
            now = self.teller.now(observation, instruction)
            caption = now.caption
            if own.window == "event" and np.isfinite(now.remaining_s):
                count = int(np.clip(round(now.remaining_s * self.fps), 1, EXECUTE))
        if not self.waiting or caption != self.caption:
            text = caption if own.text == "caption" else instruction
            chunk = self.policy.chunks(observation.state[None], observation.environment_state[None], [text])[0]
            self.waiting, self.caption = list(chunk[:count]), caption
        if own.told == "oracle":
            return self.waiting.pop(0)[None]
        done, self.waiting = np.stack(self.waiting), []
        return done


def policy_of(pool: Pool, cell: Cell, condition: Condition, counts: dict[str, int], steps: int) -> Told:
    """Trained on a draw; the planner and the network of two conditions of one draw start alike."""
    rng = np.random.default_rng([17, cell.draw])
    own = looking_ahead(pool.draw(counts, rng))
    generator = torch.Generator().manual_seed(1000 + cell.draw)
    trained = within_events(own) if condition.window == "event" else own
    settings = Settings(
        text="caption" if condition.text == "caption" else "task",
        horizon=condition.horizon,
        execute=EXECUTE,
        idle=True,  # rows at rest are left out of the pool already
        steps=steps,
    )
    policy = fit(trained, settings, generator, pool.embed)
    teller: Teller | None = None
    if condition.told == "planner":
        teller = Planner(own, pool, torch.Generator().manual_seed(2000 + cell.draw))
    elif condition.told == "oracle":
        teller = Oracle(own, looking_ahead(pool.examples))
    return Told(policy, condition, teller, own.fps)


def evaluated(policy: Any, tasks: dict[str, str], first: int, starts: int) -> dict[str, list[int]]:
    """{task: successes of each start}. tasks: {Meta-World's name: the text that the pool has for it}."""
    from stages.train.simulation.evaluate import rollout

    found = {}
    for name, text in tasks.items():
        world = _world(name)
        if world.instruction != text:
            raise ValueError(f"{name} is {world.instruction!r} to the simulator and {text!r} in the pool")
        found[name] = [int(rollout(policy, world, first + n).success) for n in range(starts)]
    return found


@cache
def _world(name: str) -> Any:
    from stages.train.simulation.world import World

    return World(name)


_read = cache(read)


def work(pool: Path, tasks: dict[str, str], starts: int, first: int, steps: int, cell: Cell) -> Result:
    condition = CONDITIONS[cell.condition]
    whole = _read(pool)
    policy = policy_of(whole, cell, condition, dict.fromkeys(tasks.values(), DEMONSTRATIONS), steps)
    found = evaluated(policy, tasks, first, starts)
    share = float(np.mean([np.mean(own) for own in found.values()]))
    return {"success": found, "share": share, "told": f"{100 * share:.0f} %"}


def tasks_of(names: tuple[str, ...]) -> dict[str, str]:
    """{Meta-World's name: its instruction}"""
    return {name: _world(name).instruction for name in names}


def arguments(name: str, about: str | None, draws: int, starts: int) -> argparse.ArgumentParser:
    """What all experiments are asked."""
    parser = argparse.ArgumentParser(prog=f"stages.train.experiments.{name}", description=about)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=draws)
    parser.add_argument("--starts", type=int, default=starts)
    parser.add_argument("--first", type=int, default=FIRST_START, help="seed of the first start")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=None, help="begin no cell after so many")
    return parser


def until(options: argparse.Namespace) -> float | None:
    """When the last cell may begin, of time.time()."""
    return None if options.minutes is None else time.time() + 60 * options.minutes


def main() -> None:
    from stages.train.simulation.world import HARD

    parser = arguments("windows", __doc__, DRAWS, STARTS)
    parser.add_argument("--conditions", nargs="+", default=list(CONDITIONS), choices=list(CONDITIONS))
    options = parser.parse_args()
    cells = [Cell(draw, condition) for draw in range(options.draws) for condition in options.conditions]
    job = partial(work, options.pool, tasks_of(HARD), options.starts, options.first, options.steps)
    run(cells, job, options.out, options.processes, until(options))


if __name__ == "__main__":
    main()
