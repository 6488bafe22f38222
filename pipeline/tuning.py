"""`corpus tune-segment`: from a corpus and a file of people's spans to a model that `segment.model` takes.

In: a corpus built to `align` at least, label files. Out: a `SegmentModel` and its YAML.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import yaml

from pipeline import reviewed
from pipeline.corpus.view import Corpus
from pipeline.labels import LabelError, read
from schemas.alignments import AlignmentRow
from schemas.episodes import Label
from schemas.signals import SignalRow
from stages.episode import signals_of
from stages.segment import SegmentConfig
from stages.segment.labels import accept, place
from stages.segment.model import Level, SegmentModel
from stages.segment.stage import timebase
from stages.segment.tuning import Labelled, labelled

LEVELS: tuple[Level, ...] = ("L2", "L1", "L0")
FEWEST = 3  # episodes: each is left out once
ENDS_S = 0.05  # an edge so near to where the episode begins or ends is that, written down in rounded seconds


@dataclass(frozen=True, slots=True)
class Lesson:
    """What there is to learn from: labelled episodes, the level of their spans, the corpus' own configuration, and the
    labels that cannot be used, each with why."""

    level: Level
    episodes: list[Labelled]
    config: SegmentConfig
    refused: list[tuple[Label, str]]


def lesson(corpus: Corpus, files: Sequence[str], level: str | None, review: bool = False) -> Lesson:
    """What the spans in these files teach of; review: and episodes that were judged on the review page, of which no
    file speaks. Raises LabelError where they and the corpus do not fit together."""
    given = {**(reviewed.labels_of(corpus) if review else {}), **read(files, everything=True)}
    labels = {name: [x for x in own if x.track == "all"] for name, own in given.items()}
    found = [k for k in LEVELS if any(x.level == k for own in labels.values() for x in own)]
    wanted = [k for k in found if level in (None, k)]
    if len(wanted) != 1:
        some = f"hold {', '.join(found)}" if found else "hold no span of L2, L1 or L0"
        raise LabelError(f"the labels {some}: give --level with one of them" if found else f"the labels {some}")
    own = {name: [x for x in spans if x.level == wanted[0]] for name, spans in labels.items()}
    own = {name: spans for name, spans in own.items() if spans}
    config = SegmentConfig.model_validate({**corpus.manifest["config"]["segment"], "labels": (), "model": None})
    refused: list[tuple[Label, str]] = []
    ready = list(_labelled(corpus, own, config, refused))
    if len(ready) < FEWEST:
        missing = sorted(own.keys() - {e.name for e in ready})[:3]
        raise LabelError(
            f"{len(ready)} labelled episodes of {len(own)} are in the corpus, at least {FEWEST} are needed"
            + (f"; not there, or without a boundary inside: {', '.join(missing)}" if missing else "")
        )
    return Lesson(wanted[0], ready, config, refused)


def _labelled(
    corpus: Corpus, labels: dict[str, list[Label]], config: SegmentConfig, refused: list[tuple[Label, str]]
) -> Iterator[Labelled]:
    alignments = {a["episode_id"]: cast("AlignmentRow", a) for a in corpus.table("alignments", list(labels)).to_dicts()}
    for name in sorted(alignments):
        alignment = alignments[name]
        clock = timebase(alignment)
        shown = [c["frame_index"] for c in alignment["cameras"] if c["name"] == alignment["reference_camera"]]
        frames = np.asarray(shown[0], dtype=np.int64) if shown else None
        placed = [place(x, clock.start, clock.end, frames) for x in labels[name]]
        accepted, out = accept(placed, len(clock.start))
        refused += out
        edges = {f for own in accepted.values() for p in own for f in (p.start, p.end)}
        starts = np.append(clock.start, clock.end)
        times = starts[sorted(edges)]
        true = times[(times > starts[0] + ENDS_S) & (times < starts[-1] - ENDS_S)]
        if len(true):
            signals = signals_of(cast("list[SignalRow]", corpus.table("signals", [name]).to_dicts()))
            yield labelled(name, signals, clock, true, config)


def written(model: SegmentModel) -> str:
    """The model as YAML."""
    head = "# What corpus tune-segment learned; segment.model=THIS FILE cuts by it.\n"
    return head + yaml.safe_dump(model.model_dump(mode="json"), sort_keys=False, width=110)


def summary(model: SegmentModel) -> list[str]:
    """Lines for people: what was tried, what won, what it says."""
    names = {"untuned": "untuned", "scale": "scale and delay alone", "weights": "weights of evidence"}
    lines = ["boundary F1 at 0.5 s on episodes left out, with 95 % intervals:"]
    for key, tried in model.tried.items():
        low, high = tried.interval
        gain = "" if key == "untuned" else f", gains {tried.better[0]:+.2f} to {tried.better[1]:+.2f}"
        lines.append(
            f"  {names[key]:22s} {tried.f1:.2f} [{low:.2f}, {high:.2f}], {tried.ratio:.2f} of the true number{gain}"
        )
    return [*lines, *model.says]
