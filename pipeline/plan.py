"""The plan: which items each stage must cover, under which fingerprints, and how missing ones are grouped into units.

In: the survey, the configuration and the states of earlier stages. Out: {item: fingerprint} per stage, and `Unit`s.
An episode set aside by a stage is not asked of the next one. Fingerprints chain: a stage's includes those of its
inputs; observe hangs on the video file alone, so that no other change decodes it again.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pipeline.config import CorpusConfig
from pipeline.fingerprint import fingerprint
from pipeline.ledger import OK, State
from pipeline.survey import Survey
from pipeline.work import Unit
from schemas.labels import Label
from stages import align, caption, cluster, embed, ingest, observe, segment, storage
from stages.align.lag import Decision
from stages.ingest.lerobot import CameraRef, Dataset
from stages.observe.stage import Span

Wanted = dict[str, str]
EPISODE_STAGES = ("ingest", "observe", "lag", "align", "segment", "caption", "embed")
STAGES = (*EPISODE_STAGES, "cluster", "shard")
INPUTS = {  # tables that a stage reads, and the stage that wrote each
    "lag": {"episodes": "ingest", "signals": "ingest", "observations": "observe"},
    "align": {"episodes": "ingest", "signals": "ingest", "observations": "observe", "lags": "lag"},
    "segment": {"episodes": "ingest", "signals": "ingest", "alignments": "align"},
    "caption": {"episodes": "ingest", "signals": "ingest", "alignments": "align", "events": "segment"},
    "embed": {
        "signals": "ingest",
        "observations": "observe",
        "alignments": "align",
        "events": "segment",
        "captions": "caption",
    },
    "shard": {
        "episodes": "ingest",
        "signals": "ingest",
        "observations": "observe",
        "alignments": "align",
        "events": "segment",
        "captions": "caption",
    },
}
VIDEO_FILES_PER_UNIT = 8
UNITS_PER_WORKER = 16  # where there is so much: a stage ends with its last unit, and others wait for a long one


class Plan:
    """What a build wants. `wanted[stage]` grows as the stages before it are done."""

    def __init__(
        self, survey: Survey, config: CorpusConfig, labels: Mapping[str, Sequence[Label]] | None = None
    ) -> None:
        self.survey, self.config = survey, config
        self.labels = labels or {}  # of people, by episode, from the files of segment.labels
        self.wanted: dict[str, Wanted] = {}
        self.states: dict[str, State] = {}
        self.decisions: dict[str, Decision] = {}

    def want(self, stage: str) -> Wanted:
        """{item: fingerprint} of a stage; the states of the stages before it must be known."""
        self.wanted[stage] = getattr(self, f"_want_{stage}")()
        return self.wanted[stage]

    def missing(self, stage: str) -> list[str]:
        """Items without a commit, or whose failure may pass."""
        state = self.states[stage]
        return [i for i, print_ in self.wanted[stage].items() if state.status(i, print_) in (None, "retry")]

    def alive(self, stage: str) -> list[str]:
        """Episodes that a stage has done and not set aside."""
        state, wanted = self.states[stage], self.wanted[stage]
        return [i for i, print_ in wanted.items() if state.status(i, print_) == OK]

    def parts(self, stage: str, episodes: Iterable[str]) -> dict[str, dict[str, list[str]]]:
        """{table: {part: items}} of a stage's inputs for these episodes."""
        chosen = list(episodes)
        result = {}
        for table, source in INPUTS[stage].items():
            names = [f"{e}@{c.name}" for e in chosen for c in self.cameras(e)] if source == "observe" else chosen
            wanted = self.wanted[source]
            result[table] = self.states[source].files(table, [(n, wanted[n]) for n in names if n in wanted])
        return result

    def media(self, episodes: Iterable[str]) -> dict[str, str]:
        """{path of a proxy: its sha256} of these episodes: what is read is held against it."""
        chosen, state = set(episodes), self.states["observe"]
        items = [f"{e}@{c.name}" for e in chosen for c in self.cameras(e)]
        keys = [(i, self.wanted["observe"][i]) for i in items if i in self.wanted["observe"]]
        commits = {state.done[key][1].unit: state.done[key][1] for key in keys if key in state.done}
        return {
            path: file.sha256
            for commit in commits.values()
            for path, file in commit.files.items()
            if path.endswith(".mp4") and path.removeprefix("media/").rsplit("/", 1)[0] in chosen
        }

    def cameras(self, episode: str) -> tuple[CameraRef, ...]:
        return self.survey.episodes[episode].cameras if self.config.ingest.video == "require" else ()

    def units(self, stage: str, missing: list[str], workers: int) -> list[Unit]:
        """Missing items in units: several a worker, so that the last ones end together; at most a part's worth each."""
        if stage == "observe":
            return self._observe_units(missing, workers)
        if stage == "ingest":
            groups = _by(missing, lambda e: self.survey.episodes[e].source)
        else:
            groups = {"": missing}
        size = min(self.config.run.episodes_per_part, max(1, -(-len(missing) // (UNITS_PER_WORKER * workers))))
        return [
            self.unit(stage, chunk)
            for group in groups.values()
            for chunk in (group[i : i + size] for i in range(0, len(group), size))
        ]

    def unit(self, stage: str, items: list[str]) -> Unit:
        """One unit of these items."""
        wanted = self.wanted[stage]
        pairs = tuple((i, wanted[i]) for i in items)
        source_of = {i: self.survey.episodes[i.split("@")[0]].source for i in items}
        return Unit(stage, pairs, self._payload(stage, items), source_of)

    def _payload(self, stage: str, items: list[str]) -> dict[str, Any]:
        if stage == "ingest":
            name = self.survey.episodes[items[0]].source
            references = [self.survey.episodes[i] for i in items]
            return {
                "dataset": self.survey.datasets[name],
                "layout": self.survey.layouts[name],
                "references": references,
            }
        if stage == "observe":
            files = _by(items, self._video_uri)
            return {"files": {uri: [self._span(item) for item in members] for uri, members in files.items()}}
        payload: dict[str, Any] = {"parts": self.parts(stage, items)}
        if stage == "align":
            payload["decisions"] = self.decisions
        if stage == "segment":
            payload["labels"] = {i: self.labels[i] for i in items if i in self.labels}
        if stage == "embed":
            payload["media"] = self.media(items)
        return payload

    def _observe_units(self, missing: list[str], workers: int) -> list[Unit]:
        """A video file is never split: that is what makes it one decode."""
        files = list(_by(missing, self._video_uri).values())
        size = min(VIDEO_FILES_PER_UNIT, max(1, len(files) // (UNITS_PER_WORKER * workers)))
        return [
            self.unit("observe", [item for members in files[i : i + size] for item in members])
            for i in range(0, len(files), size)
        ]

    def _video_uri(self, item: str) -> str:
        file = self._camera(item).file
        assert file is not None  # _want_observe leaves absent files out
        return file.uri

    def _camera(self, item: str) -> CameraRef:
        episode, camera = item.split("@")
        return next(c for c in self.cameras(episode) if c.name == camera)

    def _span(self, item: str) -> Span:
        reference, camera = self.survey.episodes[item.split("@")[0]], self._camera(item)
        fps = self.survey.datasets[reference.source].fps
        stem = f"{reference.episode_id}/{camera.name}-{self.wanted['observe'][item][:8]}"
        return Span(reference.episode_id, camera.name, camera.from_s, camera.to_s, fps, stem)

    def _want_ingest(self) -> Wanted:
        shared = {
            name: fingerprint(
                ingest.VERSION,
                self.config.ingest,
                layout,
                dataclasses.replace(
                    dataset,
                    ranges={},
                    tasks={},
                    notes=(),
                    lost_entries={},
                    subtasks=_subtasks(dataset, self.config.ingest.labels),
                ),
            )
            for (name, dataset), layout in zip(self.survey.datasets.items(), self.survey.layouts.values(), strict=True)
        }
        tasks = {name: fingerprint(dataset.tasks) for name, dataset in self.survey.datasets.items()}
        return {
            i: fingerprint("ingest", shared[r.source], r, None if r.task else tasks[r.source])
            for i, r in self.survey.episodes.items()
        }

    def _want_observe(self) -> Wanted:
        """Cameras with a file; an episode that ingest refused needs no proxy, but its file may hold others' frames."""
        wanted = {}
        shared = fingerprint("observe", observe.VERSION, self.config.observe)
        for episode in self.alive("ingest"):
            fps = self.survey.datasets[self.survey.episodes[episode].source].fps
            for camera in self.cameras(episode):
                if camera.file is not None:
                    wanted[f"{episode}@{camera.name}"] = fingerprint(
                        shared, camera.file, camera.from_s, camera.to_s, fps
                    )
        return wanted

    def _want_lag(self) -> Wanted:
        wanted, state = self.wanted["observe"], self.states["observe"]
        result = {}
        shared = fingerprint("lag", align.VERSION, self.config.align)
        for episode in self.alive("ingest"):
            items = [f"{episode}@{c.name}" for c in self.cameras(episode)]
            if all(i in wanted and state.status(i, wanted[i]) == OK for i in items):
                inputs = [self.wanted["ingest"][episode], *(wanted[i] for i in items)]
                result[episode] = fingerprint(shared, inputs)
        return result

    def _want_align(self) -> Wanted:
        result = {}
        for episode in self.alive("lag"):
            d = self.decisions[self.survey.episodes[episode].source]
            result[episode] = fingerprint("align", self.wanted["lag"][episode], d.lag_frames, d.weak, d.disagrees)
        return result

    def _want_segment(self) -> Wanted:
        """Labels count one by one: marking an episode does that one again, wherever its label file lies."""
        config = self.config.segment.model_copy(update={"labels": ()})
        wanted = self._chain("segment", "align", segment.VERSION, config)
        marked = {e: fingerprint(wanted[e], self.labels[e]) for e in wanted.keys() & self.labels.keys()}
        return wanted | marked

    def _want_caption(self) -> Wanted:
        return self._chain("caption", "segment", caption.VERSION, self.config.caption)

    def _want_embed(self) -> Wanted:
        return self._chain("embed", "caption", embed.VERSION, self.config.embed)

    def _want_cluster(self) -> Wanted:
        inputs = sorted(self.wanted["embed"][e] for e in self.alive("embed"))
        if not inputs:
            return {}
        given = self.config.cluster.centroids
        frozen = hashlib.sha256(storage.read_bytes(storage.normalise(given))).hexdigest() if given else None
        return {"corpus": fingerprint("cluster", cluster.VERSION, self.config.cluster, frozen, inputs)}

    def _chain(self, stage: str, before: str, version: int, config: Any) -> Wanted:
        shared = fingerprint(stage, version, config)  # once: a model's dump costs more than all the rest
        return {e: fingerprint(shared, self.wanted[before][e]) for e in self.alive(before)}


def _subtasks(dataset: Dataset, level: str | None) -> Mapping[int, str]:
    """The words for subtasks where rows name them and somebody wants them: a change then redoes the source."""
    named = level is not None and any(f.column == "subtask_index" for f in dataset.features)
    return dataset.subtasks if named else {}


def _by(items: Iterable[str], key: Callable[[str], str]) -> Mapping[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
