"""KEY.json and the arrays of a sample: what a trainer may count on, with our code or without it.

A sample is `KEY.json` (`Sample`), `KEY.lowdim.npz` (arrays, one row a frame), `KEY.<camera>.mp4` (frame i is row i of
every array) and `KEY.calib.json`. What the numbers of the arrays are is said once a release, in `layouts` of
`manifest.json` (`Layout`), under the key that `Sample.layout` holds. Fields are added, never renamed. Needs nothing but
Python's own library.
"""

from __future__ import annotations

from typing import TypedDict

RAW = ("state", "action")  # arrays as logged, whatever their names and units
EVENT = "event"  # bool[T]: the frame is the event's own, not of its history or future
VALID = "valid"  # bool[T]: the log covers that instant; with a dot and an array's name: that array's stream does
# kinds with arrays of their own, and the unit that these are in
CANONICAL = {"position": "m", "joints": "rad", "orientation": "", "gripper_command": "1"}


def is_canonical(kind: str, unit: str) -> bool:
    """Whether a stream has an array of its own: one in units that mean the same on every robot (orientations say which
    of their forms they have)."""
    return kind in CANONICAL and CANONICAL[kind] in ("", unit)


def array_of(stream: str) -> str:
    """Name of a stream's array: position.left of `position/left`; extra.observation.force of `extra/observation.force`,
    as other numeric columns are called (force, torque, tactile, currents, environment_state)."""
    return stream.replace("/", ".")


class Child(TypedDict):
    """A span one level finer inside the sample."""

    start: int  # frame of the sample
    end: int  # one past its last frame
    caption: str


class Span(TypedDict):
    """An event of a finer level inside the sample."""

    start: int  # frame of the sample
    end: int  # one past its last frame
    primitive: str
    caption: str


class Pictures(TypedDict):
    """A stretch of the sample in which a camera's pictures are none."""

    camera: str
    kind: str  # black, blank, overexposed, frozen, blurred, repeated
    start: int  # frame of the sample
    end: int  # one past its last frame


class Described(TypedDict):
    """What the event's caption says, field by field. Empty strings: nothing is said."""

    source: str  # signals, vlm, composed or human
    status: str  # ok, repaired, fallback, ...: schemas/captions.py
    verb: str
    object: str
    from_place: str
    to_place: str
    arm: str
    outcome: str
    confidence: float | None  # of the captioner; null: not told
    phrasings: dict[str, str]  # {style: the same said otherwise}
    next: str  # caption of the next event of the level; empty: it is the last
    remaining_s: float  # from the event's start to the end of its task


class Context(TypedDict):
    """Frames of the sample that are not the event's own."""

    before: int
    after: int


class Origin(TypedDict):
    """Where a camera's pictures come from."""

    file: str  # inside the dataset
    from_s: float  # the event, in that file's time
    to_s: float
    sha256: str  # of the proxy that they were cut from


class Provenance(TypedDict):
    """Where the sample comes from."""

    format: str  # of the dataset, such as lerobot/v3.0
    episode_key: str  # in the source, its own choice
    recording_id: str
    from_s: float  # the event, on the source's clock
    to_s: float
    cameras: dict[str, Origin]
    licence: str  # of the source, an SPDX identifier or in words; empty: unknown
    attribution: str  # whom to name; empty: nobody says
    url: str  # where the source is published; empty: nobody says


class Sample(TypedDict):
    """KEY.json. `weight` is that of the release that the tar was first written for; those that use it again have theirs
    in their `index.parquet`."""

    event_id: str
    episode_id: str
    source: str
    robot: str
    split: str  # train or val
    task: str
    level: str  # L0 to L3
    primitive: str
    arms: list[str]  # that take part
    gripper_arms: list[str]  # columns of the array `gripper`
    captions: dict[str, str]  # {level: caption} of the event and all that hold it
    described: Described
    children: list[Child]
    spans: dict[str, list[Span]]  # {level: all events of it inside}, for every finer level
    pictures: list[Pictures]
    vl_cluster: int
    action_cluster: int
    vl_path: list[int]  # coarser cluster, cluster
    action_path: list[int]
    weight: float  # how often a pass over the release takes this copy
    plan: str  # inputs of the release that the sample was written for, as `plan` in its manifest.json
    fps: float
    n_frames: int  # rows of every array, history and future with them
    context: Context  # the array `event` is true where frames are the event's own
    start_s: float  # from the episode's first source timestamp
    end_s: float
    static: bool
    confidence: float
    flags: list[str]
    review: str  # machine, source or human: who set the event's boundaries
    accepted: bool  # a person has looked at just this event, and said that it is right
    provenance: Provenance
    marks: dict[str, str | float | bool]  # what the source says of the episode as a whole: success, operator, ...
    layout: str  # key of `layouts` in manifest.json


class Value(TypedDict):
    """One column of an array. Empty strings: nobody has said."""

    name: str  # as the source names it
    arm: str  # single, left, right
    kind: str  # position, orientation, joints, velocity, gripper, gripper_command
    unit: str  # m, rad, m/s, 1, raw


class Array(TypedDict):
    """An array of `lowdim.npz`: its columns, the source's column it was read from, its frame of reference (base frame
    of an arm; empty: unknown) and the axis of that frame in which the robot faces (+x, -x, +y, -y; empty: unknown), and
    for actions whether they are absolute or deltas (empty: the source does not say)."""

    origin: str
    values: list[Value]
    frame: str
    forward: str
    mode: str


Layout = dict[str, Array]  # by array
