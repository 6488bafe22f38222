"""Experiment 2: does sampling that is balanced over the joint clusters help what is rare, and at whose cost?

Three tasks with 60, 12 and 3 demonstrations, the rare one in turn; instants are drawn by the weights of their events,
which the corpus's two clusterings give at alpha 1 (as recorded), 0.5 and 0 (clusters alike), by the loader's own
`weights.balanced`. The control has the labels of alpha 0 permuted among events: the same weights, on events that they
do not fit. Compared within a draw: the rare task's demonstrations move its success more than anything else does.

    python -m stages.train.experiments.balance --pool pool.npz --out balance.jsonl
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from stages.load.ordering.weights import balanced
from stages.train.examples import Examples
from stages.train.experiments.cells import Cell, Result, run
from stages.train.experiments.pool import read
from stages.train.experiments.windows import arguments, evaluated, tasks_of, until
from stages.train.policies.fit import fit
from stages.train.policies.regression import Settings

TASKS = ("assembly-v3", "shelf-place-v3", "bin-picking-v3")
COUNTS = {"head": 60, "middle": 12, "tail": 3}
DRAWS = 9
STARTS = 20  # a task
MAX_REPEATS = 50.0  # of an event: at 20:1 no less lets rare clusters have as much as others
CONDITIONS = {"alpha 1": (1.0, False), "alpha 0.5": (0.5, False), "alpha 0": (0.0, False), "permuted": (0.0, True)}


def roles(draw: int) -> dict[str, str]:
    """{role: task}: each task is the rare one in every third draw."""
    turned = TASKS[draw % 3 :] + TASKS[: draw % 3]
    return dict(zip(COUNTS, turned, strict=True))


def sampling(own: Examples, alpha: float, permuted: bool, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """float64[N]: weight of each instant, that of its event."""
    _, first, event = np.unique(own.event, return_index=True, return_inverse=True)
    clusters = own.clusters[first].astype(np.int32)
    if permuted:
        clusters = clusters[rng.permutation(len(clusters))]
    return np.asarray(balanced(clusters[:, 0], clusters[:, 1], alpha, MAX_REPEATS)[event])


_read = cache(read)


def work(pool: Path, texts: dict[str, str], starts: int, first: int, steps: int, cell: Cell) -> Result:
    whole, role = _read(pool), roles(cell.draw)
    rng = np.random.default_rng([23, cell.draw])
    own = whole.draw({texts[role[name]]: count for name, count in COUNTS.items()}, rng)
    alpha, permuted = CONDITIONS[cell.condition]
    weight = sampling(own, alpha, permuted, rng)
    settings = Settings(idle=True, steps=steps)
    policy = fit(own, settings, torch.Generator().manual_seed(3000 + cell.draw), whole.embed, weight)
    found = evaluated(policy, {task: texts[task] for task in role.values()}, first, starts)
    success = {name: found[task] for name, task in role.items()}
    share = weight / weight.sum()
    seen = {name: float(share[own.task == own.texts.index(texts[task])].sum()) for name, task in role.items()}
    told = ", ".join(f"{name} {100 * np.mean(success[name]):.0f} %" for name in role)
    return {"tasks": role, "success": success, "sampled": seen, "told": told}


def main() -> None:
    options = arguments("balance", __doc__, DRAWS, STARTS).parse_args()
    cells = [Cell(draw, condition) for draw in range(options.draws) for condition in CONDITIONS]
    job = partial(work, options.pool, tasks_of(TASKS), options.starts, options.first, options.steps)
    run(cells, job, options.out, options.processes, until(options))


if __name__ == "__main__":
    main()
