"""An episode's log becomes its `episodes` row and its `signals` rows.

In: dataset, episode, layout, the episode's log. Out: (episode row, signal rows), each stream with its own times.
Gripper opening becomes 0 (closed) to 1 (open) per arm, whatever the robot logs. Raises Quarantined.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from schemas.episodes import CameraRow, EpisodeRow
from schemas.ids import split_of
from schemas.reasons import Flag, Quarantined, Reason
from schemas.signals import SignalRow
from stages.ingest.checks import finite, in_order
from stages.ingest.config import IngestConfig, uses
from stages.ingest.describe import alike, described, extra_columns
from stages.ingest.signals import arm_rows, joined
from stages.ingest.streams import Layout
from stages.ingest.units import canonical_unit
from stages.ingest.where import holds
from stages.sources.protocol import Camera, Dataset, Episode, Log
from stages.sources.protocol import Stream as Logged
from stages.text import SENTENCE, plain

Float = npt.NDArray[np.float64]
STEP_S = 1e-3  # a held value changes within so much


def needed_columns(dataset: Dataset, layout: Layout) -> list[str]:
    """Columns without which an episode is refused: the log's own state and action, and what the layout names."""
    known = {f.column for f in dataset.features}
    named = [*layout.state, *layout.action, *(c for s in layout.streams for c in s.columns)]
    return [c for c in dict.fromkeys(named) if c in known]


def extract(
    dataset: Dataset, of: Episode, layout: Layout, log: Log, config: IngestConfig
) -> tuple[EpisodeRow, list[SignalRow]]:
    """Episode row and signal rows of one episode. Raises Quarantined."""
    where = log.where
    task, marks = log.task(), {**of.marks, **log.marks()}
    _kept(of, dataset, log, task or "", marks, config)
    if log.rows < config.min_rows:
        raise Quarantined(Reason.TOO_SHORT, f"{where}: {log.rows} rows, ingest.min_rows is {config.min_rows}")
    cameras = tuple(c for c in of.cameras if uses(config, c.name))
    for camera in cameras:
        if camera.file is None:
            raise Quarantined(
                Reason.MISSING_CAMERA,
                f"camera {camera.feature}: {camera.expected} {camera.why} (ingest.video=ignore goes without video)",
            )
    logged = _logged(dataset, layout, log, config)
    extras, refused = _extras(dataset, layout, log)
    arms, seen = arm_rows(of.episode_id, layout, logged, config, where)
    signals = [*_raw_rows(of, layout, logged), *arms, *_extra_rows(of, extras, dataset)]
    flags = [
        *_flags(of, layout, config),
        *seen,
        *_task_flags(task),
        *([Flag.EXTRA_REFUSED] if refused else []),
        *layout.flags,
        *dataset.flags,
    ]
    labels = log.labels(config.labels) if config.labels else []
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
        "cameras": [_camera_row(c) for c in cameras],
        "marks": json.dumps(marks, sort_keys=True, ensure_ascii=False),
        "layout": described(dataset, layout),
        "extras_refused": refused,
        "labels": [label.row() for label in labels],
        "checks": _checks(layout),
        "flags": [f.value for f in flags],
    }
    return episode, signals


def _camera_row(camera: Camera) -> CameraRow:
    return {
        "name": camera.name,
        "feature": camera.feature,
        "uri": camera.file.uri if camera.file else camera.expected,
        "from_s": camera.from_s,
        "to_s": camera.to_s,
        "start_s": camera.start_s,
        "fps": camera.fps,
        "calibration": camera.calibration,
    }


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


def _kept(
    of: Episode, dataset: Dataset, log: Log, task: str, marks: Mapping[str, str | float | bool], config: IngestConfig
) -> None:
    """Raises Quarantined(LEFT_OUT) where ingest.where does not hold; a name that nothing says is null, and fails."""
    if config.where is None:
        return
    about = {**marks, "source": of.source, "robot": dataset.robot, "task": task, "n_rows": log.rows}
    about["seconds"] = log.rows / dataset.fps
    try:
        kept = holds(config.where, about)
    except ValueError as error:
        raise Quarantined(Reason.LEFT_OUT, f"ingest.where: {error}") from error
    if not kept:
        told = ", ".join(f"{k}={v!r}" for k, v in about.items() if k not in ("task", "source"))
        raise Quarantined(Reason.LEFT_OUT, f"ingest.where leaves it out: {config.where} does not hold ({told})")


def _raw_rows(of: Episode, layout: Layout, logged: Mapping[str, Logged]) -> list[SignalRow]:
    """state and action as logged."""
    rows: list[SignalRow] = []
    for kind, columns in layout.raw().items():
        time, values = joined([logged[c] for c in columns])
        rows.append(
            {
                "episode_id": of.episode_id,
                "stream": kind,
                "kind": kind,
                "arm": "",
                "origin": ", ".join(columns),
                "unit": "raw",
                "width": values.shape[1],
                "time_s": time,
                "values": values.astype(np.float32).ravel(),
            }
        )
    return rows


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


def _task_flags(task: str | None) -> list[Flag]:
    if not task or not plain(task):
        return [Flag.TASK_MISSING]
    return [Flag.TASK_SHORTENED] if len(task) > SENTENCE else []


def _checks(layout: Layout) -> list[str]:
    """What was checked. Whether a raw unit jumps cannot be judged, nor an opening by a range that it gave itself."""
    made = ["rows_as_listed", "timestamps_increase", "no_gap", "finite"]
    judged = [s for s in layout.streams if not s.guessed]
    if any(s.kind in ("position", "joints") and canonical_unit(s.unit) in ("m", "rad") for s in judged):
        made.append("no_state_jump")
    if any(s.kind == "gripper" for s in judged):
        made.append("gripper_in_range")
    if {s.kind for s in layout.streams} >= {"gripper", "gripper_command"} and not layout.inferred:
        made.append("gripper_not_stuck")
    return made


def _flags(of: Episode, layout: Layout, config: IngestConfig) -> list[Flag]:
    grippers = [s for s in layout.streams if s.kind in ("gripper", "hand")]
    flags = []
    if layout.inferred:
        flags.append(Flag.PROFILE_INFERRED)
    if not grippers:
        flags.append(Flag.NO_GRIPPER)
    if any(s.kind == "hand" for s in grippers):
        flags.append(Flag.GRIPPER_UNKNOWN)
    if any(s.unit == "raw" for s in layout.streams if s.kind in ("position", "joints")):
        flags.append(Flag.UNIT_UNKNOWN)
    if any(set(s.columns) <= set(layout.action) for s in grippers):
        flags.append(Flag.GRIPPER_FROM_ACTION)
    if layout.range_inferred:
        flags.append(Flag.GRIPPER_RANGE_INFERRED)
    if not any(uses(config, c.name) for c in of.cameras):
        flags.append(Flag.NO_VIDEO)
    return flags
