"""The last words of a build: what went in, what came out, what was set aside and why, and where to look.

In: a corpus. Out: plain lines, and the share of each source's episodes in quarantine, which decides the exit code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import polars as pl

from pipeline.corpus import Corpus
from stages import storage


def summary_lines(corpus: Corpus, seconds: float) -> Iterator[str]:
    """Lines to print."""
    ingest, observe = corpus.counts("ingest"), corpus.counts("observe")
    episodes = len(corpus.wanted("ingest"))
    yield f"episodes   {episodes} of {len(corpus.manifest['sources'])} sources, {ingest.get('hours', 0.0):.2f} h"
    if observe:
        decoded, frames = int(observe.get("decoded_frames", 0)), int(observe.get("source_frames", 0))
        ratio = f"{decoded / frames:.2f}" if frames else "-"
        yield f"video      {decoded} source frames decoded / {frames} in the sources = {ratio}"
    yield from _lags(corpus)
    segment = corpus.counts("segment")
    levels = ", ".join(f"{level} {int(segment[level])}" for level in ("L3", "L2", "L1", "L0") if level in segment)
    if levels:
        yield f"events     {levels}"
    yield from _release(corpus)
    quarantine = corpus.quarantine(evidence=False)
    if quarantine.height:
        for reason, number in (
            quarantine.group_by("reason").len().sort("len", "reason", descending=[True, False]).iter_rows()
        ):
            yield f"quarantine {number} x {reason}"
        yield f"           look: corpus quarantine --corpus {corpus.root}"
    else:
        yield "quarantine empty"
    yield f"report     {corpus.ledger.path('report.html')}"
    yield f"took       {seconds:.0f} s"


def quarantined_shares(corpus: Corpus) -> dict[str, float]:
    """{source: share of its episodes that are in quarantine}; a source that cannot be used at all counts as 1."""
    episodes = [item for item, _ in corpus.wanted("ingest")]
    table = pl.DataFrame({"episode_id": episodes}, schema={"episode_id": pl.String}).with_columns(
        source=pl.col("episode_id").str.split("/").list.first()
    )
    bad = corpus.quarantine(evidence=False).filter(pl.col("event_id").is_null())["episode_id"].unique().to_list()
    shares = table.group_by("source").agg(pl.col("episode_id").is_in(bad).mean())
    return {**dict(shares.iter_rows()), **dict.fromkeys(corpus.manifest["lost"], 1.0)}


def _lags(corpus: Corpus) -> Iterator[str]:
    if not corpus.wanted("vote"):
        return
    for row in corpus.table("lag_votes").to_dicts():
        if not row["estimates"]:
            continue
        if row["weak"] or row["disagrees"]:
            why = "too few votes" if row["weak"] else "votes disagree"
            text = f"not applied: {why}, {row['voted_frames']:+d} has {row['votes']} of {row['voters']}"
        else:
            text = f"{row['votes']} of {row['voters']} votes for {row['voted_frames']:+d}, score {row['score']:.2f}"
        yield f"lag        {row['source']}: {row['lag_frames']} frames ({text})"


def _release(corpus: Corpus) -> Iterator[str]:
    name = corpus.manifest["release"]
    if not name:
        return
    folder = storage.join(corpus.root, "shards", name)
    manifest = json.loads(storage.read_bytes(storage.join(folder, "manifest.json")))
    size = sum(s["bytes"] for s in manifest["shards"].values())
    fates = ", ".join(f"{number} {status}" for status, number in sorted(manifest["events"].items()))
    yield f"shards     {len(manifest['shards'])} tars, {manifest['samples']} samples, {size / 1e6:.1f} MB ({fates})"
    balance = json.loads(storage.read_bytes(storage.join(folder, "stats.json")))["balance"]
    for space in ("vl", "action"):
        if space in balance:
            steps = [
                f"{balance[space][k]['gini']:.3f}/{balance[space][k]['entropy']:.2f}"
                for k in ("before", "sampled", "weighted")
            ]
            sizes = len(balance[space]["before"]["sizes"])
            figures = f"{steps[0]} before, {steps[1]} in shards, {steps[2]} weighted"
            yield f"balance    {space}: {sizes} clusters, Gini/entropy {figures}"
    yield f"           look: {storage.join(corpus.root, 'shards', 'latest')}"
