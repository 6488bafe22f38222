"""The verdicts on the sources of a build: the rules of `corpus check`, over all episodes instead of some.

In: the survey and the corpus. Out: verdicts, kept as verdicts.json in the corpus for its report.
"""

from __future__ import annotations

import json
from collections import Counter

import polars as pl

from pipeline.check.verdict import Figures, Verdict, from_rows, of_source
from pipeline.corpus.view import Corpus
from schemas.alignments import DEAD
from schemas.ids import SOURCE_OF, source_of
from schemas.reasons import Reason
from stages import storage
from stages.ingest.survey import Survey

NAME = "verdicts.json"
MOST = 0.5  # of a source's frames in which a camera is dead


def of_build(found: Survey, corpus: Corpus, certainty: float) -> list[Verdict]:
    """One a source, in the order of the sources."""
    passed = Counter(source_of(name) for name in found.passed)
    figures = {name: Figures(episodes=len(own) - passed[name]) for name, own in found.listed.items()}
    _aside(figures, corpus)
    _flags(figures, corpus)
    _shares(figures, corpus)
    _pictures(figures, corpus)
    for source, fates in barren(corpus).items():
        if source in figures:
            figures[source].barren = fates
    verdicts = [
        of_source(lost.source, None, (), (), Figures(), certainty, lost.error.message.splitlines()[0])
        for lost in found.lost
    ]
    for name, dataset in found.datasets.items():
        notes = [*found.notes[name], *dataset.notes]
        notes += [f"{len(dataset.lost_entries)} entries of its list cannot be read"] if dataset.lost_entries else []
        layout, findings = found.layouts[name], found.findings[name]
        rights = found.rights[name]
        verdicts.append(of_source(name, layout, findings, notes, figures[name], certainty, rights=rights))
    return verdicts


def _aside(figures: dict[str, Figures], corpus: Corpus) -> None:
    rows = corpus.quarantine(evidence=False).filter(pl.col("event_id").is_null())
    left_out = rows.filter(reason=Reason.LEFT_OUT.value).group_by("source").len()
    for source, number in left_out.iter_rows():
        if source in figures:
            figures[source].left_out = number
    other = [Reason.LEFT_OUT.value, Reason.FORGOTTEN.value, Reason.ENTRY_UNREADABLE.value]
    rows = rows.filter(~pl.col("reason").is_in(other))
    rows = rows.unique(["source", "episode_id"], keep="first", maintain_order=True)
    for source, reason, message in rows.select("source", "reason", "message").iter_rows():
        if source in figures:
            own = figures[source]
            own.aside[reason] = own.aside.get(reason, 0) + 1
            own.examples.setdefault(reason, " ".join(message.split())[:300])


def _flags(figures: dict[str, Figures], corpus: Corpus) -> None:
    if not corpus.has("ingest"):
        return
    episodes = corpus.table("episodes", columns=["source", "flags"])
    for source, own in episodes.partition_by("source", as_dict=True).items():
        if source[0] in figures:
            figures[source[0]].flags = dict(Counter(own["flags"].explode().drop_nulls().to_list()))


def _shares(figures: dict[str, Figures], corpus: Corpus) -> None:
    if not corpus.has("segment"):
        return
    columns = ["episode_id", "level", "track", "start_s", "end_s", "primitive", "static"]
    events = corpus.table("events", columns=columns).filter(level="L1", track="all")
    seconds = pl.col("end_s") - pl.col("start_s")
    rests = pl.col("primitive").is_in(["idle", "hold"]) & pl.col("static")
    rows = events.group_by(source=pl.col("episode_id").str.extract(SOURCE_OF, 1)).agg(
        all=seconds.sum(),
        idle=seconds.filter(rests).sum(),
        unknown=seconds.filter(pl.col("primitive") == "unknown").sum(),
    )
    for source, total, idle, unknown in rows.iter_rows():
        if source in figures:
            figures[source].seconds, figures[source].idle, figures[source].unknown = total, idle, unknown


def _pictures(figures: dict[str, Figures], corpus: Corpus) -> None:
    """Cameras that are dead for most of their source's time."""
    if not corpus.has("align"):
        return
    rows = corpus.table("alignments", columns=["episode_id", "n_frames", "pictures"]).with_columns(
        source=pl.col("episode_id").str.extract(SOURCE_OF, 1)
    )
    whole = dict(rows.group_by("source").agg(pl.col("n_frames").sum()).iter_rows())
    bad = rows.filter(pl.col("pictures").list.len() > 0).explode("pictures").unnest("pictures")
    bad = bad.filter(pl.col("kind").is_in(DEAD))
    frames = bad.group_by("source", "camera").agg((pl.col("end_frame") - pl.col("start_frame")).sum().alias("frames"))
    for source, camera, number in frames.sort("source", "camera").iter_rows():
        if source in figures and number > MOST * whole[source]:
            figures[source].dead += (camera,)


def barren(corpus: Corpus) -> dict[str, str]:
    """{source: what became of its events} of those with events of the shard level of which none is in a shard, nor
    merely kept back by the balance. Empty before a release."""
    if not corpus.has("samples"):
        return {}
    rows = corpus.table("samples", columns=["episode_id", "status"])
    counts = rows.group_by("status", source=pl.col("episode_id").str.extract(SOURCE_OF, 1)).len()
    found = {}
    for (source,), own in counts.sort("source").partition_by("source", as_dict=True, maintain_order=True).items():
        fates = dict(own.select("status", "len").iter_rows())
        kept = "reserve" in fates and "quarantined" not in fates
        if "sampled" not in fates and not kept:
            words = ", ".join(f"{n} {status}" for status, n in sorted(fates.items(), key=lambda f: (-f[1], f[0])))
            found[str(source)] = f"of {sum(fates.values())} events {words}"
    return found


def write(verdicts: list[Verdict], corpus: Corpus) -> None:
    """Raises storage.Unusable."""
    text = json.dumps([v.row() for v in verdicts], indent=1, ensure_ascii=False)
    storage.write_bytes(corpus.ledger.path(NAME), text.encode())


def read(corpus: Corpus) -> list[Verdict]:
    """Those of the last build that did something; none where there are none."""
    uri = corpus.ledger.path(NAME)
    try:
        return from_rows(json.loads(storage.read_bytes(uri))) if storage.exists(uri) else []
    except (ValueError, KeyError, TypeError):
        return []
