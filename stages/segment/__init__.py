"""segment: episodes are cut at event boundaries, by gripper and velocity, into nested spans."""

from stages.segment.config import SegmentConfig

VERSION = 3

__all__ = ["VERSION", "SegmentConfig"]
