"""Clips of one camera joined into few MP4 files, by copying packets.

In: proxies, and which of their frames are shown. Out: `videos/<feature>/chunk-000/file-000.mp4` ..., and where in them
each episode lies. A proxy of which frame i is row i is copied as it is; where frames repeat or are passed over it is
cut anew (`stages.video.cut`). A new file begins where one is large enough, where the parameter sets differ (another
build of x264 wrote the proxy), and where the last frame is a keyframe: two that follow each other must differ in
idr_pic_id, and those of two encodings may not.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from stages.video.cut import cut
from stages.video.encode import MUXER, exact_rate

PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
CHUNK = 1000  # files of a folder
FILE_MB = 200  # of a video file, about
STRIDE = 4  # of the pixels that statistics are made of


@dataclass(frozen=True, slots=True)
class Place:
    """Where an episode's frames lie: chunk, file, first frame, number of frames."""

    chunk: int
    file: int
    start: int
    frames: int


class Joined:
    """The files of one camera, while they are written; `close` finishes the last one."""

    def __init__(self, root: str, feature: str, fps: float, most_bytes: int = FILE_MB << 20) -> None:
        self.root, self.feature, self.most = root, feature, most_bytes
        self.tick: Fraction = 1 / exact_rate(fps)
        self.fps = fps
        self._number = -1
        self._container: Any = None
        self._stream: Any = None
        self._sets: bytes | None = None
        self._frames = self._bytes = 0
        self._fresh = True  # the next clip begins a file

    def add(self, proxy: str, shown: Sequence[int], gop: int, crf: int) -> Place:
        """Append the frames `shown` of a proxy. Raises ValueError where it does not hold them."""
        whole = list(shown) == list(range(len(shown)))
        source: str | io.BytesIO = proxy if whole else io.BytesIO(cut(proxy, shown, self.fps, gop, crf))
        with av.open(source, "r") as container:
            stream = container.streams.video[0]
            packets = [p for p in container.demux(stream) if p.size][: len(shown)]
            if len(packets) != len(shown):
                raise ValueError(f"{proxy}: {len(packets)} frames, {len(shown)} are wanted")
            if self._fresh or self._bytes >= self.most or stream.codec_context.extradata != self._sets:
                self._begin(stream)
            start = self._frames
            for packet in packets:
                self._bytes += packet.size
                packet.stream = self._stream
                packet.time_base = self.tick
                packet.pts = packet.dts = self._frames
                packet.duration = 1
                self._frames += 1
                self._fresh = packet.is_keyframe
                self._container.mux(packet)
        return Place(self._number // CHUNK, self._number % CHUNK, start, len(shown))

    def _begin(self, stream: Any) -> None:
        self.close()
        self._number += 1
        chunk, file = divmod(self._number, CHUNK)
        path = os.path.join(self.root, PATH.format(video_key=self.feature, chunk_index=chunk, file_index=file))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._container = av.open(path, "w", format="mp4", options=MUXER)
        self._stream = self._container.add_stream_from_template(stream)
        self._stream.time_base = self.tick
        self._sets = stream.codec_context.extradata
        self._frames = self._bytes = 0

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None


def pixels(proxy: str) -> tuple[int, npt.NDArray[np.float64]]:
    """(pictures, float64[N, 3] of their pixels, 0 to 1): of each keyframe, every fourth pixel either way."""
    found = []
    with av.open(proxy) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = "NONKEY"
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            found.append(frame.to_ndarray(format="rgb24")[::STRIDE, ::STRIDE].reshape(-1, 3))
    return len(found), np.concatenate(found).astype(np.float64) / 255.0
