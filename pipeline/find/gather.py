"""What is said of the events of a level, read a part at a time: counts of words, and what a rule asks for.

In: a corpus, a level, terms, an SQL rule. Out: one narrow row an event. Of a text only counts stay, so that memory
grows by some dozens of bytes an event and not by what was written about it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from pipeline.config import ConfigError
from pipeline.corpus.tables import frame
from pipeline.corpus.view import Corpus
from pipeline.find.words import TASK, Term, counts, length
from schemas.captions import CAPTIONS
from schemas.episodes import EPISODES
from schemas.events import EVENTS
from schemas.ids import EPISODE_OF
from schemas.table import Table
from stages.ingest.where import parsed

OF_EVENT = ("primitive", "recovery", "label", "origin", "static", "confidence", "start_s", "end_s")
OF_CAPTION = ("text", "verb", "object", "from_place", "to_place", "outcome", "status")
OF_EPISODE = ("source", "robot", "task", "split", "fps")
KEY = "key"
KIND = pl.coalesce("recovery", "primitive").cast(pl.Categorical).alias("kind")
SECONDS = "seconds"  # length of the event
SPOKEN = {EVENTS.name: ("primitive", "recovery", "label"), CAPTIONS.name: OF_CAPTION[:-1]}


def names_in(rule: str | None) -> list[str]:
    """Columns that a rule asks for. Raises ConfigError where it is no SQL expression."""
    try:
        return [] if rule is None else list(dict.fromkeys(parsed(rule).meta.root_names()))
    except ValueError as error:
        raise ConfigError(f"--where {error}") from error


def gathered(corpus: Corpus, level: str, wanted: Sequence[Term], rule: str | None) -> pl.DataFrame:
    """event_id, key (`keyed`), kind (its recovery, else its primitive), words (Float64: of its texts, by field), t0 ...
    (Float64: occurrences, by field), of the events of a level of which the rule is true. Raises ConfigError for a rule
    that is none."""
    asked = names_in(rule)
    needed = {*asked, *(("start_s", "end_s") if SECONDS in asked else ()), "primitive", "recovery"}
    events = _spoken(corpus, EVENTS, level, wanted, [n for n in OF_EVENT if n in needed])
    said = _spoken(corpus, CAPTIONS, level, wanted, [n for n in OF_CAPTION if n in asked]).drop("event_id")
    about = _episodes(corpus, wanted, asked)
    episode = pl.col("event_id").str.extract(EPISODE_OF, 1).alias("episode_id")
    rows = events.join(said, on=KEY, how="left", suffix="_said", maintain_order="left").with_columns(episode)
    rows = rows.join(about, on="episode_id", how="left", suffix="_task", maintain_order="left")
    sums = [_sum(name) for name in ("words", *(f"t{n}" for n in range(len(wanted))))]
    return _kept(rows, rule, asked).select("event_id", KEY, KIND, *sums)


def keyed() -> pl.Expr:
    """UInt64 in place of an event's id, of a fifth of its size: two of a million agree with a chance of 3e-8."""
    return pl.col("event_id").hash().alias(KEY)


def _sum(name: str) -> pl.Expr:
    own = pl.col(name).cast(pl.Float64) + pl.col(f"{name}_said").fill_null(0)
    return (own + TASK * pl.col(f"{name}_task").fill_null(0)).alias(name)


def _spoken(corpus: Corpus, table: Table[Any], level: str, wanted: Sequence[Term], also: Sequence[str]) -> pl.DataFrame:
    """event_id, key, words, t0, ..., and columns of a table that has a row an event."""
    texts = SPOKEN[table.name]
    columns = list(dict.fromkeys(["event_id", *texts, *also]))
    spoken = pl.concat_str([pl.col(t).fill_null("") for t in texts], separator=" ").str.replace_all("_", " ")
    chosen = ["event_id", keyed(), length(spoken).alias("words"), *counts(spoken, wanted), *also]
    pieces = [
        part.filter(pl.col("event_id").str.contains(f"/{level}/", literal=True)).select(chosen)
        for part in _parts(corpus, table, columns)
    ]
    return pl.concat(pieces)


def _episodes(corpus: Corpus, wanted: Sequence[Term], asked: Sequence[str]) -> pl.DataFrame:
    """episode_id, words, t0, ... of the task, and what the rule asks of an episode, marks of the source among it."""
    own = [n for n in OF_EPISODE if n in asked]
    marked = [n for n in asked if n not in (*OF_EVENT, *OF_CAPTION, *OF_EPISODE, SECONDS, "event_id", "episode_id")]
    columns = list(dict.fromkeys(["episode_id", "task", *own, *(["marks"] if marked else [])]))
    rows = pl.concat(_parts(corpus, EPISODES, columns))
    if marked:
        marks = [json.loads(text) for text in rows["marks"]]
        unknown = [n for n in marked if not any(n in m for m in marks)]
        if unknown:
            known = sorted({*OF_EVENT, *OF_CAPTION, *OF_EPISODE, SECONDS, "event_id", "episode_id"})
            raise ConfigError(f"--where: nothing is called {unknown[0]!r}; there are {', '.join(known)}, and marks")
        rows = rows.with_columns(pl.Series(n, [m.get(n) for m in marks], strict=False) for n in marked)
    task = pl.col("task")
    return rows.select("episode_id", length(task).alias("words"), *counts(task, wanted), *own, *marked)


def _kept(rows: pl.DataFrame, rule: str | None, asked: Sequence[str]) -> pl.DataFrame:
    if rule is None:
        return rows
    if SECONDS in asked:
        rows = rows.with_columns((pl.col("end_s") - pl.col("start_s")).alias(SECONDS))
    try:
        kept = rows.select(kept=parsed(rule))["kept"]
    except pl.exceptions.PolarsError as error:
        raise ConfigError(f"--where {rule!r} cannot be applied: {' '.join(str(error).split())[:200]}") from error
    if kept.dtype not in (pl.Boolean, pl.Null) or len(kept) not in (1, rows.height):
        raise ConfigError(f"--where {rule!r} gives {kept.dtype}, true or false is expected of each event")
    if len(kept) != rows.height:  # a rule without a name, such as 1 = 1
        return rows if kept[0] else rows.clear()
    return rows.filter(kept.cast(pl.Boolean).fill_null(False))


def _parts(corpus: Corpus, table: Table[Any], columns: list[str]) -> Iterator[pl.DataFrame]:
    """Rows of a table, a part at a time, at least one frame."""
    yield frame(corpus.root, table, {}, columns)
    for path, items in sorted(corpus.parts(table.name).items()):
        yield frame(corpus.root, table, {path: items}, columns)
