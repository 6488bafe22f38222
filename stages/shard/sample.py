"""One event becomes the files of one WebDataset sample.

In: the event with its ancestors and captions, signals, alignment, proxies, calibration. Out: {extension: bytes}.
Frame i of every clip is row i of every array; anyone can check it with PyAV alone.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.alignments import AlignmentRow
from schemas.ids import ARMS, file_part
from schemas.sample import EVENT, VALID, Sample, array_of, is_canonical
from stages.episode import Signal
from stages.seconds import at_least
from stages.video.cut import cut


@dataclass(frozen=True, slots=True)
class Clip:
    """Where a camera's picture comes from: its proxy, the proxy frame of each canonical frame, sizes in px."""

    name: str
    path: str
    gop: int
    frame_index: Sequence[int]
    size: tuple[int, int]
    source_size: tuple[int, int]
    calibration: str | None


def sample_files(
    meta: Sample,
    signals: Mapping[str, Signal],
    alignment: AlignmentRow,
    clips: Sequence[Clip],
    span: tuple[int, int],
    crf: int,
) -> tuple[dict[str, bytes], dict[str, npt.NDArray[np.float32]]]:
    """({extension: bytes}, the arrays) of frames span = [start, end), history and future with them. `meta` becomes
    KEY.json."""
    start, end = span
    arrays = low_dim(signals, alignment, start, end)
    arrays[EVENT] = np.ones(end - start, dtype=bool)
    arrays[EVENT][: meta["context"]["before"]] = False
    arrays[EVENT][end - start - meta["context"]["after"] :] = False
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # (its stub takes the arrays for allow_pickle)
    files = {"json": _json(meta), "lowdim.npz": buffer.getvalue()}
    for clip in clips:
        index = list(clip.frame_index[start:end])
        files[f"{file_part(clip.name)}.mp4"] = cut(clip.path, index, alignment["fps"], clip.gop, crf)
    files["calib.json"] = _json({file_part(c.name): calibration(c) for c in clips})
    return files, arrays


def low_dim(
    signals: Mapping[str, Signal], alignment: AlignmentRow, start: int, end: int
) -> dict[str, npt.NDArray[Any]]:
    """state float32[T, Ds] and action float32[T, Da] as logged, gripper float32[T, arms] (0 closed to 1 open), time
    float64[T] (s from the episode's start), valid bool[T] (the log covers that instant); canonical streams by arm, such
    as position.left float32[T, 3], in m or rad; extra.<column> float32[T, D]; valid.<array> bool[T] of each (its own
    stream covers that instant)."""
    times = np.asarray(alignment["signal_time_s"], dtype=np.float64)[start:end]
    arrays: dict[str, npt.NDArray[Any]] = {
        name: signals[name].at(times).astype(np.float32) for name in ("state", "action") if name in signals
    }
    grippers = [signals[f"gripper/{arm}"] for arm in ARMS if f"gripper/{arm}" in signals]
    columns = [g.at(times)[:, 0] for g in grippers]
    arrays["gripper"] = (
        np.stack(columns, axis=1).astype(np.float32) if columns else np.zeros((len(times), 0), np.float32)
    )
    arrays["time"] = np.asarray(alignment["time_s"], dtype=np.float64)[start:end]
    slack = 0.5 / alignment["fps"]
    covered = {
        name: at_least(times, s.time_s[0] - slack) & at_least(s.time_s[-1] + slack, times)
        for name, s in signals.items()
    }
    arrays[VALID] = np.all([c for name, c in covered.items() if signals[name].kind != "extra"], axis=0)
    for name, signal in signals.items():
        if signal.kind == "extra" or is_canonical(signal.kind, signal.unit):
            arrays[array_of(name)] = signal.at(times).astype(np.float32)
    for name in signals:
        if array_of(name) in arrays:
            arrays[f"{VALID}.{array_of(name)}"] = covered[name]
    if grippers:
        arrays[f"{VALID}.gripper"] = np.all(
            [covered[f"gripper/{a}"] for a in ARMS if f"gripper/{a}" in signals], axis=0
        )
    return arrays


def calibration(clip: Clip) -> dict[str, Any] | None:
    """Calibration in clip pixels; None for an uncalibrated camera. Pixel centres lie at integers, so a scale moves the
    principal point by (c + 0.5) * s - 0.5. Poses are as in the source: metres, OpenCV axes."""
    if clip.calibration is None:
        return None
    given = json.loads(clip.calibration)
    sx, sy = (clip.size[0] / clip.source_size[0], clip.size[1] / clip.source_size[1])
    (fx, skew, cx), (_, fy, cy), _ = given["K"]
    scaled = [[fx * sx, skew * sx, (cx + 0.5) * sx - 0.5], [0.0, fy * sy, (cy + 0.5) * sy - 0.5], [0.0, 0.0, 1.0]]
    return {**given, "width": clip.size[0], "height": clip.size[1], "K": scaled}


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
