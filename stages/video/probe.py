"""What a video file really holds, read from its packets: codec, size, and the presentation time of every frame.

In: a local path. Out: a `Probe`. Nothing is decoded: packets are demuxed (about 1 ms per 1,000 frames), because frame
counts in a container's header lie on cut files and `index / fps` is not where a frame is shown.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt

from schemas.reasons import Quarantined, Reason
from stages.bounded import PIXELS


@dataclass(frozen=True, slots=True)
class Probe:
    """Codec name (as FFmpeg calls it), picture size in px, and float64[N] presentation times, s, ascending."""

    codec: str
    width: int
    height: int
    pts_s: npt.NDArray[np.float64]


def probe(path: str, uri: str) -> Probe:
    """Probe of the first video stream; `uri` is for messages. Raises Quarantined(VIDEO_UNREADABLE)."""
    try:
        with av.open(path) as container:
            if not container.streams.video:
                raise Quarantined(Reason.VIDEO_UNREADABLE, f"{uri}: no video stream")
            stream = container.streams.video[0]
            pts = [
                float(packet.pts * packet.time_base)
                for packet in container.demux(stream)
                if packet.pts is not None and packet.size and not packet.is_discard
            ]
            context = stream.codec_context
            if context is None:
                raise Quarantined(Reason.VIDEO_UNREADABLE, f"{uri}: the codec of its video stream is not known")
            result = Probe(_family(stream), context.width, context.height, np.sort(np.array(pts)))
    except (av.FFmpegError, OSError, TypeError, ValueError, ArithmeticError) as error:  # no time base, no codec
        found = f"{os.path.getsize(path)} bytes, " if os.path.isfile(path) else ""
        words = f"{uri}: {found}{said(error)}; expected a whole video file"
        raise Quarantined(Reason.VIDEO_UNREADABLE, words) from error
    if result.width * result.height > PIXELS:
        raise Quarantined(
            Reason.VIDEO_UNREADABLE,
            f"{uri}: pictures of {result.width}x{result.height} px; at most {PIXELS} px are decoded",
        )
    if not len(result.pts_s):
        raise Quarantined(Reason.VIDEO_UNREADABLE, f"{uri}: no frame in it")
    return result


def said(error: Exception) -> str:
    """An error of a decoder in one line, without the path and the number that FFmpeg's and the system's carry."""
    words = getattr(error, "strerror", None) or str(error)
    return " ".join(words.split())[:200]


def ticks_per_frame(stream: av.VideoStream) -> int:
    """Ticks of the stream's time base from one frame of our own clips to the next."""
    assert stream.average_rate is not None  # our own muxer wrote both
    assert stream.time_base is not None
    return round(1 / (stream.average_rate * stream.time_base))


def number_of(pts: int | None, ticks: int) -> int:
    """Frame number in a clip of ours."""
    assert pts is not None  # our clips stamp every frame
    return round(pts / ticks)


def _family(stream: av.VideoStream) -> str:
    """`av1`, not the name of the decoder (`libdav1d`) that happens to be built in."""
    name = stream.codec_context.codec.canonical_name
    return str(name)
