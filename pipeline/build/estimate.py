"""`corpus build --dry-run`: what a build would ask of a model, and about what that costs, before any is spent.

In: a plan and its configuration. Out: an `Estimate`. Episodes that are not segmented yet cannot be counted: how many
questions there are hangs on how they are cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import polars as pl

from pipeline.config import CorpusConfig
from pipeline.corpus import decisions, record, tombstones
from pipeline.corpus.ledger import Ledger
from pipeline.labels import read as read_labels
from pipeline.plan import Plan
from pipeline.stages import STAGES, Stages
from schemas.events import EVENTS, EventRow
from stages.caption import CAPTION
from stages.caption.vlm.handling import actions, handlings
from stages.caption.vlm.prompts import prompt
from stages.ingest import INGEST
from stages.ingest.survey import survey
from stages.segment import SEGMENT

PER_LETTER, PER_PICTURE, ANSWER = 0.25, 250, 70  # tokens where no answers tell: of common models, about
COLUMNS = (
    "event_id", "episode_id", "level", "track", "start_frame", "end_frame", "primitive", "recovery", "holds", "label",
    "static",
)  # fmt: skip
FACTS = 500  # letters of the facts of an event, about


@dataclass(frozen=True, slots=True)
class Estimate:
    """missing: {stage: items to do}. Of caption: episodes that would be asked about, those that are not segmented yet,
    questions about names and about events, pictures, tokens of questions and answers, and whether those were measured
    on answers in this corpus."""

    missing: Mapping[str, int]
    captioner: str
    episodes: int = 0
    unknown: int = 0
    names: int = 0
    events: int = 0
    pictures: int = 0
    tokens: tuple[int, int] = (0, 0)
    measured: bool = False

    def cost(self, prices: tuple[float, float]) -> float:
        """prices: of a million tokens, of questions and of answers."""
        return sum(tokens * price / 1e6 for tokens, price in zip(self.tokens, prices, strict=True))


def estimate(root: str, config: CorpusConfig, sources: list[str], stages: Stages = STAGES) -> Estimate:
    """Looks only: nothing is written, nobody is asked. Raises SourceError."""
    found = survey(sources, config.of(INGEST))
    found.pass_over(tombstones.read(root))
    labels, review = read_labels(config.of(SEGMENT).labels), decisions.overlays_of(root)
    plan = Plan(found, config, Ledger(root), labels, stages, review)
    missing = {}
    for stage in stages:
        plan.want(stage)
        missing[stage.name] = plan.missing(stage).height
        if stage is CAPTION:
            break
    captioner = config.of(CAPTION).captioner
    if captioner == "signals":
        return Estimate(missing, captioner)
    wanted = plan.missing(CAPTION)
    known = set(wanted["episode_id"])
    unknown = plan.survey.episodes.height - plan.wanted[CAPTION.name].height
    rows = plan.rows(EVENTS, list(COLUMNS)).filter(pl.col("track") == "all", pl.col("episode_id").is_in(list(known)))
    names = events = 0
    for own in rows.partition_by("episode_id"):
        these = cast("list[EventRow]", own.to_dicts())
        names += len(handlings(actions(these)))
        spans = {(e["start_frame"], e["end_frame"]) for e in these if e["level"] == "L1"}
        whole = [e for e in these if e["level"] == "L1"]
        local = [e for e in these if e["level"] == "L0" and (e["start_frame"], e["end_frame"]) not in spans]
        events += sum(not e["label"] and (config.of(CAPTION).static or not e["static"]) for e in [*whole, *local])
    cameras = plan.survey.cameras.filter(pl.col("episode_id").is_in(list(known)))
    per_moment = cameras.height / max(1, len(known))
    moments = 3 * names + config.of(CAPTION).moments * events
    pictures = round(per_moment * moments)
    tokens, measured = _tokens(plan, names, events, pictures)
    return Estimate(missing, captioner, len(known), unknown, names, events, pictures, tokens, measured)


def _tokens(plan: Plan, names: int, events: int, pictures: int) -> tuple[tuple[int, int], bool]:
    """Tokens of so many questions: by the mean of those that this corpus has had answered, else by the length of what
    is said."""
    figures = plan.ledger.state(CAPTION.name).rows("item", ["counts"]).explode("counts").drop_nulls().unnest("counts")
    sums = dict(figures.group_by("name").agg(pl.col("value").sum()).iter_rows())
    before = (record.copy(plan.ledger.root) or {}).get("config", {}).get("caption", {})
    same = all(before.get(key) == getattr(plan.config(CAPTION), key) for key in ("captioner", "model", "picture_side"))
    answered = same and sum(sums.get(f"caption_{status}", 0) for status in ("ok", "repaired", "fallback", "truncated"))
    if answered and sums.get("question_tokens"):
        each = tuple(sums[k] / answered for k in ("question_tokens", "answer_tokens"))
        return (round(each[0] * (names + events)), round(each[1] * (names + events))), True
    text = names * len(prompt("name")) + events * (len(prompt("event")) + FACTS)
    return (round(text * PER_LETTER + pictures * PER_PICTURE), (names + events) * ANSWER), False
