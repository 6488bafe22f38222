"""Do vectors tell scenes and motions apart? `python -m tests.benchmarks.vectors CORPUS ... [--write FILE]`.

In: corpora that were built. Out: how far clusters of action vectors agree with primitives, beside random vectors; and
groups planted in real pictures and real motions: events of unlike tasks or primitives are each made many by changes
that must not matter, and k-means must find them again (adjusted mutual information at least 0.9; exit code 1 else).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.corpus.view import Corpus
from stages.embed import EmbedConfig
from stages.embed.action import action_vector, group_scales, layout_of
from stages.embed.stage import Proxy, _shown
from stages.episode import Signal, both_arms, signals_of
from stages.models.quantised import QuantisedEncoder
from stages.video.decode import picked
from tests.benchmarks.agreement import clusterings, information

HEAD = """\
# Vectors

Written by `python -m tests.benchmarks.vectors SAMPLE REAL` on {date}: the bundled sample's corpus and one of CR5, G1
and GR1 recordings. Figures are adjusted mutual information (0: chance, 1: the same groups), means of five seeds.

What an event is given: `vl`, the normalised mean of its pictures (cameras count alike, `embed.frames_per_event` each)
beside its normalised caption; `action`, the arms' course from the event's start (stages/embed/action.py). Both lie as
half floats; `encoder` names what made `vl`, `layout` what `action` is of. With `embed.encoder` both parts of `vl` come
from the two towers of one model and lie in one space. The cluster stage divides action vectors of a layout by
`group_scales`: one number a group of channels.

"""
CONFIG = EmbedConfig()
COPIES, GROUPS, LEAST = 20, 8, 0.9
Signals = Mapping[str, Signal]


@dataclass(frozen=True, slots=True)
class Event:
    """An L1 event, its episode's signals, its frames' times, and (proxy, frame) of each camera."""

    source: str
    task: str
    primitive: str
    signals: Signals
    times: np.ndarray
    frames: tuple[tuple[Proxy, int], ...]


def events_of(root: str) -> list[Event]:
    corpus = Corpus(root)
    tables: dict[str, dict[str, list[Any]]] = {}
    for name in ("episodes", "signals", "alignments", "events", "observations"):
        for row in corpus.table(name).to_dicts():
            tables.setdefault(name, {}).setdefault(row["episode_id"], []).append(row)
    found = []
    for name, (alignment,) in sorted(tables["alignments"].items()):
        (episode,), signals = tables["episodes"][name], signals_of(tables["signals"][name])
        times = np.asarray(alignment["signal_time_s"], dtype=np.float64)
        index = {c["name"]: c["frame_index"] for c in alignment["cameras"]}
        proxies = [
            Proxy(f"{root}/media/{o['proxy']}", o["gop"], index[o["camera"]])
            for o in tables.get("observations", {}).get(name, [])
        ]
        for event in both_arms(tables["events"].get(name, [])):
            if event["level"] == "L1":
                frames = tuple((proxy, _shown(event, proxy, 1)[0]) for proxy in proxies)
                own = times[event["start_frame"] : event["end_frame"]]
                about = (episode["source"], episode["task"], event["primitive"])
                found.append(Event(*about, signals, own, frames))
    return found


def scaled(vectors: np.ndarray, layouts: Sequence[str]) -> np.ndarray:
    """Each layout's vectors over its own scales, as the cluster stage takes them."""
    result, own = vectors.copy(), np.array(layouts)
    for layout in sorted(set(layouts)):
        result[own == layout] /= group_scales(vectors[own == layout])
    return result


def agreement(name: str, events: Sequence[Event]) -> list[str]:
    """Rows: how far clusters of action vectors agree with primitives, of all events and of each source."""
    vectors = np.stack([action_vector(e.signals, e.times, CONFIG) for e in events])
    vectors = vectors.astype(np.float16).astype(np.float32)
    layouts = [layout_of(e.signals) for e in events]
    random = np.random.default_rng(0).normal(size=vectors.shape)
    kinds = {"divided by group": scaled(vectors, layouts), "as they are": vectors, "random": random}
    source, lines = np.array([e.source for e in events]), []
    for part in [None, *(sorted(set(source)) if len(set(layouts)) > 1 else [])]:
        own = np.ones(len(events), dtype=bool) if part is None else source == part
        primitives = [[e.primitive for e, o in zip(events, own, strict=True) if o]]
        told = [information(clusterings(v[own]), primitives) for v in kinds.values()]
        lines.append(f"| {part or name} | {own.sum()} | " + " | ".join(f"{t:.2f}" for t in told) + " |")
    return lines


def unlike(events: Sequence[Event], key: str, draw: np.random.Generator) -> list[Event]:
    """One event of each value of `key`, GROUPS at most, of the source and layout that have most."""
    kept = [e for e in events if e.primitive not in ("unknown", "hold") and e.frames]
    by: dict[str, list[Event]] = {}
    for i in draw.permutation(len(kept)):
        by.setdefault(getattr(kept[i], key), []).append(kept[i])
    return [own[0] for _, own in sorted(by.items(), key=lambda item: -len(item[1]))[:GROUPS]]


def looked_at_again(picture: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A picture under other light, with noise, its edge cut by up to 4 % on each side."""
    height, width = picture.shape[:2]
    top, left = int(draw.integers(0, height // 25 + 1)), int(draw.integers(0, width // 25 + 1))
    low, right = int(draw.integers(0, height // 25 + 1)), int(draw.integers(0, width // 25 + 1))
    cut = picture[top : height - low, left : width - right]
    lit = cut * draw.uniform(0.85, 1.15) + draw.normal(0, 4, cut.shape)
    whole = Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))
    return np.asarray(whole.resize((width, height), Image.Resampling.BILINEAR))


def moved_again(event: Event, draw: np.random.Generator) -> np.ndarray:
    """The action vector of the same motion elsewhere, 0.85 to 1.15 times as far and as long, with noise."""
    far, long = draw.uniform(0.85, 1.15, 2)
    changed = {}
    for name, signal in event.signals.items():
        values = signal.values.copy()
        if signal.kind in ("position", "joints"):
            reach = np.ptp(values, axis=0).max()
            start = signal.at(event.times[:1])
            noise = draw.normal(0, 0.005 * reach, values.shape)
            inside = (signal.time_s >= event.times[0]) & (signal.time_s <= event.times[-1])
            values = values + noise
            values[inside] = start + far * (values[inside] - start)
            values = values + draw.uniform(-1, 1, values.shape[1]) * reach
        changed[name] = replace(signal, values=values, time_s=signal.time_s * long)
    return action_vector(changed, event.times * long, CONFIG)


def planted(events: Sequence[Event], encoder: QuantisedEncoder) -> tuple[float, int, float, int]:
    """(agreement of k-means with planted scenes, their number, with planted motions, their number)."""
    draw = np.random.default_rng(0)
    chosen = unlike(events, "task", draw)
    rows = []
    for event in chosen:
        pictures = [picked(p.path, [f], p.gop, encoder.size)[f] for p, f in event.frames]
        for _ in range(COPIES):
            mean = encoder.encode([looked_at_again(p, draw) for p in pictures]).mean(axis=0)
            rows.append(mean / np.linalg.norm(mean))
    which = [i for i in range(len(chosen)) for _ in range(COPIES)]
    scenes = information(clusterings(np.stack(rows).astype(np.float16).astype(np.float32), len(chosen)), [which])
    layouts = [layout_of(e.signals) for e in events]
    most = max(sorted(set(layouts)), key=layouts.count)
    moving = unlike([e for e, own in zip(events, layouts, strict=True) if own == most], "primitive", draw)
    vectors = np.stack([moved_again(e, draw) for e in moving for _ in range(COPIES)])
    which = [i for i in range(len(moving)) for _ in range(COPIES)]
    motions = information(clusterings(scaled(vectors, [most] * len(vectors)), len(moving)), [which])
    return scenes, len(chosen), motions, len(moving)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="+")
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    pictures = QuantisedEncoder()
    corpora = {Path(root).name: events_of(root) for root in asked.corpora}
    lines = ["## Motions and primitives, L1", ""]
    lines += ["| events of | number | divided by group | as they are | random vectors |", "|---|---|---|---|---|"]
    lines += [line for name, events in corpora.items() for line in agreement(name, events)]
    lines += ["", "## Planted groups", ""]
    lines += [f"One event of each of up to {GROUPS} tasks (or primitives), {COPIES} times: the pictures under other"]
    lines += ["light, cut otherwise and with noise (no caption helps); the motion elsewhere, 0.85 to 1.15 times as far"]
    lines += [
        "and as long, with noise of 0.5 % of the reach.",
        "",
        "| corpus | scenes | agreement | motions | agreement |",
    ]
    lines += ["|---|---|---|---|---|"]
    right = True
    for name, events in corpora.items():
        scenes, tasks, motions, primitives = planted(events, pictures)
        lines.append(f"| {name} | {tasks} | {scenes:.2f} | {primitives} | {motions:.2f} |")
        right = right and min(scenes, motions) >= LEAST
    text = "\n".join([*lines, ""])
    print(text)
    if asked.write:
        asked.write.write_text(HEAD.format(date=time.strftime("%Y-%m-%d")) + text, encoding="utf-8")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
