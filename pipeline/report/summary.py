"""The last words of a build: what went in, what came out, what was set aside and why, and where to look.

In: a corpus. Out: plain lines, each with what its figures mean, and the share of each source's episodes of which
nothing comes out, which decides the exit code.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import polars as pl

from pipeline.check import after
from pipeline.check.verdict import GREEN, RED, YELLOW
from pipeline.corpus import tombstones
from pipeline.corpus.view import Corpus
from schemas.ids import SOURCE_OF, source_of
from schemas.reasons import Reason
from stages import storage

SHOWN = 8  # sources whose verdict is printed with its reason
FATES = {  # of an event of the shard level, in words
    "sampled": "drawn",
    "reserve": "in reserve (not drawn: shard.keep, shard.alpha)",
    "static": "static (nothing moves)",
    "too_short": "too short (shard.min_frames)",
    "too_long": "too long (shard.max_frames)",
    "bad_pictures": "without pictures (a camera shows nothing for most of them)",
    "rejected": "rejected by people",
    "quarantined": "in quarantine",
}
ASKED = {  # how a question to a captioning model went
    "ok": "ok",
    "repaired": "repaired (mended, or asked twice)",
    "fallback": "fell back (the answer was refused twice)",
    "truncated": "cut off",
    "blocked": "refused by the server",
    "error": "not answered",
}
SPACES = {"vl": "vl (what is seen and said)", "action": "action (how the arms move)"}


class Summary:
    """Of a corpus, whose tables are read once."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus

    @cached_property
    def quarantine(self) -> pl.DataFrame:
        return self.corpus.quarantine(evidence=False)

    @cached_property
    def left_out(self) -> pl.DataFrame:
        """episode_id of those that a rule of the user's leaves out: nothing is wrong with them."""
        return self.quarantine.filter(reason=Reason.LEFT_OUT.value).select("episode_id", "source")

    @cached_property
    def on_purpose(self) -> pl.DataFrame:
        """episode_id of those that are not used because somebody said so."""
        reasons = [Reason.LEFT_OUT.value, Reason.FORGOTTEN.value]
        return self.quarantine.filter(pl.col("reason").is_in(reasons)).select("episode_id", "source")

    @cached_property
    def barren(self) -> list[str]:
        """Sources of which no sample comes."""
        return list(after.barren(self.corpus))

    def failed_shares(self) -> dict[str, float]:
        """{source: share of its episodes of which nothing comes out}: those in quarantine, and entries of its list
        that cannot be read. 1 for a source that cannot be used at all, and for one of which no sample came."""
        refused = self.quarantine.filter(pl.col("event_id").is_null())
        wanted = self.corpus.wanted("ingest").join(self.on_purpose, left_on="item", right_on="episode_id", how="anti")
        episodes = wanted.select(source=pl.col("item").str.extract(SOURCE_OF, 1), episode_id="item")
        bad = episodes.join(refused, on="episode_id", how="semi")
        listed, failed = (Counter(dict(e["source"].value_counts().iter_rows())) for e in (episodes, bad))
        entries = Counter(refused.filter(reason=Reason.ENTRY_UNREADABLE.value)["source"].to_list())
        told = Counter(refused.filter(reason=Reason.EPISODE_NOT_LISTED.value)["source"].to_list())
        for source, number in entries.items():  # such an entry may be counted by info.json: that is one too
            more = max(0, number - told[source])
            listed[source] += more
            failed[source] += more
        shares = {source: failed[source] / number for source, number in listed.items()}
        return {**shares, **dict.fromkeys([*self.corpus.manifest["lost"], *self.barren], 1.0)}

    def lines(self, seconds: float, until: str | None = None) -> Iterator[str]:
        """Lines to print; until: the stage at which the build was told to stop, None if it went to the end."""
        corpus = self.corpus
        if until:
            yield f"until      {until}: what follows about later stages is as an earlier build left it"
        yield from _sources(corpus, self.barren, self.on_purpose.height)
        yield from _verdicts(corpus)
        yield from _counts(corpus)
        yield from _release(corpus)
        if self.left_out.height:
            by = self.left_out.group_by("source").len().sort("source").iter_rows()
            sources = ", ".join(f"{number} of {source}" for source, number in by)
            yield f"left out   {self.left_out.height} episodes by ingest.where ({sources})"
        yield from _forgotten(corpus)
        wrong = self.quarantine.filter(pl.col("reason") != Reason.LEFT_OUT.value)
        if wrong.height:
            for reason, number in (
                wrong.group_by("reason").len().sort("len", "reason", descending=[True, False]).iter_rows()
            ):
                yield f"quarantine {number} x {reason}"
            yield f"           look: corpus quarantine --corpus {corpus.root}"
        else:
            yield "quarantine empty"
        yield f"report     {corpus.ledger.path('report.html')}"
        yield f"took       {seconds:.0f} s"


def _forgotten(corpus: Corpus) -> Iterator[str]:
    """Episodes with a tombstone; a name that another recording bears now is told."""
    stones = [s for s in tombstones.read(corpus.root) if source_of(s.episode_id) in corpus.manifest["sources"]]
    if not stones:
        return
    number = len(stones)
    yield f"forgotten  {number} episode{'s' * (number != 1)} on request, not read again (corpus forget --list)"
    read = set(corpus.done("ingest").filter(status="ok")["item"].to_list()) if corpus.has("ingest") else set()
    for stone in stones:
        if not stone.finished:
            yield f"           {stone.episode_id} is not forgotten to the end: corpus forget {stone.episode_id} again"
        elif stone.episode_id in read:
            yield f"           {stone.episode_id} is in the corpus: its log is not the forgotten one"


def _verdicts(corpus: Corpus) -> Iterator[str]:
    """Of sources that are not green what is wrong with them, most of all."""
    verdicts = after.read(corpus)
    levels = Counter(v.level for v in verdicts)
    if verdicts:
        words = ", ".join(f"{levels[level]} {level}" for level in (GREEN, YELLOW, RED) if levels[level])
        yield f"verdicts   {words} (the report says why, and what to do)"
    bad = [v for v in verdicts if v.level != GREEN]
    for verdict in sorted(bad, key=lambda v: v.level != RED)[:SHOWN]:
        first = next(b for b in verdict.because if b.level == verdict.level)
        more = f" (and {len(verdict.because) - 1} more)" if len(verdict.because) > 1 else ""
        yield f"           {verdict.source}: {verdict.level}: {first.what}{more}"
    if len(bad) > SHOWN:
        yield f"           and {len(bad) - SHOWN} other sources"


def _counts(corpus: Corpus) -> Iterator[str]:
    observe = corpus.counts("observe")
    if observe:
        decoded, frames = int(observe.get("decoded_frames", 0)), int(observe.get("source_frames", 0))
        times = f", each decoded {decoded / frames:.2f} times" if frames else ""
        yield f"video      {frames} frames in the files that were read{times}"
    yield from _lags(corpus)
    segment = corpus.counts("segment")
    names = {"L3": "tasks", "L2": "subtasks", "L1": "actions", "L0": "local events"}
    levels = ", ".join(f"{level} {int(segment[level])} {words}" for level, words in names.items() if level in segment)
    if levels:
        yield f"events     {levels}"
    yield from _captions(corpus)


def _captions(corpus: Corpus) -> Iterator[str]:
    """How the questions to a model went; nothing where none was asked."""
    figures = corpus.counts("caption")
    counts = {status: int(figures.get(f"caption_{status}", 0)) for status in ASKED}
    if not any(counts.values()):
        return
    words = ", ".join(f"{counts[status]} {text}" for status, text in ASKED.items() if counts[status])
    yield f"captions   {sum(counts.values())} events by a model: {words}"
    if counts["error"]:
        captions = corpus.table("captions", columns=["status", "complaint"]).filter(status="error")
        why = captions["complaint"].value_counts().sort("count", "complaint", descending=[True, False])
        yield f"           {why['complaint'][0]}: the next build asks for those again"


def _sources(corpus: Corpus, barren: Iterable[str], left_out: int) -> Iterator[str]:
    ingest, lost = corpus.counts("ingest"), corpus.manifest["lost"]
    read, listed = int(ingest.get("episodes", 0)), corpus.wanted("ingest").height - left_out
    named = len(corpus.manifest["sources"]) + len(lost)
    sources = f"{named - len(lost)} of {named} sources" if lost else f"{named} source{'s' if named > 1 else ''}"
    yield f"episodes   {read} of {listed} listed could be read, {ingest.get('hours', 0.0):.2f} h, of {sources}"
    for source in sorted(lost):
        yield f"           {source} is not in the corpus: {lost[source].splitlines()[0]}"
    for source in barren:
        yield f"           {source}: no sample came of it"


def _lags(corpus: Corpus) -> Iterator[str]:
    if not corpus.has("vote"):
        return
    for row in corpus.table("lag_votes").to_dicts():
        if row["estimates"]:
            yield f"lag        {row['source']}: {_lag(row)}"


def _lag(row: Mapping[str, Any]) -> str:
    """What was measured first, then what was done about it."""
    voted, votes = row["voted_frames"], f"{row['votes']} of {row['voters']} votes"
    found = "in step" if not voted else f"the log is {abs(voted)} frame{'s' * (abs(voted) > 1)} "
    found += "" if not voted else "behind the video" if voted > 0 else "ahead of the video"
    score = "" if row["score"] is None else f", score {row['score']:.2f}"
    if row["weak"] or row["disagrees"]:
        why = "too few votes to go by" if row["weak"] else "too few votes agree"
        return f"not shifted: {why} ({votes} say {found}{score})"
    if row["lag_frames"]:
        return f"{found}, shifted by that ({votes}{score})"
    return f"{found}{', within what can be told: not shifted' if voted else ''} ({votes}{score})"


def _drift(told: Mapping[str, Any]) -> Iterator[str]:
    """How far events have moved from what the clusters in force were fitted on; nothing right after a fit."""
    changed = told.get("changed_share", 0.0)
    if changed:
        far = ", ".join(f"{space} {told[space]['stability']:.2f}" for space in SPACES)
        yield f"clusters   of an earlier fit: {changed:.1%} of the events came or changed since (cluster.refit_share)"
        yield f"           (how far cluster shares moved: {far}; under 0.1 is taken for nothing, over 0.25 for much)"


def _release(corpus: Corpus) -> Iterator[str]:
    name = corpus.manifest["release"]
    if not name:
        return
    folder = storage.join(corpus.root, "shards", name)
    manifest = json.loads(storage.read_bytes(storage.join(folder, "manifest.json")))
    size = sum(s["bytes"] for s in manifest["shards"].values())
    level = manifest["config"]["shard"]["level"]
    yield f"shards     {len(manifest['shards'])} tars, {manifest['samples']} samples, {size / 1e6:.1f} MB"
    fates = manifest["events"]
    words = ", ".join(f"{fates[status]} {text}" for status, text in FATES.items() if status in fates)
    yield f"           of {sum(fates.values())} {level} events {words}"
    stats = json.loads(storage.read_bytes(storage.join(folder, "stats.json")))
    yield from _drift(stats.get("drift", {}))
    balance = stats["balance"]
    for space, text in SPACES.items():
        if space in balance:
            before, drawn, random = (balance[space][k]["gini"] for k in ("before", "sampled", "random"))
            sizes = [size for size in balance[space]["before"]["sizes"] if size]
            yield (
                f"balance    {text}, {sum(sizes)} train events in {len(sizes)} clusters: Gini {before:.2f} as "
                f"recorded, {drawn:.2f} as drawn, {random:.2f} had as many been drawn at random"
            )
    if any(space in balance for space in SPACES):
        yield "           (Gini: 0 where all clusters are equally large, near 1 where one has nearly all)"
    for note in balance.get("notes", ()):
        yield f"           {note}"
    yield f"           look: {storage.join(corpus.root, 'shards', 'latest')}"
