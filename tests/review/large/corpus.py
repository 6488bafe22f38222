"""A corpus of many events on disk, made of a small one: its episodes again and again under other names.

In: a built corpus, how many events there are to be. Out: a corpus that `corpus review` opens as any other, with tables,
ledger and plan of its own. What is said of an event is drawn anew (confidence, cluster, words), so that filters and
orders have something to do. Media are the small corpus' own, shared: each copy of an episode names the same proxies.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl

from pipeline.corpus import record
from pipeline.corpus.commit import Item
from pipeline.corpus.ledger import Ledger
from pipeline.corpus.view import Corpus
from schemas.ids import camera_id, episode_id

COPIED = {
    "ingest": ("episodes", "signals"), "observe": ("observations",), "align": ("alignments",),
    "segment": ("events",), "caption": ("captions",), "cluster": ("clusters",),
}  # fmt: skip
OWN = ("episode_id", "event_id", "parent_id", "recording_id")  # columns that name an episode or begin with its name
AT_ONCE = 22  # copies in a part: about a thousand episodes, as docs/scale.md advises
CLUSTERS = 64
THINGS = ("cup", "block", "banana", "bottle", "lid", "drawer", "cable", "towel", "bread", "spoon")


def write(small: Path, corpus: Path, events: int) -> int:
    """How many events there are: at least as many as were asked for."""
    view, ledger = Corpus(str(small)), Ledger(str(corpus))
    frames = {name: view.table(name) for names in COPIED.values() for name in names}
    copies = -(-events // frames["events"].height)
    order = {e: n for n, e in enumerate(frames["episodes"]["episode_id"].sort())}
    rng, plan = np.random.default_rng(0), list[tuple[str, str, str]]()
    for first in range(0, copies, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, copies))
        names = {e: [episode_id("made", n * len(order) + at) for n in numbers] for e, at in order.items()}
        for stage, written in COPIED.items():
            tables = {}
            for name in written:
                rows = pl.concat(
                    [_renamed(frames[name], {e: own[n] for e, own in names.items()}) for n in range(len(numbers))]
                )
                table = view.tables[name]
                drawn = _drawn(name, rows, rng).sort(table.key).to_arrow()
                tables[table] = drawn.select(table.schema.names).cast(table.schema)
            items = [Item(i, "made") for i in _items(stage, tables)]
            ledger.publish(stage, items, tables, {})
            plan += [(stage, i.name, "made") for i in items]
    manifest = {**view.manifest, "sources": {"made": "made"}, "release": None}
    record.write(str(corpus), pl.DataFrame(plan, record.SCHEMA, orient="row"), manifest)
    os.symlink(small / "media", corpus / "media")
    return copies * frames["events"].height


def _renamed(rows: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    """Rows of all episodes, each under another name; `source` is that of the new one."""
    own = pl.col("episode_id").replace_strict(names)
    columns = [
        (own + pl.col(c).str.strip_prefix(pl.col("episode_id"))).alias(c)
        if c.endswith(("event_id", "parent_id"))
        else own.alias(c)
        for c in OWN
        if c in rows.columns
    ]
    source = [pl.lit("made").alias("source")] if rows.columns[1] == "source" else []
    return rows.with_columns(*columns, *source)


def _drawn(name: str, rows: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """What is said of events, other for each."""
    n = rows.height
    if name == "events":
        return rows.with_columns(pl.Series("confidence", rng.uniform(0.3, 1, n)).cast(rows.schema["confidence"]))
    if name == "clusters":
        drawn = np.minimum(rng.geometric(0.08, n) - 1, CLUSTERS - 1)
        return rows.with_columns(pl.Series("vl_cluster", drawn).cast(rows.schema["vl_cluster"]))
    if name == "captions":
        thing = pl.Series(rng.choice(THINGS, n))
        sure = pl.Series("confidence", rng.uniform(0.3, 1, n)).cast(rows.schema["confidence"])
        return rows.with_columns(sure, text=pl.col("text") + " (" + thing + ")")
    return rows


def _items(stage: str, tables: dict) -> list[str]:
    (first, *_) = tables.values()
    if stage != "observe":
        return first["episode_id"].unique().to_pylist()
    return [camera_id(e, c) for e, c in zip(first["episode_id"].to_pylist(), first["camera"].to_pylist(), strict=True)]


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser()
    for name, kind in (("--of", Path), ("--corpus", Path), ("--events", int)):
        parser.add_argument(name, type=kind, required=True)
    asked = parser.parse_args()
    print(write(asked.of.resolve(), asked.corpus, asked.events), "events")
