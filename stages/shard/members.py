"""Where the samples of a tar lie in it, and what a loader must know of them before it reads one.

In: KEY.json of each sample and the tar that holds them. Out: the tar's rows of plan.npz (`schemas/plan.py`), without
the tar's file name and with the weight that KEY.json has: those are a release's own; and the offsets that Energon reads
beside a tar.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from schemas.ids import file_part, sample_key, start_ms_of
from schemas.plan import Plan, build
from schemas.sample import Sample
from stages.shard.sample import Clip

# {extension: offset of its header, offset and size of its bytes}
Members = dict[str, tuple[int, int, int]]


def plan_row(meta: Sample, frame: int, recovery: str | None, clips: Sequence[Clip]) -> dict[str, Any]:
    """What KEY.json says of a sample, as a row of the plan; frame: of the episode that is the sample's first."""
    return {
        "tar": "",
        "episode": meta["episode_id"],
        "level": meta["level"],
        "source": meta["source"],
        "robot": meta["robot"],
        "task": meta["task"],
        "primitive": meta["primitive"],
        "recovery": recovery or "",
        "split": meta["split"],
        "layout": meta["layout"],
        "start_ms": start_ms_of(meta["event_id"]),
        "start_s": meta["start_s"],
        "end_s": meta["end_s"],
        "frame": frame,
        "n_frames": meta["n_frames"],
        "before": meta["context"]["before"],
        "after": meta["context"]["after"],
        "fps": meta["fps"],
        "vl_cluster": meta["vl_cluster"],
        "action_cluster": meta["action_cluster"],
        "vl_group": meta["vl_path"][0],
        "action_group": meta["action_path"][0],
        "confidence": meta["confidence"],
        "weight": meta["weight"],
        "pictures": {file_part(clip.name): (clip.size[1], clip.size[0]) for clip in clips},
        "key": sample_key(meta["event_id"]),
    }


def plan_of(path: str, rows: Iterable[Mapping[str, Any]]) -> Plan:
    """The plan of a tar, in its order. path: local; rows: of `plan_row`, one a sample."""
    held = members(path)
    placed = []
    for row in rows:
        own = held[row["key"]]
        first = min(header for header, _, _ in own.values())
        last = max(offset + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE for _, offset, size in own.values())
        place = {name: (offset, size) for name, (_, offset, size) in own.items()}
        clips = {name.removesuffix(".mp4"): at for name, at in place.items() if name.endswith(".mp4")}
        where = {"json": place["json"], "lowdim": place["lowdim.npz"], "calib": place["calib.json"]}
        placed.append({**row, **where, "clips": clips, "offset": first, "size": last - first})
    return build(placed, sorted({camera for row in placed for camera in row["clips"]}))


def index_bytes(plan: Plan) -> bytes:
    """Offsets of a tar's samples as Megatron Energon reads them beside it (`<tar>.idx`): uint64, where each sample
    begins and where the last one ends."""
    starts, sizes = plan.numbers["offset"], plan.numbers["size"]
    ends = (starts + sizes)[-1:] if len(plan) else np.zeros(1, dtype=np.int64)
    return np.concatenate([starts, ends]).astype("<u8").tobytes()


def members(path: str) -> dict[str, Members]:
    """{key: members} of a tar on this machine, read from its headers."""
    found: dict[str, Members] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, extension = member.name.split(".", 1)
            found.setdefault(key, {})[extension] = (member.offset, member.offset_data, member.size)
    return found
