"""What the report says, gathered from the tables: sources, quarantine, events, timelines, clusters, time.

In: a corpus. Out: plain values. Wide tables (signals, thumbnails) are read for the few episodes that are shown, never
whole.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from PIL import Image

from pipeline.corpus import Corpus
from schemas.ids import unit_hash
from stages import storage
from stages.episode import signals_of, speeds

LEVELS = ("L3", "L2", "L1", "L0")
TIMELINES = 4
SHEET_CLUSTERS = 3  # largest and rarest of each kind
SHEET_PICTURES = 6


@dataclass(frozen=True, slots=True)
class Timeline:
    """An episode to draw: time_s float64[T], lines {name: float64[T], 0 to 1}, spans by level, strips as data URIs."""

    episode_id: str
    task: str
    time_s: npt.NDArray[np.float64]
    lines: Mapping[str, npt.NDArray[np.float64]]
    spans: Mapping[str, list[dict[str, Any]]]
    strips: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Pictures of a cluster's events, with a caption of one of them."""

    title: str
    caption: str
    pictures: list[str]


def sources(corpus: Corpus) -> list[dict[str, Any]]:
    """One row a source: episodes, hours, robot, profile, cameras, lag, set aside, flags."""
    episodes = corpus.table("episodes")
    if not episodes.height:
        return []
    lags = {r["source"]: r for r in corpus.table("lag_votes").to_dicts()} if corpus.wanted("vote") else {}
    aside = corpus.quarantine().group_by("source").agg(n=pl.col("episode_id").n_unique())
    refused = dict(aside.iter_rows())
    flags = _flags(corpus)
    rows = []
    for (source,), group in episodes.group_by("source", maintain_order=True):
        lag = lags.get(source)
        rows.append(
            {
                "source": source,
                "episodes": group.height,
                "hours": float((group["t1"] - group["t0"]).sum()) / 3600,
                "robot": group["robot"][0],
                "profile": group["profile"][0],
                "cameras": max(len(c) for c in group["cameras"]),
                "lag": _lag_words(lag) if lag and lag["estimates"] else "no video",
                "aside": refused.get(source, 0),
                "flags": flags.get(str(source), ""),
            }
        )
    return rows


def quarantine(corpus: Corpus) -> list[dict[str, Any]]:
    """Reasons by how often, each with one message."""
    table = corpus.quarantine()
    grouped = table.group_by("reason").agg(
        count=pl.len(), item=pl.col("item").first(), message=pl.col("message").first()
    )
    return grouped.sort("count", "reason", descending=[True, False]).to_dicts()


def levels(corpus: Corpus) -> list[dict[str, Any]]:
    """Per level: number of events, seconds of each that is not static, primitives by how often."""
    events = corpus.table("events").select("level", "start_s", "end_s", "primitive", "static")
    rows = []
    for level in LEVELS:
        own = events.filter(level=level)
        moving = own.filter(~pl.col("static"))
        rows.append(
            {
                "level": level,
                "events": own.height,
                "static": own.height - moving.height,
                "seconds": (moving["end_s"] - moving["start_s"]).to_numpy(),
                "primitives": own["primitive"].value_counts(sort=True).rows(),
            }
        )
    return rows


def timelines(corpus: Corpus) -> list[Timeline]:
    """A few episodes, spread over the sources; the ones of smallest hash, so that a rerun shows the same."""
    alive = [e for e, _ in corpus.wanted("caption")]
    by_source: dict[str, list[str]] = {}
    for episode in sorted(alive, key=lambda e: unit_hash(f"shown:{e}")):
        by_source.setdefault(episode.split("/")[0], []).append(episode)
    ranks = max((len(g) for g in by_source.values()), default=0)
    spread = [group[i] for i in range(ranks) for group in by_source.values() if i < len(group)]
    return [_timeline(corpus, episode) for episode in spread[:TIMELINES]]


def balance(corpus: Corpus) -> dict[str, Any]:
    """Cluster sizes before and after, with Gini and entropy: the release's own figures."""
    release = corpus.manifest["release"]
    if not release:
        return {}
    stats = json.loads(storage.read_bytes(corpus.ledger.path(f"shards/{release}/stats.json")))
    return dict(stats["balance"])


def sheets(corpus: Corpus) -> list[Sheet]:
    """Contact sheets of the largest and the rarest VL and action clusters."""
    if not corpus.wanted("cluster"):
        return []
    clusters = corpus.table("clusters").filter(level=corpus.manifest["config"]["shard"]["level"])
    events = corpus.table("events").select("event_id", "start_s", "end_s")
    captions = corpus.table("captions").select("event_id", "text")
    shown = clusters.join(events, on="event_id").join(captions, on="event_id")
    found = []
    for space, name in (("vl", "Scene and words"), ("action", "Motion")):
        column = f"{space}_cluster"
        sizes = shown.group_by(column).len().sort("len", column, descending=[True, False]).rows()
        number = min(SHEET_CLUSTERS, len(sizes))
        for label, size in [*sizes[:number], *sizes[max(number, len(sizes) - number) :]]:
            members = shown.filter(pl.col(column) == label).sort(f"{space}_distance", "event_id")
            some = members.gather_every(max(1, members.height // SHEET_PICTURES)).head(SHEET_PICTURES)
            pictures = _pictures(corpus, some.to_dicts())
            if pictures:
                title = f"{name} {label}: {size} event{'s' if size > 1 else ''}"
                found.append(Sheet(title, str(some["text"][0]), pictures))
    return found


def _flags(corpus: Corpus) -> dict[str, str]:
    """{source: its flags, each with how many episodes carry it}."""
    if not corpus.wanted("align"):
        return {}
    table = corpus.table("alignments").select(source=pl.col("episode_id").str.split("/").list.first(), flag="flags")
    counted = table.explode("flag").drop_nulls().group_by("source", "flag").len().sort("source", "flag")
    words: dict[str, list[str]] = {}
    for source, flag, number in counted.iter_rows():
        words.setdefault(source, []).append(f"{flag} ({number})")
    return {source: ", ".join(w) for source, w in words.items()}


def _lag_words(lag: Mapping[str, Any]) -> str:
    votes = f"{lag['votes']} of {lag['voters']} votes"
    if lag["weak"]:
        return f"unknown: {lag['voters']} votes are too few"
    if lag["disagrees"]:
        return f"not applied: {lag['voted_frames']:+d} has only {votes}"
    return f"{lag['lag_frames']:+d} frames ({votes} for {lag['voted_frames']:+d}, score {lag['score']:.2f})"


def _timeline(corpus: Corpus, episode: str) -> Timeline:
    alignment = corpus.table("alignments", [episode]).to_dicts()[0]
    time = np.asarray(alignment["time_s"], dtype=np.float64)
    log_time = np.asarray(alignment["signal_time_s"], dtype=np.float64)
    signals = signals_of(corpus.table("signals", [episode]).to_dicts())
    lines = {}
    for arm, speed in speeds(signals, log_time).items():
        top = float(np.percentile(speed, 98)) or 1.0
        lines[_name("speed", arm)] = np.clip(speed / top, 0, 1)
    for stream in signals.values():
        if stream.kind == "gripper":
            lines[_name("gripper", stream.arm)] = stream.at(log_time)[:, 0]
    captions = dict(corpus.table("captions", [episode]).select("event_id", "text").iter_rows())
    events = corpus.table("events", [episode]).sort("start_frame").to_dicts()
    spans = {lv: [{**e, "caption": captions[e["event_id"]]} for e in events if e["level"] == lv] for lv in LEVELS[1:]}
    strips = {}
    for row in corpus.table("observations", [episode]).to_dicts():
        strips[row["camera"]] = data_uri(storage.read_bytes(corpus.ledger.path(f"media/{row['thumbnails']}")))
    task = corpus.table("episodes", [episode])["task"][0]
    return Timeline(episode, task, time, lines, spans, strips)


def _name(what: str, arm: str) -> str:
    return what if arm == "single" else f"{arm} {what}"


def _pictures(corpus: Corpus, events: Iterable[Mapping[str, Any]]) -> list[str]:
    """For each event the thumbnail of its episode's first camera that is nearest to its middle."""
    pictures = []
    for event in events:
        rows = corpus.table("observations", [event["episode_id"]]).to_dicts()
        if not rows:
            continue
        strip = Image.open(io.BytesIO(storage.read_bytes(corpus.ledger.path(f"media/{rows[0]['thumbnails']}"))))
        width = max(1, round(strip.height * rows[0]["width"] / rows[0]["height"]))
        number = max(1, strip.width // width)
        middle = (event["start_s"] + event["end_s"]) / 2
        pts = rows[0]["pts_s"]
        place = min(number - 1, max(0, round(middle / max(pts[-1], 1e-9) * (number - 1))))
        buffer = io.BytesIO()
        strip.crop((place * width, 0, (place + 1) * width, strip.height)).save(buffer, "JPEG", quality=80)
        pictures.append(data_uri(buffer.getvalue()))
    return pictures


def data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
