"""A corpus as datasets of other projects: `corpus export`."""

from pipeline.export.choice import NotExportable
from pipeline.export.lerobot import Written, write

__all__ = ["NotExportable", "Written", "write"]
