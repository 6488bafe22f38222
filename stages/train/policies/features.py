"""What a state policy sees: places, and the differences between them that a task is about.

In: state [N, 11], environment [N, 17], an instruction as a vector. Out: float32[N, 36 + Dt], geometry normalised by the
training rows' mean and deviation.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Floats]
"""Texts to float32[N, Dt]."""

GEOMETRY = 36
LEAST = 1e-3  # m, m/s: what varies less than this is not divided by what it varies
HASHED = 32


def geometry(state: Floats, environment: Floats) -> Floats:
    """float32[N, 36] of state [N, 11] and environment [N, 17]: hand, its velocity, gripper opening, both objects' poses
    and the goal; objects and goal from the hand, the goal from the first object. The hand's quaternion is left out: it
    does not turn in any of the tasks. Raises ValueError where the columns are others."""
    if state.shape[1:] != (11,) or environment.shape[1:] != (17,):
        raise ValueError(
            f"state policies are of 11 and 17 columns, not of {state.shape[1:]} and {environment.shape[1:]}"
        )
    hand, velocity, opening = state[:, :3], state[:, 7:10], state[:, 10:11]
    first, second, goal = environment[:, :3], environment[:, 7:10], environment[:, 14:17]
    parts = (hand, velocity, opening, environment, first - hand, second - hand, goal - hand, goal - first)
    return np.concatenate(parts, axis=1).astype(np.float32)


def hashed(texts: Sequence[str]) -> Floats:
    """float32[N, 32], each of length 1: words fall into columns by their checksum, with a sign. It tells instructions
    apart and knows nothing of what they mean; needs no model."""
    result = np.zeros((len(texts), HASHED), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in re.findall(r"\w+", text.lower()):
            code = zlib.crc32(word.encode())
            result[row, code % HASHED] += 1.0 if code & 0x8000_0000 else -1.0
    result /= np.maximum(np.linalg.norm(result, axis=1, keepdims=True), 1e-6)
    return result


@dataclass(frozen=True, slots=True)
class Scale:
    """shift, unit: float32[D]; normalised values are (values - shift) / unit."""

    shift: Floats
    unit: Floats

    @classmethod
    def of(cls, values: Floats) -> Scale:
        """Mean and deviation over rows [N, D]."""
        unit = values.std(axis=0)
        unit[unit < LEAST] = 1.0
        return cls(values.mean(axis=0).astype(np.float32), unit.astype(np.float32))

    def normalised(self, values: Floats) -> Floats:
        return np.asarray((values - self.shift) / self.unit, dtype=np.float32)

    def restored(self, values: Floats) -> Floats:
        return np.asarray(values * self.unit + self.shift, dtype=np.float32)


@dataclass(slots=True)
class Texts:
    """Vectors of texts, each made once: those of the training set are kept with the policy, so that it needs its
    encoder for others alone."""

    known: dict[str, Floats] = field(default_factory=dict)
    embed: Embed | None = None

    @classmethod
    def of(cls, texts: Sequence[str], embed: Embed) -> Texts:
        vectors = embed(texts)
        return cls(dict(zip(texts, vectors, strict=True)), embed)

    def vector(self, text: str) -> Floats:
        """float32[Dt]. Raises KeyError."""
        if text not in self.known:
            if self.embed is None:
                raise KeyError(f"{text!r} is no text of the training set, and no encoder was given")
            self.known[text] = self.embed([text])[0]
        return self.known[text]

    def rows(self, texts: Sequence[str]) -> Floats:
        """float32[N, Dt]"""
        return np.stack([self.vector(text) for text in texts])
