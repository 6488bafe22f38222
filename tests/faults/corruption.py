"""Damage planted in a corpus: one random wound at a time, to any file that a corpus rests on."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

KINDS = ("tables", "media", "models", "shards", "ledger", "record")


def files(corpus: Path) -> dict[str, list[Path]]:
    """{kind: its files}; the report and the lock are no part of the data."""
    found = {kind: sorted(p for p in (corpus / kind).rglob("*") if p.is_file()) for kind in KINDS[:-1]}
    found["shards"] = [p for p in found["shards"] if "latest" not in p.parts]
    return {**found, "record": [corpus / "plan.parquet", corpus / "manifest.json"]}


def flip_bit(path: Path, chance: random.Random) -> None:
    blob = bytearray(path.read_bytes())
    blob[chance.randrange(len(blob))] ^= 1 << chance.randrange(8)
    path.write_bytes(blob)


def truncate(path: Path, chance: random.Random) -> None:
    blob = path.read_bytes()
    path.write_bytes(blob[: chance.randrange(len(blob))])


def zero_block(path: Path, chance: random.Random) -> None:
    """What a lost disk block leaves. A flipped bit where the block was zero already."""
    blob = bytearray(path.read_bytes())
    start = chance.randrange(len(blob)) // 512 * 512
    if not any(blob[start : start + 512]):
        flip_bit(path, chance)
        return
    blob[start : start + 512] = bytes(len(blob[start : start + 512]))
    path.write_bytes(blob)


def lengthen(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes() + chance.randbytes(1 + chance.randrange(64)))


def delete(path: Path, chance: random.Random) -> None:
    path.unlink()


def overwrite(path: Path, chance: random.Random) -> None:
    """Another file of the same kind in its place."""
    others = [p for p in path.parent.iterdir() if p.is_file() and p.read_bytes() != path.read_bytes()]
    if others:
        path.write_bytes(chance.choice(sorted(others)).read_bytes())
    else:
        flip_bit(path, chance)


WOUNDS: tuple[Callable[[Path, random.Random], None], ...] = (
    flip_bit,
    flip_bit,
    truncate,
    zero_block,
    lengthen,
    delete,
    overwrite,
)


def plant(corpus: Path, seed: int) -> tuple[Path, str]:
    """One wound, the kinds of file in turn; (the file, what was done to it)."""
    chance = random.Random(seed)
    path = chance.choice(files(corpus)[KINDS[seed % len(KINDS)]])
    wound = chance.choice(WOUNDS)
    wound(path, chance)
    return path, wound.__name__
