"""What segment looks at: per arm, scaled speed, smooth path, gripper opening, on a grid of its own.

In: an episode's signals and its canonical times. Out: one `ArmMotion` an arm. Logs of 10 to 500 Hz, with holes or with
irregular times, are brought to one grid of 30 Hz; where the log is faster, a grid value is the mean over its cell.
Speeds are scaled by the arm's own fast motion, so that metres, radians and raw units are judged alike; smoothing grows
with the noise that the log itself shows, and what noise adds to a speed is taken off again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from stages.episode import Signal
from stages.segment.config import SegmentConfig

Float = npt.NDArray[np.float64]
GRID_HZ = 30.0
FLOORS = {"m": 0.02, "rad": 0.1, "m/s": 0.02, "rad/s": 0.1}  # fast motion of an arm that hardly moves, per second
BESIDE = 0.5  # and beside one that does, as a share of that one's
RANGE, HARDLY = (1.0, 99.0), 0.1  # percentiles of a joint's range; share of most joints' range that counts as still
SPIN_FLOOR = 0.5  # rad/s; slower than this no turning of the hand counts as fast
THIRD_DIFFERENCE = 20.0**0.5  # of white noise of unit deviation
QUIET = 0.04  # noise in the scaled speed up to which nothing more is smoothed
FAST_S, FAST_STRIDE = 0.15, 6  # fast motion is measured so smoothly, over so many grid points, that noise does not show
WIDEST = 1.2  # smoothing grows by this factor at most
FINGERS_NOISE, FINGERS_S = 0.01, 0.06  # an opening as noisy as this (1 = its range) is smoothed over so many seconds


@dataclass(frozen=True, slots=True)
class Opening:
    """values float64[G], 0 closed to 1 open; jitter: deviation of their noise; `flips`: they are a command that changes
    from one row to the next, which then stands at its row's time; `known`: which end is closed is known."""

    values: Float
    jitter: float
    flips: bool
    known: bool = True


@dataclass(frozen=True, slots=True)
class ArmMotion:
    """On the grid, G points: speed float64[G], 1 = the arm's fast motion (of translation or, where larger, of
    turning); path float64[G, D] smoothed, in units of what fast motion covers in a second; spin float64[G] scaled
    turning speed or None; opening of its hand, or None; command float64[G]: the opening it was sent to, or None;
    position float64[G, D] in the log's unit, or None; `metric`: that is m, base frame, z up; smooth_s: the smoothing
    of path and speed, s."""

    arm: str
    speed: Float
    path: Float
    smooth_s: float = 0.0
    spin: Float | None = None
    opening: Opening | None = None
    command: Float | None = None
    position: Float | None = None
    metric: bool = False


def grid(times: Float) -> Float:
    """Points 1/30 s apart over the log's times (float64[T], s, rising)."""
    count = max(1, int(np.floor((times[-1] - times[0]) * GRID_HZ + 1e-6)) + 1) if len(times) else 1
    return np.asarray((times[0] if len(times) else 0.0) + np.arange(count) / GRID_HZ)


def arm_motions(signals: Mapping[str, Signal], points: Float, config: SegmentConfig) -> list[ArmMotion]:
    """Motion of each arm at `points` (float64[G], s, log's clock)."""
    signals = _comparable(signals)
    found = []
    for arm in ("single", "left", "right"):
        kind = next((k for k in ("position", "joints", "velocity") if f"{k}/{arm}" in signals), None)
        if kind is not None:
            found.append((arm, signals[f"{kind}/{arm}"], *_moving(signals[f"{kind}/{arm}"], points, config)))
    fastest: dict[str, float] = {}
    for _, signal, _, _, fast, _ in found:
        fastest[signal.unit] = max(fastest.get(signal.unit, 0.0), fast)
    motions = []
    for arm, signal, path, speed, fast, sigma in found:
        scale = max(fast, BESIDE * fastest[signal.unit], FLOORS.get(signal.unit, 1e-9))
        spin = _spin(signals.get(f"orientation/{arm}"), points, config)
        speed = speed / scale
        command = _opening(signals.get(f"gripper_command/{arm}"), points)
        motions.append(
            ArmMotion(
                arm,
                speed if spin is None else np.maximum(speed, spin),
                path / scale,
                sigma,
                spin,
                _opening(signals.get(f"gripper/{arm}") or signals.get(f"hand/{arm}"), points),
                command.values if command is not None else None,
                path if signal.kind == "position" else None,
                signal.unit == "m" and path.shape[1] >= 3,
            )
        )
    return motions


def _comparable(signals: Mapping[str, Signal]) -> dict[str, Signal]:
    """The same signals, joints of no known unit as shares of their own range: an arm in degrees and fingers of 0 to 250
    say equally much. A joint that hardly moves beside most others is left small."""
    unknown = {k: s for k, s in signals.items() if s.kind == "joints" and s.unit not in FLOORS and len(s.values)}
    ranges = {k: np.ptp(np.percentile(s.values, RANGE, axis=0), axis=0) for k, s in unknown.items()}
    every = np.concatenate([*ranges.values(), np.zeros(0)])
    if not every.any():
        return dict(signals)
    least = HARDLY * float(np.percentile(every[every > 0], 75))
    scaled = {k: replace(s, values=s.values / np.maximum(ranges[k], least)) for k, s in unknown.items()}
    return {**signals, **scaled}


def _moving(signal: Signal, points: Float, config: SegmentConfig) -> tuple[Float, Float, float, float]:
    """(path float64[G, D], speed float64[G], fast motion, smoothing in s) in the signal's own units.

    Noise is told from the third difference of rows, whose median a motion hardly touches. Where it is more than QUIET
    of fast motion, smoothing is wider than the configuration says.
    """
    raw = on_grid(signal, points)
    if signal.kind == "velocity":
        raw = np.cumsum(raw, axis=0) / GRID_HZ
    noise, step = _noise(signal), _step(signal.time_s)
    if signal.kind == "velocity":
        noise = np.zeros_like(noise)
    sigma = config.smooth_s
    fast = _fast(smooth(raw, FAST_S))
    jitter = _speed_noise(noise, step, sigma)
    if fast > 0 and jitter > QUIET * fast:
        sigma *= min(WIDEST, float(jitter / (QUIET * fast)) ** (2.0 / 3.0))  # noise of a slope falls with sigma ** 1.5
    path, speed = _differentiated(raw, sigma, noise, step)
    return path, speed, fast, sigma


def _differentiated(raw: Float, sigma: float, noise: Float, step: float) -> tuple[Float, Float]:
    path = smooth(raw, sigma)
    if len(path) < 2:
        return path, np.zeros(len(path))
    square = np.zeros(len(path))
    for column in path.T:
        slope = np.empty(len(path))
        slope[1:-1] = (column[2:] - column[:-2]) * (GRID_HZ / 2)
        slope[0], slope[-1] = (column[1] - column[0]) * GRID_HZ, (column[-1] - column[-2]) * GRID_HZ
        square += slope * slope
    return path, np.sqrt(np.maximum(0.0, square - _speed_noise(noise, step, sigma) ** 2))


def _speed_noise(noise: Float, step: float, sigma: float) -> float:
    """What white noise of rows (float64[D], deviation) leaves in the norm of a slope smoothed over sigma s."""
    if sigma <= 0:
        return 0.0
    return float(np.linalg.norm(noise)) * float(np.sqrt(step / (4.0 * np.sqrt(np.pi) * max(sigma, step / 2) ** 3)))


def _noise(signal: Signal) -> Float:
    """float64[D]: deviation of the noise in each column's rows."""
    if len(signal.values) < 8:
        return np.zeros(signal.values.shape[1])
    rows = signal.values if len(signal.values) <= 20_000 else signal.values[:20_000]
    third = np.abs(np.diff(rows, 3, axis=0))
    return np.asarray(1.4826 * np.median(third, axis=0) / THIRD_DIFFERENCE)


def _fast(path: Float) -> float:
    """95th percentile of a path's speed while it moves at all: how long it rests does not count."""
    if len(path) <= FAST_STRIDE:
        return 0.0
    speed = np.linalg.norm(path[FAST_STRIDE:] - path[:-FAST_STRIDE], axis=1) * (GRID_HZ / FAST_STRIDE)
    top = float(np.percentile(speed, 99.5))
    moving = speed[speed > 0.1 * top]
    return float(np.percentile(moving, 95)) if len(moving) else 0.0


def _spin(signal: Signal | None, points: Float, config: SegmentConfig) -> Float | None:
    """Scaled turning speed of the hand from its quaternion; None where no orientation is logged."""
    if signal is None or signal.values.shape[1] != 4 or len(points) < 2:
        return None
    turned = signal.values.copy()
    flipped = np.cumsum(np.sum(turned[1:] * turned[:-1], axis=1) < 0) % 2 == 1  # q and -q are one orientation
    turned[1:][flipped] *= -1
    signal = Signal(signal.kind, signal.arm, signal.unit, signal.time_s, turned)
    _, speed, fast, _ = _moving(signal, points, config)
    return np.asarray(2.0 * speed / max(2.0 * fast, SPIN_FLOOR))  # of a unit quaternion, half the turning speed


def _opening(signal: Signal | None, points: Float) -> Opening | None:
    if signal is None:
        return None
    values = signal.values[:, 0]
    low, high = float(values.min()), float(values.max())
    middle = (values > low + 0.2 * (high - low)) & (values < high - 0.2 * (high - low))
    switches = int(np.sum(np.diff(values > (low + high) / 2)))
    if high > low and int(middle.sum()) <= switches:  # at most one row on the way, as a resampled flip has
        latest = np.clip(np.searchsorted(signal.time_s, points + 1e-6, side="right") - 1, 0, len(values) - 1)
        return Opening(np.asarray(values[latest]), 0.0, True, signal.kind != "hand")
    noise = float(_noise(signal)[0])
    sigma = min(1.0, noise / FINGERS_NOISE) * FINGERS_S  # nothing is smoothed that shows no noise
    values = smooth(on_grid(signal, points), sigma)[:, 0]
    return Opening(values, noise * (1.0 - 0.5 * sigma / FINGERS_S), False, signal.kind != "hand")


def on_grid(signal: Signal, points: Float) -> Float:
    """float64[G, D]: the signal at `points`, straight between rows; the mean over a point's cell where rows are
    denser."""
    columns = [signal.values[:, i] for i in range(signal.values.shape[1])]
    if len(signal.time_s) < 2 or _step(signal.time_s) > 0.75 / GRID_HZ:
        return np.stack([np.interp(points, signal.time_s, c) for c in columns], axis=1)
    edges = np.clip(np.append(points, points[-1] + 1 / GRID_HZ) - 0.5 / GRID_HZ, signal.time_s[0], signal.time_s[-1])
    width = np.maximum(np.diff(edges), 1e-9)
    steps = np.diff(signal.time_s)
    means = []
    for column in columns:
        area = np.concatenate([[0.0], np.cumsum(steps * (column[1:] + column[:-1]) / 2)])
        mean = np.diff(np.interp(edges, signal.time_s, area)) / width
        means.append(np.where(width > 1e-6, mean, np.interp(points, signal.time_s, column)))
    return np.stack(means, axis=1)


def smooth(values: Float, sigma_s: float) -> Float:
    """Gaussian over sigma_s seconds of float64[G, D]; at its ends the signal is continued point by point, so that a
    slope stays."""
    sigma = sigma_s * GRID_HZ
    if sigma < 0.1 or len(values) < 3:
        return values
    reach = min(len(values) - 1, int(3 * sigma + 0.5))
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    columns = np.ascontiguousarray(padded.T)
    return np.ascontiguousarray(
        gaussian_filter1d(columns, sigma, axis=1, truncate=3.0)[:, reach : len(columns[0]) - reach].T
    )


def _step(times: Float) -> float:
    """Median time between rows, s; 1 for a single row."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 1.0
