"""Events nearest in meaning to a text.

In: a corpus, a text, how many. Out: `Found`: events best first, with what each way of searching says of them, and what
the searcher should know (which words nothing has, what the text could be held against).

Four ways are fused (`ranking`): the words of captions, labels and tasks (`words`), and the text's vector beside those
of captions, of labels (`labels`) and, where one model embeds both, of pictures (`nearness`): docs/find.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pipeline.config import ConfigError
from pipeline.corpus.view import Corpus
from pipeline.find.gather import KEY, gathered
from pipeline.find.nearness import Query, cosines, embedded
from pipeline.find.ranking import best
from pipeline.find.words import Term, bm25, terms
from schemas.ids import episode_of
from stages.text import SENTENCE, plain

WAYS = ("words", "caption", "label", "picture")
ALL = "all"
DETAILS = ["event_id", "start_s", "end_s", "start_frame", "end_frame", "primitive", "recovery", "holds"]


@dataclass(frozen=True, slots=True)
class Hit:
    """An event: rank from 1, fused score, {way: its own score, None where it says nothing}; start_s, end_s from the
    episode's start, from_s, to_s on the source's clock."""

    rank: int
    score: float
    by: dict[str, float | None]
    event_id: str
    episode_id: str
    start_s: float
    end_s: float
    from_s: float
    to_s: float
    frames: tuple[int, int]
    primitive: str
    recovery: str
    caption: str
    object: str
    task: str


@dataclass(frozen=True, slots=True)
class Found:
    """ways: those that were used, of WAYS; searched: events that were looked at; missing: words of the text that
    nothing says of any of them."""

    text: str
    level: str
    ways: tuple[str, ...]
    searched: int
    missing: tuple[str, ...]
    hits: tuple[Hit, ...]
    notes: tuple[str, ...] = ()


def find(
    corpus: Corpus,
    text: str,
    *,
    limit: int = 12,
    level: str | None = None,
    by: str = ALL,
    where: str | None = None,
    encoder: str | None = None,
) -> Found:
    """by: one of WAYS, or all that the corpus allows. where: SQL over events, captions and episodes. encoder: where the
    model of `embed.encoder` lies here. Raises ConfigError, nearness.OtherEncoder, storage.Unusable, Quarantined."""
    found = scored(corpus, text, level, by, where, encoder)
    chosen = best(found.scores, found.ways, limit) if found.ways else found.scores.clear().with_columns(score=0.0)
    hits = tuple(_hits(corpus, chosen))
    return Found(found.text, found.level, found.ways, found.scores.height, found.missing, hits, found.notes)


@dataclass(frozen=True, slots=True)
class Scored:
    """scores: event_id and a column for each of WAYS, null where it says nothing; the rest as `Found` has it."""

    text: str
    level: str
    scores: pl.DataFrame
    ways: tuple[str, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]


def scored(
    corpus: Corpus, text: str, level: str | None = None, by: str = ALL, where: str | None = None,
    encoder: str | None = None,
) -> Scored:  # fmt: skip
    """What each way says of every event that is searched; as `find`."""
    text, level = plain(text.strip(), SENTENCE), level or corpus.level()
    if not text:
        raise ConfigError('find: give a text, such as "missed grasp of a cup"')
    wanted = terms(text)
    rows = gathered(corpus, level, wanted, where)
    scores = rows.select("event_id", KEY, words=_words(rows, wanted))
    query, notes = _query(corpus, text, level, by, encoder)
    near = None if query is None or scores.is_empty() else cosines(corpus, level, query)
    if near is not None and near.is_empty():
        near, notes = None, (*notes, f"no vectors of {level}: found by words alone")
    if near is None:
        scores = scores.with_columns(pl.lit(None, pl.Float32).alias(way) for way in WAYS[1:])
    else:
        assert query is not None
        like = rows["kind"].cast(pl.String).replace_strict(query.labels, default=None, return_dtype=pl.Float32)
        scores = scores.with_columns(label=like).join(near, on=KEY, how="left", maintain_order="left")
    ways = tuple(way for way in WAYS if by in (ALL, way) and scores[way].null_count() < scores.height)
    return Scored(text, level, scores, ways, _missing(rows, wanted), notes)


def _query(corpus: Corpus, text: str, level: str, by: str, encoder: str | None) -> tuple[Query | None, tuple[str, ...]]:
    """The text's vector, where vectors are wanted and there are any; what to say where there are none."""
    if by == "words":
        return None, ()
    config = corpus.manifest["config"]["embed"]
    if by == "picture" and not (encoder or config["encoder"]):
        raise ConfigError(
            "find: pictures and texts of this corpus are embedded by two encoders, so a text can be held against "
            "captions only; a corpus that is built with embed.encoder (CLIP, SigLIP) can be searched by picture"
        )
    reached = corpus.has("embed") and level in config["levels"]
    if not reached and by != ALL:
        raise ConfigError(f"find: no vectors of {level} yet; build up to embed, or search --by words")
    if not reached:
        return None, (f"no vectors of {level}: found by words alone",)
    query = embedded(text, config, encoder)
    return query, () if query.joint else ("a text is held against captions, not against pictures (embed.encoder)",)


def _words(rows: pl.DataFrame, wanted: Sequence[Term]) -> pl.Series:
    """BM25, null where no word of the text is said."""
    columns = [f"t{n}" for n in range(len(wanted))]
    score = bm25(rows.select(columns).to_numpy().astype(np.float64), rows["words"].to_numpy())
    found = pl.Series("words", score.round(4), dtype=pl.Float64)
    return found.set(found <= 0, None)


def _missing(rows: pl.DataFrame, wanted: Sequence[Term]) -> tuple[str, ...]:
    """Words of the text of which no form, and of a run of characters no pair, is said."""
    said = {t.word for n, t in enumerate(wanted) if (rows[f"t{n}"] > 0).any()}
    return tuple(dict.fromkeys(t.word for t in wanted if t.word not in said))


def _hits(corpus: Corpus, chosen: pl.DataFrame) -> list[Hit]:
    names = chosen["event_id"].to_list()
    episodes = sorted({episode_of(name) for name in names})
    if not episodes:
        return []
    events = {e["event_id"]: e for e in corpus.table("events", episodes, DETAILS).to_dicts()}
    said = {c["event_id"]: c for c in corpus.table("captions", episodes, ["event_id", "text", "object"]).to_dicts()}
    about = {e["episode_id"]: e for e in corpus.table("episodes", episodes, ["episode_id", "task", "t0"]).to_dicts()}
    return [
        _hit(rank, row, events[row["event_id"]], said.get(row["event_id"], {}), about[episode_of(row["event_id"])])
        for rank, row in enumerate(chosen.to_dicts(), 1)
    ]


def _hit(rank: int, row: dict[str, Any], event: dict[str, Any], said: dict[str, Any], about: dict[str, Any]) -> Hit:
    return Hit(
        rank,
        row["score"],
        {way: row[way] for way in WAYS},
        row["event_id"],
        about["episode_id"],
        event["start_s"],
        event["end_s"],
        about["t0"] + event["start_s"],
        about["t0"] + event["end_s"],
        (event["start_frame"], event["end_frame"]),
        event["primitive"],
        event["recovery"] or "",
        said.get("text", ""),
        said.get("object", ""),
        about["task"],
    )
