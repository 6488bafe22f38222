"""The action vector of an event: its arms' own course from its start, comparable across places, units and robots.

In: an episode's signals, the log's times of the event's frames. Out: float32[2 * steps * 15 + 3], in groups of channels
(`groups`), each for two arms (a single one takes the first place, two arms left then right) at `steps` instants: path
of the tip (3), turn of the hand (3), joints where no tip is logged (7), how far the fingers are open (1), speed (1);
then duration (1) and how much each arm's fingers changed (2).

What counts is the motion, not where: paths are differences from the event's start. Lengths are shares of how far the
episode's arms reach at their widest (both arms by one measure, so that an idle arm's noise stays small), whether the
log is in metres, millimetres or in what nobody has said. Turns are rotation vectors of R(t) R(start)^-1, about the axes
of the base, as paths are along them: a lift is one whatever way the hand points, and how the tool's own axes are
mounted does not matter. The cluster stage divides by `group_scales` of the vectors of one `layout_of`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from stages.embed.config import EmbedConfig
from stages.episode import Signal, rate

Float = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]
WIDTHS = {"position": 3, "rotation": 3, "joints": 7, "gripper": 1, "speed": 1}  # of an arm at an instant
TAIL = {"duration": 1, "change": 2}
ARMS = 2
# how much a group's spread weighs in a clustering: on the sample, agreement with what is done stays within 0.04 of its
# best for any one weight from 0.5 to 1.5; between those, what real recordings agree with best
WEIGHTS = {
    "position": 0.75, "rotation": 0.5, "joints": 0.75, "gripper": 1.5, "speed": 1.0, "duration": 0.5, "change": 1.5,
}  # fmt: skip
LEAST = 0.1  # spread of a group below which its noise is not blown up, in the group's own measure
SPREAD = {"position": ("m", 0.05), "joints": ("rad", 0.1)}  # a reach below which an arm is taken to stand still
TURN_RAD = 0.5  # a turn that counts as 1
FASTEST = 100.0  # reaches a second: rows a microsecond apart would be past what half floats hold


def groups(steps: int) -> dict[str, slice]:
    """{group of channels: its place in the vector}, in order."""
    found, start = {}, 0
    for name, width in (*((n, ARMS * steps * w) for n, w in WIDTHS.items()), *TAIL.items()):
        found[name] = slice(start, start + width)
        start += width
    return found


def group_scales(vectors: Matrix) -> Matrix:
    """float32[D] to divide float32[N, D] vectors of one layout by: per group the root mean square of the rows' distance
    from their mean, over the group's weight, so that no group drowns another and directions within one are kept. A
    group that hardly varies keeps its own measure. Raises ValueError for a width that no `steps` gives."""
    steps, rest = divmod(vectors.shape[1] - sum(TAIL.values()), ARMS * sum(WIDTHS.values()))
    if rest or steps < 1:
        raise ValueError(f"no action vector is {vectors.shape[1]} wide")
    scales = np.ones(vectors.shape[1])
    for name, place in groups(steps).items():
        own = vectors[:, place].astype(np.float64)
        spread = float(np.sqrt(((own - own.mean(axis=0)) ** 2).sum(axis=1).mean())) if len(own) else 0.0
        if own.any():
            scales[place] = max(spread, LEAST) / WEIGHTS[name]
    return scales.astype(np.float32)


def layout_of(signals: Mapping[str, Signal]) -> str:
    """What an episode's action vectors are made of, such as "single: position m, rotation, gripper": vectors of one
    layout are comparable column by column."""
    said = []
    for arm in _arms(signals):
        source = _source(signals, arm)
        own = [] if source is None else [f"{source.kind} {source.unit}"]
        own += ["rotation"] if _turned(signals.get(f"orientation/{arm}")) else []
        own += [kind for kind in ("gripper", "hand") if f"{kind}/{arm}" in signals][:1]
        said.append(f"{arm}: {', '.join(own)}")
    return "; ".join(said)


def action_vector(signals: Mapping[str, Signal], times: Float, config: EmbedConfig) -> Matrix:
    """Vector of the event whose frames lie at `times` (float64[T], s, log's clock)."""
    at = np.linspace(times[0], times[-1], config.steps)
    block = {name: np.zeros((ARMS, config.steps, width)) for name, width in WIDTHS.items()}
    arms = _arms(signals)
    for place, arm in enumerate(arms):
        _fill(block, place, signals, arm, at, _reach(signals, arms))
    change = np.ptp(block["gripper"], axis=1)[:, 0]
    seconds = max(float(times[-1] - times[0]), 1e-3)
    scale = 1.0 / np.sqrt(config.steps)  # so that a path weighs as one vector a channel, whatever `steps` is
    courses = [block[name].ravel() * scale for name in WIDTHS]
    return np.concatenate([*courses, [np.log(seconds / config.seconds_scale)], change]).astype(np.float32)


def _arms(signals: Mapping[str, Signal]) -> tuple[str, ...]:
    return ("left", "right") if any(s.arm in ("left", "right") for s in signals.values()) else ("single",)


def _source(signals: Mapping[str, Signal], arm: str) -> Signal | None:
    """What tells the arm's path: one description of a motion, not two."""
    found = (signals.get(f"{kind}/{arm}") for kind in ("position", "joints", "velocity"))
    return next((s for s in found if s is not None), None)


def _reach(signals: Mapping[str, Signal], arms: tuple[str, ...]) -> dict[str, float]:
    """{kind: the widest range of any axis of any arm over the episode}, what counts as 1."""
    found: dict[str, float] = {}
    for source in (s for s in (_source(signals, arm) for arm in arms) if s is not None):
        values = source.values
        if source.kind == "velocity":
            values = _travelled(source, source.time_s)
        widest = float(np.ptp(values, axis=0).max(initial=0.0))
        unit, least = SPREAD.get(source.kind, ("", 0.0))
        found[source.kind] = max(found.get(source.kind, 0.0), widest, least if source.unit == unit else 0.0)
    return found


def _travelled(velocity: Signal, times: Float) -> Float:
    return np.asarray(np.cumsum(velocity.at(times) * np.gradient(times)[:, None], axis=0))


def _fill(
    block: Mapping[str, Float], place: int, signals: Mapping[str, Signal], arm: str, at: Float, reach: dict[str, float]
) -> None:
    """The channels of one arm at the instants `at`."""
    source = _source(signals, arm)
    if source is None or at[-1] <= at[0]:
        return
    group = "position" if source.kind == "position" else "joints"
    course = _travelled(source, at) if source.kind == "velocity" else source.at(at)
    path = (course - course[0])[:, : WIDTHS[group]] / (reach[source.kind] or 1.0)
    block[group][place, :, : path.shape[1]] = path
    block["speed"][place, :, 0] = np.minimum(np.linalg.norm(rate(path, at), axis=1), FASTEST)
    turned = _turned(signals.get(f"orientation/{arm}"))
    if turned is not None:
        block["rotation"][place] = _turns(turned, at) / TURN_RAD
    fingers = signals.get(f"gripper/{arm}", signals.get(f"hand/{arm}"))
    if fingers is not None:
        block["gripper"][place] = fingers.at(at)[:, :1]


def _turned(orientation: Signal | None) -> tuple[Float, Rotation] | None:
    """(times, rotations) of a log's orientation; None where nobody has said what its numbers are."""
    if orientation is None:
        return None
    values = orientation.values
    if orientation.unit == "quaternion xyzw":
        length = np.linalg.norm(values, axis=1, keepdims=True)
        return orientation.time_s, Rotation.from_quat(np.where(length > 0, values, [0.0, 0.0, 0.0, 1.0]))
    if orientation.unit == "rad xyz":
        return orientation.time_s, Rotation.from_euler("xyz", values)
    if orientation.unit == "rotation vector":
        return orientation.time_s, Rotation.from_rotvec(values)
    return None


def _turns(turned: tuple[Float, Rotation], at: Float) -> Float:
    """float64[steps, 3], rad: rotation vectors from the first instant on, unbroken where a turn passes half a round.
    Between rows quaternions are interpolated along the shorter way."""
    times, rotations = turned
    before, after = np.searchsorted(times, at[[0, -1]])
    first, last = max(before - 1, 0), min(after + 1, len(times) - 1)
    own = rotations[first : last + 1].as_quat()
    flipped = np.cumsum(np.sum(own[1:] * own[:-1], axis=1) < 0) % 2 == 1  # q and -q are one orientation
    own[1:][flipped] *= -1
    between = np.stack([np.interp(at, times[first : last + 1], column) for column in own.T], axis=1)
    there = Rotation.from_quat(between)
    vectors = (there * there[0].inv()).as_rotvec()
    for i in range(1, len(vectors)):
        angle = float(np.linalg.norm(vectors[i]))
        if angle > 1e-9 and vectors[i] @ vectors[i - 1] < 0 and angle > np.pi / 2:
            vectors[i] -= vectors[i] / angle * 2 * np.pi
    return np.asarray(vectors)
