"""shard: a balanced choice of events, written as WebDataset tars."""

from stages.shard.config import ShardConfig

VERSION = 1

__all__ = ["VERSION", "ShardConfig"]
