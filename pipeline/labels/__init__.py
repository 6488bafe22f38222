"""Spans of people and other programs, in files: `read` for `segment.labels`, `write` for `corpus labels`."""

from pipeline.labels.read import LabelError, read
from pipeline.labels.write import FORMATS, write

__all__ = ["FORMATS", "LabelError", "read", "write"]
