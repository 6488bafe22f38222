"""The profile of last resort: a layout guessed from feature names and the shape of the signals.

In: a dataset and a few of its episodes' columns. Out: a `Layout` with `inferred=True`, or None where nothing moves.
Rules, in order: a column's names tell gripper (gripper, jaw, claw) and position (x, y, z); a column without names is
joints, except a last value that is nearly always at one of two levels, which is a gripper. An episode is taken to start
with the gripper open, which tells polarity; teleoperators open the gripper before they reach.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from stages.ingest.profile import Layout, Stream
from stages.sources.protocol import Dataset, Feature

Float = npt.NDArray[np.float64]
GRIPPER = re.compile(r"grip|jaw|claw", re.IGNORECASE)
MOTION = re.compile(r"(^|[._])(state|qpos|joint|pose|proprio)", re.IGNORECASE)
EPSILON = 1e-6


def infer(dataset: Dataset, columns: dict[str, list[Float]]) -> Layout | None:
    """Layout from names and signals. `columns` maps a column to float64[T, D] of some episodes."""
    state = _pick(dataset, columns, "observation.state", MOTION)
    action = _pick(dataset, columns, "action", re.compile("^action"))
    motion = _motion_stream(state, columns) if state else None
    if motion is None and action is not None:
        motion = _motion_stream(action, columns)
    if motion is None:
        return None
    gripper = None
    for feature in (state, action):
        if feature is not None and gripper is None:
            gripper = _gripper_stream(feature, columns[feature.column])
    if gripper is not None and gripper.column == motion.column:
        left = tuple(i for i in motion.indices if i not in gripper.indices)
        motion = motion.model_copy(update={"indices": left}) if left else motion
    streams = (motion,) if gripper is None else (motion, gripper)
    return Layout(profile="inferred", inferred=True, range_inferred=gripper is not None, streams=streams)


def _pick(dataset: Dataset, columns: dict[str, list[Float]], first: str, pattern: re.Pattern[str]) -> Feature | None:
    moving = [f for f in dataset.features if f.column in columns and _moves(columns[f.column])]
    named = [f for f in moving if f.column == first] or [f for f in moving if pattern.search(f.column)]
    return named[0] if named else None


def _moves(episodes: list[Float]) -> bool:
    return any(bool(np.ptp(e, axis=0).max(initial=0.0) > EPSILON) for e in episodes if len(e))


def _motion_stream(feature: Feature, columns: dict[str, list[Float]]) -> Stream | None:
    names = [n.casefold() for n in feature.names]
    if {"x", "y", "z"} <= set(names):
        indices = tuple(names.index(axis) for axis in "xyz")
        return Stream(kind="position", arm="single", column=feature.column, indices=indices, unit="raw")
    spread = np.max([np.ptp(e, axis=0) for e in columns[feature.column] if len(e)], axis=0)
    gripper_names = {i for i, n in enumerate(names) if GRIPPER.search(n)}
    indices = tuple(i for i in range(feature.width) if spread[i] > EPSILON and i not in gripper_names)
    if not indices:
        return None
    kind = "velocity" if feature.column.startswith("action") else "joints"
    return Stream(kind=kind, arm="single", column=feature.column, indices=indices, unit="raw")


def _gripper_stream(feature: Feature, episodes: list[Float]) -> Stream | None:
    named = [i for i, n in enumerate(feature.names) if GRIPPER.search(n)]
    last = feature.width - 1
    candidates = named or ([last] if feature.width > 1 and _two_levels(episodes, last) else [])
    for index in candidates:
        values = np.concatenate([e[:, index] for e in episodes])
        low, high = float(values.min()), float(values.max())
        if high - low <= EPSILON:
            continue
        start = float(np.median([e[0, index] for e in episodes if len(e)]))
        opened, closed = (high, low) if start > (low + high) / 2 else (low, high)
        return Stream(
            kind="gripper",
            arm="single",
            column=feature.column,
            indices=(index,),
            unit="1",
            open=(opened,),
            closed=(closed,),
        )
    return None


def _two_levels(episodes: list[Float], index: int) -> bool:
    """At least 80 % of the values lie within 10 % of the smallest or the largest, and both levels are used."""
    values = np.concatenate([e[:, index] for e in episodes])
    low, high = values.min(), values.max()
    if high - low <= EPSILON:
        return False
    level = (values - low) / (high - low)
    return bool(np.mean((level < 0.1) | (level > 0.9)) > 0.8 and (level < 0.1).any() and (level > 0.9).any())
