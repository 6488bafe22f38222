"""Which columns of a log are its state and which its action: under whatever names, whole, in parts, or one a joint.

In: a dataset's features. Out: the columns that a sample's arrays `state` and `action` are made of, side by side, in the
order in which the source declares them. Names after what public datasets hold: LeRobot (observation.state, action),
openpi (state, actions), AgiBot by any4lerobot (observation.states.*, actions.*), DROID (observation.state.*), ALOHA's
HDF5 (qpos, action).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from stages.sources.protocol import Feature, SourceError

COUNTERS = frozenset({"timestamp", "frame_index", "episode_index", "index", "task_index", "subtask_index"})
WHOLE = {
    "state": ("observation.state", "observation.states", "state", "states", "observation.qpos", "qpos"),
    "action": ("action", "actions"),
}
PARTS = {
    "state": re.compile(
        r"(observations?[._/])?(robot_?)?(states?|proprio\w*|qpos|joint_?(states?|positions?))([._/]|$)"
    ),
    "action": re.compile(r"(robot_)?actions?([._/]|$)"),
}
COMMANDS = re.compile(
    r"(^|[._/])(actions?|cmds?|commands?|commanded|targets?|goals?|desired|leader|master|teleop)([._/]|$)"
)
ASIDE = re.compile(  # numbers that are neither
    r"(^|[._/])(next|rewards?|done|success|is_\w+|discount|stats|annotations?|language\w*|environment_state|"
    r"time_?stamps?|time|\w*_index|index)([._/]|$)"
)
BESIDE = re.compile(  # measured beside an arm's state
    r"(^|[._/])(forces?|torques?|efforts?|currents?|wrench\w*|tactile\w*|pressures?|temp\w*|loads?|imu\w*)([._/]|$)"
)


def state_and_action(features: Sequence[Feature], where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(columns of the state, columns of the action). Raises SourceError where there is neither."""
    columns = [f.column for f in features if f.width and f.column not in COUNTERS]
    action = _whole("action", columns) or _fitting(columns, lambda c: bool(PARTS["action"].match(c)))
    state = _whole("state", columns) or _fitting(columns, lambda c: bool(PARTS["state"].match(c)))
    left = [c for c in columns if c not in (*action, *state) and not ASIDE.search(_plain(c))]
    if not action:
        action = _fitting(left, lambda c: bool(COMMANDS.search(c)))
        left = [c for c in left if c not in action]
    action = _absolute(action)
    if not state:
        arms = [c for c in left if not BESIDE.search(_plain(c))]
        state = _fitting(arms, lambda c: c.startswith("observation")) or tuple(arms) or tuple(left)
    if not state and not action:
        raise SourceError(
            f"{where}: neither state nor action can be told among the columns {columns[:20]}; a profile names them: "
            f"state: [COLUMN, ...], action: [COLUMN, ...] (ingest.profile=FILE)"
        )
    return state, action


def _whole(role: str, columns: Sequence[str]) -> tuple[str, ...]:
    names = {_plain(c): c for c in reversed(columns)}
    return next(((names[name],) for name in WHOLE[role] if name in names), ())


def _fitting(columns: Sequence[str], fits: Callable[[str], bool]) -> tuple[str, ...]:
    return tuple(c for c in columns if fits(_plain(c)) and not ASIDE.search(_plain(c)))


def _plain(column: str) -> str:
    """Lower case, with `_` for what else parts words."""
    return re.sub(r"[\s\-]+", "_", column.casefold())


def _absolute(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Where an action is there both as absolute and as deltas: the absolute one."""
    whole = tuple(c for c in columns if re.search(r"(^|[._/])(abs|absolute)([._/]|$)", _plain(c)))
    deltas = [c for c in columns if re.search(r"(^|[._/])(delta|rel|relative)([._/]|$)", _plain(c))]
    return whole if whole and deltas else columns
