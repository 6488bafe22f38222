"""Other looks for a simulated episode, and the few frames of it that a captioner is asked about.

In: a plan, its seed and its joint positions over time. Out: JPEG pictures by (camera, frame). Every look has cameras,
paint, colours and distractors of its own, the arm's links shown or hidden, and pictures of 64 to 256 px: a captioner
that is trained on them must see what is handled, not remember a cell.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.recorder import scene
from pipeline.recorder.simulation import make_env
from pipeline.recorder.tasks import PALETTE, EpisodePlan
from stages.train.simulation import look as looks
from stages.train.simulation.environment import STEPS_PER_FRAME

SIZES = (64, 96, 128, 192, 256)
Rgb = tuple[float, float, float]


def drawn_look(rng: np.random.Generator) -> looks.CellLook:
    """A cell of its own: one of the recorder's with cameras moved, turned and zoomed, and other paint."""
    base = looks.CELLS[str(rng.choice(list(looks.CELLS)))]
    views = {}
    for name, view in base.views.items():
        far = 0.06 if name != "wrist" else 0.006
        place = np.array(view.position) + rng.normal(0, far, 3)
        aim = np.array(view.target) + rng.normal(0, far / 2, 3)
        views[name] = replace(
            view, position=_triple(place), target=_triple(aim), fovy=view.fovy * float(rng.uniform(0.92, 1.08))
        )
    other = looks.CELLS[str(rng.choice(list(looks.CELLS)))]
    paint = [_tinted(rng, c, 0.06) for c in (other.table, other.border, other.floor, other.arm)]
    return looks.CellLook(views, *paint)


class Scenery:
    """The simulator's model of an episode, which each look finds as it was made. rng: as the episode was simulated
    with."""

    def __init__(self, plan: EpisodePlan, rng: np.random.Generator) -> None:
        self.plan, self.env = plan, make_env(plan, rng)
        model = self.env.model
        self._kept = {name: np.array(getattr(model, name)) for name in ("geom_rgba", "geom_matid", "mat_reflectance")}

    def bare(self) -> Any:
        for name, values in self._kept.items():
            getattr(self.env.model, name)[:] = values
        return self.env.model


def pictures(
    scenery: Scenery,
    qpos: npt.NDArray[np.float64],
    hand_path: npt.NDArray[np.float64],
    frames: Iterable[int],
    colour: str,
    rng: np.random.Generator,
) -> dict[tuple[str, int], bytes]:
    """{(camera, video frame): JPEG} in a look drawn by `rng`; qpos [N, nq] at 80 Hz."""
    plan, env, model = scenery.plan, scenery.env, scenery.bare()
    data = env.data
    look, rgb = drawn_look(rng), _tinted(rng, PALETTE[colour], 0.04)
    looks.place_cameras(model, look)
    looks.paint(model, look, plan.spec.body, rgb)
    if rng.random() < 0.3:
        looks.hide_links(model)
    _pose(model, data, qpos[0])
    solids = scene.draw_distractors(rng, model, data, colour, hand_path)
    if plan.spec.mark_goal:
        solids.append(looks.goal_mark(env._target_pos))
    size, quality = int(rng.choice(SIZES)), int(rng.integers(50, 95))
    options, found = looks.plain_view(), {}
    renderer = mujoco.Renderer(model, size, size)
    try:
        for frame in sorted(set(frames)):
            _pose(model, data, qpos[frame * STEPS_PER_FRAME])
            for name, stock in looks.STOCK_CAMERA.items():
                renderer.update_scene(data, stock, options)
                for solid in solids:
                    solid.add_to(renderer.scene)
                found[name, frame] = _jpeg(renderer.render(), quality)
    finally:
        renderer.close()
    return found


def _pose(model: Any, data: Any, qpos: npt.NDArray[np.float64]) -> None:
    data.qpos[:] = qpos
    data.qvel[:] = 0.0
    mujoco.mj_forward(model, data)


def _jpeg(picture: npt.NDArray[np.uint8], quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _tinted(rng: np.random.Generator, rgb: Rgb, far: float) -> Rgb:
    return _triple(np.clip(np.array(rgb) + rng.normal(0, far, 3), 0.02, 1.0))


def _triple(values: npt.NDArray[np.float64]) -> Rgb:
    x, y, z = (float(v) for v in values)
    return x, y, z
