"""A shard: samples into one tar, byte for byte the same for the same samples.

In: (key, {extension: bytes}) pairs. Out: a tar on disk. webdataset's own TarWriter writes it, with a
fixed modification time; it is then readable by webdataset and by `tar`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import webdataset


def write_tar(path: str, samples: Iterable[tuple[str, Mapping[str, bytes]]]) -> int:
    """Number of samples."""
    count = 0
    with open(path, "wb") as file, webdataset.TarWriter(file, encoder=False, mtime=0.0) as writer:
        for key, files in samples:
            writer.write({"__key__": key, **files})
            count += 1
    return count
