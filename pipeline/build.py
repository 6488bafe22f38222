"""A build: stage after stage, do what is missing, and end with a release and a summary.

In: sources, a corpus URI, a configuration. Out: a `Result`. Everything that survives is in the ledger; a build holds
only the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from rich.console import Console

from pipeline import record
from pipeline import release as releases
from pipeline.config import CorpusConfig
from pipeline.corpus import write_plan
from pipeline.fingerprint import fingerprint
from pipeline.labels import read as read_labels
from pipeline.ledger import OK, QUARANTINED, RETRY, Commit, Item, Ledger, State
from pipeline.lock import locked
from pipeline.parts import frame
from pipeline.plan import STAGES, Plan
from pipeline.progress import StageProgress
from pipeline.run import Died, Runner, StageDied, Unpublished
from pipeline.survey import Lost, Survey, survey
from pipeline.work import Context, Unit, refusal
from schemas.ids import source_of
from schemas.labels import Label
from schemas.reasons import Quarantined, Reason
from stages import storage
from stages.align.lag import decide
from stages.ingest.sources import SourceError
from stages.text import printable

LINE = 1000  # characters of a line on the screen
SHOWN = 5  # notes on a source's metadata that are printed


class BuildFailedError(RuntimeError):
    """A stage that all of the corpus hangs on could not be done; the message says where to look."""


@dataclass(slots=True)
class Result:
    """What a build came to; `computed` counts the units done now, by stage."""

    plan: Plan
    release: str | None = None
    computed: dict[str, int] = field(default_factory=dict)


class Build:
    """One build of a corpus; `run` is all there is to call."""

    def __init__(self, root: str, config: CorpusConfig, console: Console) -> None:
        self.root, self.config, self.console = storage.normalise(root), config, console
        self.ledger = Ledger(self.root)

    def run(self, sources: Sequence[str], until: str = "shard") -> Result:
        """Build up to a stage. Raises SourceError, Locked, BuildFailedError, storage.Unusable; KeyboardInterrupt
        passes through, nothing half-done behind it."""
        with locked(self.root):
            labels = read_labels(self.config.segment.labels)
            found = survey(sources, self.config.ingest)
            plan = Plan(found, self.config, labels)
            result = Result(plan)
            self._announce(found)
            self._unknown(labels, found)
            self._lost(found)
            if not found.datasets:
                write_plan(self.ledger, plan, None, complete=False)
                raise SourceError("; ".join(lost.error.message for lost in found.lost))
            complete = False
            try:
                with Runner(self.config.run, self.root) as runner:
                    for stage in STAGES[: STAGES.index(until) + 1]:
                        self._room(stage, plan, runner, result)
                        if stage == "ingest" or result.computed.get(stage):  # what is there can be looked at meanwhile
                            write_plan(self.ledger, plan, None, complete=False)
                    complete = until == STAGES[-1]
            except storage.Unreachable:
                raise
            except StageDied as error:
                write_plan(self.ledger, plan, result.release, complete=False)
                raise BuildFailedError(str(error)) from error
            except storage.Unusable:
                with suppress(storage.Unusable):  # if there was room for no part, there may be some for this
                    write_plan(self.ledger, plan, result.release, complete=False)
                raise
            except BaseException:  # Ctrl-C too
                write_plan(self.ledger, plan, result.release, complete=False)
                raise
            write_plan(self.ledger, plan, result.release, complete)
        return result

    def _unknown(self, labels: Mapping[str, Sequence[Label]], found: Survey) -> None:
        """Say which labels are for episodes that are not there: they are kept in their file, and used by no one."""
        lost = sorted(labels.keys() - found.episodes.keys())
        if lost:
            number = sum(len(labels[episode]) for episode in lost)
            words = f"labels: {number} spans of {len(lost)} episodes that no source has, such as {lost[0]}"
            self._say(words)

    def _room(self, stage: str, plan: Plan, runner: Runner, result: Result) -> None:
        if stage == "align":
            self._vote(plan)
        if stage == "cluster":
            self._cluster(plan, runner, result)
        elif stage == "shard":
            self._shard(plan, runner, result)
        else:
            self._stage(stage, plan, runner, result)

    def _stage(self, stage: str, plan: Plan, runner: Runner, result: Result) -> None:
        plan.states[stage] = State(self.ledger.load(stage))
        wanted = plan.want(stage)
        missing = plan.missing(stage)
        result.computed[stage] = self._do(
            stage, plan.states[stage], runner, len(wanted) - len(missing), len(wanted),
            lambda: plan.units(stage, missing, runner.workers), lambda items: _singly(plan, stage, items),
            _can_run(plan, stage, missing),
        )  # fmt: skip

    def _do(
        self,
        stage: str,
        state: State,
        runner: Runner,
        kept: int,
        total: int,
        make: Any,
        smaller: Any,
        proven: bool = False,
    ) -> int:
        """Run units; those whose worker died once more one by one; what dies again is quarantined. Returns commits
        made. proven: the stage is known to run."""
        made = 0
        if kept < total:
            units = make()
            with StageProgress(self.console, stage, kept, total) as progress:
                dead = self._collect(units, state, runner, progress, proven)
                made += len(units) - len(dead)
                if dead:
                    singles = smaller([name for died in dead for name, _ in died.items])
                    again = self._collect(singles, state, runner, progress, proven or made > 0)
                    made += len(singles)
                    by_items = {unit.items: unit for unit in singles}
                    for died in again:
                        state.add(self._bury(by_items[died.items], died.cause))
                        progress.advance(len(died.items), len(died.items))
        elif total:
            self._say(f"{stage:<8} {total}/{total}  nothing to do")
        return made

    def _collect(
        self, units: Sequence[Unit], state: State, runner: Runner, progress: StageProgress, proven: bool
    ) -> list[Died]:
        """Run units, note their commits, and return those that died."""
        by_items, dead = {unit.items: unit for unit in units}, []
        for outcome in runner.run(units, Context(self.root, self.config), proven):
            if isinstance(outcome, Died):
                dead.append(outcome)
                continue
            if isinstance(outcome, Unpublished):
                outcome = self._set_aside(by_items[outcome.items], outcome.error)
            state.add(outcome)
            progress.advance(len(outcome.items), sum(i.status != OK for i in outcome.items))
        return dead

    def _bury(self, unit: Unit, cause: str) -> Commit:
        words = f"the process that worked on it died twice: {cause}"
        return self._set_aside(unit, Quarantined(Reason.WORKER_DIED, words, retryable=True))

    def _set_aside(self, unit: Unit, error: Quarantined) -> Commit:
        items = [Item(name, print_, RETRY) for name, print_ in unit.items]
        rows = [refusal(unit, name, error) for name, _ in unit.items]
        return self.ledger.publish(unit.stage, items, {"quarantine": rows}, {})

    def _vote(self, plan: Plan) -> None:
        """Each source decides its lag over the estimates of its episodes; the decision is a table of its own."""
        wanted = [(e, plan.wanted["lag"][e]) for e in plan.alive("lag")]
        lags = frame(
            self.root, "lags", plan.states["lag"].files("lags", wanted), ["episode_id", "source", "lag_frames", "score"]
        )
        rows = []
        for source in plan.survey.datasets:
            own = lags.filter(pl.col("source") == source).select("episode_id", "lag_frames", "score").rows()
            d = plan.decisions[source] = decide(own, self.config.align)
            rows.append(
                {
                    "source": source,
                    "lag_frames": d.lag_frames,
                    "voted_frames": d.voted_frames,
                    "score": d.score,
                    "votes": d.votes,
                    "voters": d.voters,
                    "estimates": len(own),
                    "weak": d.weak,
                    "disagrees": d.disagrees,
                }
            )
        plan.states["vote"] = State(self.ledger.load("vote"))
        plan.wanted["vote"] = {"corpus": fingerprint("vote", rows)}
        if plan.states["vote"].status("corpus", plan.wanted["vote"]["corpus"]) is None:
            item = Item("corpus", plan.wanted["vote"]["corpus"])
            plan.states["vote"].add(self.ledger.publish("vote", [item], {"lag_votes": rows}, {}))

    def _cluster(self, plan: Plan, runner: Runner, result: Result) -> None:
        state = plan.states["cluster"] = State(self.ledger.load("cluster"))
        wanted = plan.want("cluster")
        alive = [(e, plan.wanted["embed"][e]) for e in plan.alive("embed")]
        parts = plan.states["embed"].files("embeddings", alive)
        if not parts:
            plan.wanted["cluster"] = {}
            return
        unit = Unit("cluster", tuple(wanted.items()), {"parts": {"embeddings": parts}}, {})
        missing = plan.missing("cluster")
        result.computed["cluster"] = self._do(
            "cluster", state, runner, 1 - len(missing), 1, lambda: [unit], lambda items: [unit]
        )
        if not plan.alive("cluster"):
            raise BuildFailedError(f"clustering failed: corpus quarantine --corpus {self.root} says why")

    def _shard(self, plan: Plan, runner: Runner, result: Result) -> None:
        plan.states["samples"] = State(self.ledger.load("samples"))
        if not plan.wanted.get("cluster"):
            return
        name = releases.release_name(plan)
        plan.wanted["samples"] = {"corpus": name}
        state = plan.states["shard"] = State(self.ledger.load("shard"))
        if not self._is_done(plan, name):
            chosen = releases.choose(plan, self.ledger)
            units = releases.units(plan, chosen, runner.workers)
            plan.wanted["shard"] = dict(item for unit in units for item in unit.items)
            missing = set(plan.missing("shard"))
            todo = [u for u in units if u.items[0][0] in missing]
            result.computed["shard"] = self._do(
                "shard",
                state,
                runner,
                len(units) - len(todo),
                len(units),
                lambda: todo,
                lambda items: [u for u in todo if u.items[0][0] in items],
            )
            commits = [state.done[unit.items[0]][1] for unit in units if state.status(*unit.items[0]) == OK]
            if len(commits) < len(units):
                raise BuildFailedError(f"a shard could not be written: corpus quarantine --corpus {self.root} says why")
            releases.finish(plan, self.ledger, chosen, commits)
        else:
            tars = releases.manifest(self.root, name)["shards"]
            plan.wanted["shard"] = {item: item for item in (releases.item_of(name, tar) for tar in tars)}
            self._say(f"{'shard':<8} release {name} is complete, nothing to do")
        releases.point_latest(self.root, name)
        result.release = name

    def _is_done(self, plan: Plan, name: str) -> bool:
        """Whether a release has its manifest and the commits of all its tars and of its samples."""
        if not releases.is_complete(self.root, name):
            return False
        tars = [releases.item_of(name, tar) for tar in releases.manifest(self.root, name)["shards"]]
        tars_done = all(plan.states["shard"].status(tar, tar) == OK for tar in tars)
        return tars_done and plan.states["samples"].status("corpus", name) == OK

    def _announce(self, found: Survey) -> None:
        for name, dataset in found.datasets.items():
            layout = found.layouts[name]
            number = sum(r.source == name for r in found.episodes.values())
            how = (
                "no robot profile fits, its columns are guessed"
                if layout.inferred
                else f"read by profile {layout.profile}"
            )
            what = f"{number} episode{'s' * (number != 1)}, LeRobot {dataset.version}, robot {dataset.robot}, {how}"
            self._say(f"source   {name}: {what}")
            for note in dataset.notes[:SHOWN]:
                self._say(f"         {note}")
            if len(dataset.notes) > SHOWN:
                self._say(f"         and {len(dataset.notes) - SHOWN} other notes on its metadata")
            if dataset.lost_entries:
                self._say(
                    f"         {len(dataset.lost_entries)} entries of its list of episodes cannot be read: quarantine"
                )
            if layout.inferred:
                for stream in layout.streams:
                    self._say(f"         inferred {stream.kind}/{stream.arm}: {stream.column}{list(stream.indices)}")
        for name in self._forgotten(found):
            self._say(f"source   {name}: in the corpus before, not asked for now; it will no longer be in it")
        for lost in found.lost:
            self._say(f"source   {lost.source}: cannot be used: {lost.error.message.splitlines()[0]}")

    def _say(self, words: str) -> None:
        """A line on the screen; nothing that a source brought along may be more than text in it."""
        self.console.print(printable(words[:LINE]), highlight=False, markup=False, emoji=False)

    def _forgotten(self, found: Survey) -> list[str]:
        """Sources of the last build that this one leaves out."""
        try:
            before = record.read(self.root)[1]["sources"]
        except (record.NoCorpus, record.DamagedPlan):
            return []
        return sorted(set(before) - set(found.datasets) - {lost.source for lost in found.lost})

    def _lost(self, found: Survey) -> None:
        """Sources that cannot be used, in the quarantine table."""
        by_source: dict[str, list[Lost]] = {}
        for lost in found.refused:
            by_source.setdefault(lost.source, []).append(lost)
        for source, together in by_source.items():  # one commit, however many entries of its list cannot be read
            pairs = [(pair, lost.error) for lost in together for pair in lost.items()]
            unit = Unit("survey", tuple(p for p, _ in pairs), {}, dict.fromkeys((i for (i, _), _ in pairs), source))
            rows = [refusal(unit, i, error) for (i, _), error in pairs]
            self.ledger.publish("survey", [Item(*pair, QUARANTINED) for pair, _ in pairs], {"quarantine": rows}, {})


def _can_run(plan: Plan, stage: str, missing: Sequence[str]) -> bool:
    """Whether some source has all its work of this stage done, and well: what then dies in the others is theirs."""
    unfinished = {source_of(item) for item in missing}
    wanted, state = plan.wanted[stage], plan.states[stage]
    return any(state.status(i, p) == OK for i, p in wanted.items() if source_of(i) not in unfinished)


def _singly(plan: Plan, stage: str, items: list[str]) -> list[Unit]:
    """Units as small as the stage allows: one episode, or one video file."""
    if stage == "observe":
        return plan.units(stage, items, len(items))
    return [plan.unit(stage, [item]) for item in items]
