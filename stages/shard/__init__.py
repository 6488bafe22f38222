"""shard: a balanced choice of events, written as WebDataset tars."""

from stages.shard.config import ShardConfig

VERSION = 2

__all__ = ["VERSION", "ShardConfig"]
