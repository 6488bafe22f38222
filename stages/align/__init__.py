"""align: video and log on one clock. Lag is estimated per episode, voted per source, then applied."""

from stages.align.config import AlignConfig

VERSION = 1

__all__ = ["VERSION", "AlignConfig"]
