"""`make eval`: trains the baselines on a release of whole episodes, tries them in the simulator, writes a page.

    python -m stages.train.closed_loop --shards CORPUS [--tasks pick-place-v3 ...] [--episodes 20] [--write page.html]

In: a release of whole episodes with environment states (shard.level=L3). Out: success by policy and task with 95 %
intervals, on the terminal and on the page. Needs the extra `sample`.
"""

from __future__ import annotations

import argparse
import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch

from stages.train.closed_loop.figures import Tried, shown, telling
from stages.train.closed_loop.page import Clip, page
from stages.train.examples import Examples, examples
from stages.train.policies import Nearest, Replay, Settings, fit
from stages.train.policy import Policy
from stages.train.rollout import Mode, TowerPolicy, load
from stages.train.simulation.evaluate import Outcome, evaluate, rollout
from stages.train.simulation.tasks import TASKS

CAMERA, SIDE = "left", 128
SKIP = 2  # of the pictures every second is shown: ten a second

TOWERS = "two towers"
MODES: tuple[Mode, ...] = ("event", "unified")
MAKERS: dict[str, Callable[[Examples, torch.Generator], Policy]] = {
    "two-step regression": lambda own, generator: fit(own, Settings(head="two_step"), generator),
    "behaviour cloning": lambda own, generator: fit(own, Settings(head="cloning"), generator),
    "nearest neighbour": lambda own, _: Nearest(own),
    "open-loop replay": lambda own, _: Replay(own),
}


def main() -> None:
    given = _arguments()
    torch.set_num_threads(1)
    own = examples(given.shards, Settings().horizon, ("train",), "L1")
    tasks = given.tasks or tasks_of(own)
    if not tasks:
        raise SystemExit(f"no demonstration of a task that the simulator has; it has {', '.join(TASKS)}")
    seeds = range(given.first, given.first + given.episodes)
    tried: dict[str, list[Outcome]] = {}
    made: dict[str, Policy] = {}
    sight: dict[str, tuple[tuple[str, ...], int]] = {}  # cameras that a policy sees by, and their pictures' side
    for name in given.baselines:
        begun = time.monotonic()
        made[name] = MAKERS[name](own, torch.Generator().manual_seed(given.seed))
        trained = time.monotonic()
        tried[name] = evaluate(made[name], tasks, seeds, processes=given.processes)
        say(name, tried[name], trained - begun, time.monotonic() - trained)
    for name, policy in towers(given.run):
        begun = time.monotonic()
        made[name], (cameras, side) = policy, (policy.facts.cameras, policy.facts.side)
        sight |= {name: (cameras, side)} if cameras else {}
        tried[name] = evaluate(policy, tasks, seeds, processes=given.processes, cameras=cameras, side=side)
        say(name, tried[name], 0.0, time.monotonic() - begun)
    print(shown(tried))
    if given.write:
        given.write.parent.mkdir(parents=True, exist_ok=True)
        shots = clips(tried, made, sight)
        given.write.write_text(page(tried, shots, about(own, tasks, seeds, given.seed, given.run)), encoding="utf-8")
        print(f"written: {given.write}")
        if given.run:
            print(f"written: {on_the_runs_page(given.run, clips(of_towers(tried), made, sight))}")


def say(name: str, outcomes: Sequence[Outcome], training: float, episodes: float) -> None:
    done = sum(outcome.success for outcome in outcomes)
    print(f"{name}: {done} of {len(outcomes)}; {training:.0f} s to train, {episodes:.0f} s of episodes", flush=True)


def towers(run: Path | None) -> Iterator[tuple[str, TowerPolicy]]:
    """A trained run's model by events and by windows."""
    if run is None:
        return
    from stages.train.simulation.look import TRAINING, calibration

    for mode in MODES:
        policy = load(run, mode=mode)
        if not policy.tells and (mode == "event" or policy.by_captions):
            print(f"{TOWERS}, {mode}: the run has no stage text, so that nothing tells it the event")
            continue
        facts = policy.facts
        known = calibration(TRAINING, facts.side)["cameras"] if facts.cameras else {}
        policy.calibrate({name.removeprefix("observation.images."): own for name, own in known.items()})
        yield f"{TOWERS}, {mode}", policy


def of_towers(tried: Tried) -> Tried:
    """Without the baselines: a run's page shows its own rollouts, whatever a baseline has done already."""
    return {name: outcomes for name, outcomes in tried.items() if name.startswith(TOWERS)}


def on_the_runs_page(run: Path, shots: Sequence[Clip]) -> Path:
    """Adds rollouts to the page of a run."""
    from stages.train.run import page as runs

    folder = run / "rollouts"
    folder.mkdir(exist_ok=True)
    entries = []
    for number, own in enumerate(shots):
        name = f"{number:02d}.mp4"
        (folder / name).write_bytes(base64.b64decode(own.uri.partition(",")[2]))
        note = f"{'done' if own.success else 'not done'} after {own.seconds:.1f} s, start {own.seed}"
        entries.append({"file": name, "title": f"{own.task}, {own.policy}:", "note": note})
    (folder / "rollouts.json").write_text(json.dumps(entries, indent=1))
    return runs.write(run)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m stages.train.closed_loop", description=__doc__)
    parser.add_argument("--shards", nargs="+", required=True, help="releases of whole episodes, or corpora")
    parser.add_argument(
        "--tasks", nargs="+", choices=list(TASKS), help="of the simulator (all that have demonstrations)"
    )
    parser.add_argument("--episodes", type=int, default=20, help="a task (20)")
    parser.add_argument("--first", type=int, default=0, help="number of the first start (0)")
    parser.add_argument("--seed", type=int, default=0, help="of the training (0)")
    parser.add_argument("--processes", type=int, default=1, help="for the episodes; the outcomes are the same (1)")
    parser.add_argument("--run", type=Path, help="folder of a trained run, whose model is tried beside them")
    parser.add_argument("--baselines", nargs="*", choices=list(MAKERS), default=list(MAKERS), help="(all)")
    parser.add_argument("--write", type=Path, help="the page")
    return parser.parse_args()


def tasks_of(own: Examples) -> list[str]:
    """The simulator's tasks whose instruction some demonstration has."""
    there = {own.texts[number] for number in set(own.task.tolist())}
    return [name for name, task in TASKS.items() if task.instruction in there]


def about(own: Examples, tasks: Sequence[str], seeds: range, seed: int, run: Path | None) -> list[str]:
    """What the figures on the page rest on."""
    return [
        f"{len(set(own.episode.tolist()))} demonstrations, {len(own):,} instants, of {len(tasks)} tasks. A policy sees "
        "the hand, the objects' poses and the goal, and says velocities and the gripper for the next instants.",
        f"{len(seeds)} episodes a task from starts {seeds.start} to {seeds.stop - 1}, which no demonstration has; 20 s "
        f"each at most. Trained once, with seed {seed}: another training would differ.",
        *(
            [f"The two towers are those of {run.name}, which its own page tells of; they see what it was trained on."]
            if run
            else []
        ),
    ]


def clips(tried: Tried, made: dict[str, Policy], sight: Mapping[str, tuple[tuple[str, ...], int]]) -> list[Clip]:
    """The telling rollouts once more, with pictures. Needs PyAV."""
    from stages.train.run import clips as videos
    from stages.train.simulation.world import World

    found = []
    for name, outcome in telling(tried):
        world = World(outcome.task, *sight.get(name, ((CAMERA,), SIDE)))
        pictures = rollout(made[name], world, outcome.seed, keep_pictures=True).pictures
        seen = pictures.get(CAMERA, next(iter(pictures.values())))
        uri = videos.uri(videos.mp4(torch.from_numpy(seen[::SKIP]), 20 / SKIP))
        told = world.instruction
        found.append(Clip(outcome.task, told, name, outcome.seed, outcome.success, outcome.seconds, uri))
    return found


if __name__ == "__main__":
    main()
