"""The plan: which items each stage must cover, under which fingerprints, and how missing ones are grouped into units.

In: the survey, the configuration and the states of earlier stages. Out, in columns: what is wanted of a stage, what is
missing (an anti-join with what is committed), and `Unit`s for that. An episode set aside by a stage is not asked of the
next one. Fingerprints chain: a stage's holds those of the stages whose tables it reads (`pipeline.stages.before`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import polars as pl
from pydantic import BaseModel

from pipeline.config import CorpusConfig
from pipeline.corpus import record
from pipeline.corpus.commit import OK, RETRY
from pipeline.corpus.ledger import Ledger
from pipeline.corpus.state import KEY, State, looked_up
from pipeline.corpus.tables import frame
from pipeline.stages import STAGES, Stages, before, writer_of
from schemas.episodes import Label
from schemas.table import Table
from stages.fingerprint import each_fingerprint, fingerprint
from stages.ingest.survey import Survey
from stages.review.overlay import Overlay
from stages.stage import Scope, Stage
from stages.work import Inputs, Unit

C = TypeVar("C", bound=BaseModel)
CORPUS = "corpus"  # the one item of a stage that sees the corpus as a whole
FILES_PER_UNIT = 8
AT_ONCE = 50_000  # rows of cameras that are grouped together
UNITS_PER_WORKER = 16  # where there is so much: a stage ends with its last unit, and others wait for a long one
SCHEMA = {"item": pl.String, "fingerprint": pl.String, "episode_id": pl.String, "source": pl.String}


class Plan:
    """What a build wants. `wanted[stage]` (item, fingerprint, episode_id, source; group where some items must not be
    parted) grows as the stages before it are done."""

    def __init__(
        self,
        survey: Survey,
        config: CorpusConfig,
        ledger: Ledger,
        labels: Mapping[str, Sequence[Label]] | None = None,
        stages: Stages = STAGES,
        review: Mapping[str, Overlay] | None = None,
    ) -> None:
        self.survey, self.all_config, self.ledger, self.stages = survey, config, ledger, stages
        self.review = review or {}  # what was decided on the review page, by episode
        # of people, by episode: the page's before those of the files of segment.labels, which it was shown
        self.labels = dict(labels or {})
        for episode, overlay in self.review.items():
            if overlay.labels:
                self.labels[episode] = (*overlay.labels, *self.labels.get(episode, ()))
        self.wanted: dict[str, pl.DataFrame] = {}
        self.states: dict[str, State] = {}
        self._answers: dict[str, tuple[pl.DataFrame, State, int, pl.DataFrame]] = {}

    def config(self, stage: Stage[C, Any]) -> C:
        return self.all_config.of(stage)

    def want(self, stage: Stage[Any, Any]) -> pl.DataFrame:
        """What is wanted of a stage; the stages before it must be done."""
        self.states[stage.name] = self.ledger.state(stage.name)
        found = stage.items(self) if stage.items else self._items(stage)
        if "fingerprint" not in found.columns:
            columns = [found[c] for c in found.columns if c.startswith("input") or c == "also"]
            found = found.with_columns(fingerprint=each_fingerprint(self.settings(stage), *columns))
        if stage.again:
            found = self._another_try(stage, found)
        if stage.serving:
            found = stage.serving(self, found)
        self.wanted[stage.name] = found.select(*SCHEMA, "^group$")
        return self.wanted[stage.name]

    def _another_try(self, stage: Stage[Any, Any], found: pl.DataFrame) -> pl.DataFrame:
        """Items that were done with something left open are wanted under another fingerprint, so that those after them
        are done again too."""
        open_ones = self.states[stage.name].with_figure(stage.again)
        while True:
            left = found.join(open_ones, on=["item", "fingerprint"], how="semi")["item"].implode()
            if not len(left[0]):
                return found
            digest = pl.col("fingerprint").map_elements(lambda p: fingerprint(p, stage.again), pl.String)
            again = pl.when(pl.col("item").is_in(left)).then(digest).otherwise(pl.col("fingerprint"))
            found = found.with_columns(fingerprint=again)

    def missing(self, stage: Stage[Any, Any]) -> pl.DataFrame:
        """Wanted items without a commit, or whose failure may pass."""
        status = self._answer(stage)["status"]
        return self.wanted[stage.name].filter(status.is_null() | (status == RETRY))

    def alive(self, stage: Stage[Any, Any]) -> pl.DataFrame:
        """Items that a stage has done and not set aside."""
        return self._done(stage).drop("unit")

    def _done(self, stage: Stage[Any, Any]) -> pl.DataFrame:
        """The same with the unit that did each."""
        found = self._answer(stage)
        return self.wanted[stage.name].with_columns(found["unit"]).filter((found["status"] == OK).fill_null(False))

    def _answer(self, stage: Stage[Any, Any]) -> pl.DataFrame:
        """status, unit of a stage's wanted items, in their order. Kept in place of the names in its state, which take
        ten times the room."""
        wanted, state = self.wanted[stage.name], self.states[stage.name]
        held = self._answers.get(stage.name)
        if held is None or held[0] is not wanted or held[1] is not state or held[2] != state.changes:
            held = wanted, state, state.changes, state.of(wanted).select("status", "unit")
            self._answers[stage.name] = held
            state.let_go()
        return held[3]

    def prints(self, stage: Stage[Any, Any], items: Sequence[str]) -> Mapping[str, str]:
        rows = self.wanted[stage.name].filter(pl.col("item").is_in(list(items)))
        return dict(rows.select("item", "fingerprint").iter_rows())

    def last(self, stage: Stage[Any, Any]) -> pl.DataFrame:
        digest = self._serving.get(stage.name)
        pairs = [] if digest is None else [(CORPUS, digest)]
        return pl.DataFrame(pairs, schema={"item": pl.String, "fingerprint": pl.String}, orient="row")

    @cached_property
    def _before(self) -> record.Manifest:
        """What the last build recorded; of a damaged plan its copy for people."""
        with suppress(record.NoCorpus, record.DamagedPlan):
            return record.manifest(self.ledger.root)
        return record.copy(self.ledger.root) or {}

    @property
    def _serving(self) -> dict[str, str]:
        """{stage of the corpus as a whole: fingerprint of its last work that came to an end}, of the last build."""
        return dict(self._before.get("serving", {}))

    def unchanged(self, stage: Stage[Any, Any]) -> bool:
        before = self._before.get("config", {}).get(stage.key)
        return bool(before == self.config(stage).model_dump(mode="json"))

    def serving(self) -> dict[str, str]:
        """The same after this build."""
        done = self._serving
        for stage in self.stages:
            if stage.name in self.wanted and stage.scope is Scope.CORPUS:
                for digest in self.alive(stage)["fingerprint"].to_list():  # one at most
                    done[stage.name] = digest
        return done

    def done(self, stage: Stage[Any, Any], items: pl.DataFrame) -> bool:
        return bool((self.states[stage.name].of(items)["status"] == OK).fill_null(False).all())

    def place(self, path: str) -> str:
        return self.ledger.path(path)

    def figure(self, stage: Stage[Any, Any], items: pl.DataFrame, name: str) -> float:
        state = self.states[stage.name]
        found = state.totals(state.of(items.select(KEY)).drop_nulls("unit")).filter(name=name)
        return float(found["value"].sum())

    def file(self, stage: Stage[Any, Any], name: str) -> tuple[str, str] | None:
        state = self.states[stage.name]
        units = self._done(stage).select("unit")
        found = state.files.filter(name=name).join(units, on="unit", how="semi").select("path", "sha256").rows()
        return found[0] if found else None

    def rows(self, table: Table[Any], columns: Sequence[str], items: pl.DataFrame | None = None) -> pl.DataFrame:
        stage = writer_of(self.stages, table)
        parts = self.states[stage.name].parts(table.name, self._done(stage) if items is None else items)
        found = parts.group_by("path").agg("item")
        whole = stage.scope is Scope.CORPUS
        return frame(
            self.ledger.root, table, {p: ["*"] if whole else items for p, items in found.iter_rows()}, list(columns)
        )

    def units(
        self, stage: Stage[Any, Any], missing: pl.DataFrame, workers: int, alone: bool = False
    ) -> list[Unit[Any]]:
        """Missing items in units: several a worker, so that the last ones end together; at most a part's worth each.
        alone: each item, or group of items that must not be parted, by itself."""
        if missing.is_empty():
            return []
        if "group" in missing.columns:
            split = _by_group(missing, UNITS_PER_WORKER * workers, 1 if alone else FILES_PER_UNIT)
        else:
            if stage.scope is Scope.EPISODE and not stage.reads:  # readers keep what neighbours of one source share
                missing = missing.sort("source", maintain_order=True)
            size = min(
                1 if alone else self.all_config.run.episodes_per_part,
                -(-missing.height // (UNITS_PER_WORKER * workers)),
            )
            split = missing.with_columns(number=pl.int_range(pl.len()) // size)
        inputs = self.inputs(stage, split.select("item", "episode_id", "source", "number"))
        units = []
        for (key,), rows in split.partition_by("number", as_dict=True, maintain_order=True).items():
            items = rows["item"].to_list()
            units.append(
                Unit(
                    stage.name,
                    tuple(rows.select("item", "fingerprint").iter_rows()),
                    stage.payload(self, items, inputs.get(int(key), Inputs())),
                    dict(rows.select("item", "source").drop_nulls().iter_rows()),
                )
            )
        return units

    def inputs(self, stage: Stage[Any, Any], split: pl.DataFrame) -> dict[int, Inputs]:
        """{number of a unit: where its input tables and proxies lie}; split: item, episode_id, source, number."""
        parts: dict[int, dict[str, dict[str, list[str]]]] = {}
        for table in stage.reads:
            writer = writer_of(self.stages, table)
            found = self._located(writer, table.name, split)
            for number, path, items in found.group_by("number", "path", maintain_order=True).agg("item").iter_rows():
                parts.setdefault(int(number), {}).setdefault(table.name, {})[path] = items
        media: dict[int, dict[str, str]] = {}
        if stage.pictures:
            for number, path, sha256 in self._proxies(split).iter_rows():
                media.setdefault(int(number), {})[path] = sha256
        return {n: Inputs(parts.get(n, {}), media.get(n, {})) for n in parts.keys() | media.keys()}

    def _located(self, writer: Stage[Any, Any], table: str, split: pl.DataFrame) -> pl.DataFrame:
        """number, path, item (of the writer's) of a table that units need."""
        state, done = self.states[writer.name], self._done(writer)
        if writer.scope is Scope.CORPUS:
            return (
                split.select("number")
                .unique()
                .join(state.parts(table, done).select("path").unique(), how="cross")
                .with_columns(item=pl.lit("*"))
            )
        on = next((c for c in ("episode_id", "source") if split[c].null_count() == 0), None)
        if on is None:  # a unit that sees the corpus as a whole
            return state.parts(table, done).with_columns(number=pl.lit(split["number"][0]))
        own = split.select(on, "number").unique(maintain_order=True)
        return state.parts(table, done.join(own, on=on, how="inner", maintain_order="left"))

    def _proxies(self, split: pl.DataFrame) -> pl.DataFrame:
        """number, path, sha256 of the proxies of units' episodes: what is read is held against it."""
        observe = next(s for s in self.stages if s.scope is Scope.CAMERA)
        state = self.states[observe.name]
        own = split.select("episode_id", "number").unique(maintain_order=True)
        found = self._done(observe).select("episode_id", "unit").join(own, on="episode_id", maintain_order="left")
        found = found.unique(maintain_order=True)
        proxy = pl.col("name").str.starts_with("media/") & pl.col("name").str.ends_with(".mp4")
        files = state.files_of(found["unit"].unique().to_list(), proxy)
        files = files.with_columns(episode_id=pl.col("path").str.extract(r"^media/(.*)/[^/]*$", 1))
        return found.join(files, on=["unit", "episode_id"], maintain_order="left").select("number", "path", "sha256")

    def settings(self, stage: Stage[Any, Any]) -> str:
        """Computed once for all items of a stage: a model's dump costs more than all the rest."""
        config = self.config(stage)
        plain = {k: type(config).model_fields[k].default for k in stage.unhashed}
        return fingerprint(stage.name, stage.version, config.model_copy(update=plain))

    def _items(self, stage: Stage[Any, Any]) -> pl.DataFrame:
        """What a stage that follows from its inputs must cover: item, episode_id, source, input0 ..., also."""
        inputs = before(self.stages, stage)
        if stage.scope is Scope.EPISODE:
            found = self._episodes(inputs)
        elif stage.scope is Scope.SOURCE:
            found = self._of_all(inputs, "source").with_columns(
                item=pl.col("source"), episode_id=pl.lit(None, pl.String)
            )
        elif stage.scope is Scope.CORPUS:
            found = self._of_all(inputs, None)
            null = pl.lit(None, pl.String)
            found = found.with_columns(item=pl.lit(CORPUS), episode_id=null, source=null)
        else:
            raise ValueError(f"stage {stage.name}: items of scope {stage.scope} are its own to declare")
        if stage.also is None:
            return found
        also = stage.also(self)
        on = next((c for c in ("episode_id", "source") if c in also.columns), None)
        if on is None and also.height == 1:
            return found.with_columns(pl.lit(value).alias(name) for name, value in also.row(0, named=True).items())
        if on is None:
            return found.join(also, how="cross")
        return found.join(also, on=on, how="left", maintain_order="left")

    def _episodes(self, inputs: Sequence[Stage[Any, Any]]) -> pl.DataFrame:
        """Episodes that all of these stages have done; of one by camera, every camera that the episode has."""
        found: pl.DataFrame | None = None
        for number, stage in enumerate(inputs):
            alive, column = self.alive(stage), f"input{number}"
            if stage.scope is Scope.CAMERA:
                prints = self._all_cameras(alive, column)
            else:
                prints = alive.select("episode_id", pl.col("fingerprint").alias(column))
            if found is None:
                found = alive.select(pl.col("episode_id").alias("item"), "episode_id", "source").unique(
                    maintain_order=True
                )
            found = found.join(prints, on="episode_id", how="inner", maintain_order="left")
        assert found is not None
        return found

    def _all_cameras(self, alive: pl.DataFrame, column: str) -> pl.DataFrame:
        """episode_id and its cameras' fingerprints as one text, of episodes all of whose cameras are done, or that have
        none."""
        cameras = self.survey.cameras.select("item", "episode_id")
        done = looked_up(cameras, alive.select("item", "fingerprint"), ["item"])
        digest = pl.col("fingerprint")
        each = pl.concat(
            some.group_by("episode_id", maintain_order=True).agg(
                digest.is_not_null().all().alias("all"), digest.str.join(" ").alias(column)
            )
            for some in _by_episode(done)
        )
        every = looked_up(self.survey.episodes.select("episode_id"), each.select("episode_id", "all"), ["episode_id"])
        none = every.filter(pl.col("all").is_null()).select("episode_id", pl.lit("").alias(column))
        return pl.concat([each.filter("all").drop("all"), none])

    def _of_all(self, inputs: Sequence[Stage[Any, Any]], by: str | None) -> pl.DataFrame:
        """One row for all that these stages have done, or one a source (`by`), with a hash of the fingerprints."""
        columns: dict[str, dict[str | None, str]] = {}
        for number, stage in enumerate(inputs):
            alive = self.alive(stage).sort("fingerprint")
            groups = alive.partition_by(by, as_dict=True) if by else {(None,): alive} if alive.height else {}
            columns[f"input{number}"] = {
                (str(key) if key is not None else None): fingerprint(rows["fingerprint"].to_list())
                for (key,), rows in groups.items()
            }
        names = sorted(set.intersection(*(set(c) for c in columns.values())), key=str)
        return pl.DataFrame(
            {"source": names, **{c: [prints[n] for n in names] for c, prints in columns.items()}},
            schema={"source": pl.String, **dict.fromkeys(columns, pl.String)},
        )


def _by_episode(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Rows some at a time, those of an episode together: groups of all of them at once take ten times their room."""
    episode = rows["episode_id"]
    first = (episode != episode.shift(1)).fill_null(True).arg_true().to_numpy()
    if not rows.height or len(first) > episode.n_unique():  # episodes whose rows lie apart
        yield rows
        return
    edges = np.unique(np.searchsorted(first, np.arange(0, rows.height, AT_ONCE), side="right") - 1)
    for start, end in pairwise([*first[edges].tolist(), rows.height]):
        yield rows.slice(start, end - start)


def _by_group(missing: pl.DataFrame, units: int, most: int) -> pl.DataFrame:
    """`missing` with the `number` of a unit: whole groups, in the order in which they first come, `most` a unit."""
    groups = missing.select(pl.col("group").unique(maintain_order=True)).with_row_index("number")
    size = min(most, max(1, groups.height // units))
    ranked = missing.join(groups, on="group", how="left", maintain_order="left").sort("number", maintain_order=True)
    return ranked.with_columns(pl.col("number").cast(pl.Int64) // size)
