"""The release drawn again from what the ledger holds, without the sources and without a build.

In: a corpus of which items went (`corpus forget`). Out: a release by the same choice, tars and files as a build's, of
the episodes that are left; the next build finds it complete. What only the sources could tell (robot, place, licence)
is taken from the tables and the last build's record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import polars as pl
from rich.console import Console

from pipeline.build.driver import Build, BuildFailedError, Result
from pipeline.build.runner import Runner, StageDied
from pipeline.config import config_for
from pipeline.corpus import decisions, record
from pipeline.corpus.view import Corpus
from pipeline.plan import Plan
from pipeline.release import finish
from schemas.episodes import EPISODES
from schemas.ids import EPISODE_OF, SOURCE_OF
from schemas.reasons import Quarantined, Reason
from stages.cluster import model_of
from stages.ingest.survey import Lost, Survey
from stages.shard import SAMPLES, SHARD
from stages.sources.protocol import Dataset
from stages.sources.rights import Rights
from stages.stage import Scope


@dataclass(frozen=True, slots=True)
class Recorded:
    """A dataset as the last build recorded it."""

    uri: str
    robot: str


def redraw(corpus: Corpus, console: Console) -> tuple[str | None, str]:
    """Draw a release anew, put it in force, and record it: (its name, ""); or (None, why it could not be drawn): then
    none is in force until the next build. Raises Quarantined(DAMAGED_FILE): a repair first."""
    config = config_for(corpus.stages).model_validate(corpus.manifest["config"])
    build = Build(corpus.root, config, console, corpus.stages)
    plan, name, why = planned(corpus), None, ""
    if not corpus.manifest["complete"]:
        why = "the last build did not reach its end"
    elif model_of(plan) is None:
        why = "no episode is left that has clusters"
    else:
        try:
            with Runner(config.run, corpus.root) as runner:
                result = Result(plan)
                build.release(plan, runner, result)
            name = result.release
        except (BuildFailedError, StageDied, FileNotFoundError, pl.exceptions.PolarsError) as error:
            why = str(error)
    if name is None:
        finish.point_nowhere(corpus.root)
    _recorded(corpus, plan, name)
    return name, why or ("" if name else "no event is left to draw")


def planned(corpus: Corpus) -> Plan:
    """The plan of the last build as its record has it."""
    robots = dict(corpus.table(EPISODES.name, columns=["source", "robot"]).unique().sort("source", "robot").iter_rows())
    survey = Survey(
        datasets={
            name: cast("Dataset", Recorded(uri, robots.get(name, "")))
            for name, uri in corpus.manifest["sources"].items()
        },
        lost=[
            Lost(name, corpus.manifest["lost_sources"][name], Quarantined(Reason.SOURCE_ABSENT, message), ())
            for name, message in corpus.manifest["lost"].items()
        ],
        rights={name: Rights(**said) for name, said in corpus.manifest.get("rights", {}).items()},
    )
    config = config_for(corpus.stages).model_validate(corpus.manifest["config"])
    plan = Plan(survey, config, corpus.ledger, None, corpus.stages, decisions.overlays_of(corpus.root))
    for stage in corpus.stages:
        plan.states[stage.name] = corpus.ledger.state(stage.name)
        none, item = pl.lit(None, pl.String), pl.col("item")
        episode = item.str.extract(EPISODE_OF, 1) if stage.scope in (Scope.EPISODE, Scope.CAMERA) else none
        source = item if stage.scope is Scope.SOURCE else none
        if stage.scope in (Scope.EPISODE, Scope.CAMERA):
            source = item.str.extract(SOURCE_OF, 1)
        plan.wanted[stage.name] = corpus.wanted(stage.name).with_columns(episode_id=episode, source=source)
    return plan


def _recorded(corpus: Corpus, plan: Plan, release: str | None) -> None:
    """The tars and fates of the new release in place of the old one's; everything else as it was."""
    own = [SHARD.name, SAMPLES.name]
    drawn = [record.rows_of(name, plan.wanted[name]) for name in own if release]
    rows = pl.concat([corpus.plan.filter(~pl.col("stage").is_in(own)), *drawn])
    manifest: dict[str, Any] = {**corpus.manifest, "release": release}
    serving = {k: v for k, v in manifest["serving"].items() if k != SAMPLES.name}
    manifest["serving"] = {**serving, SAMPLES.name: release} if release else serving
    if release is None:
        manifest["complete"] = False
    record.write(corpus.root, rows, manifest)
