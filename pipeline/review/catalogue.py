"""All events of a corpus in memory, as a queue asks for them: filtered, ordered, counted.

In: tables of a corpus, and spans as decisions have made them since. Out: rows. An SQLite database in memory: a filter
over 100,000 events takes some tens of ms (docs/review.md), and what a decision changes are a few rows of one episode.
What the machine's spans of an episode were is put aside when somebody first touches them: until then they are the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypedDict

import polars as pl

from pipeline.corpus.view import Corpus
from schemas.review.decisions import MachineRow, SpanRow
from stages.review.fold import Place
from stages.review.spans import Span, built, overlap

COLUMNS = {
    "event_id": "TEXT", "episode": "TEXT", "source": "TEXT", "level": "TEXT", "track": "TEXT", "start_ms": "INTEGER",
    "end_ms": "INTEGER", "primitive": "TEXT", "text": "TEXT", "confidence": "REAL", "status": "TEXT",
    "said_by": "TEXT", "sure": "REAL", "doubt": "INTEGER", "recovery": "TEXT", "origin": "TEXT", "static": "INTEGER",
    "task": "TEXT", "vl": "INTEGER", "action": "INTEGER", "rarity": "INTEGER", "chance": "REAL", "worth": "REAL",
    "gold": "INTEGER",
}  # fmt: skip
REVIEW = {"state": "TEXT", "flagged": "INTEGER", "own": "TEXT", "seen": "TEXT", "words": "TEXT"}
SURE = "min(confidence, coalesce(sure, 1))"
ORDERS = {  # of the queue
    "episode": "episode, start_ms",
    "confidence": f"{SURE}, episode, start_ms",
    "rarity": "rarity, episode, start_ms",
    "worth": "worth DESC, episode, start_ms",
    "spread": "start_ms * 7919 % 1009, episode",  # of a cluster: from all over it, the same each time
}
EQUAL = ("source", "task", "level", "track", "primitive", "status", "vl", "action", "origin", "recovery")
FACETS = ("source", "task", "primitive", "status", "vl", "recovery")
FACET_MOST = 500  # values


class ShownEvent(TypedDict):
    """An event as the page is shown it: COLUMNS and REVIEW without what only the catalogue needs; times in ms from the
    episode's first source timestamp; doubt: how often its caption is contradicted; rarity: events of its cluster."""

    event_id: str
    episode: str
    source: str
    level: str
    track: str
    start_ms: int
    end_ms: int
    primitive: str
    text: str
    confidence: float
    status: str
    said_by: str
    sure: float | None
    doubt: int
    recovery: str | None
    origin: str
    static: bool
    task: str
    vl: int
    action: int
    rarity: int
    chance: float | None
    worth: float | None
    state: str
    flagged: bool
    own: list[str]
    seen: str


class StaleSpan(SpanRow):
    """What somebody has said of a span that is not there any more; ms from the episode's first source timestamp."""

    level: str
    track: str
    by: str


class Catalogue:
    """Not safe for several threads at a time."""

    def __init__(self, events: pl.DataFrame) -> None:
        """events: COLUMNS, one row a span of the machine's; chance and worth are set later (`value`), gold too."""
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        machine = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        review = ", ".join(f"{name} {kind}" for name, kind in REVIEW.items())
        self._db.execute(f"CREATE TABLE machine ({machine})")
        self._db.execute(f"CREATE TABLE spans ({machine}, {review})")
        marks = ", ".join("?" * len(COLUMNS))
        self.events = events.select(list(COLUMNS)).sort("episode", "level", "track", "start_ms")
        self._db.executemany(f"INSERT INTO machine VALUES ({marks})", self.events.iter_rows())
        marks = ", ".join("?" * (len(COLUMNS) + len(REVIEW)))
        self._db.executemany(f"INSERT INTO spans VALUES ({marks})", _untouched(self.events).iter_rows())
        for table in ("machine", "spans"):
            self._db.execute(f"CREATE INDEX {table}_place ON {table} (episode, level, track, start_ms)")
        for name, order in {"state": "state", "vl": "vl", **ORDERS}.items():
            if name != "spread":
                self._db.execute(f"CREATE INDEX by_{name} ON spans (level, track, {order})")
        self._db.execute("ANALYZE")
        self.facets = {column: _facet(events[column]) for column in FACETS}

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM spans").fetchone()[0])

    def machine(self, place: Place) -> list[Span]:
        """The machine's spans of a level and track, in order."""
        return [span for span, _ in self.known(place)]

    def known(self, place: Place) -> list[tuple[Span, float]]:
        """The same, each with its confidence."""
        return [(_machine(r), float(r["confidence"])) for r in self._rows(place)]

    def _rows(self, place: Place) -> list[sqlite3.Row]:
        query = "SELECT * FROM machine WHERE episode = ? AND level = ? AND track = ? ORDER BY start_ms"
        return self._db.execute(query, place).fetchall()

    def lay(self, place: Place, spans: Sequence[Span]) -> None:
        """Spans of today instead of those that were there; what a span is otherwise it has from the machine's span that
        it is most like."""
        self._db.execute("DELETE FROM spans WHERE episode = ? AND level = ? AND track = ?", place)
        if machine := [(Span(r["start_ms"], r["end_ms"], ""), dict(r)) for r in self._rows(place)]:
            marks = ", ".join("?" * (len(COLUMNS) + len(REVIEW)))
            rows = [_row(s, max(machine, key=lambda m: overlap(m[0], s))[1]) for s in spans]
            self._db.executemany(f"INSERT INTO spans VALUES ({marks})", rows)

    def dressed(self, place: Place, spans: Sequence[Span]) -> list[ShownEvent]:
        """Spans that are kept nowhere, with what is known of the machine's span that each is most like."""
        machine = [(Span(r["start_ms"], r["end_ms"], ""), dict(r)) for r in self._rows(place)]
        rows = [_row(s, max(machine, key=lambda m: overlap(m[0], s))[1]) for s in spans]
        return [_out(dict(zip([*COLUMNS, *REVIEW], row, strict=True))) for row in rows]

    def said(self, place: Place, span: Span) -> MachineRow | None:
        """What the machine says of the event that a span is most like; None where that is a person's or a log's."""
        query = "SELECT * FROM machine WHERE episode = ? AND level = ? AND track = ? AND start_ms < ? AND end_ms > ?"
        found = self._db.execute(query, (*place, span.end, span.start)).fetchall()
        like = max(found, key=lambda r: overlap(Span(r["start_ms"], r["end_ms"], ""), span), default=None)
        if like is None or like["origin"] != "machine" or like["said_by"] == "human":
            return None
        sure = min(like["confidence"], 1.0 if like["sure"] is None else like["sure"])
        doubt = bool(like["doubt"])
        return {"primitive": like["primitive"], "sure": sure, "said_by": like["said_by"], "doubt": doubt}

    def value(self, first: int, chance: Sequence[float], worth: Sequence[float]) -> None:
        """Set what was learned of some rows of `events`, from row `first` on."""
        places = self.events.select("episode", "level", "track", "start_ms").slice(first, len(chance)).rows()
        values = [(c, w, n) for n, (c, w) in enumerate(zip(chance, worth, strict=True), first + 1)]
        self._db.executemany("UPDATE machine SET chance = ?, worth = ? WHERE rowid = ?", values)
        where = "episode = ? AND level = ? AND track = ? AND start_ms = ?"
        rows = [(c, w, *place) for c, w, place in zip(chance, worth, places, strict=True)]
        self._db.executemany(f"UPDATE spans SET chance = ?, worth = ? WHERE {where}", rows)

    def keep_gold(self, places: Collection[Place]) -> None:
        """These levels of episodes are in nobody's queue, counts or figures."""
        for table in ("machine", "spans"):
            query = f"UPDATE {table} SET gold = 1 WHERE episode = ? AND level = ? AND track = ?"
            self._db.executemany(query, list(places))

    def places(self, episode: str) -> list[Place]:
        """Levels and tracks of an episode."""
        query = "SELECT DISTINCT level, track FROM spans WHERE episode = ? ORDER BY level DESC, track"
        return [(episode, r["level"], r["track"]) for r in self._db.execute(query, (episode,))]

    def end(self, episode: str) -> int:
        """ms at which an episode ends: its spans tile it."""
        (found,) = self._db.execute("SELECT max(end_ms) FROM spans WHERE episode = ?", (episode,)).fetchone()
        return int(found or 0)

    def of(self, episode: str) -> list[ShownEvent]:
        """All spans of an episode, by level, track and time."""
        query = "SELECT * FROM spans WHERE episode = ? ORDER BY level DESC, track, start_ms"
        return [_out(r) for r in self._db.execute(query, (episode,))]

    def find(self, wanted: Mapping[str, Any], order: str, limit: int, offset: int = 0) -> tuple[list[ShownEvent], int]:
        """(some rows of the queue, how many there are). wanted: `_where`."""
        where, values = _where(wanted)
        (count,) = self._db.execute(f"SELECT count(*) FROM spans WHERE {where}", values).fetchone()
        query = f"SELECT * FROM spans WHERE {where} ORDER BY {ORDERS[order]} LIMIT ? OFFSET ?"
        return [_out(r) for r in self._db.execute(query, (*values, limit, offset))], int(count)

    def size(self, level: str) -> int:
        """Events of a level, of both arms together."""
        return self.events.filter(level=level, track="all").height

    def states(self, wanted: Mapping[str, Any]) -> dict[str, int]:
        """{state: spans} of those that are wanted."""
        where, values = _where(wanted)
        query = f"SELECT state, count(*) FROM spans WHERE {where} GROUP BY state"
        return {str(state): int(n) for state, n in self._db.execute(query, values)}


def _untouched(events: pl.DataFrame) -> pl.DataFrame:
    """COLUMNS and REVIEW of spans about which nobody has decided anything since the corpus was built."""
    own = pl.when(pl.col("origin") == "human").then(pl.lit("span ")).otherwise(pl.lit(""))
    own += pl.when(pl.col("said_by") == "human").then(pl.lit("text")).otherwise(pl.lit(""))
    words = pl.concat_str("text", "task", "episode", separator=" ").str.to_lowercase()
    review = [pl.lit(""), pl.lit(0), own.str.strip_chars(), pl.lit(""), words]
    return events.select(*COLUMNS, *(value.alias(name) for name, value in zip(REVIEW, review, strict=True)))


def _facet(values: pl.Series) -> list[tuple[str, int]]:
    """Values with how many spans have each, most frequent first; of nothing and of no cluster is not told."""
    name = values.name
    counts = values.drop_nulls().value_counts(name="n").sort("n", name, descending=[True, False]).head(FACET_MOST)
    return [(str(v), int(n)) for v, n in counts.iter_rows() if v not in ("", -1)]


def _machine(row: sqlite3.Row | dict[str, Any]) -> Span:
    return built(row["start_ms"], row["end_ms"], row["primitive"], row["text"], row["origin"], row["said_by"])


def _row(span: Span, like: Mapping[str, Any]) -> list[Any]:
    own = {"start_ms": span.start, "end_ms": span.end, "primitive": span.primitive, "text": span.text}
    if (span.start, span.end) != (like["start_ms"], like["end_ms"]):
        own |= {"event_id": "", "origin": "human" if "span" in span.own else like["origin"]}
    words = f"{span.text} {like['task']} {like['episode']}".lower()
    review = [span.state, int(span.flagged), " ".join(span.own), span.seen, words]
    return [*({**like, **own}[name] for name in COLUMNS), *review]


def _out(row: sqlite3.Row | dict[str, Any]) -> ShownEvent:
    r = dict(row)
    return {
        "event_id": r["event_id"], "episode": r["episode"], "source": r["source"], "level": r["level"],
        "track": r["track"], "start_ms": r["start_ms"], "end_ms": r["end_ms"], "primitive": r["primitive"],
        "text": r["text"], "confidence": r["confidence"], "status": r["status"], "said_by": r["said_by"],
        "sure": r["sure"], "doubt": r["doubt"], "recovery": r["recovery"], "origin": r["origin"],
        "static": bool(r["static"]), "task": r["task"], "vl": r["vl"], "action": r["action"], "rarity": r["rarity"],
        "chance": r["chance"], "worth": r["worth"], "state": r["state"], "flagged": bool(r["flagged"]),
        "own": r["own"].split(), "seen": r["seen"] or _machine(r).seen,
    }  # fmt: skip


def _where(wanted: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """SQL of what is wanted: EQUAL columns, state (`open`: nobody has judged it), flagged, most (confidence), doubt,
    episode, q (words of caption, task or id), gold (nothing else)."""
    found, values = ["gold = 1" if wanted.get("gold") else "gold IS NOT 1"], list[Any]()
    for column in EQUAL:
        if wanted.get(column) not in (None, ""):
            found.append(f"{column} = ?")
            values.append(wanted[column])
    if wanted.get("state"):
        found.append("state = ?")
        values.append("" if wanted["state"] == "open" else wanted["state"])
    if wanted.get("episode"):
        found.append("episode = ?")
        values.append(wanted["episode"])
    if wanted.get("most") is not None:
        found.append(f"{SURE} <= ?")
        values.append(wanted["most"])
    found += ["flagged = 1"] * bool(wanted.get("flagged")) + ["doubt > 0"] * bool(wanted.get("doubt"))
    for word in str(wanted.get("q") or "").split()[:8]:
        found.append("instr(words, ?) > 0")
        values.append(word.lower())
    return " AND ".join(found), values


def events_of(corpus: Corpus) -> pl.DataFrame:
    """COLUMNS of all events of a corpus; of stages that have not come yet what is said when nobody knows."""
    columns = [
        "event_id", "episode_id", "level", "track", "origin", "start_s", "end_s", "primitive", "static", "confidence",
        "recovery", "label",
    ]  # fmt: skip
    events = corpus.table("events", columns=columns)
    said = ["event_id", "text", "source", "status", "confidence", "contradictions", "verb"]
    captions = corpus.table("captions", columns=said).rename({"source": "said_by", "confidence": "sure"})
    labels = corpus.table("clusters", columns=["event_id", "level", "vl_cluster", "action_cluster"])
    sizes = labels.group_by("level", "vl_cluster").len("rarity")
    labels = labels.join(sizes, on=["level", "vl_cluster"]).drop("level")
    episodes = corpus.table("episodes", columns=["episode_id", "source", "task"])
    joined = events.join(captions, on="event_id", how="left").join(labels, on="event_id", how="left")
    return joined.join(episodes, on="episode_id", how="left").select(
        "event_id", "source", "level", "track", "primitive", "recovery", "origin", "confidence", "sure",
        episode="episode_id",
        start_ms=(pl.col("start_s") * 1000).round().cast(pl.Int64),
        end_ms=(pl.col("end_s") * 1000).round().cast(pl.Int64),
        text=pl.coalesce("text", "label").fill_null(""),
        status=pl.col("status").fill_null(""),
        said_by=pl.col("said_by").fill_null(""),
        doubt=pl.col("contradictions").fill_null(0) + (pl.col("verb") != pl.col("primitive")).fill_null(False),
        static=pl.col("static").cast(pl.Int64),
        task=pl.col("task").fill_null(""),
        vl=pl.col("vl_cluster").fill_null(-1),
        action=pl.col("action_cluster").fill_null(-1),
        rarity=pl.col("rarity").fill_null(0),
        chance=pl.lit(None, pl.Float64),
        worth=pl.lit(None, pl.Float64),
        gold=pl.lit(0, pl.Int64),
    )  # fmt: skip
