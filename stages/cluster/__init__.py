"""fit, cluster: events get two labels, one for what is seen and said, one for how the arms move.

fit finds the centroids, over the corpus as a whole; cluster labels episodes by those in force. The centroids of the
last build go on serving until `cluster.refit_share` of the events is new, so that a night's episodes, or three
corrected captions, leave all other labels as they were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from schemas.clusters import CLUSTERS, EMBEDDINGS, FITTED
from schemas.ids import SOURCE_OF
from stages import storage
from stages.cluster.config import ClusterConfig
from stages.embed import EMBED
from stages.fingerprint import fingerprint
from stages.stage import Plan, Scope, Stage
from stages.work import Inputs, Outcome, Unit, Workspace

if TYPE_CHECKING:
    import polars as pl

VERSION = 5

__all__ = ["CLUSTER", "FIT", "VERSION", "ClusterConfig", "FitWork", "LabelWork", "changed_share", "model_of", "path_of"]


@dataclass(frozen=True, slots=True)
class FitWork(Inputs):
    """Embeddings, the fingerprint under which each episode's were made, and a hash of the fit's settings."""

    embedded: Mapping[str, str] = field(default_factory=dict)
    settings: str = ""


@dataclass(frozen=True, slots=True)
class LabelWork(Inputs):
    """Embeddings, and the file of the model in force, which is in `media` too."""

    model: str = ""


def _given(plan: Plan) -> pl.DataFrame:
    """The content of given centroids counts, not where they lie."""
    import polars as pl

    return pl.DataFrame({"also": [_content(plan)]})


def _content(plan: Plan) -> str:
    given = plan.config(FIT).centroids
    return hashlib.sha256(storage.read_bytes(storage.normalise(given))).hexdigest() if given else ""


def _settings(plan: Plan) -> str:
    """What a fit hangs on besides the embeddings: settings, and the centroids where they are given."""
    return fingerprint(plan.settings(FIT), _content(plan))


def _serving(plan: Plan, wanted: pl.DataFrame) -> pl.DataFrame:
    """The fit of the last build, where its settings are today's and little has changed since; else what is wanted.

    A fit whose commit was taken back by a repair goes on serving as long as its model is there: `fit` takes that.
    """
    import polars as pl

    last = plan.last(FIT)
    if wanted.is_empty() or last.is_empty() or wanted["fingerprint"][0] == last["fingerprint"][0]:
        return wanted
    earlier = wanted.with_columns(fingerprint=pl.lit(last["fingerprint"][0]))
    if not plan.done(FIT, last):
        there = storage.exists(plan.place(path_of(last["fingerprint"][0])))
        return earlier if there and plan.unchanged(FIT) else wanted
    fitted = plan.rows(FITTED, ["episode_id", "embedded", "settings", "events"], last)
    if fitted.is_empty() or fitted["settings"][0] != _settings(plan):
        return wanted
    return wanted if changed_share(plan, fitted) >= plan.config(FIT).refit_share else earlier


def path_of(digest: str) -> str:
    """Where the model of a fit lies in a corpus."""
    return f"models/clusters-{digest}.npz"


def changed_share(plan: Plan, fitted: pl.DataFrame) -> float:
    """Share of the events, 0 to 1, that came, went or changed since a fit; fitted: rows of FITTED. Those of a source
    that could not be read this time have not gone."""
    import polars as pl

    alive = plan.alive(EMBED)
    away = [lost.source for lost in plan.survey.lost]
    fitted = fitted.filter(~pl.col("episode_id").str.extract(SOURCE_OF, 1).is_in(away))
    same = fitted.join(alive.select("episode_id", embedded="fingerprint"), on=["episode_id", "embedded"], how="semi")
    most = max(plan.figure(EMBED, alive, "events"), float(fitted["events"].sum()))
    return 1.0 - float(same["events"].sum()) / most if most else 0.0


def model_of(plan: Plan) -> tuple[str, str] | None:
    """(path, sha256) of the file with the centroids in force; None before there are any."""
    return plan.file(FIT, "model")


def _in_force(plan: Plan) -> pl.DataFrame:
    import polars as pl

    found = model_of(plan)
    return pl.DataFrame({"also": [found[1]] if found else []}, schema={"also": pl.String})


def _fit_work(plan: Plan, items: Sequence[str], inputs: Inputs) -> FitWork:
    embedded = dict(plan.alive(EMBED).select("episode_id", "fingerprint").iter_rows())
    return FitWork(inputs.parts, inputs.media, embedded, _settings(plan))


def _label_work(plan: Plan, items: Sequence[str], inputs: Inputs) -> LabelWork:
    found = model_of(plan)
    assert found is not None
    return LabelWork(inputs.parts, dict([found]), found[0])


def _fit(unit: Unit[FitWork], work: Workspace, config: ClusterConfig) -> Outcome:
    from stages.cluster.fit import fit_model

    return fit_model(unit, work, config)


def _label(unit: Unit[LabelWork], work: Workspace, config: ClusterConfig) -> Outcome:
    from stages.cluster.label import label

    return label(unit, work)


FIT: Stage[ClusterConfig, FitWork] = Stage(
    name="fit",
    version=VERSION,
    section="cluster",
    config=ClusterConfig,
    unhashed=frozenset(("centroids", "refit_share")),
    scope=Scope.CORPUS,
    reads=(EMBEDDINGS,),
    writes=(FITTED,),
    also=_given,
    serving=_serving,
    payload=_fit_work,
    run=_fit,
)
CLUSTER: Stage[ClusterConfig, LabelWork] = Stage(
    name="cluster",
    version=VERSION,
    config=ClusterConfig,
    unhashed=frozenset(ClusterConfig.model_fields),  # labels depend on the centroids alone, however they were come by
    scope=Scope.EPISODE,
    reads=(EMBEDDINGS,),
    writes=(CLUSTERS,),
    also=_in_force,
    payload=_label_work,
    run=_label,
)
