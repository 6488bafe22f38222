"""How a cell looks: camera places and paint; and the calibration that follows from it.

In: a MuJoCo model, a cell's look. Out: the model painted and its cameras placed, marks to draw, and the pinhole
calibration of the three cameras at any size of picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .environment import simulator
from .tasks import Task

FloatArray = npt.NDArray[np.float64]

BIN_PAINT = {"binA": (0.75, 0.75, 0.72), "binB": (0.16, 0.17, 0.19)}
"""Bins are grey here: Meta-World's are red and blue, which are colours of the objects."""

STOCK_CAMERA = {"left": "corner", "right": "corner2", "wrist": "gripperPOV"}
"""Meta-World's own cameras, which are moved and re-aimed; its model file stays as it is."""


@dataclass(frozen=True)
class View:
    """A camera: place and aim (m), up direction, vertical field of view (degrees)."""

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    up: tuple[float, float, float]
    fovy: float


@dataclass(frozen=True)
class CellLook:
    """Cameras and paint of one recording cell: static views in the robot base frame, wrist in ee.

    One static camera stands in front, one at the side behind the work: from two cameras in front
    a shelf, a drawer case or a door hides the very motion it is there for.
    """

    views: dict[str, View]
    table: tuple[float, float, float]
    border: tuple[float, float, float]
    floor: tuple[float, float, float]
    arm: tuple[float, float, float]


CELLS: dict[str, CellLook] = {
    "cell_a": CellLook(
        views={
            "left": View((-0.62, 1.34, 0.78), (0.0, 0.66, 0.14), (0, 0, 1), 44.0),
            "right": View((0.95, 0.12, 0.72), (0.0, 0.70, 0.13), (0, 0, 1), 44.0),
            "wrist": View((-0.055, 0.0, 0.115), (0.075, 0.0, 0.005), (-1, 0, 0), 78.0),
        },
        table=(0.56, 0.48, 0.38),
        border=(0.45, 0.46, 0.48),
        floor=(0.58, 0.58, 0.56),
        arm=(0.24, 0.25, 0.28),
    ),
    "cell_b": CellLook(
        views={
            "left": View((-0.96, 0.10, 0.76), (0.02, 0.70, 0.13), (0, 0, 1), 45.0),
            "right": View((0.66, 1.32, 0.74), (0.0, 0.66, 0.15), (0, 0, 1), 45.0),
            "wrist": View((-0.05, 0.01, 0.12), (0.075, 0.0, 0.0), (-1, 0, 0), 76.0),
        },
        table=(0.33, 0.40, 0.44),
        border=(0.62, 0.62, 0.60),
        floor=(0.42, 0.40, 0.38),
        arm=(0.80, 0.79, 0.76),
    ),
}


TRAINING = replace(
    CELLS["cell_a"],
    views=CELLS["cell_a"].views
    | {
        "left": View((-0.90, 0.35, 0.75), (0.0, 0.67, 0.13), (0, 0, 1), 38.0),
        "right": View((0.95, 0.12, 0.72), (0.0, 0.70, 0.13), (0, 0, 1), 38.0),
    },
)
"""The look of training sets and of closed loops: pictures are small there, so the cameras see less about the work, and
none stands behind the shelf, which would hide all that is done."""


def look_at(view: View) -> FloatArray:
    """Rotation [3, 3] of a MuJoCo camera (x right, y up, looking along -z) aimed as ``view``."""
    back = np.array(view.position) - np.array(view.target)
    back /= np.linalg.norm(back)
    right = np.cross(np.array(view.up, dtype=np.float64), back)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(back, right), back], axis=1)


def place_cameras(model: Any, look: CellLook) -> None:
    """Move the model's cameras to where the cell has them."""
    for name, stock in STOCK_CAMERA.items():
        view = look.views[name]
        camera = model.camera(stock).id
        quaternion = np.zeros(4)
        simulator().mju_mat2Quat(quaternion, look_at(view).ravel())
        model.cam_mode[camera] = simulator().mjtCamLight.mjCAMLIGHT_FIXED
        model.cam_pos[camera] = view.position
        model.cam_quat[camera] = quaternion
        model.cam_fovy[camera] = view.fovy


def calibration(look: CellLook, side: int) -> dict[str, Any]:
    """Pinhole calibration for pictures of ``side`` px: OpenCV axes, metres, pixel centres at integers."""
    cameras: dict[str, Any] = {}
    for name, view in look.views.items():
        focal = side / 2.0 / np.tan(np.radians(view.fovy) / 2.0)
        centre = (side - 1) / 2.0
        pose = np.eye(4)
        pose[:3, :3] = look_at(view) @ np.diag([1.0, -1.0, -1.0])
        pose[:3, 3] = view.position
        mount = "ee" if name == "wrist" else "base"
        cameras[f"observation.images.{name}"] = {
            "width": side,
            "height": side,
            "model": "pinhole",
            "K": [[focal, 0.0, centre], [0.0, focal, centre], [0.0, 0.0, 1.0]],
            "distortion": [0.0, 0.0, 0.0, 0.0, 0.0],
            "mount": mount,
            f"T_{mount}_camera": pose.tolist(),
        }
    return {"base_frame": "robot base", "cameras": cameras}


def paint(model: Any, look: CellLook, colour_body: str, rgb: tuple[float, float, float]) -> None:
    """Paint table, arm, fingers and the handled object; shadows and reflections off.

    Measured on one pick-place episode (EGL on a CPU, 256x256): 77 images/s without shadows and
    reflections, 15 with them; the wrist video takes 35 kB with flat table paint, 93 kB with
    Meta-World's wood texture.
    """
    model.light_castshadow[:] = 0
    model.mat_reflectance[:] = 0.0
    handled = model.body(colour_body).id
    for geom in range(model.ngeom):
        body = int(model.geom_bodyid[geom])
        name = model.body(body).name
        chain = _ancestors(model, body)
        if handled in chain:
            _set_colour(model, geom, rgb)
        elif name == "tablelink":
            _set_colour(model, geom, look.table)
        elif name in BIN_PAINT:
            _set_colour(model, geom, BIN_PAINT[name])
        elif name == "RetainingWall":
            _set_colour(model, geom, look.border)
        elif model.geom(geom).name == "floor":
            _set_colour(model, geom, look.floor)
        elif "pad" in name or "claw" in name:
            _set_colour(model, geom, (0.12, 0.12, 0.13))
        elif model.body("base").id in chain and model.geom_rgba[geom][0] == np.float32(0.5):
            _set_colour(model, geom, look.arm)


def hide_links(model: Any) -> None:
    """Take the arm out of sight and leave the hand, as a camera that sees the hand alone would."""
    arm, hand = model.body("base").id, model.body("hand").id
    for geom in range(model.ngeom):
        chain = _ancestors(model, int(model.geom_bodyid[geom]))
        if arm in chain and hand not in chain:
            model.geom_rgba[geom][3] = 0.0


def _set_colour(model: Any, geom: int, rgb: tuple[float, float, float]) -> None:
    """Give a geom a flat colour in place of its material; hidden geoms stay hidden."""
    if model.geom_rgba[geom][3] > 0.0:
        model.geom_matid[geom] = -1
        model.geom_rgba[geom] = [*rgb, 1.0]


def _ancestors(model: Any, body: int) -> set[int]:
    """The body and all bodies it is mounted on, the world excepted."""
    chain = set()
    while body != 0:
        chain.add(body)
        body = int(model.body_parentid[body])
    return chain


@dataclass(frozen=True)
class Solid:
    """A coloured primitive drawn into the scene: MuJoCo geom type, sizes and position in m."""

    shape: int
    size: tuple[float, float, float]
    position: tuple[float, float, float]
    rgb: tuple[float, float, float]

    def add_to(self, scene: Any) -> int:
        """Append to an ``mjvScene``; returns the index of the new geom."""
        geom = scene.geoms[scene.ngeom]
        simulator().mjv_initGeom(
            geom,
            self.shape,
            np.array(self.size),
            np.array(self.position),
            np.eye(3).ravel(),
            np.array([*self.rgb, 1.0], dtype=np.float32),
        )
        scene.ngeom += 1
        return int(scene.ngeom - 1)


def goal_mark(target: FloatArray) -> Solid:
    """The dark disc on the table where the object is to be put; ``target`` [3] in m."""
    disc = simulator().mjtGeom.mjGEOM_CYLINDER
    place = (float(target[0]), float(target[1]), 0.001)
    return Solid(int(disc), (0.04, 0.001, 0.0), place, (0.05, 0.05, 0.06))


def plain_view() -> Any:
    """Scene options that hide Meta-World's marker sites."""
    options = simulator().MjvOption()
    options.sitegroup[:] = 0
    return options


def dress(model: Any, task: Task) -> None:
    """Give a model the look of training: the task's colour, and the arm's links out of sight.

    Measured on one core (EGL in software, three pictures of 64 px with their physics): 7 to 10 ms; the links' meshes
    (67 k faces) would take most of the time.
    """
    place_cameras(model, TRAINING)
    paint(model, TRAINING, task.body, task.rgb)
    hide_links(model)


def marks(task: Task, target: FloatArray) -> list[Solid]:
    """What is drawn besides the model; ``target`` [3] in m: the task's goal."""
    return [goal_mark(target)] if task.marked else []


def shots(
    renderer: Any, data: Any, cameras: Sequence[str], solids: Sequence[Solid]
) -> dict[str, npt.NDArray[np.uint8]]:
    """Pictures uint8 [side, side, 3] RGB of the model's state, by camera."""
    seen: dict[str, npt.NDArray[np.uint8]] = {}
    options = plain_view()
    for name in cameras:
        renderer.update_scene(data, STOCK_CAMERA[name], options)
        for solid in solids:
            solid.add_to(renderer.scene)
        seen[name] = renderer.render().copy()
    return seen
