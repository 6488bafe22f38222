"""caption: one plain English sentence an event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from schemas.alignments import ALIGNMENTS
from schemas.captions import CAPTIONS
from schemas.episodes import EPISODES
from schemas.events import EVENTS
from schemas.observations import OBSERVATIONS
from schemas.signals import SIGNALS
from stages.caption.config import CaptionConfig
from stages.stage import Plan, Scope, Stage
from stages.work import Inputs, Outcome, Unit, Workspace

if TYPE_CHECKING:
    import polars as pl

    from stages.caption.stills import CaptionWork

VERSION = 7

__all__ = ["CAPTION", "VERSION", "CaptionConfig"]


UNHASHED = frozenset(  # how a model is reached, not what it says
    (
        "base_urls",
        "in_flight",
        "timeout_s",
        "retries",
        "requests_per_minute",
        "api_key_env",
        "batch",
        "device",
        "model",
        "prices",
    )
)


def _also(plan: Plan) -> pl.DataFrame:
    """What captions depend on besides the events: a model's weights where they lie in a folder, and the prompts; in an
    episode that people have reviewed, their words."""
    import polars as pl

    from stages.segment import SEGMENT

    shared = _of_model(plan.config(CAPTION))
    words = {episode: overlay.words for episode, overlay in plan.review.items() if overlay.words}
    if not words:
        return pl.DataFrame({"also": [shared]})
    from stages.fingerprint import fingerprint

    episodes = plan.alive(SEGMENT)["episode_id"].to_list()
    also = [f"{shared} {fingerprint(words[e])}" if e in words else shared for e in episodes]
    return pl.DataFrame({"episode_id": episodes, "also": also}, {"episode_id": pl.String, "also": pl.String})


def _of_model(config: CaptionConfig) -> str:
    if config.captioner == "signals":
        return ""
    from stages.caption.vlm.prompts import prompts_hash
    from stages.models.weights import model_hash

    name = model_hash(config.model) if config.captioner == "transformers" else config.model
    return f"{name} {prompts_hash()}"


def _work(plan: Plan, items: Sequence[str], inputs: Inputs) -> CaptionWork:
    """Input tables and proxies, and the sources' files where full-size pictures are wanted."""
    import polars as pl

    from schemas.ids import source_of
    from stages.caption.stills import CaptionWork
    from stages.observe import File, span_of

    config, files = plan.config(CAPTION), dict[str, list[File]]()
    if config.stills == "source" and config.captioner != "signals":
        cameras = plan.survey.cameras.filter(pl.col("uri").is_not_null(), pl.col("episode_id").is_in(list(items)))
        for row in cameras.iter_rows(named=True):
            name, camera = row["episode_id"], plan.survey.camera(row["item"])
            dataset = plan.survey.datasets[source_of(name)]
            files.setdefault(name, []).append(File(dataset, camera, (span_of(camera, name, dataset, row, ""),)))
    words = {e: plan.review[e].words for e in items if e in plan.review}
    return CaptionWork(inputs.parts, inputs.media, files, words)


def _run(unit: Unit[CaptionWork], work: Workspace, config: CaptionConfig) -> Outcome:
    from stages.caption.stage import caption

    return caption(unit, work, config)


CAPTION: Stage[CaptionConfig, CaptionWork] = Stage(
    name="caption",
    version=VERSION,
    config=CaptionConfig,
    scope=Scope.EPISODE,
    reads=(EPISODES, SIGNALS, OBSERVATIONS, ALIGNMENTS, EVENTS),
    writes=(CAPTIONS,),
    payload=_work,
    run=_run,
    also=_also,
    unhashed=UNHASHED,
    again="unanswered",
    pictures=True,
    gpu=True,
)
