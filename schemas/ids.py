"""Identity: readable names that are the same on every machine and in every run.

`episode_id` is `source/000003`; `event_id` is `source/000003/L1/0004250`, the start in milliseconds on the source's own
clock, so that moving one boundary renames one event. A track other than `all` is appended to the level: `L1.left`.
"""

from __future__ import annotations

import hashlib
import re

LEVELS = ("L0", "L1", "L2", "L3")
TRACKS = ("all", "left", "right")
ARMS = ("single", "left", "right")
SOURCE_NAME = re.compile(r"[A-Za-z0-9_\-]+")


def episode_id(source: str, index: int) -> str:
    """`cr5_banana/000003`. Raises ValueError for a source name with other than letters, digits, `_`, `-`."""
    if not SOURCE_NAME.fullmatch(source):
        raise ValueError(f"source name {source!r}: use letters, digits, '_' and '-' only")
    return f"{source}/{index:06d}"


def source_of(episode: str) -> str:
    """cr5_banana of `cr5_banana/000003`, and of any id that begins with it."""
    return episode.split("/", 1)[0]


def event_id(episode: str, level: str, start_s: float, track: str = "all") -> str:
    """`cr5_banana/000003/L1/0004250`; start_s in seconds from the episode's first source timestamp."""
    tier = level if track == "all" else f"{level}.{track}"
    return f"{episode}/{tier}/{round(start_s * 1000):07d}"


def level_of(event: str) -> str:
    """L1 of `cr5_banana/000003/L1.left/0004250`."""
    return event.rsplit("/", 2)[1].split(".")[0]


def sample_key(event: str) -> str:
    """WebDataset key of an event: its id without slash or dot (webdataset cuts a name at its first dot)."""
    return event.replace("/", "-").replace(".", "_")


def file_part(camera: str) -> str:
    """Camera name as part of a file name in a shard: no dot, since a dot parts extensions."""
    return camera.replace(".", "_").replace("/", "_")


def unit_hash(text: str, seed: int = 0) -> float:
    """A number in [0, 1) that depends on `text` and `seed` alone: the project's only source of random draws."""
    digest = hashlib.blake2b(text.encode(), digest_size=8, key=seed.to_bytes(8, "little")).digest()
    return int.from_bytes(digest, "big") / 2**64


def split_of(recording: str, val_share: float, seed: int = 0) -> str:
    """`train` or `val`, by hash of the recording, never of the event, so that no recording is in both."""
    return "val" if unit_hash(f"split:{recording}", seed) < val_share else "train"
