"""A clip of a proxy: frames [start, end) as an MP4 of their own, first frame a keyframe, frame i at i / fps.

In: a proxy's path and the frame of it to show at each instant. Out: MP4 bytes. Frames before the first keyframe
inside the span are re-encoded (fewer than one GOP), all others are copied as packets: about a quarter of the cost of
encoding the clip anew, and no second loss of quality. Both parts share one set of parameter sets; where they would
not (an x264 of another version wrote the proxy) or where frames repeat or skip, the clip is encoded whole.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

import av

from stages.video.encode import MUXER, encode, exact_rate, packets
from stages.video.probe import number_of, ticks_per_frame

if TYPE_CHECKING:
    Packets = list[av.Packet[av.VideoStream]]


def cut(path: str, indices: Sequence[int], fps: float, gop: int, crf: int) -> bytes:
    """MP4 bytes that show proxy frame indices[i] at i / fps. Indices ascend (repeats allowed).

    Raises ValueError where the proxy does not hold them.
    """
    start, end = indices[0], indices[-1] + 1
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        ticks = ticks_per_frame(stream)
        container.seek(start // gop * gop * ticks, stream=stream)
        found = list(takewhile(lambda p: p.pts is not None and p.pts < end * ticks, container.demux(stream)))
        numbers = [number_of(p.pts, ticks) for p in found]
        if numbers != list(range(start // gop * gop, end)):
            raise ValueError(
                f"{path}: wanted frames {start // gop * gop} to {end - 1}, packets are {numbers[:1]}..{numbers[-1:]}"
            )
        contiguous = list(indices) == list(range(start, end))
        head = _head_length(start, end, gop) if contiguous else end - start
        decoded = _decode(stream, found, start, start + head, ticks) if head else {}
        if contiguous and head < end - start:
            clip = _splice(stream, decoded, found[start + head - numbers[0] :], start, head, fps, gop, crf)
            if clip is not None:
                return clip
            decoded = _decode(stream, found, start, end, ticks)
    buffer = io.BytesIO()
    encode(buffer, (_copy(decoded[i]) for i in indices), fps, gop, crf)
    return buffer.getvalue()


def _head_length(start: int, end: int, gop: int) -> int:
    """Frames to re-encode: up to the next keyframe, or the one after it where that would leave a head of a single
    frame.

    (Two neighbouring IDR pictures must differ in idr_pic_id; a head of one frame could not promise it.)
    """
    head = -start % gop
    if head == 1:
        head += gop
    return min(head, end - start)


def _decode(stream: av.VideoStream, packets: Packets, start: int, end: int, ticks: int) -> dict[int, av.VideoFrame]:
    context = stream.codec_context
    context.flush_buffers()
    pictures: dict[int, av.VideoFrame] = {}
    for packet in [*packets, None]:  # None: what the decoder still holds
        for frame in context.decode(packet):
            index = number_of(frame.pts, ticks)
            if start <= index < end:
                pictures[index] = frame
        if len(pictures) == end - start:
            break
    if len(pictures) != end - start:
        raise ValueError(f"frames {start} to {end - 1}: {len(pictures)} of {end - start} could be decoded")
    return pictures


def _splice(
    stream: av.VideoStream,
    decoded: dict[int, av.VideoFrame],
    rest: Packets,
    start: int,
    head: int,
    fps: float,
    gop: int,
    crf: int,
) -> bytes | None:
    """Re-encoded head and copied rest in one stream; None if their parameter sets differ."""
    first: Packets = []
    if head:
        sets, first = packets([decoded[i] for i in range(start, start + head)], fps, gop, crf)
        if sets != stream.codec_context.extradata:
            return None
    target, tick = io.BytesIO(), 1 / exact_rate(fps)
    with av.open(target, "w", format="mp4", options=MUXER) as container:
        output = container.add_stream_from_template(stream)
        output.time_base = tick
        for number, packet in enumerate([*first, *rest]):
            packet.stream = output
            packet.time_base = tick
            packet.pts = packet.dts = number
            packet.duration = 1
            container.mux(packet)
    return target.getvalue()


def _copy(frame: av.VideoFrame) -> av.VideoFrame:
    """A frame of its own, for a picture that is shown twice."""
    return av.VideoFrame.from_ndarray(frame.to_ndarray(), format="yuv420p")
