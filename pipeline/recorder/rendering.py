"""Replays a simulated episode and renders it; measures landmarks independently of calibration.

In: an ``Episode`` and its solids. Out: images per camera, and landmarks (a known 3-D point and the
pixel it is seen at). Every image is rendered from the joint positions of the very control step
whose signals are written in the same row. Landmarks are the centroid of a small sphere in
MuJoCo's segmentation image at 1024x1024, scaled to 256x256: no number of the calibration is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from stages.train.simulation.environment import STEPS_PER_FRAME
from stages.train.simulation.look import STOCK_CAMERA, FloatArray, Solid, plain_view

from .scene import IMAGE_SIZE
from .simulation import Episode

ImageArray = npt.NDArray[np.uint8]

OVERSAMPLING = 4
SPHERE_RADIUS = 0.004
STATIC_POINTS = ((-0.15, 0.58, 0.12), (0.16, 0.62, 0.22), (0.02, 0.82, 0.06), (-0.05, 0.7, 0.3))
"""Landmarks for the static cameras (m, robot base frame)."""
WRIST_POINTS = ((0.09, 0.03, -0.03), (0.06, -0.035, -0.05), (0.13, 0.0, -0.02))
"""Landmarks for the wrist camera (m, end-effector frame), carried into the base frame."""


@dataclass(frozen=True)
class Landmark:
    """A point (m, robot base frame) and where a camera sees it (px, pixel centres at integers)."""

    camera: str
    frame: int
    point: tuple[float, float, float]
    pixel: tuple[float, float]


def set_frame(episode: Episode, frame: int) -> None:
    """Put the model into the state of a video frame."""
    data = episode.env.data
    data.qpos[:] = episode.qpos[frame * STEPS_PER_FRAME]
    data.qvel[:] = episode.qvel[frame * STEPS_PER_FRAME]
    mujoco.mj_forward(episode.env.model, data)


def images(episode: Episode, solids: list[Solid]) -> Iterator[dict[str, ImageArray]]:
    """Images of all cameras [256, 256, 3], frame after frame."""
    env = episode.env
    options = plain_view()
    renderer = mujoco.Renderer(env.model, IMAGE_SIZE, IMAGE_SIZE)
    try:
        for frame in range(episode.frames):
            set_frame(episode, frame)
            shots: dict[str, ImageArray] = {}
            for name, stock in STOCK_CAMERA.items():
                renderer.update_scene(env.data, stock, options)
                for solid in solids:
                    solid.add_to(renderer.scene)
                shots[name] = renderer.render().copy()
            yield shots
    finally:
        renderer.close()


def landmarks(episode: Episode) -> list[Landmark]:
    """Landmarks of one episode: four points per static camera, up to 15 for the wrist camera."""
    size = IMAGE_SIZE * OVERSAMPLING
    episode.env.model.vis.global_.offwidth = max(size, episode.env.model.vis.global_.offwidth)
    episode.env.model.vis.global_.offheight = max(size, episode.env.model.vis.global_.offheight)
    renderer = mujoco.Renderer(episode.env.model, size, size)
    renderer.enable_segmentation_rendering()
    found: list[Landmark | None] = []
    try:
        for frame in np.linspace(0, episode.frames - 1, 5).astype(int):
            set_frame(episode, int(frame))
            hand = episode.env.data.body("hand")
            rotation, origin = hand.xmat.reshape(3, 3).copy(), hand.xpos.copy()
            for offset in WRIST_POINTS:
                point = origin + rotation @ np.array(offset)
                found.append(_sight(renderer, episode, "wrist", int(frame), point))
            if frame == 0:
                for name in ("left", "right"):
                    for place in STATIC_POINTS:
                        found.append(_sight(renderer, episode, name, 0, np.array(place)))
    finally:
        renderer.close()
    return [mark for mark in found if mark is not None]


def _sight(renderer: Any, episode: Episode, camera: str, frame: int, point: FloatArray) -> Landmark | None:
    """Where ``camera`` sees a sphere at ``point`` [3]; None if it is cut by the image border."""
    scene = renderer.scene
    renderer.update_scene(episode.env.data, STOCK_CAMERA[camera], plain_view())
    scene.ngeom = 0
    ball = Solid(
        int(mujoco.mjtGeom.mjGEOM_SPHERE),
        (SPHERE_RADIUS,) * 3,
        (float(point[0]), float(point[1]), float(point[2])),
        (1.0, 1.0, 1.0),
    )
    scene.geoms[ball.add_to(scene)].segid = 0
    scene.geoms[0].objid = 1
    mask = renderer.render()[..., 0] == 1
    rows, columns = np.nonzero(mask)
    last = mask.shape[0] - 1
    if len(rows) < 40 or min(rows.min(), columns.min()) == 0 or max(rows.max(), columns.max()) == last:
        return None
    u, v = (float((c.mean() + 0.5) / OVERSAMPLING - 0.5) for c in (columns, rows))
    where = tuple(float(x) for x in point)
    return Landmark(f"observation.images.{camera}", frame, (where[0], where[1], where[2]), (u, v))
