"""Which files of a corpus name an episode, by its id or by keys of its samples: every byte is looked at, packed ones
unpacked.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from schemas.ids import sample_key


def naming(corpus: Path, episode: str) -> set[str]:
    """Paths inside the corpus, those of folders too."""
    forms = [episode.encode(), sample_key(episode).encode()]
    found = set()
    for path in corpus.rglob("*"):
        inside = str(path.relative_to(corpus))
        texts = [inside.encode()]
        if path.is_file() and not inside.startswith("shards/latest/"):
            texts += unpacked(path.name, path.read_bytes())
        if any(form in text for form in forms for text in texts):
            found.add(inside)
    return found


def unpacked(name: str, blob: bytes) -> Iterator[bytes]:
    """The bytes of a file and of all that is packed in it."""
    yield blob
    if name.endswith(".parquet"):
        table = pq.read_table(io.BytesIO(blob))
        yield repr((table.to_pylist(), table.schema.metadata)).encode()
    elif name.endswith(".npz"):
        with np.load(io.BytesIO(blob)) as arrays:
            for member in arrays.files:
                yield member.encode()
                yield arrays[member].tobytes()
                if arrays[member].dtype.kind in "US":  # NumPy has four bytes a letter
                    yield "\n".join(map(str, arrays[member].ravel().tolist())).encode()
    elif name.endswith(".tar"):
        with tarfile.open(fileobj=io.BytesIO(blob)) as tar:
            for entry in tar:
                file = tar.extractfile(entry)
                yield entry.name.encode()
                yield from unpacked(entry.name, file.read() if file else b"")
