"""Other ways to cut an episode, on the same signals: what the segmenter is measured against.

In: an `Episode` (times, positions or joints, gripper). Out: boundary times, s. Written from the descriptions in the
literature, with their published settings; none is tuned on any set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Episode:
    """times float64[T], s; path float64[T, D]: positions (m) or joints of all arms side by side; opening float64[T, G],
    0 closed to 1 open; end: s, one step after the last time."""

    episode_id: str
    times: Float
    path: Float
    opening: Float
    end: float

    @property
    def step(self) -> float:
        return float(np.median(np.diff(self.times)))

    @property
    def speed(self) -> Float:
        """float64[T], smoothed over 0.1 s, 1 = its 95th percentile."""
        speed = np.linalg.norm(np.gradient(self.path, self.times, axis=0), axis=1)
        smooth = gaussian_filter1d(speed, 0.1 / self.step)
        return np.asarray(smooth / max(float(np.percentile(smooth, 95)), 1e-9))


def uniform(seconds: float) -> Callable[[Episode], list[float]]:
    """A boundary every so many seconds."""
    return lambda e: np.arange(e.times[0] + seconds, e.end - 1e-6, seconds).tolist()


def hysteresis(episode: Episode, low: float = 0.3, high: float = 0.7, dwell: float = 0.3) -> list[float]:
    """Gripper transitions: closed below `low`, open above `high` of the smoothed opening, at least `dwell` s apart."""
    found: list[float] = []
    for column in episode.opening.T:
        smooth, state = gaussian_filter1d(column, 0.05 / episode.step), None
        for time, value in zip(episode.times, smooth, strict=True):
            now = True if value > high else False if value < low else state
            if state is not None and now != state:
                found.append(float(time))
            state = now
    return _apart(found, dwell)


def speed_minima(episode: Episode) -> list[float]:
    """Local minima of the speed that are 10 % of fast motion deep, at least 0.3 s apart."""
    frames, _ = find_peaks(-episode.speed, prominence=0.1, distance=max(1, round(0.3 / episode.step)))
    return episode.times[frames].tolist()


def gripper_and_minima(episode: Episode) -> list[float]:
    """Gripper transitions, and speed minima where none is within 0.3 s."""
    gripper = hysteresis(episode)
    return sorted(gripper + [t for t in speed_minima(episode) if all(abs(t - g) >= 0.3 for g in gripper)])


def peract(episode: Episode, buffer: int = 4) -> list[float]:
    """PerAct keyframes (Shridhar et al. 2022): the gripper changes, or the arm has stopped; then `buffer` rows of
    rest."""
    still = np.abs(np.gradient(episode.path, episode.times, axis=0)).max(axis=1)
    stopped = still < 0.1 * max(float(np.percentile(still, 95)), 1e-9)
    closed = episode.opening < 0.5
    found, wait = [], 0
    for i in range(1, len(episode.times) - 2):
        steady = bool(np.all(closed[i - 1 : i + 2] == closed[i])) if closed.shape[1] else True
        if bool(np.any(closed[i] != closed[i - 1])) or (wait <= 0 and stopped[i] and steady):
            found.append(float(episode.times[i]))
            wait = buffer
        else:
            wait -= 1
    return found


def awe(episode: Episode, error: float = 0.02) -> list[float]:
    """AWE waypoints (Shi et al. 2023): the fewest rows whose straight lines stay within `error` of the path (a share of
    its extent, as the path may be in any unit), by dynamic programming; gripper flips are waypoints."""
    path = episode.path / max(float(np.ptp(episode.path, axis=0).max()), 1e-9)
    flips = np.flatnonzero(np.any(np.diff((episode.opening < 0.5).astype(int), axis=0) != 0, axis=1)) + 1
    edges = [0, *flips.tolist(), len(path) - 1]
    found: set[int] = {int(f) for f in flips}
    for start, end in pairwise(edges):
        found.update(start + w for w in _waypoints(path[start : end + 1], error))
    return episode.times[sorted(f for f in found if 0 < f < len(path) - 1)].tolist()


def pelt(episode: Episode) -> list[float]:
    """ruptures PELT, least squares on scaled velocity and opening, penalty log(n) times the number of signals."""
    import ruptures

    signal = _features(episode)
    cuts = ruptures.Pelt(model="l2", min_size=_min_rows(episode), jump=1).fit(signal)
    return _times(episode, cuts.predict(pen=float(np.log(len(signal))) * signal.shape[1]))


def kernel_cpd(episode: Episode, count: int) -> list[float]:
    """ruptures KernelCPD (rbf), told the true number of boundaries."""
    import ruptures

    signal, size = _features(episode), _min_rows(episode)
    count = max(0, min(count, len(signal) // size - 1))
    if not count:
        return []
    return _times(episode, ruptures.KernelCPD(kernel="rbf", min_size=size).fit(signal).predict(n_bkps=count))


def _features(episode: Episode) -> Float:
    velocity = np.gradient(episode.path, episode.times, axis=0)
    columns = np.hstack([gaussian_filter1d(velocity, 0.1 / episode.step, axis=0), episode.opening])
    return np.asarray((columns - columns.mean(axis=0)) / np.maximum(columns.std(axis=0), 1e-9))


def _min_rows(episode: Episode) -> int:
    return max(2, round(0.3 / episode.step))


def _times(episode: Episode, cuts: list[int]) -> list[float]:
    return [float(episode.times[c]) for c in cuts if 0 < c < len(episode.times)]


def _apart(times: list[float], seconds: float) -> list[float]:
    kept: list[float] = []
    for time in sorted(times):
        if not kept or time - kept[-1] >= seconds:
            kept.append(time)
    return kept


def _waypoints(path: Float, error: float) -> list[int]:
    """Fewest rows after the first whose straight lines, run through in even steps, stay within `error` of the path."""
    count = len(path)
    cost, before = [0] + [count] * (count - 1), [0] * count
    for end in range(1, count):
        for start in range(end - 1, -1, -1):
            if cost[start] + 1 >= cost[end]:
                continue
            share = np.linspace(0, 1, end - start + 1)[:, None]
            line = path[start] * (1 - share) + path[end] * share
            if float(np.linalg.norm(line - path[start : end + 1], axis=1).max()) <= error:
                cost[end], before[end] = cost[start] + 1, start
    found, at = [], count - 1
    while at > 0:
        found.append(at)
        at = before[at]
    return found


BASELINES: dict[str, Callable[[Episode], list[float]]] = {
    "uniform 1 s": uniform(1.0),
    "uniform 2 s": uniform(2.0),
    "gripper hysteresis 0.3/0.7": hysteresis,
    "speed minima": speed_minima,
    "gripper and speed minima": gripper_and_minima,
    "PerAct keyframes": peract,
    "AWE waypoints": awe,
    "PELT": pelt,
}
