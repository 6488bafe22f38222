"""A second log format, small: a folder an episode with a Parquet file a stream, MP4 files or stills, and a JSON file
that says what is what. Every stream and every camera has a clock of its own.

    recordings.json             {"robot": ..., "fps": ...}
    <episode>/recording.json    {"task", "recording", "success", "said": [{"start", "end", "text"}],
                                 "streams": {name: {"names", "unit", "held"}},
                                 "cameras": {name: {"fps", "start_s"}}}
    <episode>/<stream>.parquet  time_s, and a column a value
    <episode>/<camera>.mp4, or <camera>/<time in ms>.png
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from schemas.episodes import Label
from schemas.reasons import Flag, Quarantined, Reason
from stages.sources.protocol import Camera, Episode, Episodes, Feature, SourceError, Stream, listed
from stages.storage import FileIdentity
from stages.video.pictures import Pictures, Stills, VideoFile


class Plain:
    """The format."""

    expects = "a folder with recordings.json"

    def is_dataset(self, uri: str) -> bool:
        return Path(uri, "recordings.json").exists()

    def load(self, name: str, uri: str, follow: bool) -> tuple[PlainDataset, Episodes]:
        about = json.loads(Path(uri, "recordings.json").read_text())
        folders = sorted(p.parent for p in Path(uri).glob("*/recording.json"))
        if not folders:
            raise SourceError(f"{uri} holds no recording")
        first = json.loads((folders[0] / "recording.json").read_text())
        features = tuple(
            Feature(stream, len(s["names"]), tuple(s["names"]), s["unit"], s.get("held", False))
            for stream, s in first["streams"].items()
        )
        episodes = [_episode(name, folder) for folder in folders]
        return PlainDataset(name, uri, about["robot"], about["fps"], features), listed(episodes, _identity)


@dataclass(frozen=True)
class PlainDataset:
    name: str
    uri: str
    robot: str
    fps: float
    features: tuple[Feature, ...]
    format: str = "plain"
    rows_are_frames: bool = False
    flags: tuple[Flag, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def modality(self) -> Mapping[str, Any]:
        return {}

    @property
    def ranges(self) -> Mapping[str, Any]:
        return {}

    @property
    def content(self) -> str:
        return ""

    @property
    def lost_entries(self) -> Mapping[str, str]:
        return {}

    def identity(self, labels: bool) -> Any:
        return self

    def has(self, episode: Episode) -> bool:
        return Path(episode.place).exists()

    def reader(self, columns: Sequence[str], optional: Sequence[str] = ()) -> PlainDataset:
        return self

    def read(self, episode: Episode) -> PlainLog:
        return PlainLog(Path(episode.place), episode)

    def pictures(self, camera: Camera, local: str) -> Pictures:
        assert camera.file is not None
        if camera.file.uri.endswith(".mp4"):
            return VideoFile(local, camera.file.uri)
        folder = Path(camera.file.uri).parent
        files = sorted(folder.iterdir(), key=lambda p: int(p.stem))
        times = np.array([int(p.stem) / 1000 for p in files])
        return Stills(times - times[0], [p.read_bytes for p in files], str(folder))


class PlainLog:
    def __init__(self, folder: Path, episode: Episode) -> None:
        self.where, self.episode = str(folder), episode
        self.about = json.loads((folder / "recording.json").read_text())

    @property
    def rows(self) -> int:
        return max(pq.read_metadata(f"{self.where}/{s}.parquet").num_rows for s in self.about["streams"])

    def stream(self, column: str) -> Stream:
        path = Path(self.where, f"{column}.parquet")
        if not path.exists():
            raise Quarantined(Reason.MISSING_FILE, f"{path} is absent")
        table = pq.read_table(path)
        names = self.about["streams"][column]["names"]
        return Stream(
            table["time_s"].to_numpy().astype(np.float64),
            np.stack([table[n].to_numpy().astype(np.float64) for n in names], axis=1),
            "time_s",
        )

    def task(self) -> str | None:
        return self.episode.task

    def labels(self, level: str) -> list[Label]:
        said = self.about.get("said", [])
        return [Label(level, s["start"], s["end"], s["text"], said_by="recording.json") for s in said]

    def marks(self) -> Mapping[str, str | float | bool]:
        return {}


def _episode(source: str, folder: Path) -> Episode:
    about = json.loads((folder / "recording.json").read_text())
    cameras = []
    for name, of in about.get("cameras", {}).items():
        video, stills = folder / f"{name}.mp4", folder / name
        path = video if video.exists() else next(iter(sorted(stills.glob("*.png"))), None)
        file = None
        if path is not None:
            uri = str(video) if path == video else str(path)
            file = FileIdentity(uri, path.stat().st_size, path.stat().st_mtime_ns)
        cameras.append(Camera(name, name, str(video), file, to_s=None, fps=of["fps"], start_s=of["start_s"]))
    marks = {"success": about["success"]} if "success" in about else {}
    key = folder.name
    return Episode(source, key, about.get("recording", key), about["task"], tuple(cameras), str(folder), marks)


def _identity(episode: Episode) -> str:
    files = sorted(p for p in Path(episode.place).iterdir() if p.is_file())
    return repr([(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files])
