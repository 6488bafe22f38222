"""Visual motion: how much the picture changes from one frame to the next (recipe, section 3).

In: grey pictures. Out: mean absolute difference of coarse, brightness-normalised pictures, as a share of full scale.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
CELL = 4  # px; averaging cells of 4 x 4 removes coding noise and makes the difference 16 times cheaper


def coarse(grey: Grey) -> npt.NDArray[np.float32]:
    """float32[H // 4, W // 4], mean of each cell, minus the picture's mean brightness, of 1."""
    height, width = (side // CELL * CELL for side in grey.shape)
    cells = grey[:height, :width].reshape(height // CELL, CELL, width // CELL, CELL)
    means = cells.mean(axis=(1, 3), dtype=np.float32) / np.float32(255)
    return np.asarray(means - means.mean(), dtype=np.float32)


def change(previous: npt.NDArray[np.float32] | None, current: npt.NDArray[np.float32]) -> float:
    """Mean absolute difference; 0 for the first picture."""
    return 0.0 if previous is None else float(np.abs(current - previous).mean())
