"""Reason codes: why an episode or an event was set aside, or is used with a flag. One enum, so that they can be
counted.

A `Quarantined` error carries one of them out of a stage; the runner turns it into a row of the `quarantine` table.
Flags ride along in `episodes.flags` and `alignments.flags`: the data is used, but never silently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

REACH = 60  # rows shown on either side of a bad one


class Reason(StrEnum):
    """Why something is in quarantine."""

    NO_MOTION_SIGNAL = "no_motion_signal"  # neither pose, joints nor velocity: nothing to segment by
    SOURCE_ABSENT = "source_absent"  # the source is not there, or no dataset is in it
    MISSING_FILE = "missing_file"  # the data file that the metadata names is absent
    UNREADABLE_FILE = "unreadable_file"  # the data file is there and cannot be parsed
    ENTRY_UNREADABLE = "entry_unreadable"  # an entry of the source's list of episodes that cannot be read
    WRONG_TYPE = "wrong_type"  # a signal's column holds no numbers
    MISSING_COLUMN = "missing_column"  # a column that the metadata or the profile names is absent
    WRONG_SHAPE = "wrong_shape"  # a feature's width is not what the metadata says
    LEFT_OUT = "left_out"  # by a rule that the user has given: `ingest.where`
    FORGOTTEN = "forgotten"  # on request, by `corpus forget`: it has a tombstone
    EMPTY_EPISODE = "empty_episode"  # no rows
    TOO_SHORT = "too_short"  # fewer rows than `ingest.min_rows`
    ROW_COUNT_MISMATCH = "row_count_mismatch"  # metadata and data file disagree on the number of rows
    NOT_FINITE = "not_finite"  # NaN or Inf in a signal
    TIME_NOT_INCREASING = "time_not_increasing"  # timestamps go back: rows are shuffled, or the clock jumped
    TIME_REPEATS = "time_repeats"  # two rows in a row carry one timestamp
    TIME_GAP = "time_gap"  # a hole in the timestamps longer than `ingest.max_gap_s`
    GRIPPER_OUT_OF_RANGE = "gripper_out_of_range"  # the gripper leaves the range that the profile gives it
    GRIPPER_STUCK = "gripper_stuck"  # it was told to open or close, and its measured opening never moved
    STATE_JUMP = "state_jump"  # kinematic discontinuity
    EPISODE_NOT_LISTED = "episode_not_listed"  # info.json counts it, the episode metadata does not list it
    EPISODE_NOT_COUNTED = "episode_not_counted"  # the episode metadata lists it, info.json counts fewer
    UNKNOWN_TASK = "unknown_task"  # a task index that the task table does not hold
    MISSING_CAMERA = "missing_camera"  # a declared camera has no video file
    VIDEO_UNREADABLE = "video_unreadable"  # the container cannot be opened or a frame cannot be decoded
    VIDEO_TRUNCATED = "video_truncated"  # fewer frames come out than the episode needs
    OVERLAPPING_SPANS = "overlapping_spans"  # two episodes claim the same frames of a video file
    LENGTH_MISMATCH = "length_mismatch"  # rows and frames differ by more than `align.max_length_difference`
    ABNORMAL_FPS = "abnormal_fps"  # measured frame rate is off the declared one
    NO_OVERLAP = "no_overlap"  # cameras and signals share no time span
    LABEL_REFUSED = "label_refused"  # a person's span that lies across others, or in no frame of the episode
    SAMPLE_FAILED = "sample_failed"  # the files of an event's sample cannot be made
    DAMAGED_FILE = "damaged_file"  # a part or proxy of the corpus is not what was committed: `corpus repair` mends it
    WORKER_DIED = "worker_died"  # the process that worked on it died twice
    INTERNAL_ERROR = "internal_error"  # an error of ours; the message holds the traceback's end


class Flag(StrEnum):
    """What to know of data that is used all the same."""

    PROFILE_INFERRED = "profile_inferred"
    NO_GRIPPER = "no_gripper"
    GRIPPER_FROM_ACTION = "gripper_from_action"
    GRIPPER_RANGE_INFERRED = "gripper_range_inferred"
    GRIPPER_UNKNOWN = "gripper_unknown"  # nobody can tell which end of its gripper is closed
    UNIT_UNKNOWN = "unit_unknown"  # joints or a position in a unit that nobody has said
    STATE_JUMPS = "state_jumps"  # a leap of values in a unit that nobody has said, or that was told from the values
    ROBOTS_MIXED = "robots_mixed"  # two robots may lie in one dataset, padded to one width
    NO_VIDEO = "no_video"
    TASK_MISSING = "task_missing"
    PAIRED_BY_POSITION = "paired_by_position"
    LAG_WEAK = "lag_weak"
    LAG_DISAGREES = "lag_disagrees"
    METADATA_REFUSED = "metadata_refused"  # an optional file of the source's metadata cannot be used
    PICTURE_BLACK = "picture_black"  # a camera shows nothing for a while: alignments.pictures says where
    PICTURE_BLANK = "picture_blank"  # one shade all over
    PICTURE_OVEREXPOSED = "picture_overexposed"
    PICTURE_FROZEN = "picture_frozen"  # its pictures stand still while the arms move
    PICTURE_BLURRED = "picture_blurred"  # far less sharp than the camera's other pictures
    PICTURE_REPEATED = "picture_repeated"  # many pictures are the one before again: it is slower than its file says
    CALIBRATION_REFUSED = "calibration_refused"  # a camera's calibration cannot be used; it counts as uncalibrated
    EXTRA_REFUSED = "extra_refused"  # a column that only rides along cannot be used: episodes.extras_refused says why
    TASK_SHORTENED = "task_shortened"  # longer than any instruction: cut where it is kept


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows a fault to a person: signals around the bad row, or a picture (JPEG).

    `lines` are (name, values), all of one length; their first value is row `first_row`, the bad one is `row`.
    """

    lines: tuple[tuple[str, tuple[float, ...]], ...] = ()
    first_row: int = 0
    row: int = 0
    picture: bytes | None = None

    @classmethod
    def around(cls, row: int, signals: Mapping[str, Sequence[float]]) -> Evidence:
        """The signals (all of one length) from REACH rows before a row to REACH rows after it."""
        first = max(0, row - REACH)
        lines = tuple((name, tuple(float(v) for v in s[first : row + REACH + 1])) for name, s in signals.items())
        return cls(lines, first, row)


class Quarantined(Exception):
    """Raised by a stage for an episode (or one event of it) that must not be used.

    `message` says file or field, what was found and what was expected, for a person. `retryable` is true where the same
    input may succeed on another day (a dead worker), false where only another input can. `evidence` is shown in the
    report.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        event_id: str | None = None,
        retryable: bool = False,
        evidence: Evidence | None = None,
    ) -> None:
        super().__init__(f"{reason.value}: {message}")
        self.reason = reason
        self.message = message
        self.event_id = event_id
        self.retryable = retryable
        self.evidence = evidence

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.reason, self.message, self.event_id, self.retryable, self.evidence))


def _rebuild(
    reason: Reason, message: str, event_id: str | None, retryable: bool, evidence: Evidence | None
) -> Quarantined:
    return Quarantined(reason, message, event_id=event_id, retryable=retryable, evidence=evidence)
