"""Queries with the events that answer them, made by rule from the sample's truth and from nothing that was captioned.

In: truth.parquet (what was recorded: phases, things, colours), a corpus of the sample. Out: `Query`s. An L1 event
answers where it and a true phase of the thing that was asked for share at least half of their common length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.corpus.view import Corpus

TRUTH = Path("pipeline/sample/truth.parquet")
FPS = 20
SHARED = 0.5  # intersection over union
PLAIN = {  # phase: what is asked, of a thing x and the place y that it goes to
    "reach": "reach for the {x}",
    "grasp": "grasp the {x}",
    "lift": "lift the {x}",
    "move": "carry the {x}",
    "place": "place the {x} on the {y}",
    "release": "release the {x}",
    "push": "push the {x}",
    "pull": "pull the {x}",
    "missed_grasp": "missed grasp of a {x}",
}
OTHERWISE = {  # the same in words that no caption is made of
    "reach": "the robot goes towards the {x}",
    "grasp": "fingers take hold of the {x}",
    "lift": "raising the {x} into the air",
    "move": "transporting the {x} somewhere else",
    "release": "let go of the {x}",
    "missed_grasp": "the robot fails to pick up the {x}",
}
FOREIGN = {  # German and Chinese
    "grasp": ("greift {x}", "抓住{x}"),
    "lift": ("hebt {x} hoch", "举起{x}"),
    "missed_grasp": ("verfehlter Griff nach {x}", "没有抓住{x}"),
}
THINGS = {
    "puck": ("den Puck", "冰球"), "cube": ("den Würfel", "立方体"), "block": ("den Klotz", "积木"),
    "ring": ("den Ring", "环"), "ball": ("den Ball", "球"), "lid": ("den Deckel", "盖子"),
    "peg": ("den Stift", "木钉"), "drawer": ("die Schublade", "抽屉"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """kind: plain, colour, otherwise, foreign; phase; the text; ids of the L1 events that answer it."""

    kind: str
    phase: str
    text: str
    answers: frozenset[str]


def queries(corpus: Corpus, truth: Path = TRUTH) -> list[Query]:
    """All that have an answer, in a fixed order."""
    rows = _answers(corpus, pl.read_parquet(truth))
    return [q for q in (*_things(rows), *_colours(rows)) if q.answers]


def _answers(corpus: Corpus, truth: pl.DataFrame) -> pl.DataFrame:
    """phase, object, colour, to_place, event_id: L1 events that are a true phase of a thing."""
    episode = pl.format("{}/{}", "dataset", pl.col("episode_index").cast(pl.String).str.zfill(6))
    about = truth.filter(kind="episode").select(episode.alias("episode_id"), "object", "colour", "to_place")
    phases = truth.filter(kind="event").select(
        episode.alias("episode_id"), "phase", begin=pl.col("start_frame") / FPS, stop=pl.col("end_frame") / FPS
    )
    columns = ["event_id", "episode_id", "level", "track", "start_s", "end_s"]
    events = corpus.table("events", columns=columns).filter(level="L1", track="all")
    pairs = events.join(phases, on="episode_id").with_columns(
        both=(pl.min_horizontal("end_s", "stop") - pl.max_horizontal("start_s", "begin")),
        either=(pl.max_horizontal("end_s", "stop") - pl.min_horizontal("start_s", "begin")),
    )
    return pairs.filter(pl.col("both") >= SHARED * pl.col("either")).join(about, on="episode_id")


def _things(rows: pl.DataFrame) -> Iterator[Query]:
    for (phase, thing), own in rows.sort("phase", "object").group_by("phase", "object", maintain_order=True):
        answers, place = frozenset(own["event_id"]), own["to_place"].drop_nulls().sort()[0]
        for kind, words in (("plain", PLAIN), ("otherwise", OTHERWISE)):
            if phase in words and (place or "{y}" not in words[phase]):
                yield Query(kind, phase, words[phase].format(x=thing, y=place), answers)
        if phase in FOREIGN and thing in THINGS:
            for pattern, name in zip(FOREIGN[phase], THINGS[thing], strict=True):
                yield Query("foreign", phase, pattern.format(x=name), answers)


def _colours(rows: pl.DataFrame) -> Iterator[Query]:
    keys = ["phase", "object", "colour"]
    for (phase, thing, colour), own in rows.sort(keys).group_by(keys, maintain_order=True):
        if phase in PLAIN and "{y}" not in PLAIN[phase]:
            yield Query("colour", phase, PLAIN[phase].format(x=f"{colour} {thing}"), frozenset(own["event_id"]))
