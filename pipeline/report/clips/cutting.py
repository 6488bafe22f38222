"""Clips that play inside a page: cut from the corpus' proxies, made small, and kept within a budget.

In: a corpus, events. Out: `Clip`s with an H.264 MP4 and its first picture as data URIs. A proxy that is gone or is not
as it was written gives no clip. One thread, no time in the file: the same corpus gives the same bytes.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.corpus.view import Corpus
from pipeline.report.clips.choice import chosen
from pipeline.report.pictures import jpeg_uri
from pipeline.report.refusals import clipped
from schemas.reasons import Quarantined
from stages import storage
from stages.video.decode import picked, scaled_size
from stages.video.encode import encode

SIDE = 144  # px, the shorter one
FPS = 10.0  # about; every n-th frame is taken
SECONDS = 4.0  # of a longer event those in its middle
CRF = (30, 40)  # the second where the first is too large
CLIP_BYTES = 48_000  # of an MP4
TOTAL_BYTES = 300_000  # of all of them, a third more as text
TEXT = 160


@dataclass(frozen=True, slots=True)
class Clip:
    """why: typical or unsure; seconds: of the event, of which `shown` are played; video, poster: data URIs; size: of
    the MP4, bytes."""

    event_id: str
    why: str
    primitive: str
    text: str
    confidence: float
    camera: str
    seconds: float
    shown: float
    video: str
    poster: str
    size: int


@dataclass(frozen=True, slots=True)
class Clips:
    """missing: events whose video is gone, damaged, or for which there was no room."""

    shown: list[Clip]
    missing: int

    @property
    def kilobytes(self) -> float:
        return sum(clip.size for clip in self.shown) / 1000


def load(corpus: Corpus) -> Clips:
    """Of the events that `chosen` names."""
    events = chosen(corpus).to_dicts() if corpus.has("segment") else []
    episodes = sorted({e["episode_id"] for e in events})
    if not episodes:
        return Clips([], 0)
    texts = dict(corpus.table("captions", episodes, ["event_id", "text"]).iter_rows())
    clocks = {a["episode_id"]: a for a in corpus.table("alignments", episodes, ["episode_id", "cameras"]).to_dicts()}
    seen: dict[str, Mapping[str, Any]] = {}
    columns = ["episode_id", "camera", "proxy", "gop", "width", "height"]
    for row in corpus.table("observations", episodes, columns).to_dicts():
        seen.setdefault(row["episode_id"], row)  # the first camera
    sums = dict(corpus.files("observe").select("path", "sha256").iter_rows())
    found, left = list[Clip](), TOTAL_BYTES
    for event in events:
        camera = seen[event["episode_id"]]
        clip = _clip(corpus, event, texts.get(event["event_id"]) or "", camera, clocks[event["episode_id"]], sums)
        if clip is not None and clip.size <= left:
            found.append(clip)
            left -= clip.size
    return Clips(found, len(events) - len(found))


def _clip(
    corpus: Corpus,
    event: Mapping[str, Any],
    text: str,
    camera: Mapping[str, Any],
    clock: Mapping[str, Any],
    sums: Mapping[str, str],
) -> Clip | None:
    index = next((c["frame_index"] for c in clock["cameras"] if c["name"] == camera["camera"]), None)
    path = f"media/{camera['proxy']}"
    if index is None or path not in sums:
        return None
    seconds = event["end_s"] - event["start_s"]
    rate = (event["end_frame"] - event["start_frame"]) / seconds  # frames may be missing: not the camera's own
    start, end = middle(event["start_frame"], event["end_frame"], rate)
    step = max(1, round(rate / FPS))
    numbers = [int(index[frame]) for frame in range(start, end, step)]
    try:
        with corpus.ledger.intact(path, sums[path]) as local:
            pictures = picked(local, numbers, camera["gop"], scaled_size(camera["width"], camera["height"], SIDE))
    except (OSError, ValueError, av.FFmpegError, Quarantined, storage.Unusable):
        return None
    video = small([pictures[n] for n in numbers], rate / step, camera["gop"])
    if video is None:
        return None
    return Clip(
        event["event_id"],
        event["why"],
        event["primitive"],
        clipped(text, TEXT),
        event["confidence"],
        camera["camera"],
        seconds,
        (end - start) / rate,
        "data:video/mp4;base64," + base64.b64encode(video).decode(),
        jpeg_uri(Image.fromarray(pictures[numbers[0]])),
        len(video),
    )


def middle(start: int, end: int, fps: float) -> tuple[int, int]:
    """[start, end) of the frames in the middle of an event that are played: SECONDS at most."""
    most = max(1, round(SECONDS * fps))
    first = start + max(0, end - start - most) // 2
    return first, min(end, first + most)


def small(pictures: Sequence[npt.NDArray[np.uint8]], fps: float, gop: int) -> bytes | None:
    """RGB uint8[H, W, 3] as an MP4 of at most CLIP_BYTES; None where it would not be."""
    for crf in CRF:
        buffer = io.BytesIO()
        encode(
            buffer, (av.VideoFrame.from_ndarray(p, "rgb24").reformat(format="yuv420p") for p in pictures), fps, gop, crf
        )
        if len(buffer.getvalue()) <= CLIP_BYTES:
            return buffer.getvalue()
    return None
