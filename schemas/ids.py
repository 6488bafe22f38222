"""Identity: readable names that are the same on every machine and in every run.

`episode_id` is `source/000003`; `event_id` is `source/000003/L1/0004250`, the start in milliseconds on the source's own
clock, so that moving one boundary renames one event. A track other than `all` is appended to the level: `L1.left`.
A camera of an episode is `source/000003@wrist`. Ids are built and split here alone.
"""

from __future__ import annotations

import hashlib
import re

LEVELS = ("L0", "L1", "L2", "L3")
TRACKS = ("all", "left", "right")
ARMS = ("single", "left", "right")
TOGETHER = 8  # episodes of a source that follow each other are laid down, and drawn into tars, so many at a time
SOURCE_NAME = re.compile(r"[A-Za-z0-9_\-]+")
# of an episode in its source: no dash, so that sample keys are one to one with events
KEY = re.compile(r"[A-Za-z0-9_]+")
EPISODE, CAMERA = "{}/{}", "{}@{}"  # source and key; episode and camera: for columns too (polars.format)
SOURCE_OF = r"^([^/]*)/"  # for columns: the source of an id that begins with an episode's
OF_ONE_ARM = r"/L[0-3]\.(left|right)/"  # for columns: in the id of an event of one arm alone
EPISODE_OF = r"^([^/@]*/[^/@]*)"  # for columns: the episode of a camera's or an event's id
_EVENT = re.compile(r"([^/]+)/([^/]+)/(L[0-3])(?:\.(left|right))?/(-?\d+)")


def episode_key(index: int) -> str:
    """Key of an episode that its source only numbers: `000003`."""
    return f"{index:06d}"


def episode_id(source: str, key: int | str) -> str:
    """`cr5_banana/000003`, of a number or of a key that the source chose. Raises ValueError for a source name with
    other than letters, digits, `_`, `-`, or a key with other than letters, digits, `_`."""
    text = episode_key(key) if isinstance(key, int) else key
    if not SOURCE_NAME.fullmatch(source):
        raise ValueError(f"source name {source!r}: use letters, digits, '_' and '-' only")
    if not KEY.fullmatch(text):
        raise ValueError(f"episode key {text!r}: use letters, digits and '_' only")
    return EPISODE.format(source, text)


def source_of(name: str) -> str:
    """cr5_banana of `cr5_banana/000003`, and of any id that begins with it."""
    return name.split("/", 1)[0]


def key_of(episode: str) -> str:
    """000003 of `cr5_banana/000003`."""
    return episode.split("/", 1)[1]


def number_of(episode: str) -> int | None:
    """3 of `cr5_banana/000003`; None for an episode whose source names it by other than digits."""
    key = key_of(episode)
    return int(key) if key.isascii() and key.isdigit() else None


def camera_id(episode: str, camera: str) -> str:
    """`cr5_banana/000003@wrist`."""
    return CAMERA.format(episode, camera)


def episode_of(name: str) -> str:
    """cr5_banana/000003 of a camera's id or of an event's, or of itself."""
    return "/".join(name.split("@", 1)[0].split("/", 2)[:2])


def event_id(episode: str, level: str, start_s: float, track: str = "all") -> str:
    """`cr5_banana/000003/L1/0004250`; start_s in seconds from the episode's first source timestamp."""
    return event_at(episode, level, round(start_s * 1000), track)


def event_at(episode: str, level: str, start_ms: int, track: str = "all") -> str:
    """The same, start_ms in whole milliseconds."""
    tier = level if track == "all" else f"{level}.{track}"
    return f"{episode}/{tier}/{start_ms:07d}"


def start_ms_of(event: str) -> int:
    """4250 of `cr5_banana/000003/L1/0004250`. Raises ValueError."""
    return int(_parts(event)[4])


def level_of(event: str) -> str:
    """L1 of `cr5_banana/000003/L1.left/0004250`."""
    return str(_parts(event)[2])


def _parts(event: str) -> tuple[str, ...]:
    """Source, key, level, track (None: all), start."""
    match = _EVENT.fullmatch(event)
    if match is None:
        raise ValueError(f"{event!r} is no event id")
    return match.groups()


def sample_key(event: str) -> str:
    """WebDataset key of an event: its id without slash or dot (webdataset cuts a name at its first dot). Neither an
    episode's key nor a level holds a dash, so that no two events share one."""
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
