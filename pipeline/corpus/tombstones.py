"""Tombstones on disk: which episodes were forgotten, as small files of the ledger that builds, `gc` and `compact` leave
alone.

`ledger/forgotten/<source>-<key>-<hash>.json` and its copy each carry a hash of themselves; one of the two is enough. A
tombstone of which neither is whole stops a build: without it what was forgotten would be read again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import datetime

from schemas.ids import sample_key
from stages import storage
from stages.fingerprint import fingerprint
from stages.forgotten import Tombstone

FOLDER = "ledger/forgotten"
COPIES = ("", "-copy")


class DamagedTombstone(ValueError):
    """A tombstone of which no copy is as it was written."""


class NotThere(ValueError):
    """An episode that is neither in the corpus nor forgotten."""


def read(root: str) -> list[Tombstone]:
    """All tombstones of a corpus, by episode. Raises DamagedTombstone."""
    _, lost = _look(root)
    if lost:
        raise DamagedTombstone(
            f"{storage.join(root, FOLDER, lost[0])}.json and its copy are not as they were written: take one from a "
            "backup; or remove both, and forget the episode that they name again before the next build reads it"
        )
    return whole(root)


def whole(root: str) -> list[Tombstone]:
    """Those of which a copy is as it was written."""
    return sorted(_look(root)[0].values(), key=lambda t: (t.episode_id, t.at))


def until_ms(root: str) -> dict[str, int]:
    """{episode: ms since 1970 until which what was decided about it is forgotten too}: another recording may have the
    name of one that is gone."""
    found = dict[str, int]()
    for stone in whole(root):
        until = int(datetime.fromisoformat(stone.at).timestamp() * 1000) + 999
        found[stone.episode_id] = max(until, found.get(stone.episode_id, 0))
    return found


def damaged(root: str) -> list[str]:
    """Files that are not as they were written, or not there beside their copy."""
    names = set(storage.listing(storage.join(root, FOLDER)))
    wanted = {f"{stem}{copy}.json" for stem in _stems(names) for copy in COPIES}
    return sorted(name for name in wanted if name not in names or _parsed(root, name) is None)


def write(root: str, stone: Tombstone) -> None:
    body = json.dumps(asdict(stone), sort_keys=True, separators=(",", ":"))
    text = f'{{"sha256":"{hashlib.sha256(body.encode()).hexdigest()}","forgotten":{body}}}\n'
    for copy in COPIES:
        storage.write_bytes(storage.join(root, FOLDER, f"{_stem(stone)}{copy}.json"), text.encode())


def remove(root: str, stone: Tombstone) -> None:
    for copy in COPIES:
        storage.remove(storage.join(root, FOLDER, f"{_stem(stone)}{copy}.json"))


def _stem(stone: Tombstone) -> str:
    """Another recording that was given the same name, and is forgotten too, has a tombstone of its own."""
    own = fingerprint(stone.episode_id, stone.identity, stone.content, stone.at)[:8]
    return f"{sample_key(stone.episode_id)}-{own}"


def _stems(names: set[str]) -> set[str]:
    return {name.removesuffix(".json").removesuffix("-copy") for name in names if name.endswith(".json")}


def _look(root: str) -> tuple[dict[str, Tombstone], list[str]]:
    """Tombstones by the stem of their files, and stems of which no copy is whole."""
    found, lost = dict[str, Tombstone](), []
    for stem in sorted(_stems(set(storage.listing(storage.join(root, FOLDER))))):
        for copy in COPIES:
            stone = _parsed(root, f"{stem}{copy}.json")
            if stone is not None:
                found[stem] = stone
                break
        else:
            lost.append(stem)
    return found, lost


def _parsed(root: str, name: str) -> Tombstone | None:
    try:
        value = json.loads(storage.read_bytes(storage.join(root, FOLDER, name)))
        body = json.dumps(value["forgotten"], sort_keys=True, separators=(",", ":"))
        if hashlib.sha256(body.encode()).hexdigest() != value["sha256"]:
            return None
        return Tombstone(**{**value["forgotten"], "releases": tuple(value["forgotten"]["releases"])})
    except storage.Unusable:
        raise
    except (OSError, ValueError, KeyError, TypeError):
        return None
