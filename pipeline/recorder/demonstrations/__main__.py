"""Records a training set: ``python -m pipeline.recorder.demonstrations --out training-set --per-task 30 --seed 0``.

In: a seed, how many demonstrations a task. Out: a LeRobot v3.0 dataset. Demonstrations are recorded in parallel
processes and written in the order of their plans, so that the number of processes does not matter.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.recorder.demonstrations.card import card
from pipeline.recorder.demonstrations.plans import plans
from stages.train.simulation.environment import FPS
from stages.train.simulation.look import STOCK_CAMERA, TRAINING, calibration
from stages.train.simulation.tasks import EASY, HARD, TASKS

if TYPE_CHECKING:
    from pipeline.recorder.worker import Recording


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pipeline.recorder.demonstrations", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the dataset; what is there goes")
    parser.add_argument("--tasks", nargs="+", default=[*HARD, *EASY], choices=list(TASKS))
    parser.add_argument("--per-task", type=int, default=30, help="demonstrations of each task with a grasp")
    parser.add_argument("--easy-per-task", type=int, help="of each task without; as a rule half as many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cameras", nargs="+", default=list(STOCK_CAMERA), choices=list(STOCK_CAMERA))
    parser.add_argument("--no-pictures", action="store_true", help="signals alone")
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def main() -> None:
    """Read the command line and record."""
    wanted = options()
    os.environ.setdefault("MUJOCO_GL", "egl")
    os.environ.setdefault("SVT_LOG", "1")  # the encoder's errors alone
    os.environ.setdefault("LP_NUM_THREADS", "1")  # of the software renderer: a process a core is faster
    from pipeline.recorder.dataset import write
    from pipeline.recorder.demonstrations.record import SIDE, keys_of, record

    easy = wanted.per_task // 2 if wanted.easy_per_task is None else wanted.easy_per_task
    counts = {name: wanted.per_task if TASKS[name].grasp else easy for name in wanted.tasks}
    cameras = () if wanted.no_pictures else tuple(wanted.cameras)
    recordings: list[Recording] = []
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, context.Pool(wanted.workers) as pool:
        jobs = [(plan, wanted.seed, folder, cameras) for plan in plans(counts, wanted.seed)]
        for recording in pool.imap(record, jobs):
            recordings.append(recording)
            plan, seconds = recording.plan, len(recording.state) / FPS
            print(
                f"{len(recordings)}/{len(jobs)} {plan.task} {seconds:.1f} s, attempt {recording.attempts}", flush=True
            )
        shutil.rmtree(wanted.out, ignore_errors=True)
        said = (
            f"--seed {wanted.seed} --per-task {wanted.per_task} --easy-per-task {easy}",
            f"--cameras {' '.join(cameras)}" if cameras else "--no-pictures",
            f"--tasks {' '.join(wanted.tasks)}",
        )
        seen = calibration(TRAINING, SIDE)
        seen["cameras"] = {name: seen["cameras"][name] for name in keys_of(cameras)}
        write(wanted.out, recordings, keys_of(cameras), seen, card(wanted.out.name, said, recordings))
    print(f"{len(recordings)} demonstrations in {wanted.out}; a corpus of them as the trainer wants it:")
    print(f"  corpus build --source {wanted.out} --config pipeline/configs/training.yaml")


if __name__ == "__main__":
    main()
