"""One script per task: the order of an operator's moves from the first reach to the last rest.

In: an ``Operator``, the episode's plan and a ``done`` signal. Out: a stream of commands.
Why: the stock experts close the fingers while still descending and never let go, which holds only
at their own speed. The grasping tasks therefore keep the experts' grasp and goal points but put
them in order (reach, grasp, lift, carry, place, release, retract); the tasks without a grasp
follow the stock expert itself, slowed down.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from metaworld.policies import ENV_POLICY_MAP

from .operator import FloatArray, Operator, Script, Target
from .tasks import EpisodePlan

Done = Callable[[], bool]


def vec(x: float, y: float, z: float) -> FloatArray:
    """A point or an offset [3] in m."""
    return np.array([x, y, z], dtype=np.float64)


def pick(
    op: Operator,
    plan: EpisodePlan,
    grasp: Callable[[], FloatArray],
    clearance: float = 0.1,
    effort: float = 1.0,
    beside: FloatArray | None = None,
) -> Script:
    """Reach above the object, go down and grasp it; miss it first if the plan says so."""

    def above() -> FloatArray:
        return grasp() + vec(0.0, 0.0, clearance)

    yield from op.go(above, tol=0.012)
    yield from op.hesitate()
    if plan.missed:
        side = float(op.rng.choice([-1.0, 1.0]))
        yield from op.miss(above, grasp, vec(0.055 * side, 0, 0) if beside is None else beside)
    yield from op.fine(grasp)
    yield from op.hesitate(0.6)
    yield from op.close(effort)


def put(op: Operator, above: Target, goal: Target) -> Script:
    """Carry what is held over the goal, lower it, let go and move up."""
    yield from op.go(above, tol=0.012)
    yield from op.hesitate()
    yield from op.lower(goal)
    yield from op.open()
    yield from op.go(op.hand + vec(0.0, 0.0, 0.13), tol=0.02)


def pick_place(op: Operator, plan: EpisodePlan, done: Done) -> Script:
    """Puck from the table to a mark on the table."""
    yield from pick(op, plan, lambda: op.body("obj") + vec(-0.005, 0, 0.03))
    yield from op.go(op.hand + vec(0, 0, op.rng.uniform(0.1, 0.16)), tol=0.015)
    yield from op.hesitate(0.7)
    held = op.hand - op.body("obj")
    goal = op.env._target_pos + held
    yield from put(op, goal + vec(0, 0, 0.12), goal + vec(0, 0, -0.01))


def over_wall(op: Operator, plan: EpisodePlan, done: Done) -> Script:
    """Puck over a low wall to a mark on the table behind it."""
    yield from pick(op, plan, lambda: op.body("obj") + vec(-0.005, 0, 0.03))
    yield from op.go(op.hand + vec(0, 0, 0.25), tol=0.02)
    held = op.hand - op.body("obj")
    goal = op.env._target_pos + held
    yield from put(op, goal + vec(0, 0, 0.22), goal + vec(0, 0, -0.01))


def bin_picking(op: Operator, plan: EpisodePlan, done: Done) -> Script:
    """Cube from the left bin into the right one."""

    def grasp() -> FloatArray:
        cube = op.body("obj") + vec(0, 0, 0.03)
        cube[1] = np.clip(cube[1], 0.675, 0.725)
        cube[2] = max(cube[2], 0.072)
        return cube

    yield from pick(op, plan, grasp, clearance=0.13, effort=0.7, beside=vec(0, 0, 0.06))
    yield from op.go(op.hand + vec(0, 0, 0.14), tol=0.015)
    drop = vec(0.12 + op.rng.uniform(-0.01, 0.01), 0.7 + op.rng.uniform(-0.01, 0.01), 0.2)
    yield from put(op, drop, drop + vec(0, 0, -0.1))


def shelf_place(op: Operator, plan: EpisodePlan, done: Done) -> Script:
    """Block from the table onto the shelf, from the front."""
    yield from pick(op, plan, lambda: op.body("obj") + vec(-0.005, 0, 0.03), effort=0.8)
    held = op.hand - op.body("obj")
    goal = op.env._target_pos + held
    yield from op.go(lambda: vec(op.hand[0], op.hand[1], 0.2), tol=0.03)
    yield from op.go(vec(goal[0], min(goal[1] - 0.22, 0.62), goal[2] + 0.07), tol=0.012)
    yield from op.hesitate()
    yield from op.go(goal + vec(0, 0, 0.06), op.style.speed * 0.8, tol=0.012)
    yield from op.lower(goal + vec(0, 0, -0.01))
    yield from op.open()
    yield from op.fine(op.hand + vec(0, 0, 0.05), tol=0.02, limit=1.5)
    yield from op.go(op.hand + vec(0, -0.2, 0.01), tol=0.03, limit=2.5)


def assembly(op: Operator, plan: EpisodePlan, done: Done) -> Script:
    """Ring with a handle from the table over a standing peg."""

    def grasp() -> FloatArray:
        return np.asarray(op.env._get_site_pos("RoundNut-8") + vec(-0.02, 0, 0.03))

    peg = op.env._target_pos + vec(0.12, 0, 0.14)
    yield from pick(op, plan, grasp, effort=0.8, beside=vec(0, 0, 0.065))
    yield from op.go(lambda: vec(op.hand[0], op.hand[1], peg[2]), tol=0.02)
    yield from op.hesitate()
    centre = op.hand - op.body("RoundNut")
    yield from op.go(op.env._target_pos + centre + vec(0, 0, 0.1), tol=0.01)
    yield from op.hesitate()
    yield from op.fine(op.env._target_pos + centre + vec(0, 0, 0.085), tol=0.006, limit=2.0)
    yield from op.fine(lambda: op.hand + vec(0, 0, -0.05), limit=1.6)
    yield from op.open()
    yield from op.go(op.hand + vec(0, 0, 0.13), tol=0.02)


def basketball(op: Operator, plan: EpisodePlan, done: Done) -> Script:
    """Ball from the table over the hoop, then let it fall through."""
    yield from pick(op, plan, lambda: op.body("bsktball") + vec(0, 0, 0.025), 0.12, 0.8, vec(0, 0, 0.085))
    yield from op.go(lambda: vec(op.hand[0], op.hand[1], 0.36), tol=0.02)
    yield from op.hesitate()
    hoop = op.env._target_pos + vec(0, 0, 0.1)
    yield from op.go(lambda: op.hand + (hoop - op.body("bsktball")), tol=0.01)
    yield from op.hesitate(0.6)
    yield from op.open(0.8)
    yield from op.go(op.hand + vec(0, -0.1, 0.02), tol=0.02)


def peg_insert(op: Operator, plan: EpisodePlan, done: Done) -> Script:
    """Peg from the table into the hole of a box, from the side."""
    yield from pick(
        op,
        plan,
        lambda: op.env._get_site_pos("pegGrasp") + vec(0, 0, 0.03),
        effort=0.8,
        beside=vec(0, 0, 0.06),
    )
    yield from op.go(lambda: vec(op.hand[0], op.hand[1], 0.2), tol=0.03)
    yield from op.hesitate()

    def aligned(gap: float) -> FloatArray:
        head = op.env._get_site_pos("pegHead")
        return np.asarray(op.hand + op.env._target_pos + vec(gap, 0, 0) - head)

    yield from op.go(lambda: aligned(0.08), tol=0.008)
    yield from op.hesitate()
    yield from op.fine(lambda: aligned(-0.04), tol=0.02, limit=6.0)
    yield from op.open()
    yield from op.go(op.hand + vec(0, 0, 0.13), tol=0.02)


def box_close(op: Operator, plan: EpisodePlan, done: Done) -> Script:
    """Lid by its handle onto a box."""
    yield from pick(op, plan, lambda: op.body("top_link") + vec(0, 0, 0.05), 0.12, 1.0, vec(0, 0, 0.09))
    yield from op.go(lambda: vec(op.hand[0], op.hand[1], 0.25), tol=0.02)
    held = op.hand - op.body("top_link")
    goal = op.env._target_pos + held
    yield from put(op, goal + vec(0, 0, 0.09), goal + vec(0, 0, -0.03))


def hammer(op: Operator, plan: EpisodePlan, done: Done) -> Script:
    """Take the hammer and push the nail into the block with its head."""
    yield from pick(op, plan, lambda: op.body("hammer") + vec(-0.04, 0, 0.03), effort=0.8)
    yield from op.go(op.hand + vec(0, 0, 0.1), tol=0.02)
    yield from op.go(lambda: vec(0.05, op.hand[1], 0.16), tol=0.015)
    yield from op.hesitate()
    for _ in range(600):
        if done():
            break
        yield (
            vec(0, op.style.fine_speed, 0) + 3.0 * (vec(0.05, 0, 0.16) - op.hand) * vec(1, 0, 1),
            op.effort,
        )
    yield from op.pause(0.3)
    yield from op.go(op.hand + vec(0, -0.12, 0.02), tol=0.02)


def stick_push(op: Operator, plan: EpisodePlan, done: Done) -> Script:
    """Take the stick and push the thermos with its tip."""
    yield from pick(op, plan, lambda: op.body("stick") + vec(0.015, 0, 0.04), effort=0.8)

    def thermos() -> FloatArray:
        return np.asarray(op.env._get_site_pos("insertion") + vec(0, 0.09, 0))

    yield from op.go(lambda: vec(op.hand[0], thermos()[1] + (op.hand - op.body("stick"))[1], 0.15), tol=0.02)
    yield from op.hesitate()
    for _ in range(800):
        if done():
            break
        hold = vec(op.hand[0], thermos()[1] + (op.hand - op.body("stick"))[1], 0.15)
        yield vec(op.style.fine_speed, 0, 0) + 3.0 * (hold - op.hand), op.effort
    yield from op.pause(0.3)
    yield from op.go(op.hand + vec(-0.1, 0, 0.0), tol=0.02)


def stock(op: Operator, plan: EpisodePlan, done: Done) -> Script:
    """The stock expert, slowed, with a pause on the way; then back off."""
    policy = ENV_POLICY_MAP[plan.task]()
    pause_at = float(op.rng.uniform(0.8, 1.6))
    yield from op.follow(policy, done, limit=pause_at)
    yield from op.hesitate(1.6)
    yield from op.follow(policy, done)
    yield from op.pause(float(op.rng.uniform(0.1, 0.4)))
    back = {"drawer-open-v3": vec(0, -0.02, 0.12), "door-open-v3": vec(0.02, -0.12, 0.06)}
    yield from op.go(op.hand + back.get(plan.task, vec(0, -0.03, 0.13)), tol=0.02, limit=2.5)


SCRIPTS: dict[str, Callable[[Operator, EpisodePlan, Done], Script]] = {
    "pick_place": pick_place,
    "over_wall": over_wall,
    "bin_picking": bin_picking,
    "shelf_place": shelf_place,
    "assembly": assembly,
    "basketball": basketball,
    "peg_insert": peg_insert,
    "box_close": box_close,
    "hammer": hammer,
    "stick_push": stick_push,
    "stock": stock,
}


def full_script(op: Operator, plan: EpisodePlan, done: Done) -> Script:
    """A whole episode: a short look before the start, the task, a rest at the end."""
    yield from op.pause(float(op.rng.uniform(0.15, 0.5)))
    yield from SCRIPTS[plan.spec.script](op, plan, done)
    yield from op.pause(float(op.rng.uniform(0.7, 1.1)))
