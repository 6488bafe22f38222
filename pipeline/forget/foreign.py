"""Files in a corpus that no build wrote, and that name an episode: exports, pages, notes. They are people's own, and
are told, never touched.

In: a corpus and names. Out: paths. A file is read as it is; what is packed in Parquet and npz is looked at too.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corpus import lock
from pipeline.corpus.garbage import OURS, RELEASE, TEMPORARY
from schemas.ids import sample_key
from stages import storage

KNOWN = re.compile(
    rf"ledger/.*|answers/[^/]+\.jsonl|shards/latest(/.*)?|plan\.parquet|manifest\.json|verdicts\.json|report\.html"
    rf"|ray\.log|{re.escape(lock.NAME)}.*"
)
MOST = 1 << 28  # bytes of a file that is looked into; a larger one is told where its name tells


def mentioning(root: str, names: Collection[str]) -> list[str]:
    """Paths inside the corpus."""
    own = [form.encode() for name in sorted(names) for form in (name, sample_key(name))]
    found = []
    for path, about in sorted(storage.listing(root).items()):
        if KNOWN.fullmatch(path) or OURS.fullmatch(path) or RELEASE.fullmatch(path) or TEMPORARY.fullmatch(path):
            continue
        if any(form in path.encode() for form in own) or (about.size <= MOST and _holds(root, path, own)):
            found.append(path)
    return found


def _holds(root: str, path: str, own: Collection[bytes]) -> bool:
    try:
        blob = storage.read_bytes(storage.join(root, path))
        unpacked = _unpacked(path, blob)
    except (OSError, ValueError, pa.ArrowException):  # not what its name says
        return False
    return any(form in text for form in own for text in (blob, unpacked))


def _unpacked(path: str, blob: bytes) -> bytes:
    """What is in a Parquet file, and the texts of an npz file (a plan of `corpus plan`)."""
    if path.endswith(".parquet"):
        return repr(pq.read_table(io.BytesIO(blob)).to_pylist()).encode()
    if path.endswith(".npz"):
        with np.load(io.BytesIO(blob)) as arrays:
            return b"\n".join(_text(arrays[name]) for name in arrays.files)
    return b""


def _text(array: np.ndarray) -> bytes:
    """UTF-8 as bytes (plan.npz), or NumPy's own texts, of four bytes a letter."""
    if array.dtype.kind in "US":
        return "\n".join(array.ravel().astype(str).tolist()).encode()
    return array.tobytes() if array.dtype == np.uint8 else b""
