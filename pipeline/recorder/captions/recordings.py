"""The recordings that the sample's captioner is trained on: simulated like the sample, with other seeds and looks.

In: a number of episodes, a seed. Out: examples (`examples.Example`). Signals go through the pipeline itself, up to
segment, so that the spans and facts of a question are those of a build; only the few frames that questions show are
rendered, several times over with other looks.
"""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
import numpy.typing as npt
from rich.console import Console

from pipeline.captioner.examples import Example, save
from pipeline.config import load
from pipeline.corpus.tables import by_episode
from pipeline.corpus.view import Corpus
from pipeline.recorder.captions.truth import PLACES, Told, event_answer, name_answer
from pipeline.recorder.tasks import TASKS, VAGUE_PHRASES, EpisodePlan
from schemas.alignments import ALIGNMENTS, AlignmentRow
from schemas.episodes import EPISODES, EpisodeRow
from schemas.events import EVENTS, EventRow
from schemas.ids import episode_id
from schemas.signals import SIGNALS, SignalRow
from schemas.table import Table
from stages.caption.vlm.asking import asking
from stages.episode import both_arms, signals_of

if TYPE_CHECKING:
    from pipeline.recorder.captions.looks import Scenery

R = TypeVar("R")
CELL = "cell_a"  # whose log is not late: what a look shows is drawn anew for each
CAMERAS = ("left", "right", "wrist")
ASKED = 2  # events of an episode and look that are asked about
WORDINGS = (  # besides the recorder's own
    "please take care of the {thing}", "it is about the {thing} this time", "handle the {thing} as shown",
    "the {thing}, as always", "now the {thing}", "do your work with the {thing}",
)  # fmt: skip
VAGUE = (*VAGUE_PHRASES, "do it again", "go on", "as usual, please", "one more time", "")


@dataclass(frozen=True, slots=True)
class Simulated:
    """An episode without a look: what is needed to render any frame of it. qpos [N, nq] at 80 Hz."""

    plan: EpisodePlan
    seed: tuple[int, ...]
    qpos: npt.NDArray[np.float64]
    hand_path: npt.NDArray[np.float64]
    state: npt.NDArray[np.float32]
    action: npt.NDArray[np.float32]
    phases: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """The corpus's rows of an episode."""

    episode: EpisodeRow
    signals: list[SignalRow]
    alignment: AlignmentRow
    events: list[EventRow]


def plans(number: int, seed: int) -> list[EpisodePlan]:
    """Episodes of all tasks alike, misses as often as in the sample."""
    rng = np.random.default_rng([seed, 11])
    found = []
    for i in range(number):
        spec = TASKS[i % len(TASKS)]
        missed = int(spec.missed > 0 and rng.random() < 0.35)
        found.append(EpisodePlan(CELL, spec.name, i, str(rng.choice(spec.colours)), "", False, missed))
    return found


def simulated(job: tuple[EpisodePlan, int]) -> Simulated | None:
    """One episode; None where no attempt is good."""
    from pipeline.recorder.simulation import simulate
    from pipeline.recorder.truth import phases
    from pipeline.recorder.worker import ATTEMPTS, rejection, rows

    warnings.filterwarnings("ignore")
    plan, seed = job
    for attempt in range(ATTEMPTS):
        key = (seed, 77, plan.repeat, attempt)
        episode = simulate(plan, np.random.default_rng(key))
        if rejection(episode) is None:
            state, action = rows(episode)
            told = tuple((p.start, p.end, p.name) for p in phases(episode))
            return Simulated(plan, key, episode.qpos, episode.hand_pos, state, action, told)
    return None


def examples(number: int, looks: int, seed: int, folder: Path, workers: int) -> Iterator[Example]:
    """Examples of `number` episodes, each shown with several looks; `folder` takes the datasets on the way."""
    os.environ.setdefault("MUJOCO_GL", "egl")
    os.environ.setdefault("LP_NUM_THREADS", "1")  # of the software renderer: a process a core is faster
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        done = [s for s in pool.imap(simulated, [(p, seed) for p in plans(number, seed)]) if s is not None]
        print(f"{len(done)} of {number} episodes simulated", flush=True)
        _write(folder / "recorded", done)
        found = _segmented(folder, len(done))
        jobs = [(one, rows, looks, seed) for one, rows in zip(done, found, strict=True) if rows]
        for own in pool.imap(shown, jobs):
            yield from own


def _write(root: Path, done: Sequence[Simulated]) -> None:
    """A LeRobot dataset of signals alone."""
    from pipeline.recorder.dataset import write_dataset
    from pipeline.recorder.worker import Recording

    recordings = [Recording(s.plan, s.state, s.action, [], [], {}, 1) for s in done]
    write_dataset(root, CELL, recordings, cameras=())


def _segmented(folder: Path, count: int) -> list[Rows | None]:
    """Rows of each episode, in order."""
    from pipeline.build.driver import Build

    root = str(folder / "corpus")
    config = load(None, ["run.workers=2"])
    Build(root, config, Console(stderr=True, quiet=True)).run([str(folder / "recorded")], until="segment")
    corpus = Corpus(root)

    def of(table: Table[R]) -> dict[str, list[R]]:
        return cast("dict[str, list[R]]", by_episode(root, table, corpus.parts(table.name)))

    episodes, signals, alignments, events = of(EPISODES), of(SIGNALS), of(ALIGNMENTS), of(EVENTS)
    found: list[Rows | None] = []
    for number in range(count):
        name = episode_id("recorded", number)
        own = both_arms(events.get(name, []))
        found.append(Rows(episodes[name][0], signals[name], alignments[name][0], own) if own else None)
    return found


def shown(job: tuple[Simulated, Rows, int, int]) -> list[Example]:
    """Examples of one episode in several looks: its thing, and some of its events."""
    from pipeline.recorder.captions.looks import Scenery

    one, rows, looks, seed = job
    scenery = Scenery(one.plan, np.random.default_rng(one.seed))
    found = []
    for look in range(looks):
        found += _in_a_look(one, rows, scenery, np.random.default_rng([seed, 13, one.plan.repeat, look]))
    return found


def _in_a_look(one: Simulated, rows: Rows, scenery: Scenery, rng: np.random.Generator) -> list[Example]:
    from pipeline.recorder.captions.looks import pictures

    spec = one.plan.spec
    colour = str(rng.choice(spec.colours))
    thing = f"{colour} {spec.noun}"
    said = str(rng.choice([*spec.phrases, *spec.phrases, *WORDINGS])).format(colour=colour, noun=spec.noun, thing=thing)
    if rng.random() < 0.5:
        said = str(rng.choice(VAGUE))
    most = 2 if rng.random() < 0.8 else 3
    episode: EpisodeRow = {**rows.episode, "task": said}
    asked = asking(episode, signals_of(rows.signals), rows.alignment, rows.events, CAMERAS, most)
    names, some = asked.handlings()[:1], asked.asked()
    some = [some[i] for i in sorted(rng.choice(len(some), min(ASKED, len(some)), replace=False))]
    seen = pictures(scenery, one.qpos, one.hand_path, asked.frames(names, some), colour, rng)
    told = Told(one.phases, thing, PLACES.get(one.plan.task, ("", "")))
    found = [Example(asked.name(handling, seen), name_answer(told)) for handling in names]
    for event in some:
        known = thing if rng.random() < 0.9 else ""
        answer = event_answer(told, event["start_frame"], event["end_frame"])
        found.append(Example(asked.event(event, known, seen), answer))
    return found


def record(number: int, looks: int, seed: int, folder: Path, workers: int) -> int:
    """Write the examples into `folder`; how many they are."""
    return save(folder / "examples", examples(number, looks, seed, folder, workers))
