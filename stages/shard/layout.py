"""What the numbers of a sample's arrays are, by a key that KEY.json and the statistics share.

In: the JSON that ingest wrote into `episodes.layout`. Out: its key, which is a hash of its content: episodes of several
sources share one if, and only if, names, units, arms and kinds of all columns agree.
"""

from __future__ import annotations

import json
from functools import lru_cache

from schemas.sample import Layout
from stages.fingerprint import fingerprint


@lru_cache(maxsize=1024)
def layout_key(text: str) -> str:
    """16 hex digits."""
    return fingerprint("layout", json.loads(text))


def layout_of(text: str) -> Layout:
    """The layout itself, as manifest.json holds it."""
    value: Layout = json.loads(text)
    return value
