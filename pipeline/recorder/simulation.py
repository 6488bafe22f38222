"""Simulates one planned episode and keeps, per 80 Hz control step, everything that can be measured.

In: an ``EpisodePlan`` and a seed. Out: an ``Episode`` (joint positions to render from, and the
signals of the same instants: hand, fingers, contacts, object). An attempt that fails, misses more
or less often than planned or lasts outside 5 to 20 s is thrown away and drawn anew. Simulating
first and rendering later costs no images for rejected attempts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.train.simulation.environment import (
    CONTROL_HZ,
    FULL_SCALE_SPEED,
    SETTLE_STEPS,
    STEPS_PER_FRAME,
    environment,
    restart,
    without_grasps,
)
from stages.train.simulation.state import continuous, hand_of
from stages.train.simulation.tasks import SUCCESS_ON_THE_WAY

from .operator import Operator, ShakyHand, draw_style
from .scripts import full_script
from .tasks import EpisodePlan

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass
class Episode:
    """Signals of one episode, one row per control step (80 Hz), robot base frame, SI units.

    qpos [N, nq]; qvel [N, nv]; hand_pos, object_pos, command [N, 3]; hand_vel [N, 3];
    hand_quat [N, 4] (x, y, z, w); opening [N] 0 closed .. 1 open; closing_command [N];
    touch_left, touch_right, touch_any, supported [N] (contacts of the object); success [N].
    """

    env: Any
    plan: EpisodePlan
    qpos: FloatArray
    qvel: FloatArray
    hand_pos: FloatArray
    hand_quat: FloatArray
    hand_vel: FloatArray
    opening: FloatArray
    object_pos: FloatArray
    command: FloatArray
    closing_command: BoolArray
    touch_left: BoolArray
    touch_right: BoolArray
    touch_any: BoolArray
    supported: BoolArray
    success: BoolArray

    @property
    def frames(self) -> int:
        """Number of video frames: every fourth control step, whole groups only."""
        return len(self.qpos) // STEPS_PER_FRAME


class ContactProbe:
    """Reads which contacts the handled object has at this instant."""

    def __init__(self, model: Any, object_body: str) -> None:
        self.object_geoms = _subtree_geoms(model, object_body)
        self.robot_geoms = _subtree_geoms(model, "base")
        self.left_geoms = _subtree_geoms(model, "leftclaw")
        self.right_geoms = _subtree_geoms(model, "rightclaw")

    def read(self, data: Any) -> tuple[bool, bool, bool, bool]:
        """Contacts of the object: left finger, right finger, any robot part, anything else."""
        left = right = robot = other = False
        for first, second in data.contact.geom:
            if first in self.object_geoms:
                partner = int(second)
            elif second in self.object_geoms:
                partner = int(first)
            else:
                continue
            left |= partner in self.left_geoms
            right |= partner in self.right_geoms
            robot |= partner in self.robot_geoms
            other |= partner not in self.robot_geoms and partner not in self.object_geoms
        return left, right, robot, other


def _subtree_geoms(model: Any, body: str) -> frozenset[int]:
    """Ids of the geoms of a body and of everything mounted on it."""
    root = model.body(body).id
    inside = set()
    for geom in range(model.ngeom):
        at = int(model.geom_bodyid[geom])
        while at not in (0, root):
            at = int(model.body_parentid[at])
        if at == root:
            inside.add(geom)
    return frozenset(inside)


def make_env(plan: EpisodePlan, rng: np.random.Generator) -> Any:
    """The plan's environment, reset to an episode drawn from ``rng``."""
    env = without_grasps(environment(plan.task))
    restart(env, rng)
    return env


def measure(env: Any, probe: ContactProbe, plan: EpisodePlan) -> dict[str, Any]:
    """The signals of this instant (see ``Episode``)."""
    data, hand = env.data, hand_of(env)
    left, right, robot, other = probe.read(data)
    return {
        "qpos": data.qpos.copy(),
        "qvel": data.qvel.copy(),
        "hand_pos": hand.position,
        "hand_quat": hand.orientation,
        "hand_vel": hand.velocity,
        "opening": hand.opening,
        "object_pos": data.body(plan.spec.body).subtree_com.copy(),
        "touch_left": left,
        "touch_right": right,
        "touch_any": robot,
        "supported": other or _engaged(env, plan),
    }


def _engaged(env: Any, plan: EpisodePlan) -> bool:
    """Whether the object is at work although it may touch nothing at this very instant.

    A peg slides into its hole without touching it, and a thermos pushed by a stick slides ahead
    of it, so there the head being within 6 cm of its goal and the thermos moving count instead;
    a ring is at work once its centre is below the top of its peg.
    """
    if plan.spec.script == "assembly":
        offset = env._get_site_pos("RoundNut") - env._target_pos
        return float(np.linalg.norm(offset[:2])) < 0.03 and float(offset[2]) < 0.02
    if plan.spec.script == "peg_insert":
        return float(np.linalg.norm(env._get_site_pos("pegHead") - env._target_pos)) < 0.06
    if plan.spec.script == "stick_push":
        return float(np.linalg.norm(env.data.qvel[-2:])) > 0.01
    return False


def simulate(plan: EpisodePlan, rng: np.random.Generator) -> Episode:
    """Run one attempt to its end."""
    env = make_env(plan, rng)
    probe = ContactProbe(env.model, plan.spec.body)
    style = draw_style(rng)
    operator = Operator(env, rng, style, lambda: probe.read(env.data)[3])
    hand = ShakyHand(rng, style)
    for _ in range(SETTLE_STEPS):
        env.step(np.array([0.0, 0.0, 0.0, -1.0]))
    rows: list[dict[str, Any]] = []
    succeeded = [False]
    for wanted, effort in full_script(operator, plan, lambda: succeeded[0]):
        row = measure(env, probe, plan)
        velocity = hand.command(wanted)
        action = np.clip(np.append(velocity / FULL_SCALE_SPEED, effort), -1.0, 1.0)
        info = env.step(action)[4]
        succeeded[0] = bool(info["success"])
        row["command"] = action[:3] * FULL_SCALE_SPEED
        row["closing_command"] = effort > 0.0
        row["success"] = succeeded[0]
        rows.append(row)
        if len(rows) > 26 * CONTROL_HZ:
            break
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    columns["hand_quat"] = continuous(columns["hand_quat"])
    return Episode(env=env, plan=plan, **columns)


def task_done(episode: Episode) -> bool:
    """Whether the task's own success signal says the episode did what it was to do."""
    if episode.plan.task in SUCCESS_ON_THE_WAY:
        return bool(episode.success.any())
    return bool(episode.success[-STEPS_PER_FRAME:].all())
