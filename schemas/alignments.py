"""`lags`, `lag_votes` and `alignments`: how video and log of an episode lie on one clock. Written by align.

`lags` is the per-episode estimate, `lag_votes` what each source decided over it, `alignments` the canonical clock
after the vote. The votes have a table of their own so that one more episode, which changes a count, does not change
every alignment. Lag is counted in frames and positive where the log is late: row i + lag belongs to frame i.
"""

from typing import Any, TypedDict

import numpy.typing as npt
import pyarrow as pa

from schemas.table import Column, Table, one_of


class LagRow(TypedDict):
    """A row of `lags`."""

    episode_id: str
    camera: str
    source: str
    lag_frames: int
    score: float
    curve: npt.NDArray[Any]


LAGS: Table[LagRow] = Table(
    name="lags",
    key=("episode_id", "camera"),
    columns=(
        Column("episode_id", pa.string(), "source/000003"),
        Column("camera", pa.string(), "camera whose motion was compared"),
        Column("source", pa.string(), "source of the episode: the vote is taken within it"),
        Column("lag_frames", pa.int32(), "lag of the highest correlation; positive: the log is late"),
        Column("score", pa.float32(), "that correlation, -1 to 1"),
        Column("curve", pa.list_(pa.float32()), "correlation at lags -window .. +window"),
    ),
)


class LagVoteRow(TypedDict):
    """A row of `lag_votes`."""

    source: str
    lag_frames: int
    voted_frames: int
    score: float | None
    votes: int
    voters: int
    estimates: int
    weak: bool
    disagrees: bool


LAG_VOTES: Table[LagVoteRow] = Table(
    name="lag_votes",
    key=("source",),
    columns=(
        Column("source", pa.string(), "source that voted"),
        Column("lag_frames", pa.int32(), "lag applied to its logs"),
        Column("voted_frames", pa.int32(), "lag with the most votes, applied or not"),
        Column(
            "score", pa.float32(), "mean correlation of the votes within one frame of it; null: no vote", nullable=True
        ),
        Column("votes", pa.int32(), "votes within one frame of it"),
        Column("voters", pa.int32(), "estimates good enough to vote, one an episode and camera"),
        Column("estimates", pa.int32(), "all estimates of the source"),
        Column("weak", pa.bool_(), "too few voters to trust it"),
        Column("disagrees", pa.bool_(), "too few of them agree"),
    ),
)

ALIGNED_CAMERA = pa.struct(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("frame_index", pa.list_(pa.int32()), nullable=False),  # int32[T], source frame of each canonical frame
        pa.field("max_skew_s", pa.float64(), nullable=False),  # largest distance in time between the two, s
    ]
)


class AlignedCamera(TypedDict):
    name: str
    frame_index: list[int]
    max_skew_s: float


PICTURES = ("black", "blank", "overexposed", "frozen", "blurred", "repeated")
DEAD = ("black", "blank", "overexposed", "frozen")  # kinds of pictures in which nothing is to be seen
BAD_PICTURES = pa.struct(
    [
        pa.field("camera", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # one of PICTURES
        pa.field("start_frame", pa.int64(), nullable=False),  # canonical
        pa.field("end_frame", pa.int64(), nullable=False),  # one past the last
    ]
)


class BadPictures(TypedDict):
    camera: str
    kind: str
    start_frame: int
    end_frame: int


class AlignmentRow(TypedDict):
    """A row of `alignments`."""

    episode_id: str
    fps: float
    n_frames: int
    reference_camera: str | None
    pairing: str
    lag_frames: int
    lag_score: float | None
    time_s: npt.NDArray[Any]
    signal_time_s: npt.NDArray[Any]
    cameras: list[AlignedCamera]
    pictures: list[BadPictures]
    checks: list[str]
    flags: list[str]


ALIGNMENTS: Table[AlignmentRow] = Table(
    name="alignments",
    key=("episode_id",),
    columns=(
        Column("episode_id", pa.string(), "source/000003"),
        Column("fps", pa.float64(), "rate of the canonical clock, 1/s"),
        Column("n_frames", pa.int64(), "T, canonical frames"),
        Column("reference_camera", pa.string(), "camera whose rate the clock takes; null without video", nullable=True),
        Column("pairing", pa.string(), "time, position (row i is frame i) or rows (no video)"),
        Column("lag_frames", pa.int32(), "lag applied to the log; positive: the log was late"),
        Column(
            "lag_score", pa.float32(), "this episode's own best correlation, over cameras; null without", nullable=True
        ),
        Column("time_s", pa.list_(pa.float64()), "float64[T], s from the episode's first source timestamp"),
        Column(
            "signal_time_s", pa.list_(pa.float64()), "float64[T], where to read the log for each frame, source clock"
        ),
        Column("cameras", pa.list_(ALIGNED_CAMERA), "which frame of each camera is shown at each canonical frame"),
        Column("pictures", pa.list_(BAD_PICTURES), "stretches of a camera's pictures that are no pictures"),
        Column("checks", pa.list_(pa.string()), "cleaning checks passed"),
        Column("flags", pa.list_(pa.string()), "schemas.reasons.Flag values"),
    ),
    laws=(one_of("pairing", ("time", "position", "rows")),),
)
