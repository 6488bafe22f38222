"""Settings of observe."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ObserveConfig(BaseModel):
    """Size and quality of the proxy clips. A change means decoding every source video again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decoder: Literal["pyav", "decord"] = Field(
        "pyav",
        description="pyav; or decord for what it decodes correctly (H.264, AV1): quicker where cores stand idle, "
        "1.6 times the work where none does",
    )
    short_side: int = Field(256, ge=32, description="short side of the proxy, px; never scaled up")
    crf: int = Field(
        25,
        ge=0,
        le=51,
        description="x264 constant rate factor; 25 without macroblock tree is as large and as good as 23 with it",
    )
    gop_s: float = Field(0.5, gt=0, description="time between keyframes of the proxy, s")
    thumbnails: int = Field(16, ge=1, description="frames in the thumbnail strip")
    thumbnail_height: int = Field(96, ge=16, description="height of the strip, px")
    fps_tolerance: float = Field(
        0.1, gt=0, description="largest share by which the measured frame rate may be off the declared one"
    )

    def gop(self, fps: float) -> int:
        """Frames between keyframes."""
        return max(2, round(self.gop_s * fps))
