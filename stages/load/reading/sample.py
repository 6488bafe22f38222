"""What is read of one sample: KEY.json, its arrays, its clips.

In: rows of the plan and the parts wanted. Out: `Raw`. All that a batch needs of a tar is asked for at once.
"""

from __future__ import annotations

import io
import json
import threading
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.plan import CAMERAS, CLIPS
from schemas.sample import EVENT, VALID, Sample
from stages.load.reading.clips import Pictures, UnreadableClip, decode
from stages.load.reading.files import Range
from stages.load.reading.release import Release

Arrays = Mapping[str, npt.NDArray[Any]]
# NumPy reads the header of an array by ast.literal_eval, which in Python 3.11 fails in one thread while another is in
# it ("AST constructor recursion depth mismatch"); the next batches are read by threads
_HEADERS = threading.Lock()


class DamagedSample(ValueError):
    """A sample that is not what the plan says; `corpus verify` finds what is wrong with its tar."""


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """where: tar and key, for messages; meta: KEY.json, None where it was not asked for; calibration likewise; arrays:
    of the npz; clips: {camera: MP4 bytes} of those asked for that the sample has."""

    where: str
    meta: Sample | None
    calibration: dict[str, Any] | None
    arrays: Arrays
    clips: Mapping[str, bytes]
    fps: float

    def pictures(
        self, camera: str, frames: Sequence[int], size: tuple[int, int] | None, into: Pictures | None = None
    ) -> Pictures:
        """uint8[F, H, W, 3], in `into` where it is given. Raises DamagedSample."""
        try:
            return decode(self.clips[camera], frames, self.fps, size, into)
        except UnreadableClip as error:
            raise DamagedSample(f"{self.where}.{camera}.mp4: {error}") from error


def read(release: Release, rows: Sequence[int], arrays: Sequence[str], cameras: Sequence[str], meta: bool) -> list[Raw]:
    """Samples of the plan's rows, a row that comes twice read once. arrays: names of those wanted; a sample has what
    its robot logged. Raises DamagedSample, FileNotFoundError, Unreadable."""
    wanted = {row: _parts(release, row, cameras, meta) for row in rows}
    data: dict[tuple[int, str], bytes] = {}
    for number, folder in enumerate(release.folders):
        places = {
            (row, part): at
            for row, parts in wanted.items()
            if release.folder[row] == number
            for part, at in parts.items()
        }
        data |= zip(places, folder.ranges(list(places.values())), strict=True)
    found = {row: _raw(release, row, parts, data, arrays) for row, parts in wanted.items()}
    return [found[row] for row in rows]


def _parts(release: Release, row: int, cameras: Sequence[str], meta: bool) -> dict[str, Range]:
    """{part: where it lies}."""
    plan = release.plan
    tar = release.tars[release.folder[row]][plan.names["tar"][plan.numbers["tar"][row]]]
    parts = {"lowdim": plan.numbers["lowdim"][row]}
    if meta:
        parts["json"] = plan.numbers["json"][row]
        parts["calib"] = plan.numbers["calib"][row]
    for number, camera in enumerate(plan.names[CAMERAS]):
        place = plan.numbers[CLIPS][row, number]
        if camera in cameras and place[1]:
            parts[f"clip:{camera}"] = place
    return {name: (tar, int(offset), int(size)) for name, (offset, size) in parts.items()}


def _raw(
    release: Release, row: int, parts: Mapping[str, Range], data: Mapping[tuple[int, str], bytes], names: Sequence[str]
) -> Raw:
    plan = release.plan
    where = f"{release.folders[release.folder[row]].path(parts['lowdim'][0])}: {plan.key(row)}"
    meta: Any
    try:
        meta = json.loads(data[row, "json"]) if "json" in parts else None
        calibration = json.loads(data[row, "calib"]) if "calib" in parts else None
        with _HEADERS, np.load(io.BytesIO(data[row, "lowdim"])) as held:
            arrays = {name: held[name] for name in names if name in held.files}
    except (ValueError, OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise DamagedSample(f"{where}: {error}") from error
    if "json" in parts and (meta.get("event_id") if isinstance(meta, dict) else None) != plan.event_id(row):
        raise DamagedSample(f"{where}: another sample lies where the plan has this one: is the plan of this release?")
    missing = [name for name in (EVENT, VALID) if name in names and name not in arrays]
    if missing:
        raise DamagedSample(f"{where}: it has no array {missing[0]}")
    frames = int(plan.numbers["n_frames"][row])
    short = [name for name, values in arrays.items() if len(values) != frames]
    if short:
        raise DamagedSample(f"{where}: array {short[0]} has {len(arrays[short[0]])} rows, the plan says {frames}")
    clips = {name[5:]: data[row, name] for name in parts if name.startswith("clip:")}
    return Raw(where, meta, calibration, arrays, clips, float(plan.numbers["fps"][row]))
