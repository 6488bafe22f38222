"""Stretches of a camera's pictures that are no pictures: black, blank, over-exposed, frozen, blurred, repeated.

In: what observe saw in each picture, the canonical frames, the arms' speed. Out: `Stretch`es in canonical frames. A
stream is frozen where its pictures stand still to the bit while the arms move: a dead stream serves its last frame, a
robot at rest gives still pictures too. Blur is told against the camera's own sharp pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stages.observe.quality import Quality

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
STILL = 1e-5  # change of a picture from which it is another one, of full scale
MOVING = 0.1  # of the arms' fast motion
BRIEF_S = 0.5  # a flash or a blink is no stretch
FROZEN_S = 1.0  # so long a picture must stand
AT_WORK = 0.5  # share of that time in which the arms move
BLURRED = 0.3  # of the camera's usual sharpness
BLURRED_S = 1.0
REPEATED = 0.3  # share of the pictures in motion that are the one before again
BITS = {"black": Quality.BLACK, "blank": Quality.BLANK, "overexposed": Quality.OVEREXPOSED}


@dataclass(frozen=True, slots=True)
class Stretch:
    """[start, end) in canonical frames."""

    camera: str
    kind: str
    start: int
    end: int


def stretches(
    camera: str, quality: npt.NDArray[np.uint8], sharp: Float, motion: Float, speed: Float, fps: float
) -> list[Stretch]:
    """quality, sharp and motion of the picture that each canonical frame shows; speed float64[T]: of the arms, 1 =
    fast."""
    found: list[Stretch] = []
    bad = np.zeros(len(quality), dtype=bool)
    for kind, bit in BITS.items():
        for a, b in _runs((quality & bit) > 0, BRIEF_S * fps):
            found.append(Stretch(camera, kind, a, b))
            bad[a:b] = True
    still, moving = motion <= STILL, speed > MOVING
    still[0] = still[1] if len(still) > 1 else False  # nothing lies before the first picture
    for a, b in _runs(still & ~bad, FROZEN_S * fps):
        if float(moving[a:b].mean()) >= AT_WORK:
            found.append(Stretch(camera, "frozen", a, b))
            bad[a:b] = True
    seen = moving & ~bad
    if seen.sum() >= fps and float(still[seen].mean()) >= REPEATED:
        found.append(Stretch(camera, "repeated", 0, len(quality)))
    usual = float(np.median(sharp[~bad])) if (~bad).any() else 0.0
    found += [Stretch(camera, "blurred", a, b) for a, b in _runs((sharp < BLURRED * usual) & ~bad, BLURRED_S * fps)]
    return found


def _runs(where: Bool, least: float) -> Iterator[tuple[int, int]]:
    """[first, last) of the stretches of at least so many frames in which `where` holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(np.int8)))
    for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if b - a >= least:
            yield a, b


def flags_of(found: list[Stretch]) -> list[str]:
    """Flags of the episode."""
    return sorted({f"picture_{s.kind}" for s in found})
