"""caption: one plain English sentence an event."""

from stages.caption.config import CaptionConfig

VERSION = 2

__all__ = ["VERSION", "CaptionConfig"]
