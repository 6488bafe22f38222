"""Settings of segment."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SegmentConfig(BaseModel):
    """What counts as a boundary. Times in s; speeds as a share of the arm's own fast motion (95th percentile)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    smooth_s: float = Field(0.1, ge=0, description="Gaussian over speed and opening, s")
    gripper_min_range: float = Field(
        0.1, gt=0, le=1, description="an opening that varies less over the episode never acts"
    )
    gripper_min_share: float = Field(
        0.25,
        gt=0,
        le=1,
        description="a closing or opening moves the fingers by this share of their range in the episode",
    )
    still: float = Field(0.08, gt=0, description="an arm slower than this comes to rest")
    moving: float = Field(0.16, gt=0, description="an arm faster than this moves again")
    min_pause_s: float = Field(0.3, gt=0, description="shortest rest that parts L0 spans, s")
    min_rest_l1_s: float = Field(0.6, gt=0, description="shortest rest that parts L1 spans, s")
    press_s: float = Field(
        1.0, ge=0, description="a rest that ends so shortly before a gripper flip is that grasp or release, s"
    )
    turn_l1: float = Field(
        0.85, gt=0, le=1, description="depth of a speed minimum between two strokes that parts L1 spans"
    )
    turn_l0: float = Field(0.35, gt=0, le=1, description="and that parts L0 spans")
    min_l1_s: float = Field(0.8, gt=0, description="shortest L1 span between motion boundaries, s")
    min_gripper_s: float = Field(0.2, gt=0, description="shortest L1 span next to a gripper boundary, s")
    min_l0_s: float = Field(0.25, gt=0, description="shortest L0 span between motion boundaries, s")
    vertical: float = Field(0.7, gt=0, le=1, description="share of the displacement that makes a stroke vertical")
