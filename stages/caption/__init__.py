"""caption: one plain English sentence an event."""

from stages.caption.config import CaptionConfig

VERSION = 3

__all__ = ["VERSION", "CaptionConfig"]
