"""The pictures of one file in, one `observations` row for each episode in it out, in a single sequential decode.

In: a camera's pictures and the episodes that lie in them. Out: rows, and per episode a proxy clip and a thumbnail strip
written through `media`. A file is read from its first frame to its last and never sought, so files that hold several
episodes cost one decode however many of them there are, and frame numbers cannot go wrong after a seek.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter
from PIL import Image

from schemas.observations import ObservationRow
from schemas.reasons import Evidence, Quarantined, Reason
from stages.observe import Span
from stages.observe.config import ObserveConfig
from stages.observe.motion import change, coarse
from stages.observe.quality import judge, sharpness
from stages.video.decode import scaled_size
from stages.video.encode import Encoder
from stages.video.pictures import Pictures
from stages.video.probe import Probe

DRIFT = 1.5  # frames by which the time of an episode in its file may be off
EVIDENCE_SIZE = (320, 240)  # px, of a frame kept to show a fault
Media = Callable[[str], AbstractContextManager[str]]  # path inside the corpus -> local path to write, published on exit


@dataclass(slots=True)
class Observed:
    """What came of a file: rows, refused spans with their error, frames in the file and frames decoded."""

    rows: list[ObservationRow] = field(default_factory=list)
    refused: dict[str, Quarantined] = field(default_factory=dict)
    source_frames: int = 0
    decoded_frames: int = 0


def observe_file(pictures: Pictures, uri: str, spans: Sequence[Span], config: ObserveConfig, media: Media) -> Observed:
    """Decode a camera's pictures once. `uri` is for messages. Raises Quarantined where no frame can be had."""
    info = pictures.info
    result = Observed(source_frames=len(info.pts_s))
    places = {}
    for span in sorted(spans, key=lambda s: s.from_s):
        if span.claimed:
            result.refused[span.episode_id] = Quarantined(
                Reason.OVERLAPPING_SPANS,
                f"{uri}: {span.episode_id} and {span.claimed} both claim what is shown from {span.from_s:.3f} s on; "
                f"neither is used",
            )
            continue
        try:
            places[span.episode_id] = (span, placed_in(info, span, config, uri))
        except Quarantined as error:
            result.refused[span.episode_id] = error
    decoder, frames = pictures.frames(config.decoder)
    counted = _Counted(frames)
    for episode, (span, (first, last, start)) in places.items():
        if first < counted.count and counted.broken is None:
            result.refused[episode] = Quarantined(
                Reason.OVERLAPPING_SPANS,
                f"{uri}: {episode} starts at frame {first}, which belongs to the episode before it",
            )
            continue
        try:
            counted.skip_to(first)
            result.rows.append(_observe(span, info, decoder, counted, first, last, start, config, media, uri))
        except Quarantined as error:  # of this episode alone, unless the decoder gave up
            error.evidence = error.evidence or counted.evidence()
            result.refused[episode] = error
    if counted.broken is None:
        with suppress(Quarantined):  # what no episode asks for need not be whole; the count tells
            counted.skip_to(len(info.pts_s))
    result.decoded_frames = counted.count
    return result


class _Counted:
    """Frames with a running count, so that each is decoded once and every one of them is counted.

    `damaged` is the last flagged of a run of frames that must not be used: decoders paint over what they cannot read
    and flag that picture, while those after it are drawn from it, up to the next keyframe. `broken` is the error that
    ended the file.
    """

    def __init__(self, frames: Iterator[av.VideoFrame]) -> None:
        self.frames, self.count = frames, 0
        self.damaged: int | None = None
        self.broken: Quarantined | None = None
        self.last: av.VideoFrame | None = None

    def take(self, number: int) -> Iterator[av.VideoFrame]:
        for _ in range(number):
            if self.broken is not None:
                raise Quarantined(self.broken.reason, self.broken.message, evidence=self.broken.evidence)
            try:
                frame = next(self.frames, None)
            except Quarantined as error:
                self.broken = error
                raise
            if frame is None:
                return
            if frame.is_corrupt:
                self.damaged = self.count
            elif frame.key_frame:
                self.damaged = None
            self.count += 1
            self.last = frame
            yield frame

    def skip_to(self, index: int) -> None:
        for _ in self.take(max(0, index - self.count)):
            pass

    def evidence(self) -> Evidence | None:
        """The last frame that came out."""
        if self.last is None:
            return None
        buffer = io.BytesIO()
        picture = Image.fromarray(self.last.to_ndarray(format="rgb24"))
        picture.thumbnail(EVIDENCE_SIZE)
        picture.save(buffer, format="JPEG", quality=80)
        return Evidence(row=self.count - 1, picture=buffer.getvalue())


def placed_in(info: Probe, span: Span, config: ObserveConfig, uri: str) -> tuple[int, int, float]:
    """First and one past the last frame of a span, and the time of its start: by presentation time to half a frame; by
    the lengths of the episodes in the file, where it holds as many frames as they add up to and that is where the time
    says, but for drift. Raises Quarantined."""
    half, start = 0.5 / span.fps, span.from_s
    first = int(np.searchsorted(info.pts_s, start - half))
    end = len(info.pts_s) if span.to_s is None else int(np.searchsorted(info.pts_s, span.to_s - half))
    if span.first is not None and span.frames and span.whole == len(info.pts_s):
        counted = float(info.pts_s[span.first])
        if abs(counted - start) <= DRIFT / span.fps:
            first, end, start = span.first, span.first + span.frames, counted
    if end <= first:
        raise Quarantined(
            Reason.VIDEO_TRUNCATED,
            f"{uri}: no frame from {span.from_s:.3f} s on; the video ends at {info.pts_s[-1]:.3f} s",
        )
    if end - first > 2:
        measured = float((end - first - 1) / (info.pts_s[end - 1] - info.pts_s[first]))
        if abs(measured / span.fps - 1) > config.fps_tolerance:
            steps = np.diff(info.pts_s[first:end]).tolist()
            lines = {"time since the frame before, s": steps, "as declared, s": [1 / span.fps] * len(steps)}
            raise Quarantined(
                Reason.ABNORMAL_FPS,
                f"{uri}: {measured:.2f} frames/s measured, {span.fps:.2f} declared",
                evidence=Evidence.around(int(np.argmax(steps)), lines),
            )
    return first, end, start


def _observe(
    span: Span,
    info: Probe,
    decoder: str,
    counted: _Counted,
    first: int,
    end: int,
    start: float,
    config: ObserveConfig,
    media: Media,
    uri: str,
) -> ObservationRow:
    width, height = scaled_size(info.width, info.height, config.short_side)
    gop = config.gop(span.fps)
    shown = set(np.linspace(0, end - first - 1, config.thumbnails).round().astype(int).tolist())
    seen, pictures = _Seen(), list[npt.NDArray[np.uint8]]()
    tile = max(1, round(width * config.thumbnail_height / height)), config.thumbnail_height
    reformatter, thumbnailer = VideoReformatter(), VideoReformatter()  # a frame's own would build a scaler each time
    with ExitStack() as stack:
        target = stack.enter_context(media(f"{span.stem}.mp4"))
        encoder = stack.enter_context(Encoder(target, (width, height), span.fps, gop, config.crf))
        for number, full in enumerate(counted.take(end - first)):
            if counted.damaged is not None:
                raise Quarantined(
                    Reason.VIDEO_UNREADABLE,
                    f"{uri}: frame {counted.damaged} of the file is damaged, {span.episode_id} holds frames {first} to "
                    f"{end - 1}, whole pictures are expected",
                )
            frame = reformatter.reformat(full, width=width, height=height, format="yuv420p", interpolation="AREA")
            seen.add(_luma(frame))
            if number in shown:
                # on the way to RGB this takes 70 us, AREA 690
                small = thumbnailer.reformat(frame, *tile, "rgb24", interpolation="BILINEAR")
                pictures.append(np.asarray(small.to_ndarray(), dtype=np.uint8))
            encoder.add(frame)
        if len(seen.motion) != end - first:
            raise Quarantined(
                Reason.VIDEO_TRUNCATED,
                f"{uri}: {len(seen.motion)} of {end - first} frames of {span.episode_id} can be decoded",
            )
    with media(f"{span.stem}.jpg") as target:
        _strip(pictures).save(target, format="JPEG", quality=80)
    return {
        "episode_id": span.episode_id,
        "camera": span.camera,
        "codec": info.codec,
        "decoder": decoder,
        "source_width": info.width,
        "source_height": info.height,
        "proxy": f"{span.stem}.mp4",
        "proxy_bytes": 0,  # known once it is in place
        "width": width,
        "height": height,
        "gop": gop,
        "pts_s": info.pts_s[first:end] - start,
        "motion": np.array(seen.motion, dtype=np.float32),
        "quality": np.array(seen.quality, dtype=np.uint8),
        "sharpness": np.array(seen.sharpness, dtype=np.float32),
        "thumbnails": f"{span.stem}.jpg",
    }


@dataclass(slots=True)
class _Seen:
    """What is measured of each picture."""

    motion: list[float] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)
    sharpness: list[float] = field(default_factory=list)
    _previous: npt.NDArray[np.float32] | None = None

    def add(self, luma: npt.NDArray[np.uint8]) -> None:
        current = coarse(luma)
        self.motion.append(change(self._previous, current))
        self.quality.append(judge(luma))
        self.sharpness.append(sharpness(luma))
        self._previous = current


def _luma(frame: av.VideoFrame) -> npt.NDArray[np.uint8]:
    """uint8[H, W]: the picture's brightness, where it lies."""
    plane = frame.planes[0]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def _strip(pictures: list[npt.NDArray[np.uint8]]) -> Image.Image:
    """The pictures side by side."""
    return Image.fromarray(np.concatenate(pictures, axis=1))
