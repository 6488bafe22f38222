"""Lag between video and log: estimated per episode and camera, voted per source (recipe, section 3).

In: a camera's motion signal and the arms' measured speeds on one frame grid. Out: lag in frames, positive where the
log is late (row i + lag belongs to frame i), with its correlation and the whole curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from stages.align.config import AlignConfig

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """lag_frames, its correlation (score), and correlations at lags -window .. +window."""

    lag_frames: int
    score: float
    curve: Float


@dataclass(frozen=True, slots=True)
class Vote:
    """What a source decided: the lag applied to its log, the mean score at the voted lag, votes for it, voters, and
    trust."""

    lag_frames: int
    voted_frames: int
    score: float | None
    votes: int
    voters: int
    weak: bool
    disagrees: bool


def estimate(motion: Float, speed: Float, fps: float, config: AlignConfig) -> Estimate:
    """Lag of the highest correlation between motion float64[T] and speed float64[T].

    Score 0 where that lies at the edge of the window: the curve still rises there, and its peak is somewhere else.
    """
    window = max(1, round(config.window_s * fps))
    video, log = (_standardised(x, config.smooth_s * fps) for x in (motion, speed))
    curve = np.array([_correlation(video, log, lag) for lag in range(-window, window + 1)])
    best = int(np.argmax(curve))
    if best in (0, 2 * window):
        return Estimate(best - window, 0.0, curve)
    return Estimate(best - window, float(curve[best]), curve)


def decide(estimates: Sequence[tuple[str, int, float]], config: AlignConfig) -> Vote:
    """Vote of a source over (episode, lag_frames, score) of its cameras: the score-weighted commonest lag.

    A lag that few estimates carry, or that few agree on, is reported and not applied.
    """
    voters = [(lag, score) for _, lag, score in estimates if score >= config.min_score]
    episodes = {episode for episode, _, score in estimates if score >= config.min_score}
    if not voters:
        return Vote(0, 0, None, 0, 0, weak=bool(estimates), disagrees=False)
    weights: dict[int, float] = {}
    for lag, score in voters:
        weights[lag] = weights.get(lag, 0.0) + score
    voted = min(weights, key=lambda lag: (-weights[lag], abs(lag), lag))
    near = [score for lag, score in voters if abs(lag - voted) <= 1]
    weak = len(episodes) < config.min_votes
    disagrees = len(near) / len(voters) < config.min_agreement
    trusted = not weak and not disagrees and abs(voted) > config.dead_zone_frames
    return Vote(voted if trusted else 0, voted, float(np.mean(near)), len(near), len(voters), weak, disagrees)


def _standardised(values: Float, sigma: float) -> Float:
    """Smoothed, square root taken (both are speeds with long tails), zero mean, unit spread; zeros for a constant."""
    smooth = gaussian_filter1d(values, sigma, mode="nearest") if sigma > 0 else values
    smooth = np.sqrt(np.maximum(smooth, 0.0))
    spread = smooth.std()
    return np.asarray((smooth - smooth.mean()) / spread) if spread > 1e-12 else np.zeros_like(smooth)


def _correlation(video: Float, log: Float, lag: int) -> float:
    """Pearson correlation of video[i] with log[i + lag] over their overlap; 0 for too short or constant overlaps."""
    a = video[max(0, -lag) : len(video) - max(0, lag)]
    b = log[max(0, lag) : len(log) - max(0, -lag)]
    if len(a) < 8 or a.std() < 1e-9 or b.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
