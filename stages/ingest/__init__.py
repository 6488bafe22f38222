"""ingest: logs become `episodes` (what there is) and `signals` (every stream at its own rate)."""

from stages.ingest.config import IngestConfig

VERSION = 4

__all__ = ["VERSION", "IngestConfig"]
