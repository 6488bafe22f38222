"""What `corpus tune-segment` learns of annotators who mark otherwise, made from the sample's truth.

In: signals of the sample. Out: Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from stages.segment import SegmentConfig
from stages.segment.agreement import Counts, boundaries
from stages.segment.stage import timebase
from stages.segment.tracks import tracks_of
from stages.segment.tuning import TOLERANCE_S, Labelled, labelled, tune
from tests.benchmarks.segmentation import truth
from tests.benchmarks.segmentation.baselines import Episode
from tests.benchmarks.segmentation.episodes import Logs

Phases = list[tuple[int, int, str]]
Annotator = Callable[[Phases, Episode], list[float]]
LATE_S = 0.7
EPISODES = 10
COLUMNS = (
    "annotator", "what won", "untuned, held-out", "tuned, held-out", "predicted / true",
    "cross-validated: untuned", "scale", "weights", "weights gain",
)  # fmt: skip


def _starts(*kept: str) -> Annotator:
    """An annotator who marks where phases begin, all of them or some kinds."""

    def marks(phases: Phases, episode: Episode) -> list[float]:
        spans = zip(truth.in_seconds(phases, episode), phases, strict=False)
        times = [start for (start, _), (*_, phase) in spans if not kept or phase in kept]
        return [t for t in times if episode.times[0] < t < episode.end]

    return marks


def _late(phases: Phases, episode: Episode) -> list[float]:
    return [t + LATE_S for t in _starts()(phases, episode) if t + LATE_S < episode.end]


ANNOTATORS: dict[str, Annotator] = {
    "the truth": _starts(),
    "coarser": _starts("grasp", "missed_grasp", "lift", "retract"),
    "hands alone": _starts("grasp", "missed_grasp", "release", "reopen"),
    "later": _late,
}


def section(logs: Logs) -> list[str]:
    """Each annotator's ten episodes of the tasks that are not held out, tested on those that are."""
    names = list(truth.sample_spans(False))
    chosen = [names[i] for i in np.random.default_rng(1).permutation(len(names))[:EPISODES]]
    lines = [
        "## Learned from ten episodes",
        "",
        "`corpus tune-segment` on ten episodes of the other tasks, tested on the held-out ones: F1 at 0.5 s of L1. The",
        "annotators are made from the truth: as it is; subtasks alone (a grasp begins, is over, the hand has let go);",
        f"changes of the hand alone; everything {LATE_S} s late.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "| --- " * len(COLUMNS) + "|",
    ]
    config = SegmentConfig()
    for name, marks in ANNOTATORS.items():
        model = tune(_episodes(logs, False, chosen, marks), "L1", config)
        test = _episodes(logs, True, truth.sample_spans(True), marks)
        plain, tuned = (_scored(test, c) for c in (config, config.model_copy(update={"model": model})))
        f1 = {k: f"{t.f1:.2f}" for k, t in model.tried.items()}
        low, high = model.tried["weights"].better
        cells = [
            name, model.kind, f"{plain.f1:.3f}", f"**{tuned.f1:.3f}**", f"{tuned.predicted / tuned.true:.2f}",
            f1["untuned"], f1["scale"], f1["weights"], f"{low:+.2f} to {high:+.2f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _episodes(logs: Logs, held_out: bool, names: Iterable[str], marks: Annotator) -> list[Labelled]:
    spans, config = truth.sample_spans(held_out), SegmentConfig()
    return [
        labelled(n, logs.signals[n], timebase(logs.alignments[n]), np.array(marks(spans[n], logs.episode(n))), config)
        for n in names
    ]


def _scored(episodes: Iterable[Labelled], config: SegmentConfig) -> Counts:
    found = Counts()
    for e in episodes:
        frames = tracks_of(e.signals, e.clock, config)[0].levels["L1"].frames[1:-1]
        found += boundaries(e.clock.start[frames], e.true, TOLERANCE_S)
    return found
