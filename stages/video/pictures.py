"""The pictures of a camera with their presentation times: of a video file, or of stills.

Out: a `Probe` (codec, size, times), and an iterator of frames in order, each decoded once.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from schemas.reasons import Quarantined, Reason
from stages.bounded import PIXELS
from stages.video.decode import open_video
from stages.video.probe import Probe, probe


class Pictures(Protocol):
    """What observe asks of a camera."""

    @property
    def info(self) -> Probe: ...

    def frames(self, decoder: str) -> tuple[str, Iterator[av.VideoFrame]]:
        """(name of the decoder that was taken, the frames). Raises Quarantined here or while iterated."""


class VideoFile:
    """A video file, by the decoder asked for; `uri` is for messages. Raises Quarantined(VIDEO_UNREADABLE)."""

    def __init__(self, path: str, uri: str) -> None:
        self.path, self.uri = path, uri
        self.info = probe(path, uri)

    def frames(self, decoder: str) -> tuple[str, Iterator[av.VideoFrame]]:
        return open_video(self.path, self.info, self.uri, decoder)


class Stills:
    """Encoded stills (JPEG, PNG), each read when it is asked for, and when each was taken (float64[N], s, ascending).
    Raises Quarantined(VIDEO_UNREADABLE)."""

    def __init__(self, times_s: npt.NDArray[np.float64], read: Sequence[Callable[[], bytes]], uri: str) -> None:
        self.uri, self._read = uri, read
        if not read:
            raise Quarantined(Reason.VIDEO_UNREADABLE, f"{uri}: no picture in it")
        width, height = self._opened(0).size
        self.info = Probe("stills", width, height, times_s)

    def frames(self, decoder: str) -> tuple[str, Iterator[av.VideoFrame]]:
        return "pillow", (self._frame(number) for number in range(len(self._read)))

    def _opened(self, number: int) -> Image.Image:
        try:
            picture = Image.open(io.BytesIO(self._read[number]()))
            if picture.width * picture.height > PIXELS:
                raise ValueError(f"it has {picture.width}x{picture.height} px; at most {PIXELS} are decoded")
            return picture.convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            words = f"{self.uri}: picture {number} cannot be read: {error}"
            raise Quarantined(Reason.VIDEO_UNREADABLE, words) from error

    def _frame(self, number: int) -> av.VideoFrame:
        picture = self._opened(number)
        if picture.size != (self.info.width, self.info.height):
            raise Quarantined(
                Reason.VIDEO_UNREADABLE,
                f"{self.uri}: picture {number} is of {picture.width}x{picture.height} px, the first of "
                f"{self.info.width}x{self.info.height}",
            )
        return av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
