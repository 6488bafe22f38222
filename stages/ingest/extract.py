"""An episode's log becomes its `episodes` row and its `signals` rows.

In: dataset, episode, layout, the episode's log. Out: (episode row, signal rows), each stream with its own times.
Gripper opening becomes 0 (closed) to 1 (open) per arm, whatever the robot logs. Raises Quarantined.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from schemas.episodes import EpisodeRow
from schemas.ids import split_of
from schemas.reasons import Evidence, Flag, Quarantined, Reason
from schemas.signals import SignalRow
from stages.ingest.checks import finite, in_order
from stages.ingest.config import IngestConfig
from stages.ingest.describe import COLUMNS, alike, described, extra_columns
from stages.ingest.profile import Layout, Stream
from stages.seconds import at_least, step_of
from stages.sources.protocol import Dataset, Episode, Log
from stages.sources.protocol import Stream as Logged
from stages.text import SENTENCE, plain

Float = npt.NDArray[np.float64]
COMMANDED = (
    0.8  # share of the gripper's range that a command must cover before a gripper that stays can be called stuck
)
HELD_S = 0.5  # s, how long a command must stand to be one
STILL = 0.1  # share of the range by which a standing command may change from row to row
STEP_S = 1e-3  # a held value changes within so much
SHOWN = 3  # components of a jump that its evidence shows


def needed_columns(dataset: Dataset, layout: Layout) -> list[str]:
    """Columns without which an episode is refused: the log's own state and action, and what the layout names."""
    own = [f.column for f in dataset.features if f.column in COLUMNS.values()]
    return list(dict.fromkeys([*own, *(s.column for s in layout.streams)]))


def extract(
    dataset: Dataset, of: Episode, layout: Layout, log: Log, config: IngestConfig
) -> tuple[EpisodeRow, list[SignalRow]]:
    """Episode row and signal rows of one episode. Raises Quarantined."""
    where = log.where
    if log.rows < config.min_rows:
        raise Quarantined(Reason.TOO_SHORT, f"{where}: {log.rows} rows, ingest.min_rows is {config.min_rows}")
    if config.video == "require":
        for camera in of.cameras:
            if camera.file is None:
                raise Quarantined(
                    Reason.MISSING_CAMERA,
                    f"camera {camera.feature}: {camera.expected} {camera.why} (ingest.video=ignore goes without video)",
                )
    logged = _logged(dataset, layout, log, config)
    extras, refused = _extras(dataset, layout, log)
    signals = [*_streams(of, layout, logged, config, where), *_extra_rows(of, extras, dataset)]
    task = log.task()
    flags = [
        *_flags(of, layout, config),
        *_task_flags(task),
        *([Flag.EXTRA_REFUSED] if refused else []),
        *dataset.flags,
    ]
    labels = log.labels(config.labels) if config.labels else []
    cameras = of.cameras if config.video == "require" else ()
    starts, ends = zip(*((s.time_s[0], s.time_s[-1]) for s in logged.values()), strict=True)
    episode: EpisodeRow = {
        "episode_id": of.episode_id,
        "source": of.source,
        "recording_id": of.recording,
        "dataset_uri": dataset.uri,
        "episode_key": of.key,
        "episode_index": int(of.key) if of.key.isdigit() else None,
        "format": dataset.format,
        "robot": dataset.robot,
        "profile": layout.profile,
        "arms": list(layout.arms),
        "fps": dataset.fps,
        "rows_are_frames": dataset.rows_are_frames,
        "n_rows": log.rows,
        "t0": float(min(starts)),
        "t1": float(max(ends)),
        "task": plain(task or ""),
        "split": split_of(of.recording, config.val_share, config.split_seed),
        "cameras": [
            {
                "name": c.name,
                "feature": c.feature,
                "uri": c.file.uri if c.file else c.expected,
                "from_s": c.from_s,
                "to_s": c.to_s,
                "start_s": c.start_s,
                "fps": c.fps,
                "calibration": c.calibration,
            }
            for c in cameras
        ],
        "marks": json.dumps(dict(of.marks), sort_keys=True, ensure_ascii=False),
        "layout": described(dataset, layout),
        "extras_refused": refused,
        "labels": [label.row() for label in labels],
        "checks": _checks(layout),
        "flags": [f.value for f in flags],
    }
    return episode, signals


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
            f"{where}: gripper of arm {stream.arm} ({stream.column}{list(stream.indices)}) is "
            f"{values[row].round(4).tolist()} at row {row}; "
            f"the profile says {closed.tolist()} closed to {opened.tolist()} open",
            evidence=Evidence.around(row, {f"opening of arm {stream.arm}, 0 to 1 by the profile": share.tolist()}),
        )
    return np.asarray(np.clip(share, 0.0, 1.0))


def _logged(dataset: Dataset, layout: Layout, log: Log, config: IngestConfig) -> dict[str, Logged]:
    """{column: its stream}, checked; one that is published only when it changes is held from message to message."""
    held = {f.column for f in dataset.features if f.held}
    result: dict[str, Logged] = {}
    for column in needed_columns(dataset, layout):
        stream = log.stream(column)
        if not any(stream.time_s is other.time_s for other in result.values()):
            gap = np.inf if column in held else config.max_gap_s
            in_order(stream.time_s, gap, log.where, stream.clock)
        finite(stream.values, column, log.where)
        result[column] = stream
    ends = [s.time_s[-1] for c, s in result.items() if c not in held]
    return {c: _held(s, max(ends)) if c in held and ends else s for c, s in result.items()}


def _extras(dataset: Dataset, layout: Layout, log: Log) -> tuple[dict[str, Logged], list[str]]:
    """({column: its stream}, why others are left out) of the numbers that only ride along: none costs an episode."""
    held = {f.column for f in dataset.features if f.held}
    result: dict[str, Logged] = {}
    refused = []
    for column in extra_columns(dataset, layout):
        try:
            stream = log.stream(column)
            if not any(stream.time_s is other.time_s for other in result.values()):
                in_order(stream.time_s, np.inf, log.where, stream.clock)
            finite(stream.values, column, log.where)
        except Quarantined as error:
            refused.append(plain(error.message))
            continue
        result[column] = _held(stream, float(stream.time_s[-1])) if column in held else stream
    refused += [f"column {c}: another has its name in a sample, where / and . are one" for c in alike(dataset, layout)]
    return result, refused


def _extra_rows(of: Episode, extras: Mapping[str, Logged], dataset: Dataset) -> list[SignalRow]:
    units = {f.column: f.unit for f in dataset.features}
    return [
        {
            "episode_id": of.episode_id,
            "stream": f"extra/{column}",
            "kind": "extra",
            "arm": "",
            "origin": column,
            "unit": units[column] or "raw",
            "width": stream.values.shape[1],
            "time_s": stream.time_s,
            "values": stream.values.astype(np.float32).ravel(),
        }
        for column, stream in extras.items()
    ]


def _held(stream: Logged, end_s: float) -> Logged:
    """The steps of a value that stands until the next message: a row just before each, and one at the log's end."""
    time, values = stream.time_s, stream.values
    before = np.maximum(time[1:] - STEP_S, (time[1:] + time[:-1]) / 2)
    times = np.append(np.stack([time[:-1], before], axis=1).ravel(), time[-1])
    stood = np.concatenate([np.repeat(values[:-1], 2, axis=0), values[-1:]])
    if end_s > time[-1]:
        times, stood = np.append(times, end_s), np.concatenate([stood, values[-1:]])
    return Logged(times, stood, stream.clock)


def _streams(
    of: Episode, layout: Layout, logged: Mapping[str, Logged], config: IngestConfig, where: str
) -> list[SignalRow]:
    def row(stream: str, kind: str, arm: str, origin: str, unit: str, time: Float, data: Float) -> SignalRow:
        return {
            "episode_id": of.episode_id,
            "stream": stream,
            "kind": kind,
            "arm": arm,
            "origin": origin,
            "unit": unit,
            "width": data.shape[1],
            "time_s": time,
            "values": data.astype(np.float32).ravel(),
        }

    rows = []
    for kind, column in COLUMNS.items():
        if column in logged:
            rows.append(row(kind, kind, "", column, "raw", logged[column].time_s, logged[column].values))
    for stream in layout.streams:
        time, data = logged[stream.column].time_s, logged[stream.column].values[:, list(stream.indices)]
        if stream.kind.startswith("gripper"):
            # a command may overshoot its range on purpose: only what is measured is held to it
            tolerance = config.gripper_tolerance if stream.kind == "gripper" else np.inf
            data = opening(data, stream, tolerance, where)[:, None]
        elif stream.kind in ("position", "joints"):
            data = _continuous(data, stream, time, config, where)
        origin = f"{stream.column}{list(stream.indices)}"
        rows.append(row(f"{stream.kind}/{stream.arm}", stream.kind, stream.arm, origin, stream.unit, time, data))
    _not_stuck(rows, config, where)
    return rows


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


def _continuous(values: Float, stream: Stream, time: Float, config: IngestConfig, where: str) -> Float:
    """Joint angles unwrapped. Raises Quarantined for a step faster than any such robot; a raw unit cannot be judged."""
    limits = {"m": config.max_speed_m_s, "rad": config.max_joint_speed_rad_s}
    if stream.unit == "rad":
        values = np.unwrap(values, axis=0)
    limit = limits.get(stream.unit)
    if limit is None:
        return values
    step = np.diff(values, axis=0)
    speed = (np.linalg.norm(step, axis=1) if stream.unit == "m" else np.abs(step).max(axis=1)) / np.diff(time)
    if speed.size and speed.max() > limit:
        row = int(np.argmax(speed > limit)) + 1
        columns = sorted(zip(stream.indices, values.T, strict=True), key=lambda c: -abs(c[1][row] - c[1][row - 1]))
        raise Quarantined(
            Reason.STATE_JUMP,
            f"{where}: {stream.kind} of arm {stream.arm} ({stream.column}) moves at {speed[row - 1]:.1f} "
            f"{stream.unit}/s into row {row}, at most {limit} {stream.unit}/s is plausible",
            evidence=Evidence.around(row, {f"{stream.column}[{i}]": c.tolist() for i, c in columns[:SHOWN]}),
        )
    return values


def _task_flags(task: str | None) -> list[Flag]:
    if not task or not plain(task):
        return [Flag.TASK_MISSING]
    return [Flag.TASK_SHORTENED] if len(task) > SENTENCE else []


def _checks(layout: Layout) -> list[str]:
    """What was checked. Whether a raw unit jumps cannot be judged, nor an opening by a range that it gave itself."""
    made = ["rows_as_listed", "timestamps_increase", "no_gap", "finite"]
    if any(s.kind in ("position", "joints") and s.unit in ("m", "rad") for s in layout.streams):
        made.append("no_state_jump")
    if any(s.kind == "gripper" for s in layout.streams) and not layout.range_inferred:
        made.append("gripper_in_range")
    if {s.kind for s in layout.streams} >= {"gripper", "gripper_command"}:
        made.append("gripper_not_stuck")
    return made


def _flags(of: Episode, layout: Layout, config: IngestConfig) -> list[Flag]:
    grippers = [s for s in layout.streams if s.kind == "gripper"]
    flags = []
    if layout.inferred:
        flags.append(Flag.PROFILE_INFERRED)
    if not grippers:
        flags.append(Flag.NO_GRIPPER)
    if any(s.column.startswith("action") for s in grippers):
        flags.append(Flag.GRIPPER_FROM_ACTION)
    if layout.range_inferred:
        flags.append(Flag.GRIPPER_RANGE_INFERRED)
    if not of.cameras or config.video == "ignore":
        flags.append(Flag.NO_VIDEO)
    return flags
