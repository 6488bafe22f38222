"""What Megatron Energon wants of a WebDataset before it opens it, so that a release needs no preparation of its own.

In: plan.npz of a release, and how many samples each tar has. Out: the files of `.nv-meta/` as `energon prepare` of
megatron-energon 7.4 writes them, for samples that are taken as they are (`CrudeWebdataset`). The offsets that it looks
for beside each tar are a file of the tar's own (`stages.shard.members.index_bytes`). A key may stand in several train
tars, where an event is drawn more than once; Energon's index wants each but once, so later copies have the name that
`energon prepare --fix-duplicates` gives: that of the tar, a slash, the key. Loading reads the offsets, not this index.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from schemas.plan import CAMERAS, CLIPS, Plan

FOLDER = ".nv-meta"
PREPARED = "7.4.0"  # release of megatron-energon whose files these are
SPLITS = ("train", "val", "reserve")  # by the beginning of a tar's name
DATASET = b"__module__: megatron.energon\n__class__: CrudeWebdataset\n"
NAMES = ("dataset.yaml", "split.yaml", ".info.json", "index.sqlite", "index.uuid")
FILES = tuple(f"{FOLDER}/{name}" for name in NAMES)
TABLES = (  # as energon prepare declares them
    "CREATE TABLE samples (tar_file_id INTEGER NOT NULL, sample_key TEXT NOT NULL UNIQUE, "
    "sample_index INTEGER NOT NULL, byte_offset INTEGER, byte_size INTEGER)",
    "CREATE TABLE sample_parts (tar_file_id INTEGER, sample_index INTEGER, part_name TEXT, "
    "content_byte_offset INTEGER, content_byte_size INTEGER)",
)
INDEXES = (
    "CREATE INDEX idx_samples_by_tar_and_idx ON samples(tar_file_id, sample_index)",
    "CREATE INDEX idx_sample_parts_seq ON sample_parts(tar_file_id, sample_index, content_byte_offset)",
    "CREATE INDEX idx_sample_parts_full ON sample_parts"
    "(tar_file_id, sample_index, part_name, content_byte_offset, content_byte_size)",
)
VERSION_FIELD = slice(96, 100)  # of SQLite's header: which release of the library wrote last
Sample = tuple[int, str, int, int, int]
Part = tuple[int, int, str, int, int]


def files(plan: Plan, counts: Mapping[str, int], paths: Mapping[str, str]) -> dict[str, bytes]:
    """{path in the release's folder: bytes}; counts: samples of each tar; paths: where each lies, from that folder. The
    same bytes for the same release; those of index.sqlite by one release of SQLite, apart from the field that names
    it."""
    tars = [tar for tar in sorted(counts) if counts[tar]]
    parts = {s: [paths[t] for t in tars if t.startswith(f"{s}-")] for s in SPLITS}
    split = {s: names for s, names in parts.items() if names or s != "reserve"}
    index = index_of(plan, tars)
    info = {"energon_version": PREPARED, "shard_counts": {paths[t]: counts[t] for t in tars}}
    made = (
        DATASET,
        json.dumps({"split_parts": split, "exclude": []}, indent=2).encode(),  # JSON is YAML
        json.dumps(info, indent=2).encode(),
        index,
        str(uuid.UUID(bytes=hashlib.sha256(index).digest()[:16])).encode(),
    )
    return dict(zip(FILES, made, strict=True))


def index_of(plan: Plan, tars: Sequence[str]) -> bytes:
    """index.sqlite: where each sample, and each member of one, lies; tars are told by their place in `tars`."""
    database = sqlite3.connect(":memory:")
    for statement in TABLES:
        database.execute(statement)
    database.executemany("INSERT INTO samples VALUES (?, ?, ?, ?, ?)", _samples(plan, tars))
    database.executemany("INSERT INTO sample_parts VALUES (?, ?, ?, ?, ?)", _parts(plan, tars))
    for statement in INDEXES:
        database.execute(statement)
    database.commit()
    data = bytearray(database.serialize())
    database.close()
    data[VERSION_FIELD] = bytes(4)
    return bytes(data)


def _samples(plan: Plan, tars: Sequence[str]) -> Iterator[Sample]:
    seen: set[str] = set()
    offsets, sizes = plan.numbers["offset"].tolist(), plan.numbers["size"].tolist()
    for row, (tar, number) in enumerate(_places(plan, tars)):
        key = plan.key(row)
        if key in seen:
            key = f"{tars[tar].removesuffix('.tar')}/{key}"
        seen.add(key)
        yield tar, key, number, offsets[row], sizes[row]


def _parts(plan: Plan, tars: Sequence[str]) -> Iterator[Part]:
    """Members of each sample, in the order in which they lie."""
    names = ["json", "lowdim.npz", "calib.json", *(f"{camera}.mp4" for camera in plan.names[CAMERAS])]
    own = [plan.numbers[column][:, None] for column in ("json", "lowdim", "calib")]
    members = np.concatenate([*own, plan.numbers[CLIPS]], axis=1)  # offset and size of each: int64[N, 3 + C, 2]
    order = np.argsort(members[:, :, 0], axis=1, kind="stable").tolist()
    for (tar, number), held, sort in zip(_places(plan, tars), members.tolist(), order, strict=True):
        for n in sort:
            if held[n][1]:  # no clip of a camera that the sample does not have
                yield tar, number, names[n], held[n][0], held[n][1]


def _places(plan: Plan, tars: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(number of its tar, its number in that tar) of each row."""
    place, number = {name: n for n, name in enumerate(tars)}, dict.fromkeys(tars, 0)
    for tar in plan.text("tar"):
        yield place[tar], number[tar]
        number[tar] += 1
