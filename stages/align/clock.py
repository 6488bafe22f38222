"""The canonical clock of an episode: for each frame, which picture of each camera and which instant of the log.

In: row timestamps, presentation times of each camera, the lag its source decided. Out: a `Clock`. Raises Quarantined.
Of a source that declares its rows to be frames there are three pairings: `time` (log and video agree), `position`
(their times contradict each other but their counts agree: row i is frame i and the row's real time counts), `rows` (no
video: the log's own timestamps). Streams with clocks of their own are read at the reference camera's frames (`time`),
or on an even grid where there is no camera (`rows`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.reasons import Quarantined, Reason
from stages.align.config import AlignConfig
from stages.seconds import at_least, longer, whole_steps

Float = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Clock:
    """T canonical frames: time_s float64[T] from the first source timestamp (the video's clock), signal_time_s
    float64[T] on the log's clock, per camera the int64[T] source frame shown and the largest skew, s."""

    fps: float
    pairing: str
    reference: str | None
    time_s: Float
    signal_time_s: Float
    frames: Mapping[str, Ints]
    skew_s: Mapping[str, float]


def pair(rows_s: Float, cameras: Mapping[str, Float], fps: float, config: AlignConfig) -> Clock:
    """Clock before any lag. rows_s float64[N] on the source's clock; cameras {name: float64[M]} from the episode's
    start."""
    start = rows_s[0]
    relative = rows_s - start
    if not cameras:
        return Clock(fps, "rows", None, relative, rows_s, {}, {})
    for name, pts in cameras.items():
        if abs(len(pts) - len(rows_s)) > config.max_length_difference:
            raise Quarantined(
                Reason.LENGTH_MISMATCH,
                f"camera {name} has {len(pts)} frames, the log {len(rows_s)} rows; "
                f"align.max_length_difference is {config.max_length_difference}",
            )
    half = 0.5 / fps
    if all(len(pts) == len(rows_s) for pts in cameras.values()):
        agrees = all(not at_least(np.abs(pts - rows_s).max(), half) for pts in cameras.values())
        pairing = "time" if agrees else "position"
        index = np.arange(len(rows_s))
        # how far the two drift apart, each counted from its first frame; clocks that contradict each other have no skew
        skew = {n: float(np.abs((p - p[0]) - relative).max()) for n, p in cameras.items()} if agrees else {}
        return Clock(
            fps, pairing, next(iter(cameras)), relative, rows_s, dict.fromkeys(cameras, index),
            {n: skew.get(n, 0.0) for n in cameras},
        )  # fmt: skip
    return _by_time(rows_s, cameras, fps, config)


def _by_time(rows_s: Float, cameras: Mapping[str, Float], fps: float, config: AlignConfig) -> Clock:
    """Grid of the reference camera's frames over the span that log and all cameras share; nearest frame of the
    others."""
    for name, pts in cameras.items():
        slack = (abs(len(pts) - len(rows_s)) + 1) / fps
        off = max(abs((pts[-1] - pts[0]) - (rows_s[-1] - rows_s[0])), abs(pts[0] - rows_s[0]))
        if longer(off, slack):
            raise Quarantined(
                Reason.LENGTH_MISMATCH,
                f"camera {name} has {len(pts)} frames over {pts[-1] - pts[0]:.2f} s, the log {len(rows_s)} rows over "
                f"{rows_s[-1] - rows_s[0]:.2f} s, {off:.2f} s apart: neither times nor counts pair them",
            )
    reference = max(cameras, key=lambda name: len(cameras[name]))
    low = max(rows_s[0], *(p[0] for p in cameras.values())) - 0.5 / fps
    high = min(rows_s[-1], *(p[-1] for p in cameras.values())) + 0.5 / fps
    shown = cameras[reference]
    grid = shown[at_least(shown, low) & at_least(high, shown)]
    if len(grid) < 2:
        raise Quarantined(
            Reason.NO_OVERLAP, f"log [{rows_s[0]:.2f}, {rows_s[-1]:.2f}] s and cameras share no time span"
        )
    frames, skew = _nearest(grid, cameras, fps, config)
    return Clock(fps, "time", reference, grid - rows_s[0], grid, frames, skew)


def pair_streams(
    start: float,
    streams: Mapping[str, Float],
    cameras: Mapping[str, Float],
    rates: Mapping[str, float],
    fps: float,
    config: AlignConfig,
) -> Clock:
    """Clock of streams and cameras that each have times of their own, all on the source's clock, float64[N], s.

    The reference is the camera whose rate is nearest to fps; its frames count where all cameras and the streams that
    move (`streams`) have begun and have not ended. start: the episode's first timestamp; rates: frames/s of each
    camera.
    """
    ends = [(t[0], t[-1]) for t in [*streams.values(), *cameras.values()]]
    reference = min(cameras, key=lambda name: (abs(rates[name] - fps), -len(cameras[name]), name)) if cameras else None
    rate = rates[reference] if reference else fps
    low, high = max(a for a, _ in ends) - 0.5 / rate, min(b for _, b in ends) + 0.5 / rate
    shown = cameras[reference] if reference else start + np.arange(whole_steps(max(0.0, high - start), fps) + 1) / fps
    grid = shown[at_least(shown, low) & at_least(high, shown)]
    if len(grid) < 2:
        spans = ", ".join(f"{n} [{t[0]:.2f}, {t[-1]:.2f}]" for n, t in sorted({**streams, **cameras}.items()))
        raise Quarantined(Reason.NO_OVERLAP, f"streams and cameras share no time span: {spans} s")
    frames, skew = _nearest(grid, cameras, min([rate, *rates.values()]), config)
    return Clock(rate, "time" if reference else "rows", reference, grid - start, grid, frames, skew)


def _nearest(
    grid: Float, cameras: Mapping[str, Float], fps: float, config: AlignConfig
) -> tuple[dict[str, Ints], dict[str, float]]:
    """({camera: its frame nearest to each instant}, {camera: the largest distance between the two, s})."""
    frames, skew = {}, {}
    for name, pts in cameras.items():
        after = np.clip(np.searchsorted(pts, grid), 1, len(pts) - 1)
        frames[name] = np.where(at_least(pts[after] - grid, grid - pts[after - 1]), after - 1, after)
        skew[name] = float(np.abs(pts[frames[name]] - grid).max())
        if longer(skew[name], config.max_skew_frames / fps):
            raise Quarantined(
                Reason.NO_OVERLAP,
                f"camera {name}: {skew[name]:.3f} s between its nearest frame and the clock, "
                f"at most {config.max_skew_frames / fps:.3f} s allowed",
            )
    return frames, skew


def shift(clock: Clock, lag: int) -> Clock:
    """The clock with the log moved by `lag` frames; frames left without a partner at the ends are trimmed."""
    if lag == 0:
        return clock
    count = len(clock.time_s)
    first, last = max(0, -lag), count - max(0, lag)
    if last - first < 2:
        raise Quarantined(Reason.NO_OVERLAP, f"a lag of {lag} frames leaves nothing of {count}")
    return Clock(
        clock.fps,
        clock.pairing,
        clock.reference,
        clock.time_s[first:last],
        clock.signal_time_s[first + lag : last + lag],
        {name: index[first:last] for name, index in clock.frames.items()},
        clock.skew_s,
    )
