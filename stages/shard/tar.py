"""A shard: samples into one tar, byte for byte the same for the same samples.

In: (key, {extension: bytes}) pairs. Out: a tar on disk with its sha256. webdataset's own TarWriter writes it, with a
fixed modification time; it is then readable by webdataset and by `tar`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import webdataset


def write_tar(path: str, samples: Iterable[tuple[str, Mapping[str, bytes]]]) -> tuple[str, int]:
    """(sha256, number of samples)."""
    count = 0
    with open(path, "wb") as file, webdataset.TarWriter(file, encoder=False, mtime=0.0) as writer:
        for key, files in samples:
            writer.write({"__key__": key, **files})
            count += 1
    digest = hashlib.sha256()
    with open(path, "rb") as written:
        while block := written.read(1 << 20):
            digest.update(block)
    return digest.hexdigest(), count
