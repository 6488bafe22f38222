"""`corpus score-captions`: captions held against what is known to be true.

In: a corpus, true events (frames of the source's video, verb, object with its colour, from, to, arm). Out: how often
verb, object, colour, destination and arm are right, over events whose span agrees with a true one; what captions say
that is false; how much they repeat. What is judged of objects and places is the sentence itself, whoever wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from pipeline.corpus.view import Corpus
from pipeline.labels import LabelError
from schemas.ids import EPISODE, episode_id, episode_key
from stages.text import plain

IOU = 0.5
COLOURS = (
    "red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink", "brown", "white", "black", "grey",
)  # fmt: skip
AGREES: Mapping[str, frozenset[str]] = {  # a true verb: verbs that say the same of it
    "missed_grasp": frozenset({"grasp", "close"}), "reopen": frozenset({"release", "open"}),
    "hold": frozenset({"hold", "idle"}), "idle": frozenset({"idle", "hold"}),
    "place": frozenset({"place", "lower"}), "insert": frozenset({"place", "push", "move"}),
    "push": frozenset({"push", "press"}), "press": frozenset({"push", "press"}), "lower": frozenset({"lower", "place"}),
    "reach": frozenset({"reach", "align"}), "align": frozenset({"align", "reach"}), "pull": frozenset({"pull"}),
}  # fmt: skip
BRINGS = ("move", "lower", "place", "insert")  # true verbs of which a sentence can say where to
FACTS = ("verb", "object", "colour", "to", "arm")


@dataclass(frozen=True, slots=True)
class TrueEvent:
    """What is true of a span, half-open, s on the episode's clock; "" where nothing is known. named: whether the task
    text names the object."""

    episode: str
    start: float
    end: float
    verb: str
    noun: str = ""
    colour: str = ""
    goal: str = ""
    arm: str = ""
    named: bool = True


@dataclass(frozen=True, slots=True)
class Pair:
    """A caption and the truth about its span."""

    caption: Mapping[str, Any]
    true: TrueEvent


@dataclass(frozen=True, slots=True)
class Share:
    """right of all, with a 95 % interval (Wilson)."""

    right: int
    of: int

    @property
    def share(self) -> float:
        return self.right / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        from scipy.stats import binomtest

        if not self.of:
            return 0.0, 1.0
        found = binomtest(self.right, self.of).proportion_ci(method="wilson")
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        if not self.of:
            return "none"
        low, high = self.interval
        return f"{self.share:.2f} [{low:.2f}, {high:.2f}] of {self.of}"


def truth(file: str, corpus: Corpus) -> list[TrueEvent]:
    """True events of a file: the recorder's Parquet, or CSV with set or source, episode, start_frame, end_frame, verb,
    object, to, arm. Raises LabelError."""
    try:
        rows = list(_recorded(pl.read_parquet(file)) if file.endswith(".parquet") else _marked(pl.read_csv(file)))
    except (OSError, pl.exceptions.PolarsError, KeyError, TypeError, ValueError, AttributeError) as error:
        words = (
            "expected the recorder's truth.parquet, or CSV with source, episode, start_frame, end_frame, verb, object"
        )
        raise LabelError(f"{file} cannot be read as true events: {plain(error, 200)}; {words}") from error
    times = {
        a["episode_id"]: np.append(a["time_s"], 2 * a["time_s"][-1] - a["time_s"][-2])
        for a in corpus.table("alignments", columns=["episode_id", "time_s"]).to_dicts()
        if len(a["time_s"]) > 1
    }
    found = []
    for row in rows:
        own = times.get(row.episode)
        if own is not None and 0 <= row.start < min(row.end, len(own) - 1):
            start, end = (float(own[min(int(f), len(own) - 1)]) for f in (row.start, row.end))
            found.append(replace(row, start=start, end=end))
    if not found:
        raise LabelError(f"{file}: none of its episodes is in the corpus")
    return found


def _recorded(table: pl.DataFrame) -> Iterable[TrueEvent]:
    episodes = {(e["dataset"], e["episode_index"]): e for e in table.filter(kind="episode").to_dicts()}
    for row in table.filter(kind="event").to_dicts():
        of = episodes[row["dataset"], row["episode_index"]]
        name = episode_id(row["dataset"], int(row["episode_index"]))
        bare = row["phase"] == "idle"
        yield TrueEvent(
            name, row["start_frame"], row["end_frame"], row["phase"], "" if bare else of["object"],
            "" if bare else of["colour"], of["to_place"] if row["phase"] in BRINGS else "", "single",
            of["named_in_text"],
        )  # fmt: skip


def _marked(table: pl.DataFrame) -> Iterable[TrueEvent]:
    for row in table.to_dicts():
        words = str(row["object"] or "").split()
        colour = next((w for w in words if w in COLOURS), "")
        noun = " ".join(w for w in words if w not in COLOURS)
        source = row.get("source") or row["set"]
        name = EPISODE.format(source, episode_key(int(row["episode"])))
        yield TrueEvent(
            name, row["start_frame"], row["end_frame"], row["verb"], noun, colour, row["to"] or "", row["arm"] or ""
        )


def pairs(captions: pl.DataFrame, events: pl.DataFrame, true: Sequence[TrueEvent], level: str) -> list[Pair]:
    """Captions of a level whose span agrees with a true one (IoU at least 0.5), each true one once."""
    spans = events.filter(pl.col("level") == level, pl.col("track") == "all").select("event_id", "start_s", "end_s")
    said = captions.join(spans, on="event_id", how="inner")
    by_episode: dict[str, list[TrueEvent]] = {}
    for one in true:
        by_episode.setdefault(one.episode, []).append(one)
    found = []
    for row in said.to_dicts():
        best = max(by_episode.get(row["episode_id"], []), key=lambda t: _iou(row, t), default=None)
        if best is not None and _iou(row, best) >= IOU:
            found.append(Pair(row, best))
    return found


def _iou(row: Mapping[str, Any], true: TrueEvent) -> float:
    shared = min(row["end_s"], true.end) - max(row["start_s"], true.start)
    whole = max(row["end_s"], true.end) - min(row["start_s"], true.start)
    return shared / whole if shared > 0 and whole > 0 else 0.0


def judged(found: Sequence[Pair]) -> dict[str, Share]:
    """Share of right verbs, objects, colours, destinations, arms; then of true facts that are covered, and of what is
    said that is contradicted by the truth or invented."""
    nouns = {p.true.noun for p in found if p.true.noun}
    goals = {p.true.goal for p in found if p.true.goal}
    marks = [_facts(p, nouns, goals) for p in found]
    result = {}
    for fact in FACTS:
        own = [m[fact] for m in marks if m[fact] is not None]
        result[fact] = Share(sum(x == "right" for x in own), len(own))
    every = [x for m in marks for x in m.values() if x is not None]
    result["covered"] = Share(sum(x == "right" for x in every), len(every))
    result["contradicted"] = Share(sum(x == "wrong" for x in every), len(every))
    extra = [_invented(p, nouns) for p in found]
    result["invented"] = Share(sum(extra), len(extra))
    return result


def _facts(pair: Pair, nouns: Iterable[str], goals: Iterable[str]) -> dict[str, str | None]:
    """right, wrong or silent of each fact that is true of the pair; None of those that are not known."""
    text, true = _own_words(pair.caption["text"]), pair.true
    verb = pair.caption["verb"] in AGREES.get(true.verb, {true.verb})
    arm = pair.caption["arm"]
    return {
        "verb": None if true.verb == "unknown" else "right" if verb else "wrong",
        "object": _named(text, true.noun, nouns),
        "colour": _named(text, true.colour, COLOURS),
        "to": _named(text, true.goal, goals),
        "arm": None if not true.arm or not arm else "right" if arm == true.arm else "wrong",
    }


def _own_words(text: str) -> str:
    """A sentence without the operator's words that it quotes."""
    return re.sub(r"\(task:.*\)", "", text).casefold()


def _named(text: str, wanted: str, others: Iterable[str]) -> str | None:
    if not wanted:
        return None
    if _says(text, wanted):
        return "right"
    return "wrong" if any(_says(text, o) for o in others if o != wanted) else "silent"


def _says(text: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name.casefold())}", text) is not None


def _invented(pair: Pair, nouns: Iterable[str]) -> bool:
    """Whether a thing is named though none is handled."""
    return not pair.true.noun and any(_says(_own_words(pair.caption["text"]), n) for n in nouns)


def shuffled(found: Sequence[Pair], seed: int = 0) -> list[Pair]:
    """The captions dealt out anew among events of one verb: what is said of none in particular."""
    rng = np.random.default_rng(seed)
    groups: dict[str, list[int]] = {}
    for number, pair in enumerate(found):
        groups.setdefault(pair.caption["verb"], []).append(number)
    dealt = list(found)
    for own in groups.values():
        for number, other in zip(own, rng.permutation(own), strict=True):
            dealt[number] = Pair(found[int(other)].caption, found[number].true)
    return dealt


def distinct(captions: pl.DataFrame) -> float:
    """Different sentences per 100 events."""
    return 100 * captions["text"].n_unique() / captions.height if captions.height else 0.0


def table(scored: Mapping[str, Mapping[str, Share]], keep: Callable[[str], bool] = lambda _: True) -> list[str]:
    """Markdown, a row a fact, a column a captioner."""
    names = [n for n in next(iter(scored.values())) if keep(n)]
    head = ["| | " + " | ".join(scored) + " |", "| --- " * (1 + len(scored)) + "|"]
    return [*head, *(f"| {name} | " + " | ".join(str(own[name]) for own in scored.values()) + " |" for name in names)]


def worst(found: Sequence[Pair], number: int = 20) -> list[Pair]:
    """Pairs with most that is wrong, the surest first."""
    nouns, goals = {p.true.noun for p in found if p.true.noun}, {p.true.goal for p in found if p.true.goal}

    def badness(pair: Pair) -> tuple[int, float]:
        return -sum(x == "wrong" for x in _facts(pair, nouns, goals).values()), -(pair.caption["confidence"] or 0.0)

    return sorted((p for p in found if badness(p)[0]), key=badness)[:number]
