"""Captions as people read them: per event its pictures and its sentence; how they went, and how much they repeat.

In: a corpus. Out: a line a level, and some events, first those of which the captioner is least sure. Texts are read as
columns; pictures for the few events that are shown.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.corpus.view import Corpus
from pipeline.report import pictures
from pipeline.report.refusals import clipped
from schemas.ids import OF_ONE_ARM
from schemas.observations import OBSERVATIONS

SHOWN, UNSURE = 12, 4  # events; of them the least sure
TEXT = 220
MOMENTS = 3


@dataclass(frozen=True, slots=True)
class Level:
    """Captions of a level: how many, by whom and how they went, different sentences per 100, contradictions with the
    signals in first answers, tokens."""

    level: str
    number: int
    statuses: list[tuple[str, int]]
    distinct: float
    contradictions: int
    tokens: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Card:
    """An event with its sentence: what else its caption says, and pictures of its start, middle and end."""

    event_id: str
    text: str
    said: str
    status: str
    seconds: float
    pictures: list[str]


def levels(corpus: Corpus) -> list[Level]:
    """Nothing before caption."""
    if not corpus.has("caption"):
        return []
    columns = ["level", "source", "status", "text", "contradictions", "question_tokens", "answer_tokens"]
    captions = corpus.table("captions", columns=["event_id", *columns])
    captions = captions.filter(~pl.col("event_id").str.contains(OF_ONE_ARM))
    found = []
    for level in ("L3", "L2", "L1", "L0"):
        own = captions.filter(level=level)
        ways = own.group_by("source", "status").len().sort("len", "source", descending=[True, False])
        names = [
            (s if s == "human" else f"{s}, {t}" if s != "signals" or t != "ok" else s, n) for s, t, n in ways.rows()
        ]
        tokens = (int(own["question_tokens"].sum()), int(own["answer_tokens"].sum()))
        share = 100 * own["text"].n_unique() / max(1, own.height)
        found.append(Level(level, own.height, names, share, int((own["contradictions"] > 0).sum()), tokens))
    return [x for x in found if x.number]


def cards(corpus: Corpus) -> list[Card]:
    """Some events of the shards' level: the least sure, then others spread over the corpus."""
    if not corpus.has("caption"):
        return []
    level = corpus.manifest["config"]["shard"]["level"]
    columns = ["event_id", "episode_id", "level", "text", "source", "status", "verb", "object", "outcome", "confidence"]
    own = corpus.table("captions", columns=columns)
    own = own.filter(~pl.col("event_id").str.contains(OF_ONE_ARM), level=level)
    unsure = own.drop_nulls("confidence").sort("confidence", "event_id").head(UNSURE)
    rest = own.filter(~pl.col("event_id").is_in(unsure["event_id"].to_list()))
    spread = rest.with_columns(rank=pl.Series([zlib.crc32(name.encode()) for name in rest["event_id"]], dtype=pl.Int64))
    chosen = pl.concat([unsure, spread.sort("rank", "event_id").drop("rank").head(SHOWN - unsure.height)])
    episodes = chosen["episode_id"].unique().sort().to_list()
    spans = {r["event_id"]: r for r in corpus.table("events", episodes, ["event_id", "start_s", "end_s"]).to_dicts()}
    seen: dict[str, pictures.Filmed] = {}
    for row in corpus.narrow(OBSERVATIONS, pictures.Filmed, episodes):
        seen.setdefault(row["episode_id"], row)  # the first camera
    return [_card(corpus, row, spans[row["event_id"]], seen.get(row["episode_id"])) for row in chosen.to_dicts()]


def _card(corpus: Corpus, row: Mapping[str, Any], span: Mapping[str, float], camera: pictures.Filmed | None) -> Card:
    start, end = span["start_s"], span["end_s"]
    instants = [start, (start + end) / 2, end][:MOMENTS]
    said = [row["verb"], row["object"], row["outcome"]]
    said += [f"sure {row['confidence']:.2f}"] if row["confidence"] is not None else []
    return Card(
        row["event_id"],
        clipped(row["text"], TEXT),
        ", ".join(s for s in said if s),
        row["status"] if row["source"] != "signals" or row["status"] != "ok" else "signals",
        end - start,
        pictures.nearest(corpus, camera, instants) if camera else [],
    )
