"""Cameras of a sample as the two towers take them: intrinsics of the scaled picture, and where the camera is.

In: a camera's entry of KEY.calib.json (pixels of its clip, metres, OpenCV axes, pixel centres at integers). Out: a
`Camera`, or None where nothing here describes it. A camera on the hand moves with it: `hand_poses` has the hand's pose
of each row, from its position and quaternion, and `Camera.pose` of these is T_base_camera = T_base_ee T_ee_camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MOST_DISTORTION = 1.0  # px of the scaled picture by which a lens may move a point that is taken for a pinhole's
RADIAL = (0, 1, 4)  # places of k1, k2, k3 in OpenCV's order k1, k2, p1, p2, k3


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """intrinsics: float64[3, 3] of the scaled picture; mount: `base` or `ee`; pose: float64[4, 4], of the camera in
    the frame of its mount."""

    intrinsics: Floats
    mount: str
    pose: Floats


def camera(given: Mapping[str, Any] | None, height: int, width: int) -> Camera | None:
    """The camera as pictures of `height` x `width` show it. None: it is not calibrated, or no pinhole, or not on the
    base or the hand."""
    if given is None or given.get("model", "pinhole") != "pinhole":
        return None
    mount = str(given.get("mount", "base"))
    try:
        matrix = np.array(given["K"], dtype=np.float64)
        pose = np.array(given[f"T_{mount}_camera"], dtype=np.float64)
        size = np.array([given["width"], given["height"]], dtype=np.float64)
        lens = np.array(given.get("distortion") or (), dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        return None
    shapes = matrix.shape == (3, 3) and pose.shape == (4, 4) and mount in ("base", "ee")
    if not shapes or not np.isfinite(matrix).all() or not np.isfinite(pose).all():
        return None
    scale = np.array([width, height]) / size
    scaled = matrix.copy()
    scaled[:2, :2] *= scale[:, None]
    scaled[:2, 2] = (matrix[:2, 2] + 0.5) * scale - 0.5
    if bent(lens, scaled, height, width) > MOST_DISTORTION:
        return None
    return Camera(scaled, mount, pose)


def bent(lens: Floats, matrix: Floats, height: int, width: int) -> float:
    """By how many pixels a lens moves the points of a picture's border at most (OpenCV's model of 4, 5 or more
    coefficients, of which those after the fifth are taken to be 0: infinite where they are not)."""
    if not lens.any():
        return 0.0
    if len(lens) < 4 or lens[5:].any():
        return float("inf")
    k1, k2, k3 = (lens[n] if n < len(lens) else 0.0 for n in RADIAL)
    p1, p2 = lens[2], lens[3]
    along = np.linspace(0.0, 1.0, 17)
    sides = [(along, 0 * along), (along, 0 * along + 1), (0 * along, along), (0 * along + 1, along)]
    u, v = (np.concatenate([side[axis] for side in sides]) for axis in (0, 1))
    fx, skew, cx, fy, cy = matrix[0, 0], matrix[0, 1], matrix[0, 2], matrix[1, 1], matrix[1, 2]
    y = (v * (height - 1) - cy) / fy
    x = (u * (width - 1) - cx - skew * y) / fx
    r2 = x * x + y * y
    radial = k1 * r2 + k2 * r2**2 + k3 * r2**3
    dx = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    dy = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return float(np.hypot(fx * dx + skew * dy, fy * dy).max())


def hand_poses(position: Floats, quaternion: Floats) -> Floats:
    """float64[..., 4, 4], T_base_ee of positions [..., 3] (m) and quaternions [..., 4] (x, y, z, w, of any length; of
    length 0: no rotation)."""
    length = np.linalg.norm(quaternion, axis=-1, keepdims=True)
    unit = np.where(length > 1e-9, quaternion / np.maximum(length, 1e-9), np.array([0.0, 0.0, 0.0, 1.0]))
    x, y, z, w = np.moveaxis(unit, -1, 0)
    result = np.zeros((*position.shape[:-1], 4, 4))
    result[..., 0, :3] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], axis=-1)
    result[..., 1, :3] = np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], axis=-1)
    result[..., 2, :3] = np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], axis=-1)
    result[..., :3, 3] = position
    result[..., 3, 3] = 1.0
    return result
