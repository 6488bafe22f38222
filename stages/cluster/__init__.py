"""cluster: events get two labels, one for what is seen and said, one for how the arms move."""

from stages.cluster.config import ClusterConfig

VERSION = 4

__all__ = ["VERSION", "ClusterConfig"]
