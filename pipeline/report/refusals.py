"""What was set aside and why, with what shows it: a signal around the bad row, a frame, or the camera's thumbnails.

In: the quarantine. Out: one `Refusal` a reason, the most frequent first, with a few examples and the proof of the
first. Everything is bounded, so that a page about ten thousand refusals weighs no more than one about twenty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pipeline.corpus.view import Corpus
from pipeline.report import pictures
from pipeline.report.pictures import Strip
from schemas.observations import OBSERVATIONS
from schemas.reasons import Reason

REASONS = 20  # shown in full; rarer ones are counted
EXAMPLES = 3
PICTURES = 6  # of a strip
MESSAGE = 280  # characters
LINES = 3
BEFORE_VIDEO = ("survey", "ingest", "observe")  # stages whose refusals have no observation of their own
NO_PICTURE = "No signal and no frame is at hand: the message tells all that is known."

# reason: what it means, and what is said where nothing can be shown
WORDS: dict[Reason, tuple[str, str]] = {
    Reason.NO_MOTION_SIGNAL: ("neither pose, joints nor velocity in the log", "There is no signal to show."),
    Reason.SOURCE_ABSENT: ("the source is not there, or no dataset is in it", "There is nothing to show."),
    Reason.LEFT_OUT: ("left out by ingest.where, a rule of your own", "Nothing is wrong with it."),
    Reason.FORGOTTEN: ("forgotten on request, by corpus forget", "Nothing of it is kept."),
    Reason.MISSING_FILE: ("the data file that the metadata names is absent", "The file is absent."),
    Reason.UNREADABLE_FILE: ("a file is there and cannot be parsed", "No row of it can be read."),
    Reason.MISSING_COLUMN: ("a column that the metadata or the profile names is absent", "The column is absent."),
    Reason.WRONG_SHAPE: ("a signal is wider or narrower than the metadata says", NO_PICTURE),
    Reason.EMPTY_EPISODE: ("no rows", "There is no row to show."),
    Reason.TOO_SHORT: ("fewer rows than ingest.min_rows", "Too few rows to draw."),
    Reason.ROW_COUNT_MISMATCH: ("metadata and data file disagree on the number of rows", NO_PICTURE),
    Reason.NOT_FINITE: ("NaN or infinity in a signal", NO_PICTURE),
    Reason.TIME_NOT_INCREASING: ("timestamps go back: rows are shuffled, or the clock jumped", NO_PICTURE),
    Reason.TIME_REPEATS: ("two rows in a row carry one timestamp", NO_PICTURE),
    Reason.TIME_GAP: ("a hole in the timestamps", NO_PICTURE),
    Reason.GRIPPER_OUT_OF_RANGE: ("the gripper leaves the range that the profile gives it", NO_PICTURE),
    Reason.GRIPPER_STUCK: ("the gripper was told to move and never did", NO_PICTURE),
    Reason.STATE_JUMP: ("the arm moves faster than any such arm can", NO_PICTURE),
    Reason.EPISODE_NOT_LISTED: ("info.json counts it, the episode metadata does not list it", NO_PICTURE),
    Reason.EPISODE_NOT_COUNTED: ("the episode metadata lists it, info.json counts fewer", NO_PICTURE),
    Reason.UNKNOWN_TASK: ("a task index that the task table does not hold", NO_PICTURE),
    Reason.MISSING_CAMERA: ("a declared camera has no video file", "The file is absent."),
    Reason.VIDEO_UNREADABLE: ("a video cannot be opened, or a frame cannot be decoded", "No frame can be decoded."),
    Reason.ENTRY_UNREADABLE: ("an entry of the source's list of episodes cannot be read", NO_PICTURE),
    Reason.WRONG_TYPE: ("a signal's column holds no numbers", NO_PICTURE),
    Reason.VIDEO_TRUNCATED: ("fewer frames come out than the episode needs", "No frame of it can be decoded."),
    Reason.OVERLAPPING_SPANS: (
        "two episodes claim the same frames of a video file",
        "Its first frames are used by the episode before it.",
    ),
    Reason.LENGTH_MISMATCH: ("the log and the video differ in length", "No frame of it is at hand."),
    Reason.ABNORMAL_FPS: ("the measured frame rate is off the declared one", NO_PICTURE),
    Reason.NO_OVERLAP: ("cameras and signals share no time span", "No frame of it is at hand."),
    Reason.LABEL_REFUSED: ("a person's span that fits nowhere", NO_PICTURE),
    Reason.SAMPLE_FAILED: ("the files of an event's sample cannot be made", "No frame of it is at hand."),
    Reason.DAMAGED_FILE: (
        "a file of the corpus is not what was written: corpus repair",
        "It says nothing about the data.",
    ),
    Reason.WORKER_DIED: ("the process that worked on it died twice", "Nothing is left of a process that died."),
    Reason.INTERNAL_ERROR: ("an error of the pipeline, not of the data", "It says nothing about the data."),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A signal; its first value is row `first_row`. Values may be NaN or infinite."""

    name: str
    first_row: int
    values: list[float]


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows it: lines with the bad row, or one picture, or a strip; `words` caption it, or say why it is bare."""

    words: str
    lines: list[Line] = field(default_factory=list)
    row: int = 0
    picture: str | None = None
    strip: Strip | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason: how many rows of the quarantine carry it, how many of them the next build tries again, examples."""

    reason: str
    meaning: str
    count: int
    retryable: int
    examples: list[dict[str, str]]
    proof: Proof | None


def refusals(corpus: Corpus, quarantine: pl.DataFrame) -> list[Refusal]:
    """Most frequent reasons first; the examples that carry evidence before those that do not. Those beyond REASONS
    come without proof."""
    ordered = quarantine.sort(pl.col("evidence").is_null(), "item")
    counts = (
        ordered.group_by("reason")
        .agg(pl.len(), pl.col("retryable").sum())
        .sort("len", "reason", descending=[True, False])
    )
    found = []
    for number, (reason, count, retryable) in enumerate(counts.iter_rows()):
        own = ordered.filter(reason=reason).unique("message", keep="first", maintain_order=True)
        rows = own.head(EXAMPLES).to_dicts()
        examples = [{"item": r["item"], "stage": r["stage"], "message": _message(corpus, r)} for r in rows]
        proof = _proof(corpus, rows[0]) if number < REASONS else None
        found.append(Refusal(reason, WORDS[Reason(reason)][0], count, retryable, examples, proof))
    return found


def clipped(text: str, length: int) -> str:
    """The text, cut short where it is longer."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _message(corpus: Corpus, row: Mapping[str, Any]) -> str:
    """The first line of a message, paths from the source's folder on."""
    line = next((line for line in row["message"].splitlines() if line.strip()), "")
    folder = corpus.manifest["sources"].get(row["source"])
    return clipped(line.replace(f"{folder.rstrip('/')}/", "") if folder else line, MESSAGE)


def _proof(corpus: Corpus, row: Mapping[str, Any]) -> Proof:
    shown = row["evidence"]
    if shown and shown["picture"]:
        words = f"The last frame that could be decoded: frame {shown['row']}."
        return Proof(words, picture=pictures.evidence(shown["picture"]))
    if shown and shown["lines"]:
        lines = [Line(line["name"], shown["first_row"], line["values"]) for line in shown["lines"][:LINES]]
        if len(lines) == 1 and lines[0].name.startswith("timestamp"):
            lines.append(_steps(lines[0]))  # a repeat or a small step back does not show in the timestamps themselves
        return Proof(f"Rows around row {shown['row']}.", lines, shown["row"])
    if row["stage"] not in BEFORE_VIDEO:
        seen = corpus.narrow(OBSERVATIONS, pictures.Filmed, [row["episode_id"]])
        if seen:
            named = next((o for o in seen if f"camera {o['camera']} " in f"{row['message']} "), seen[0])
            strip = pictures.strip(corpus, named, PICTURES)
            return Proof(f"Camera {strip.camera}: {len(strip.pictures)} of {strip.frames} frames.", strip=strip)
    return Proof(WORDS[Reason(row["reason"])][1])


def _steps(time: Line) -> Line:
    values = [after - before for before, after in zip(time.values, time.values[1:], strict=False)]
    return Line("step from the row before, s", time.first_row + 1, values)
