"""A build: stage after stage, do what is missing, and end with a release and a summary.

In: sources, a corpus URI, a configuration. Out: a `Result`. Everything that survives is in the ledger; a build holds
only the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl
from rich.console import Console

from pipeline import signals
from pipeline.build.announce import Announcer
from pipeline.build.memory import uncollected
from pipeline.build.progress import StageProgress
from pipeline.build.runner import Died, Runner, StageDied, Unpublished
from pipeline.build.worker import Context, publish, refusal
from pipeline.check.verdict import rights_for_nobody
from pipeline.config import CorpusConfig
from pipeline.corpus import decisions, record, tombstones
from pipeline.corpus.commit import OK, QUARANTINED, Commit, Item
from pipeline.corpus.ledger import Ledger
from pipeline.corpus.lock import locked
from pipeline.corpus.state import State
from pipeline.labels import read as read_labels
from pipeline.plan import CORPUS, Plan
from pipeline.release import choice, finish
from pipeline.release.choice import Release
from pipeline.stages import STAGES, SURVEY, Stages
from schemas.episodes import Label
from schemas.ids import source_of
from schemas.quarantine import QUARANTINE
from schemas.reasons import Quarantined, Reason
from stages import storage
from stages.cluster import CLUSTER
from stages.ingest import INGEST
from stages.ingest.survey import Lost, Survey, survey
from stages.segment import SEGMENT
from stages.shard import SAMPLES, SHARD
from stages.sources.find import FORMATS
from stages.sources.protocol import Format, SourceError
from stages.stage import Scope, Stage
from stages.text import plain
from stages.work import Outcome, Unit

Units = list[Unit[Any]]
AnyStage = Stage[Any, Any]


class BuildFailedError(RuntimeError):
    """A stage that all of the corpus hangs on could not be done; the message says where to look."""


@dataclass(slots=True)
class Result:
    """What a build came to; `computed` counts the units done now, by stage."""

    plan: Plan
    release: str | None = None
    computed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work:
    """What a stage has to do: how much is done already, of how much; how its missing units are made, and again smaller
    where one died. `proven`: the stage is known to run."""

    kept: int
    total: int
    make: Callable[[], Units]
    smaller: Callable[[Sequence[str]], Units]
    proven: bool = False


class Build:
    """One build of a corpus; `run` is all there is to call."""

    def __init__(
        self,
        root: str,
        config: CorpusConfig,
        console: Console,
        stages: Stages = STAGES,
        formats: Sequence[Format] = FORMATS,
    ) -> None:
        self.root, self.config, self.console = storage.normalise(root), config, console
        self.stages, self.formats = stages, formats
        self.ledger, self.announce = Ledger(self.root), Announcer(console)

    def run(self, sources: Sequence[str], until: str | None = None) -> Result:
        """Build up to a stage, or to the end. Raises SourceError, Locked, BuildFailedError, storage.Unusable,
        DamagedTombstone; KeyboardInterrupt passes through, nothing half-done behind it."""
        with locked(self.root):
            stones = tombstones.read(self.root)
            labels = read_labels(self.config.of(SEGMENT).labels)
            with uncollected():
                found = survey(sources, self.config.of(INGEST), self.formats)
            found.pass_over(stones)
            plan = Plan(found, self.config, self.ledger, labels, self.stages, decisions.overlays_of(self.root))
            result = Result(plan)
            self.announce.sources(found, self._before())
            found.entries += labels_for_nobody(labels, found)
            self.announce.labels_for_nobody(labels, found)
            for line in rights_for_nobody(self.config.of(INGEST), found):
                self.announce.say(line)
            self._lost(found)
            if not found.datasets:
                record_plan(plan, None, complete=False)
                raise SourceError("; ".join(lost.error.message for lost in found.lost))
            complete = False
            try:
                with Runner(self.config.run, self.root) as runner:
                    for stage in self._until(until):
                        signals.check()
                        self._do_stage(stage, plan, runner, result)
                        self.ledger.fold(stage.name)
                        if result.computed.get(stage.name):
                            record_plan(plan, None, complete=False)  # what is there can be looked at meanwhile
                    complete = until is None or until == SHARD.name
            except storage.Unreachable:
                raise
            except StageDied as error:
                record_plan(plan, result.release, complete=False)
                raise BuildFailedError(str(error)) from error
            except storage.Unusable:
                with suppress(storage.Unusable):  # if there was room for no part, there may be some for this
                    record_plan(plan, result.release, complete=False)
                raise
            except BaseException:  # Ctrl-C too
                record_plan(plan, result.release, complete=False)
                raise
            record_plan(plan, result.release, complete)
        return result

    def _until(self, until: str | None) -> Stages:
        names = [s.name for s in self.stages]
        return self.stages if until is None or until == SHARD.name else self.stages[: names.index(until) + 1]

    def _do_stage(self, stage: AnyStage, plan: Plan, runner: Runner, result: Result) -> None:
        if stage is SHARD:
            self.release(plan, runner, result)
        elif stage.run is not None:
            plan.want(stage)
            self._tell_anew(stage, plan)
            wanted, missing = plan.wanted[stage.name], plan.missing(stage)
            work = Work(
                wanted.height - missing.height,
                wanted.height,
                lambda: plan.units(stage, missing, runner.workers),
                lambda items: plan.units(stage, wanted.filter(pl.col("item").is_in(list(items))), 1, alone=True),
                _can_run(plan, stage, missing),
            )
            made = self._work(stage, plan.states[stage.name], runner, work)
            if stage.shown:
                result.computed[stage.name] = made
            if stage.scope is Scope.CORPUS and wanted.height and plan.alive(stage).is_empty():
                words = f"{stage.name} failed: corpus quarantine --corpus {self.root} says why"
                raise BuildFailedError(words)

    def _tell_anew(self, stage: AnyStage, plan: Plan) -> None:
        """Say it where an earlier build's work serves no longer."""
        last, wanted = plan.last(stage)["fingerprint"].to_list(), plan.wanted[stage.name]["fingerprint"].to_list()
        if stage.serving and last and wanted and last != wanted:
            self.announce.say(
                f"{stage.name:<8} done anew, so labels change: much is new (refit_share), or settings are"
            )

    def _work(self, stage: AnyStage, state: State, runner: Runner, work: Work) -> int:
        """Run units; those whose worker died once more one by one; what dies again is quarantined. Returns commits
        made."""
        made = 0
        if work.kept < work.total:
            units = work.make()
            with StageProgress(self.console, stage.name, work.kept, work.total, stage.shown) as progress:
                dead = self._collect(stage, units, state, runner, progress, work.proven)
                made += len(units) - len(dead)
                if dead:
                    singles = work.smaller([name for died in dead for name, _ in died.items])
                    again = self._collect(stage, singles, state, runner, progress, work.proven or made > 0)
                    made += len(singles)
                    by_items = {unit.items: unit for unit in singles}
                    for died in again:
                        words = f"the process that worked on it died twice: {died.cause}"
                        error = Quarantined(Reason.WORKER_DIED, words, retryable=True)
                        state.add(self._set_aside(stage, by_items[died.items], error))
                        progress.advance(len(died.items), len(died.items))
        elif work.total and stage.shown:
            self.announce.say(f"{stage.name:<8} {work.total}/{work.total}  nothing to do")
        return made

    def _collect(
        self, stage: AnyStage, units: Units, state: State, runner: Runner, progress: StageProgress, proven: bool
    ) -> list[Died]:
        """Run units, note their commits, and return those that died."""
        by_items, dead = {unit.items: unit for unit in units}, []
        for outcome in runner.run(units, self._context(stage), proven):
            if isinstance(outcome, Died):
                dead.append(outcome)
                continue
            if isinstance(outcome, Unpublished):
                outcome = self._set_aside(stage, by_items[outcome.items], outcome.error)
            state.add(outcome)
            progress.advance(len(outcome.items), sum(i.status != OK for i in outcome.items))
        return dead

    def _context(self, stage: AnyStage) -> Context:
        return Context(self.root, stage, self.config.of(stage))

    def _set_aside(self, stage: AnyStage, unit: Unit[Any], error: Quarantined) -> Commit:
        outcome = Outcome(refused=dict.fromkeys(unit.names, _retryable(error)))
        return publish(unit, self._context(stage), outcome, {})

    def release(self, plan: Plan, runner: Runner, result: Result) -> None:
        """Draw events into tars, have those written, and publish the release."""
        state = plan.states[SHARD.name] = self.ledger.state(SHARD.name)
        plan.states[SAMPLES.name] = self.ledger.state(SAMPLES.name)
        if plan.alive(CLUSTER).is_empty():
            return
        inputs, last = choice.inputs_of(plan), choice.last_release(plan)
        if last is not None and choice.is_of(last, inputs) and finish.is_complete(plan, last):
            name = last
            plan.wanted[SHARD.name] = _corpus_items((t, t) for t in finish.tars_of(self.root, name))
            self.announce.say(f"{SHARD.name:<8} release {name} is complete, nothing to do")
        else:
            try:
                chosen = choice.choose(plan, inputs, last)
            except choice.UnfitBudget as error:
                raise BuildFailedError(str(error)) from error
            name, tars = chosen.name, sorted({tar.name for tar in chosen.tars.values()})
            plan.wanted[SHARD.name] = _corpus_items((t, t) for t in tars)
            todo = choice.units(plan, chosen, runner.workers, set(plan.missing(SHARD)["item"]))
            work = Work(
                len(tars) - len(todo),
                len(tars),
                lambda: todo,
                lambda items: [u for u in todo if u.names[0] in items],
            )
            result.computed[SHARD.name] = self._work(SHARD, state, runner, work)
            self._finish(plan, chosen)
        plan.wanted[SAMPLES.name] = _corpus_items([(CORPUS, name)])  # not sooner: until then the last one counts
        finish.link(self.root, name)
        finish.point_latest(self.root, name)
        result.release = name

    def _finish(self, plan: Plan, chosen: Release) -> None:
        if plan.alive(SHARD).height < plan.wanted[SHARD.name].height:
            raise BuildFailedError(f"a shard could not be written: corpus quarantine --corpus {self.root} says why")
        finish.finish(plan, chosen)

    def _before(self) -> set[str]:
        """Sources of the last build."""
        return set((record.copy(self.root) or {}).get("sources", ()))

    def _lost(self, found: Survey) -> None:
        """Sources that cannot be used, in the quarantine table."""
        by_source: dict[str, list[Lost]] = {}
        for lost in found.refused:
            by_source.setdefault(lost.source, []).append(lost)
        for source, together in by_source.items():  # one commit, however many entries of its list cannot be read
            pairs = [(pair, lost.error) for lost in together for pair in lost.items()]
            unit = Unit(SURVEY, tuple(p for p, _ in pairs), None, dict.fromkeys((i for (i, _), _ in pairs), source))
            rows = [refusal(unit, i, error, episode=i) for (i, _), error in pairs]
            self.ledger.publish(SURVEY, [Item(*pair, QUARANTINED) for pair, _ in pairs], {QUARANTINE: rows}, {})


def labels_for_nobody(labels: Mapping[str, Sequence[Label]], found: Survey) -> list[Lost]:
    """Labels of episodes that no source has, each as a row of the quarantine: their file keeps them, nobody uses
    them."""
    lost = []
    for episode in sorted(labels.keys() - set(found.episodes["episode_id"])):
        own = labels[episode]
        span = f"{own[0].level} {own[0].start:g} to {own[0].end:g} {own[0].unit} ({own[0].text!r})"
        more = f" and {len(own) - 1} more" if len(own) > 1 else ""
        words = f"{own[0].said_by}: {span}{more}: no source has an episode {plain(episode, 100)}"
        error = Quarantined(Reason.LABEL_REFUSED, words, event_id=f"{plain(episode, 100)}/{own[0].level}/label-0")
        lost.append(Lost(source_of(plain(episode, 100)), own[0].said_by, error, (plain(episode, 100),)))
    return lost


def record_plan(plan: Plan, release: str | None, complete: bool) -> None:
    """Record which items count, and the manifest of the corpus.

    Stages that this build has not reached keep what they had: a build that stops early, by Ctrl-C or --until, takes
    nothing away from what an earlier one made.
    """
    root = plan.ledger.root
    frames = [record.rows_of(name, wanted) for name, wanted in plan.wanted.items()]
    lost = [(SURVEY, item, digest) for lost in plan.survey.refused for item, digest in lost.items()]
    frames.append(pl.DataFrame(lost, schema=record.SCHEMA, orient="row"))
    if any(s.name not in plan.wanted for s in plan.stages) or release is None:
        with suppress(record.NoCorpus, record.DamagedPlan):
            before, manifest_before = record.read(root)
            frames.append(before.filter(~pl.col("stage").is_in([*plan.wanted, SURVEY])))
            release = release or manifest_before["release"]
    manifest = {
        "config": plan.all_config.model_dump(mode="json"),
        "sources": {name: dataset.uri for name, dataset in plan.survey.datasets.items()},
        "rights": {name: asdict(rights) for name, rights in plan.survey.rights.items()},
        "lost_sources": {source.source: source.uri for source in plan.survey.lost},
        "lost": {source.source: source.error.message for source in plan.survey.lost},
        "release": release,
        "serving": plan.serving(),
        "complete": complete,
    }
    record.write(root, pl.concat(frames), manifest)


def _corpus_items(pairs: Iterable[tuple[str, str]]) -> pl.DataFrame:
    """A wanted frame of items that belong to no single episode or source."""
    frame = pl.DataFrame(list(pairs), schema={"item": pl.String, "fingerprint": pl.String}, orient="row")
    return frame.with_columns(episode_id=pl.lit(None, pl.String), source=pl.lit(None, pl.String))


def _can_run(plan: Plan, stage: AnyStage, missing: pl.DataFrame) -> bool:
    """Whether some source has all its work of this stage done, and well: what then dies in the others is theirs."""
    return missing.is_empty() or not plan.alive(stage).join(missing, on="source", how="anti").is_empty()


def _retryable(error: Quarantined) -> Quarantined:
    return Quarantined(error.reason, error.message, event_id=error.event_id, retryable=True, evidence=error.evidence)
