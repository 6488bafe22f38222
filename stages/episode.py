"""An episode's streams as NumPy arrays, from `signals` rows: what align, segment, embed and shard share.

In: rows of `signals` of one episode. Out: {stream name: Signal}. Sampling at given times is exact at logged instants.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.events import EventRow
from schemas.signals import SignalRow
from stages.seconds import longer

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Signal:
    """time_s float64[N] on the source's clock; values float64[N, D]."""

    kind: str
    arm: str
    unit: str
    time_s: Float
    values: Float

    def at(self, times: Float) -> Float:
        """float64[T, D] by linear interpolation; a gripper takes the nearest value instead, since it may step.

        Times outside the log hold its first or last value.
        """
        nearest = np.clip(np.searchsorted(self.time_s, times), 1, len(self.time_s) - 1)
        before = longer(self.time_s[nearest] - times, times - self.time_s[nearest - 1])
        rows = self.values[np.where(before, nearest - 1, nearest)]
        if self.kind.startswith("gripper") or self.kind == "hand":
            return np.asarray(rows)
        lines = np.stack([np.interp(times, self.time_s, column) for column in self.values.T], axis=1)
        return np.asarray(lines)


def signals_of(rows: Iterable[SignalRow]) -> dict[str, Signal]:
    """{stream: Signal} from `signals` rows."""
    return {
        row["stream"]: Signal(
            row["kind"],
            row["arm"],
            row["unit"],
            np.asarray(row["time_s"], dtype=np.float64),
            np.asarray(row["values"], dtype=np.float64).reshape(-1, row["width"]),
        )
        for row in rows
    }


def both_arms(events: Iterable[EventRow]) -> list[EventRow]:
    """Events of both arms together, of an episode's `events` rows: what models are asked about and is trained on."""
    return [e for e in events if e["track"] == "all"]


def speeds(signals: Mapping[str, Signal], times: Float) -> dict[str, Float]:
    """{arm: float64[T]} measured speed of each arm at `times`: end-effector speed where a position is logged, else a
    logged velocity, else the norm of joint speeds. Units are the log's own; scale before comparing arms or robots.
    """
    result: dict[str, Float] = {}
    for arm in ("single", "left", "right"):
        for kind in ("position", "joints", "velocity"):
            signal = signals.get(f"{kind}/{arm}")
            if signal is None:
                continue
            values = signal.at(times)
            result[arm] = np.linalg.norm(values if kind == "velocity" else rate(values, times), axis=1)
            break
    return result


def rate(values: Float, times: Float) -> Float:
    """float64[T, D], central differences per second; zeros where there is a single instant."""
    if len(times) < 2:
        return np.zeros_like(values)
    return np.asarray(np.gradient(values, times, axis=0))
