"""`corpus forget`, what it begins with and what it leaves: which episodes, what is known of them, and their tombstones.

In: names of episodes, the corpus, and what its sources list now (they need not be at hand). Out: tombstones, written
before anything is removed: killed at any instant after that, the same command goes on where it was, and no build reads
what was to be forgotten. `pipeline/forget/purge.py` does the removing.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corpus import tombstones
from pipeline.corpus.compact import DamagedPart
from pipeline.corpus.tables import by_episode
from pipeline.corpus.tombstones import NotThere
from pipeline.corpus.view import Corpus
from schemas.episodes import EPISODES
from schemas.ids import EPISODE_OF, episode_of
from schemas.samples import SAMPLES
from schemas.signals import SIGNALS, SignalRow
from stages import storage
from stages.forgotten import TOLD, Tombstone, content_of

NEAR = 3  # names that are suggested


def known(corpus: Corpus) -> set[str]:
    """Episodes that the plan or the ledger names, those of superseded work too; sources that are lost as a whole are
    none."""
    names = corpus.plan["item"]
    found = [names, *(corpus.state(stage).items["item"] for stage in corpus.ledgers)]
    each = pl.concat([f.str.extract(EPISODE_OF, 1) for f in found]).drop_nulls().unique()
    return set(each.to_list())


def asked_for(names: Sequence[str], there: Collection[str], stones: Sequence[Tombstone]) -> None:
    """Raises NotThere for names that are neither in the corpus nor forgotten."""
    for name in names:
        if name not in there and all(name != stone.episode_id for stone in stones):
            near = difflib.get_close_matches(name, sorted(there), NEAR)
            near = near or [n for n in sorted(there) if name.strip("/") in n][:NEAR]
            hint = f"; is it {', '.join(near)}?" if near else "; corpus show episodes lists them"
            raise NotThere(f"{name} is no episode of this corpus{hint}")


def whole(corpus: Corpus, dry: bool) -> None:
    """Raises DamagedPart where a ledger cannot tell all that it holds: what it names could be missed."""
    for stage in corpus.ledgers:
        if not dry:
            corpus.ledger.tidy(stage)
        if corpus.ledger.damaged(stage):
            words = "what it names may hold the episode; corpus repair first, then run this again"
            raise DamagedPart(f"ledger/{stage} is damaged: {words} (--corpus {corpus.root})")


def inscribed(
    corpus: Corpus,
    names: Sequence[str],
    stones: Sequence[Tombstone],
    identities: Mapping[str, str],
    at: str,
    by: str,
    reason: str,
) -> list[Tombstone]:
    """The tombstones of episodes, not written yet; stones: those that there are."""
    releases, made = holding(corpus, names), []
    refused = dict(corpus.quarantine(evidence=False).filter(stage="ingest").select("episode_id", "message").iter_rows())
    for name in names:
        row = next(iter(corpus.rows(EPISODES, [name])), None)
        content = _content(corpus, name)
        if name in refused:  # a forgotten log under another name, or in another file: now that is known too
            same = [s.content for s in stones if s.content and s.content[:TOLD] in refused[name]]
            content = next(iter(same), content)
        made.append(
            Tombstone(
                episode_id=name,
                recording_id=row["recording_id"] if row else name,
                dataset_uri=row["dataset_uri"] if row else "",
                identity=identities.get(name, ""),
                content=content,
                n_rows=row["n_rows"] if row else None,
                t0=row["t0"] if row else None,
                t1=row["t1"] if row else None,
                at=at,
                by=by,
                reason=reason,
                releases=tuple(releases),
            )
        )
    return made


def twins(corpus: Corpus, made: Sequence[Tombstone]) -> dict[str, list[str]]:
    """{forgotten episode: others of the corpus with the same log}; only those of as many rows are looked into."""
    found: dict[str, list[str]] = {}
    rows = corpus.table(EPISODES.name, columns=["episode_id", "n_rows"])
    names = [stone.episode_id for stone in made]
    for stone in made:
        if not stone.content or stone.n_rows is None:
            continue
        near = rows.filter(pl.col("n_rows") == stone.n_rows, ~pl.col("episode_id").is_in(names))["episode_id"].to_list()
        for name in near:
            if _content(corpus, name) == stone.content:
                found.setdefault(stone.episode_id, []).append(name)
    return found


def _content(corpus: Corpus, name: str) -> str:
    own = by_episode(corpus.root, SIGNALS, corpus.parts(SIGNALS.name, [name])).get(name, [])
    return content_of(cast("list[SignalRow]", own))


def holding(corpus: Corpus, names: Collection[str]) -> list[str]:
    """Releases that were made with one of these episodes: by the fates of events in the ledger, else (gc takes those
    of old releases) by their index and the events that name their clusters; one of which nobody can tell counts."""
    told: dict[str, bool] = {}
    for commit in corpus.state("samples").commits():
        file = commit.files.get(SAMPLES.name)
        for item in commit.items:
            told[item.fingerprint] = bool(file and _mentions(corpus, file.path, names))
    folder = storage.join(corpus.root, "shards")
    there = {path.split("/", 1)[0] for path in storage.listing(folder) if "/" in path} - {"tars", "latest"}
    for release in there - told.keys():
        told[release] = any(_mentions(corpus, f"shards/{release}/{n}.parquet", names) for n in ("index", "clusters"))
    return sorted(release for release in there if told[release])


def _mentions(corpus: Corpus, path: str, names: Collection[str]) -> bool:
    """Whether a table has a row of one of these episodes, or a cluster named by an event of theirs, or cannot tell."""
    with suppress(OSError, KeyError, pa.ArrowException):
        file = pq.ParquetFile(io.BytesIO(storage.read_bytes(corpus.ledger.path(path))))
        column = "episode_id" if "episode_id" in file.schema_arrow.names else "central"
        found = pl.Series(file.read([column])[column]).explode()
        return bool(found.drop_nulls().str.extract(EPISODE_OF, 1).is_in(list(names)).any())
    return True


def unfinished(stones: Sequence[Tombstone]) -> list[Tombstone]:
    return [stone for stone in stones if not stone.finished]


def of_forgotten(item: str, names: Collection[str]) -> bool:
    """Whether an item of a ledger or of the plan is of one of these episodes."""
    return episode_of(item) in names


def recall(root: str, names: Sequence[str]) -> list[Tombstone]:
    """Take tombstones away, so that the next build reads those episodes again. Raises NotThere."""
    stones = tombstones.read(root)
    for name in names:
        if all(name != stone.episode_id for stone in stones):
            near = difflib.get_close_matches(name, [s.episode_id for s in stones], NEAR)
            hint = f"; is it {', '.join(near)}?" if near else ""
            raise NotThere(f"{name} has no tombstone in this corpus{hint}")
    gone = [stone for stone in stones if stone.episode_id in set(names)]
    for stone in gone:
        tombstones.remove(root, stone)
    return gone
