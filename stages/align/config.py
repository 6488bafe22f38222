"""Settings of align."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AlignConfig(BaseModel):
    """How video and log are laid on one clock, and when the lag between them is trusted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_s: float = Field(0.5, gt=0, description="largest lag looked for, s, either way")
    smooth_s: float = Field(0.1, ge=0, description="width of the Gaussian over both motion signals, s")
    min_score: float = Field(0.15, description="correlation below which an episode's estimate has no vote")
    min_agreement: float = Field(
        0.75,
        ge=0,
        le=1,
        description="share of a source's votes within one frame of the lag, below which it is not applied",
    )
    min_votes: int = Field(3, ge=1, description="episodes of a source that must have voted for its lag to be applied")
    dead_zone_frames: int = Field(
        1,
        ge=0,
        description="a lag of at most so many frames is within what a frame difference can tell, and is not applied",
    )
    max_length_difference: int = Field(3, ge=0, description="rows and frames may differ by so many")
    max_skew_frames: float = Field(1.0, gt=0, description="largest distance of a camera's frame to the clock, frames")
