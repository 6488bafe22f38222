"""embed: two vectors an event: what is seen and said (VL), and how the arms move (action)."""

from stages.embed.config import EmbedConfig

VERSION = 2

__all__ = ["VERSION", "EmbedConfig"]
