"""Thumbnails for the page: strips of `observations`, taken apart, thinned and shrunk to what a page may weigh.

In: `observations` rows and the strips in `media/`. Out: pictures, and data URIs of JPEG. A corpus may keep strips of
any length and height; the page shows at most PICTURES of them, HEIGHT px high.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from PIL import Image

from pipeline.corpus.view import Corpus
from schemas.alignments import AlignedCamera
from stages import storage
from stages.video.decode import picked

PICTURES = 10  # of a strip
HEIGHT = 84  # px
EVIDENCE_BYTES = 60_000  # of a picture that the quarantine keeps


class Filmed(TypedDict):
    """What a strip needs of an `observations` row, never the motion: the proxy's size in px, times of its frames in s,
    the strip's path."""

    episode_id: str
    camera: str
    width: int
    height: int
    pts_s: Sequence[float]
    thumbnails: str


class Clip(TypedDict):
    """What single pictures need of an `observations` row: the proxy's path, frames between its key frames, size in
    px."""

    episode_id: str
    camera: str
    proxy: str
    gop: int
    width: int
    height: int


class Frames(TypedDict):
    """What single pictures need of an `alignments` row: which source frame of a camera each canonical frame shows."""

    episode_id: str
    cameras: list[AlignedCamera]


@dataclass(frozen=True, slots=True)
class Strip:
    """Some pictures of a strip as data URIs, evenly from the first on, with the source frame that each shows; `frames`
    in all; `aspect` is width over height."""

    camera: str
    pictures: list[str]
    numbers: list[int]
    frames: int
    aspect: float


def strip(corpus: Corpus, observation: Filmed, most: int = PICTURES) -> Strip:
    """The strip of an `observations` row: every picture, or every second, third, ... so that there are at most
    `most`."""
    cells, frames = _cells(corpus, observation), len(observation["pts_s"])
    chosen = range(0, len(cells), -(-len(cells) // most))
    # `observe` takes frames evenly from the first to the last
    numbers = [round(i * (frames - 1) / max(1, len(cells) - 1)) for i in chosen]
    some = [_shrunk(cells[i]) for i in chosen]
    return Strip(
        observation["camera"], [jpeg_uri(p) for p in some], numbers, frames, some[0].width / max(1, some[0].height)
    )


def nearest(corpus: Corpus, observation: Filmed, seconds: Sequence[float]) -> list[str]:
    """For each instant (s from the episode's start) the nearest picture of a strip."""
    cells, pts = _cells(corpus, observation), observation["pts_s"]
    length = max(pts[-1] - pts[0], 1e-9)
    places = [round((s - pts[0]) / length * (len(cells) - 1)) for s in seconds]
    return [jpeg_uri(_shrunk(cells[min(len(cells) - 1, max(0, place))])) for place in places]


def stills(corpus: Corpus, clip: Clip, numbers: Sequence[int], height: int) -> list[Image.Image]:
    """Pictures of a proxy by their numbers, so high."""
    size = max(2, round(height * clip["width"] / clip["height"])), height
    with storage.local_copy(corpus.ledger.path(f"media/{clip['proxy']}")) as path:
        found = picked(path, list(numbers), clip["gop"], size)
    return [Image.fromarray(found[n]) for n in numbers]


def evidence(jpeg: bytes) -> str:
    """A picture of the quarantine as a data URI, made smaller where it is large."""
    if len(jpeg) <= EVIDENCE_BYTES:
        return data_uri(jpeg)
    picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
    picture.thumbnail((320, 240))
    return jpeg_uri(picture)


def data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _cells(corpus: Corpus, observation: Filmed) -> list[Image.Image]:
    blob = storage.read_bytes(corpus.ledger.path(f"media/{observation['thumbnails']}"))
    whole = Image.open(io.BytesIO(blob)).convert("RGB")
    width = max(1, round(whole.height * observation["width"] / observation["height"]))
    number = max(1, whole.width // width)
    return [whole.crop((i * width, 0, (i + 1) * width, whole.height)) for i in range(number)]


def _shrunk(picture: Image.Image) -> Image.Image:
    """At most HEIGHT high and twice as wide."""
    picture = picture.copy()
    picture.thumbnail((2 * HEIGHT, HEIGHT))
    return picture


def jpeg_uri(picture: Image.Image) -> str:
    """A picture as a data URI."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=78, optimize=True)
    return data_uri(buffer.getvalue())
