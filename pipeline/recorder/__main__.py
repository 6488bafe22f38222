"""Records the sample: ``python -m pipeline.recorder --out pipeline/sample --seed 0``.

In: a seed. Out: two LeRobot v3.0 datasets (``cell_a``, ``cell_b``) and ``truth.parquet``.
Episodes are recorded in parallel processes and written in the order of the plan.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path

from stages.train.simulation.environment import FPS

from .tasks import episode_plans


def main() -> None:
    """Read the command line and record."""
    parser = argparse.ArgumentParser(prog="pipeline.recorder", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the sample")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=None, help="only the first N")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    os.environ.setdefault("MUJOCO_GL", "egl")

    from .dataset import LAG_FRAMES, write_dataset
    from .truth_table import write_truth
    from .worker import Recording, record_job

    plans = episode_plans(options.seed, options.episodes)
    cells: dict[str, list[Recording]] = {cell: [] for cell in LAG_FRAMES}
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, context.Pool(options.workers) as pool:
        jobs = [(plan, options.seed, folder) for plan in plans]
        for recording in pool.imap(record_job, jobs):
            cells[recording.plan.cell].append(recording)
            seconds = len(recording.state) / FPS
            plan = recording.plan
            print(f"{plan.cell} {plan.task} {seconds:.1f} s, attempt {recording.attempts}")
        options.out.mkdir(parents=True, exist_ok=True)
        for cell, recordings in cells.items():
            shutil.rmtree(options.out / cell, ignore_errors=True)
            if recordings:
                write_dataset(options.out / cell, cell, recordings)
        write_truth(options.out / "truth.parquet", cells)


if __name__ == "__main__":
    main()
