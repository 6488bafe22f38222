"""Which model a name stands for: by content where it is a directory, so that other weights are another model."""

from __future__ import annotations

import hashlib
import os

WEIGHTS = (".safetensors", ".bin", ".json", ".jinja", ".txt", ".model")


def model_hash(name: str) -> str:
    """A directory by what its files hold; a hub name as it is (`name@revision` pins it)."""
    if not os.path.isdir(name):
        return name
    digest = hashlib.sha256()
    for file in sorted(f for f in os.listdir(name) if f.endswith(WEIGHTS)):
        with open(os.path.join(name, file), "rb") as opened:
            digest.update(file.encode() + hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:16]


def model_name(name: str) -> str:
    """The same on every machine: a directory's own name and its hash, or a hub name as it is."""
    return f"{os.path.basename(os.path.normpath(name))}/{model_hash(name)}" if os.path.isdir(name) else name
