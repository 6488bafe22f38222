"""observe: each source video is decoded once in the life of a corpus; `observations` is all that later stages need of
it."""

from stages.observe.config import ObserveConfig

VERSION = 2

__all__ = ["VERSION", "ObserveConfig"]
