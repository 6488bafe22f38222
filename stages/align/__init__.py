"""align: video and log on one clock. Lag is estimated per episode, voted per source, then applied."""

from stages.align.config import AlignConfig

VERSION = 2

__all__ = ["VERSION", "AlignConfig"]
