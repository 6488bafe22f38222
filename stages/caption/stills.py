"""Full-size pictures for a captioner, from the files that the logs came with: `caption.stills=source`.

In: the files of an episode's cameras, the canonical frames that are asked for. Out: JPEG pictures. A file is decoded
from its beginning to the last frame that is wanted, as everywhere: what is sought may come out wrong. What cannot be
read any more sets the episode aside until the source is back.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import av
from av.video.reformatter import VideoReformatter
from PIL import Image

from schemas.alignments import AlignmentRow
from schemas.reasons import Quarantined, Reason
from stages import storage
from stages.observe import File, ObserveConfig
from stages.observe.file import placed_in
from stages.review.overlay import Words
from stages.work import Inputs

JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class CaptionWork(Inputs):
    """Input tables and proxies; with `caption.stills=source` also each episode's files, a camera each; and what
    reviewers have called its events."""

    files: Mapping[str, Sequence[File]] = field(default_factory=dict)
    words: Mapping[str, Sequence[Words]] = field(default_factory=dict)


def full_size(
    files: Sequence[File], alignment: AlignmentRow, frames: set[int], side: int
) -> tuple[dict[tuple[str, int], bytes], int]:
    """({(camera, canonical frame): JPEG of at most `side` px}, frames decoded). Raises Quarantined, retryable."""
    index = {c["name"]: c["frame_index"] for c in alignment["cameras"]}
    found: dict[tuple[str, int], bytes] = {}
    decoded = 0
    for file in files:
        (span,) = file.spans
        assert file.camera.file is not None
        uri, own = file.camera.file.uri, index.get(span.camera)
        if own is None or not frames:
            continue
        try:
            with storage.local_copy(uri) as local:
                shown = file.dataset.pictures(file.camera, local)
                first, _, _ = placed_in(shown.info, span, ObserveConfig(), uri)
                wanted = {first + int(own[frame]) for frame in frames}
                pictures, count = _picked(shown.frames("pyav")[1], wanted, side)
        except FileNotFoundError as error:
            raise Quarantined(
                Reason.MISSING_CAMERA, f"{uri}: it is gone since it was ingested", retryable=True
            ) from error
        except Quarantined as error:
            raise Quarantined(error.reason, error.message, retryable=True) from error
        decoded += count
        found |= {(span.camera, frame): pictures[first + int(own[frame])] for frame in frames}
    return found, decoded


def _picked(shown: Iterable[av.VideoFrame], wanted: set[int], side: int) -> tuple[dict[int, bytes], int]:
    """({number of a frame: JPEG}, frames decoded)."""
    found: dict[int, bytes] = {}
    reformatter = VideoReformatter()
    for number, frame in enumerate(shown):
        if number in wanted:
            shrink = min(1.0, side / max(frame.width, frame.height))
            size = max(1, round(frame.width * shrink)), max(1, round(frame.height * shrink))
            found[number] = jpeg(reformatter.reformat(frame, *size, "rgb24", interpolation="BILINEAR").to_ndarray())
        if len(found) == len(wanted):
            return found, number + 1
    raise Quarantined(Reason.VIDEO_TRUNCATED, f"frame {max(wanted)} is not there any more")


def jpeg(picture: object) -> bytes:
    """A picture uint8[H, W, 3] as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=JPEG_QUALITY)  # type: ignore[arg-type]
    return buffer.getvalue()
