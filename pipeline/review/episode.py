"""What the page draws of an episode: cameras and their clocks, lanes of signals, candidate boundaries, evidence.

In: a corpus, an episode. Out: plain values for JSON. Read from the corpus when asked for and kept for a while: an
annotator stays with an episode for minutes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypedDict, TypeVar, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline.corpus.state import grouped
from pipeline.corpus.tables import frame
from pipeline.corpus.view import Corpus
from pipeline.stages import writer_of
from schemas.alignments import ALIGNMENTS, AlignmentRow
from schemas.events import EvidenceRow
from schemas.ids import EPISODE_OF
from schemas.signals import SIGNALS
from schemas.table import Table
from stages.episode import Signal, signals_of, speeds
from stages.segment import SegmentConfig
from stages.segment.evidence.candidates import KINDS
from stages.segment.stage import timebase
from stages.segment.tracks import tracks_of
from stages.text import plain

T = TypeVar("T")
R = TypeVar("R")
KEPT = 128  # episodes
POINTS = 1500  # of a lane: more than a screen has pixels for
TABLES = ("alignments", "episodes", "events", "observations", "signals")
CLIP = ["episode_id", "camera", "proxy", "gop", "width", "height", "pts_s", "thumbnails", "proxy_bytes"]
WORDS = {"all": "both arms", "single": "the arm", "left": "the left arm", "right": "the right arm"}


class ShownCamera(TypedDict):
    """A camera's clip and strip of pictures; sizes in px and bytes; index: its frame at each canonical frame, None
    where they are the same."""

    name: str
    url: str
    strip: str
    width: int
    height: int
    bytes: int
    frames: int
    index: list[int] | None


class About(TypedDict):
    """An episode's words and cameras; fps: frames a second; edges_ms: where frames begin, and the last one ends, ms."""

    episode_id: str
    task: str
    robot: str
    split: str
    flags: list[str]
    fps: float
    edges_ms: list[int]
    cameras: list[ShownCamera]


class Lane(TypedDict):
    """A signal to draw, 0 to 1 at each of `Lanes.ms`; shown: without being asked for."""

    name: str
    values: list[float]
    shown: bool


class Candidate(TypedDict):
    """A candidate boundary: when, ms; strength 0 to 1."""

    ms: int
    kind: str
    strength: float


class Lanes(TypedDict):
    """What is drawn under an episode's clips; ms: times of the lanes' values; why: reasons of boundaries by event."""

    ms: list[int]
    lanes: list[Lane]
    candidates: list[Candidate]
    why: dict[str, list[str]]


class UnknownEpisode(LookupError):
    """There is no such episode in the corpus, or nothing of it to see yet."""


class Episodes:
    """Reads a corpus; safe for several threads."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self._kept: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._lock = threading.Lock()
        self._clips: pl.DataFrame | None = None
        self._media = frozenset[str]()
        self._lies = {name: _lies(corpus, name) for name in TABLES}

    def clips(self) -> pl.DataFrame:
        """episode_id, camera, proxy, thumbnails of all there are; read once."""
        if self._clips is None:
            columns = ["episode_id", "camera", "proxy", "thumbnails"]
            found = self.corpus.table("observations", columns=columns).sort("episode_id", "camera")
            self._media = frozenset([*found["proxy"].to_list(), *found["thumbnails"].to_list()])
            self._clips = found
        return self._clips

    def is_media(self, path: str) -> bool:
        """Whether it may be given out: proxies and strips that the corpus names, below `media/`, and nothing else."""
        self.clips()
        return path in self._media

    def strip(self, episode: str) -> str:
        """Pictures of an episode, by its first camera; nothing where it has none."""
        found = self.clips().filter(pl.col("episode_id") == episode)["thumbnails"]
        return f"media/{found[0]}" if len(found) else ""

    def _table(self, name: str, episode: str, columns: list[str] | None = None) -> pl.DataFrame:
        """Rows of an episode in one of TABLES."""
        lies = self._lies[name].filter(pl.col("episode") == episode)
        return frame(self.corpus.root, self.corpus.tables[name], grouped(lies), columns)

    def _rows(self, table: Table[R], episode: str) -> list[R]:
        """The same, with all columns."""
        return cast("list[R]", self._table(table.name, episode).to_dicts())

    def edges(self, episode: str) -> list[int]:
        """Where frames begin, and where the last one ends, ms."""
        return self._once("edges", episode, self._edges)

    def about(self, episode: str) -> About:
        """Cameras, and the times of frames."""
        return self._once("about", episode, self._about)

    def lanes(self, episode: str) -> Lanes:
        """Signals to draw, candidates, and why there are boundaries."""
        return self._once("lanes", episode, self._lanes)

    def _once(self, kind: str, episode: str, make: Callable[[str], T]) -> T:
        with self._lock:
            if (kind, episode) in self._kept:
                self._kept.move_to_end((kind, episode))
                found: T = self._kept[kind, episode]
                return found
        made = make(episode)
        with self._lock:
            self._kept[kind, episode] = made
            while len(self._kept) > 4 * KEPT:
                self._kept.popitem(last=False)
        return made

    def _alignment(self, episode: str) -> AlignmentRow:
        rows = self._once("alignment", episode, lambda e: self._rows(ALIGNMENTS, e))
        if not rows:
            raise UnknownEpisode(f"no episode of this corpus is called {plain(episode, 80)}")
        return rows[0]

    def _edges(self, episode: str) -> list[int]:
        times = np.asarray(self._alignment(episode)["time_s"], dtype=np.float64)
        step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
        return [round(t * 1000) for t in [*times.tolist(), float(times[-1]) + step]]

    def _about(self, episode: str) -> About:
        alignment = self._alignment(episode)
        shown = {c["name"]: np.asarray(c["frame_index"]) for c in alignment["cameras"]}
        (row,) = self._table("episodes", episode, ["episode_id", "task", "robot", "split", "flags"]).to_dicts()
        cameras: list[ShownCamera] = [
            {
                "name": clip["camera"],
                "url": f"media/{clip['proxy']}",
                "strip": f"media/{clip['thumbnails']}",
                "width": clip["width"],
                "height": clip["height"],
                "bytes": clip["proxy_bytes"],
                "frames": len(clip["pts_s"]),
                "index": _steps(shown[clip["camera"]]),
            }
            for clip in self._table("observations", episode, CLIP).sort("camera").to_dicts()
            if clip["camera"] in shown
        ]
        return {
            "episode_id": row["episode_id"],
            "task": row["task"],
            "robot": row["robot"],
            "split": row["split"],
            "flags": row["flags"],
            "fps": alignment["fps"],
            "edges_ms": self.edges(episode),
            "cameras": cameras,
        }

    def _lanes(self, episode: str) -> Lanes:
        alignment = self._alignment(episode)
        signals = signals_of(self._rows(SIGNALS, episode))
        clock = timebase(alignment)
        shown = np.unique(np.linspace(0, len(clock.log) - 1, POINTS).round().astype(int))
        log, lanes = clock.log, list[Lane]()
        for name, signal in signals.items():
            if signal.kind in ("gripper", "hand"):
                lanes.append(_lane(f"{signal.kind} {_of(signal)}", signal.at(log)[shown, 0], 0.0, 1.0))
            elif signal.kind not in ("state", "action") and signal.values.shape[1] <= 3:
                lanes += _others(name, signal, log[shown])
        moving = [_speed(arm, speed[shown]) for arm, speed in speeds(signals, log).items()]
        config = SegmentConfig.model_validate(self.corpus.manifest["config"]["segment"])
        evidence, lead = tracks_of(signals, clock, config)[0].evidence, float(clock.start[0] - clock.log[0])
        candidates: list[Candidate] = [
            {"ms": round((time + lead) * 1000), "kind": KINDS[kind], "strength": round(strength, 2)}
            for time, kind, strength in zip(
                evidence.time.tolist(), evidence.kind.tolist(), evidence.strength.tolist(), strict=True
            )
        ]
        own = [lane for lane in lanes if lane["shown"]]
        return {
            "ms": [round(float(t) * 1000) for t in clock.start[shown]],
            "lanes": [*own, *moving, *(lane for lane in lanes if not lane["shown"])],
            "candidates": candidates,
            "why": self._why(episode),
        }

    def _why(self, episode: str) -> dict[str, list[str]]:
        """{event: why it starts and ends where it does, in words}."""
        rows = self._table("events", episode, ["event_id", "evidence"]).to_dicts()
        return {row["event_id"]: [_words(e) for e in row["evidence"][:8]] for row in rows}


def _lies(corpus: Corpus, name: str) -> pl.DataFrame:
    """item, path, episode: in which parts of a table an episode lies. To ask the ledger costs tens of ms among 4,000
    episodes, and each one that is shown asks seven times."""
    stage = writer_of(corpus.stages, name).name
    found = corpus.state(stage).parts(name, corpus.wanted(stage))
    return found.select("item", "path", episode=pl.col("item").str.extract(EPISODE_OF, 1))


def _steps(index: npt.NDArray[Any]) -> list[int] | None:
    """Frame of a camera at each canonical frame; None where they are the same."""
    return None if np.array_equal(index, np.arange(len(index))) else [int(i) for i in index]


def _lane(name: str, values: npt.NDArray[Any], low: float, high: float, shown: bool = True) -> Lane:
    """Values to draw, of 0 to 1."""
    scaled = np.clip((np.nan_to_num(values) - low) / ((high - low) or 1.0), 0, 1)
    return {"name": plain(name, 40), "values": [round(float(v), 3) for v in scaled], "shown": shown}


def _speed(arm: str, values: npt.NDArray[Any]) -> Lane:
    return _lane(f"speed {'' if arm == 'single' else arm}".strip(), values, 0.0, float(np.percentile(values, 98)))


def _others(name: str, signal: Signal, times: npt.NDArray[Any]) -> list[Lane]:
    """Lanes of any other stream, which a person asks for by name."""
    values: Sequence[npt.NDArray[Any]] = list(signal.at(times).T)
    return [
        _lane(f"{name}[{n}]" if len(values) > 1 else name, v, float(np.min(v)), float(np.max(v)), shown=False)
        for n, v in enumerate(values)
    ]


def _of(signal: Signal) -> str:
    return "" if signal.arm == "single" else signal.arm


def _words(evidence: EvidenceRow) -> str:
    kind = evidence["kind"].replace("_", " ")
    if evidence["kind"] in ("episode", "human"):
        what = "the episode's end" if evidence["edge"] == "end" else "the episode's beginning"
        return f"{evidence['edge']}: {'a person' if evidence['kind'] == 'human' else what}"
    who = WORDS.get(evidence["arm"], evidence["arm"])
    return f"{evidence['edge']}: {kind} of {who} ({evidence['signal']}, {evidence['strength']:.2f})"
