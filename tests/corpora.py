"""What a corpus holds, as digests that two builds can be compared by."""

import glob
import hashlib
import os
from pathlib import Path

from pipeline.corpus.view import Corpus


def contents(corpus: Path) -> dict[str, str]:
    """Digest of each table's rows, each shard's bytes, and all proxies."""
    opened = Corpus(str(corpus))
    found = {t: opened.table(t).write_json() for t in opened.tables if t != "quarantine"}
    found["quarantine"] = repr(opened.quarantine().to_dicts())  # it holds pictures, which JSON cannot
    release = f"{corpus}/shards/{opened.manifest['release']}"
    for path in sorted([*glob.glob(f"{release}/*"), *glob.glob(f"{release}/.nv-meta/*", include_hidden=True)]):
        if path.endswith(".tmp"):  # half a file that a kill left, which gc takes away
            continue
        found[os.path.relpath(path, release)] = Path(path).read_bytes()
    for path in sorted(glob.glob(f"{corpus}/media/**/*.mp4", recursive=True)):
        found[os.path.relpath(path, corpus)] = Path(path).read_bytes()
    return {k: hashlib.sha256(v.encode() if isinstance(v, str) else v).hexdigest() for k, v in found.items()}
