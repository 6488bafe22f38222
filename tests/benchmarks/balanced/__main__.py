"""`make bench-balance`: clusters, the plan, the deal, the sample, a night; writes docs/balance.md.

Takes some twenty minutes on two cores; `--only clusters plan deal sample night` does some of them.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
from sklearn.metrics import adjusted_mutual_info_score

from pipeline.corpus.view import Corpus
from stages.cluster import ClusterConfig
from stages.cluster.kmeans import fit, principal
from tests.benchmarks.balanced import clusters, plan
from tests.benchmarks.balanced.deal import EACH, TARS, dealt
from tests.benchmarks.balanced.million import EVENTS, VL, Stream, million
from tests.benchmarks.balanced.night import night
from tests.benchmarks.builds import SAMPLE, timed_build

T = TypeVar("T")


def _alone(measure: Callable[[], T]) -> T:
    """What it returns, from a process of its own: peak memory is then its own too."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(measure).result()


def clustering() -> Iterator[str]:
    yield "## Clusters of planted Zipf mixtures"
    yield ""
    yield "Cluster c has a share of 1 / c; `apart`: how far centres lie apart in every direction, in spreads of a"
    yield "cluster. Seconds are the fit's, principal components with it, on two cores; both in turn, in one process."
    yield ""
    yield "| events x width | clusters | apart | | seconds | NMI | smallest found | clusters made |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    labelling = []
    for case in clusters.CASES:
        own, other, each = clusters.measured(case)
        about = f"| {case.events:,} x {case.width} | {case.clusters} | {case.spread}"
        for name, one in (("ours", own), ("MiniBatchKMeans", other)):
            figures = f"{one.seconds:.1f} | {one.agreement:.3f} | {one.tail:.2f} of {case.tail} | {one.clusters}"
            yield f"{about} | {name} | {figures} |"
        faster, nearer = other.seconds / own.seconds, own.agreement - other.agreement
        yield f"{about} | **ratio** | **{faster:.1f} times as fast** | {nearer:+.3f} | | |"
        labelling.append(f"{each:.0f} us at {case.width} wide against {case.clusters}")
    yield ""
    yield f"Labelling, row by row on one core as a build does it: {'; '.join(dict.fromkeys(labelling))}."
    yield ""
    big = _alone(million)
    more = (big.peak - big.before) / 1e9
    yield f"The stages themselves over {EVENTS:,} events that stream in, {VL} and {Stream(1).width} numbers each, both"
    yield f"clusterings: fit {big.fit:.0f} s, making and projecting the vectors with it, in {more:.1f} GB more than"
    yield f"before; then {big.each:.0f} us an event and core to label; {big.clusters} VL clusters."
    yield ""


def planning() -> Iterator[str]:
    yield "## The plan of a million events, 256 x 256 clusters, Zipf in both"
    yield ""
    yield "One thread; `changed`: events whose repeats change when one event is added, mean and most of ten additions."
    yield ""
    yield "| case | seconds | rounds | farthest from the target | from the attainable | changed |"
    yield "| --- | --- | --- | --- | --- | --- |"
    found = _alone(plan.main)
    for name, own in found.items():
        if name != "process":
            seconds = own["table_s"] + own["balance_s"] + own["draw_s"]
            off = f"{own['off_target']:.3g} | {own['off_attainable']:.3g}"
            changed = f"{own['changed_mean']:.1f}, {own['changed_most']}"
            yield f"| {name} | {seconds:.2f} | {own['rounds']} | {off} | {changed} |"
    yield ""
    yield f"Largest resident size of the process {found['process']['peak_gb']:.2f} GB."
    yield ""


def dealing() -> Iterator[str]:
    yield f"## {TARS} tars of {EACH} samples"
    yield ""
    yield "Mean total variation between a tar's clusters and those of all samples, over both clusterings."
    yield ""
    yield "| clusters each | dealt | at random | dealt / random | least for whole events | dealt / least | seconds |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for number in (128, 512):
        d = dealt(number)
        yield (
            f"| {number} | {d.ours:.4f} | {d.random:.4f} | **{d.ours / d.random:.2f}** | {d.least:.4f} | "
            f"**{d.ours / d.least:.3f}** | {d.seconds:.1f} |"
        )
    yield ""


def sample() -> Iterator[str]:
    yield "## The sample: clusters against task and primitive"
    yield ""
    yield "Adjusted mutual information over L1 events that are not at rest; `random`: random vectors, clustered alike."
    yield ""
    yield "| clusters | against | found | random |"
    yield "| --- | --- | --- | --- |"
    with tempfile.TemporaryDirectory() as folder:
        timed_build([str(SAMPLE)], Path(folder) / "corpus", "caption.captioner=signals")
        corpus = Corpus(f"{folder}/corpus")
        events = corpus.table("events").filter(~pl.col("static"), level="L1", track="all")
        rows = corpus.table("clusters").join(events.select("event_id", "primitive"), on="event_id")
        rows = rows.join(corpus.table("episodes").select("episode_id", "task"), on="episode_id")
        noise = np.random.default_rng(0).normal(size=(rows.height, 64)).astype(np.float32)
        for space in ("vl", "action"):
            number = rows[f"{space}_cluster"].n_unique()
            axes = principal(noise, ClusterConfig())
            by_chance = fit(axes(noise), axes, number, ClusterConfig()).assign(noise)[0]
            for against in ("task", "primitive"):
                found, control = (
                    adjusted_mutual_info_score(rows[against].to_list(), labels)
                    for labels in (rows[f"{space}_cluster"].to_list(), by_chance)
                )
                yield f"| {space} ({number}) | {against} | {found:.2f} | {control:.2f} |"
    yield ""


def nights() -> Iterator[str]:
    yield "## A night"
    yield ""
    with tempfile.TemporaryDirectory() as folder:
        n = night(Path(folder))
    yield f"The sample ten times (captions from signals), then four episodes more: {n.episodes} in all,"
    yield f"{n.samples} samples, {n.tars} tars of {n.size / 1e6:.0f} MB."
    yield ""
    yield "| what the night cost | |"
    yield "| --- | --- |"
    yield f"| tars written | {n.new_tars}, {n.written / 1e6:.2f} MB, **{n.written / n.size:.1%} of the bytes** |"
    yield f"| events of the samples' level that were labelled | {n.labelled} of {n.events} |"
    yield f"| events drawn another number of times than before | {n.changed} |"
    same = "yes" if n.same_rows else "**no**"
    yield f"| a fresh build given the centroids comes to the same fates, repeats and labels | {same} |"
    work = f"{n.shard_work:.1f} s, {n.tar_seconds:.2f} s"
    yield f"| work of writing all tars at first; reading and writing their members as a bare tar | {work} |"
    yield ""


SECTIONS: dict[str, Callable[[], Iterator[str]]] = {
    "clusters": clustering, "plan": planning, "deal": dealing, "sample": sample, "night": nights,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", metavar="F")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    asked = parser.parse_args()
    lines = [
        "# Clusters and balance",
        "",
        f"Written by `make bench-balance` on {datetime.date.today()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}. Ratios are what to read: seconds are the machine's own.",
        "",
    ]
    for name in asked.only:
        for line in SECTIONS[name]():
            print(line, flush=True)
            lines.append(line)
    if asked.write:
        Path(asked.write).write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
