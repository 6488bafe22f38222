"""The streams of a log's arms: as ingest keeps them, in units that mean the same on every robot.

In: an episode's log, by column, and the layout. Out: `signals` rows, and flags. Raises Quarantined for what no such
robot does; a unit or a range that was only told from the values never refuses an episode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from schemas.reasons import Evidence, Flag, Quarantined, Reason
from schemas.signals import SignalRow
from stages.ingest.config import IngestConfig
from stages.ingest.streams import HANDS, Layout, Stream
from stages.ingest.units import TURN, canonical_unit, scale_of
from stages.seconds import at_least, step_of
from stages.sources.protocol import Stream as Logged

Float = npt.NDArray[np.float64]
COMMANDED = 0.8  # share of its range that a command must cover before a gripper that stays can be called stuck
HELD_S = 0.5  # s, how long a command must stand to be one
STILL = 0.1  # share of the range by which a standing command may change from row to row
SHOWN = 3  # components of a jump that its evidence shows
LEAP, UNUSUAL = 0.35, 10.0  # a step of such a share of a value's own span, so many times its usual fast one, is a jump


def arm_rows(
    episode_id: str, layout: Layout, logged: Mapping[str, Logged], config: IngestConfig, where: str
) -> tuple[list[SignalRow], list[Flag]]:
    """(rows of all streams of the layout, flags). Raises Quarantined."""
    rows: list[SignalRow] = []
    flags: set[Flag] = set()
    for stream in layout.streams:
        time, data = values_of(stream, logged)
        if stream.kind in HANDS:
            # a command may overshoot its range on purpose: only what is measured is held to it
            measured = stream.kind == "gripper" and not stream.guessed
            data = opening(data, stream, config.gripper_tolerance if measured else np.inf, where)[:, None]
        elif stream.kind in ("position", "joints"):
            data, jumps = _continuous(data, stream, time, config, where)
            flags |= {Flag.STATE_JUMPS} if jumps else set()
        rows.append(
            {
                "episode_id": episode_id,
                "stream": f"{stream.kind}/{stream.arm}",
                "kind": stream.kind,
                "arm": stream.arm,
                "origin": stream.origin,
                "unit": canonical_unit(stream.unit),
                "width": data.shape[1],
                "time_s": time,
                "values": data.astype(np.float32).ravel(),
            }
        )
    if not layout.inferred:
        _not_stuck(rows, config, where)
    return rows, sorted(flags)


def values_of(stream: Stream, logged: Mapping[str, Logged]) -> tuple[Float, Float]:
    """(time_s float64[N], values float64[N, D]) of a stream, side by side where it lies in several columns."""
    time, whole = joined([logged[c] for c in stream.columns])
    first = dict(zip(stream.columns, _starts([logged[c] for c in stream.columns]), strict=True))
    return time, whole[:, [first[c] + i for c, i in stream.places]]


def joined(streams: Sequence[Logged]) -> tuple[Float, Float]:
    """(time_s float64[N], values float64[N, D]) of streams side by side, on the clock of the one that has most rows."""
    lead = max(streams, key=lambda s: len(s.time_s))
    columns = [
        s.values
        if s.time_s is lead.time_s or np.array_equal(s.time_s, lead.time_s)
        else np.stack([np.interp(lead.time_s, s.time_s, v) for v in s.values.T], axis=1)
        for s in streams
    ]
    return lead.time_s, columns[0] if len(columns) == 1 else np.concatenate(columns, axis=1)


def _starts(streams: Sequence[Logged]) -> list[int]:
    return [0, *np.cumsum([s.values.shape[1] for s in streams])[:-1].tolist()]


def opening(values: Float, stream: Stream, tolerance: float, where: str) -> Float:
    """Gripper opening float64[T], 0 closed to 1 open: per joint along its range, then the mean over the joints.

    Raises Quarantined where the mean leaves [0, 1] by more than `tolerance`.
    """
    closed, opened = np.array(stream.closed), np.array(stream.open)
    share = ((values - closed) / (opened - closed)).mean(axis=1)
    worst = float(np.max(np.maximum(share - 1.0, -share)))
    if worst > tolerance:
        row = int(np.argmax(np.maximum(share - 1.0, -share)))
        raise Quarantined(
            Reason.GRIPPER_OUT_OF_RANGE,
            f"{where}: gripper of arm {stream.arm} ({stream.origin}) is "
            f"{values[row].round(4).tolist()} at row {row}; "
            f"the profile says {closed.tolist()} closed to {opened.tolist()} open",
            evidence=Evidence.around(row, {f"opening of arm {stream.arm}, 0 to 1 by the profile": share.tolist()}),
        )
    return np.asarray(np.clip(share, 0.0, 1.0))


def _not_stuck(rows: Sequence[SignalRow], config: IngestConfig, where: str) -> None:
    """Raises Quarantined where a gripper is told to go from one end to the other and its measured opening never moves.

    Without a command, or without a command that goes so far, a gripper at rest is one that had nothing to do.
    """
    openings = {r["stream"]: r for r in rows}
    for row in rows:
        told = openings.get(f"gripper_command/{row['arm']}")
        if row["kind"] != "gripper" or told is None:
            continue
        asked, moved = _held_swing(told["values"], told["time_s"]), float(np.ptp(row["values"]))
        if asked >= COMMANDED and moved <= config.gripper_stuck:
            change = int(np.argmax(np.abs(np.diff(told["values"])))) + 1
            raise Quarantined(
                Reason.GRIPPER_STUCK,
                f"{where}: {told['origin']} tells the gripper of arm {row['arm']} to move by {asked:.2f} of its "
                f"range, {row['origin']} moves by {moved:.4f}; expected is more than "
                f"ingest.gripper_stuck={config.gripper_stuck}",
                evidence=Evidence.around(
                    change, {"commanded opening": told["values"].tolist(), "measured opening": row["values"].tolist()}
                ),
            )


def _held_swing(opening: npt.NDArray[np.float32], time: Float) -> float:
    """How far a command goes between values that it keeps for HELD_S at least: a spike, a first row that nobody wrote
    or a command in the last moment move no gripper."""
    edges = np.flatnonzero(np.abs(np.diff(opening)) > STILL) + 1
    bounds = [0, *edges.tolist(), len(opening)]
    ends = [*time[edges].tolist(), float(2 * time[-1] - time[-2])]  # the last row stands for one step more
    starts = [float(time[0]), *time[edges].tolist()]
    held = [
        float(np.median(opening[a:b]))
        for a, b, start, end in zip(bounds, bounds[1:], starts, ends, strict=False)
        if at_least(end - start, HELD_S - step_of(time))
    ]
    return max(held) - min(held) if held else 0.0


def _continuous(values: Float, stream: Stream, time: Float, config: IngestConfig, where: str) -> tuple[Float, bool]:
    """(values in their canonical unit, angles unwrapped; whether they jump although nothing refuses that).

    Raises Quarantined for a step faster than any such robot, in a unit that is known. In one that is not, or was told
    from the values, a step is held to the value's own span and its own usual steps.
    """
    unit, turn = canonical_unit(stream.unit), TURN.get(stream.unit)
    continued = values if turn is None else np.unwrap(values, period=turn, axis=0)
    steps = np.diff(continued, axis=0)
    if turn is not None:  # an angle wraps by one turn; what goes further has jumped, wherever it comes out
        logged = np.diff(values, axis=0)
        steps = np.where(np.abs(logged) > 1.5 * turn, logged, steps)
    limit = {"m": config.max_speed_m_s, "rad": config.max_joint_speed_rad_s}.get(unit)
    scale = scale_of(stream.unit)
    if limit is None or stream.guessed:
        return continued * scale, _leaps(continued, steps)
    steps = steps * scale
    speed = (np.linalg.norm(steps, axis=1) if unit == "m" else np.abs(steps).max(axis=1)) / np.diff(time)
    if speed.size and speed.max() > limit:
        row = int(np.argmax(speed > limit)) + 1
        columns = sorted(zip(stream.places, values.T, strict=True), key=lambda c: -abs(c[1][row] - c[1][row - 1]))
        raise Quarantined(
            Reason.STATE_JUMP,
            f"{where}: {stream.kind} of arm {stream.arm} ({', '.join(stream.columns)}) moves at {speed[row - 1]:.1f} "
            f"{unit}/s into row {row}, at most {limit} {unit}/s is plausible",
            evidence=Evidence.around(row, {f"{c}[{i}]": v.tolist() for (c, i), v in columns[:SHOWN]}),
        )
    return continued * scale, False


def _leaps(values: Float, steps: Float) -> bool:
    """Whether a value goes a large part of its own span in one row, far more than it usually does."""
    if len(steps) < 2:
        return False
    size, span = np.abs(steps), np.ptp(values, axis=0)
    far = (size > LEAP * span) & (span > 0)
    return bool(far.any() and (far & (size > UNUSUAL * np.percentile(size, 95, axis=0))).any())
