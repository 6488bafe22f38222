"""What is particular to the sample's pictures: distractors, and the calibration of a cell at the sample's size.

In: a MuJoCo model, a cell name, an episode. Out: the distractors to draw, the pinhole calibration of the three cameras.
How a cell looks is `stages/train/simulation/look.py`. Why distractors are drawn only when rendering: they then cost no
physics and cannot be hit; they keep 11 cm from the recorded path of the hand below 0.3 m and 9 cm from where the task's
objects stand at the start.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from stages.train.simulation import look
from stages.train.simulation.look import CELLS, STOCK_CAMERA, FloatArray, Solid

from .tasks import PALETTE

IMAGE_SIZE = 256
TABLE_ROOTS = frozenset({"world", "tablelink", "RetainingWall", "base", "mocap"})
CAMERA_KEYS = tuple(f"observation.images.{name}" for name in STOCK_CAMERA)


def calibration(cell: str) -> dict[str, Any]:
    """Pinhole calibration of the cell's cameras in the sample's pictures."""
    return look.calibration(CELLS[cell], IMAGE_SIZE)


def draw_distractors(
    rng: np.random.Generator, model: Any, data: Any, colour: str, hand_path: FloatArray
) -> list[Solid]:
    """Two to four solids of other colours where nothing of the task comes near.

    ``hand_path`` [N, 3] is the recorded hand position (m, robot base frame).
    """
    boxes = _task_footprints(model, data)
    low_path = hand_path[hand_path[:, 2] < 0.3, :2]
    colours = [name for name in PALETTE if name != colour]
    chosen: list[Solid] = []
    wanted = int(rng.integers(2, 5))
    for _ in range(400):
        if len(chosen) == wanted:
            break
        spot = rng.uniform([-0.42, 0.42], [0.42, 0.93])
        clear = all(_gap(spot, box) > 0.09 for box in boxes)
        clear &= len(low_path) == 0 or np.linalg.norm(low_path - spot, axis=1).min() > 0.11
        clear &= all(np.linalg.norm(np.array(s.position[:2]) - spot) > 0.1 for s in chosen)
        if clear:
            rgb = PALETTE[colours.pop(int(rng.integers(len(colours))))]
            chosen.append(_random_solid(rng, spot, rgb))
    return chosen


def _random_solid(rng: np.random.Generator, spot: FloatArray, rgb: tuple[float, float, float]) -> Solid:
    """A small box, cylinder, ball or egg standing on the table at ``spot`` [2]."""
    kinds = mujoco.mjtGeom
    kind = (kinds.mjGEOM_BOX, kinds.mjGEOM_CYLINDER, kinds.mjGEOM_SPHERE, kinds.mjGEOM_ELLIPSOID)
    shape = kind[int(rng.integers(4))]
    a, b, c = (float(v) for v in rng.uniform(0.018, 0.032, size=3))
    size, height = (a, b, c), c
    if shape == kinds.mjGEOM_CYLINDER:
        size, height = (a, c, 0.0), c
    elif shape == kinds.mjGEOM_SPHERE:
        size, height = (a, a, a), a
    return Solid(int(shape), size, (float(spot[0]), float(spot[1]), height), rgb)


def _task_footprints(model: Any, data: Any) -> list[tuple[FloatArray, FloatArray]]:
    """Axis-aligned table footprints (low [2], high [2], m) of every geom of the task."""
    boxes = []
    for geom in range(model.ngeom):
        root = int(model.body_rootid[model.geom_bodyid[geom]])
        if model.body(root).name in TABLE_ROOTS or root == 0:
            continue
        rotation = data.geom_xmat[geom].reshape(3, 3)
        centre = data.geom_xpos[geom] + rotation @ model.geom_aabb[geom][:3]
        half = np.abs(rotation) @ model.geom_aabb[geom][3:]
        boxes.append((centre[:2] - half[:2], centre[:2] + half[:2]))
    return boxes


def _gap(spot: FloatArray, box: tuple[FloatArray, FloatArray]) -> float:
    """Distance (m) from a point [2] to an axis-aligned box."""
    outside = np.maximum(np.maximum(box[0] - spot, spot - box[1]), 0.0)
    return float(np.linalg.norm(outside))
