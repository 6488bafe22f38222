"""Settings of shard."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ShardConfig(BaseModel):
    """Which events become samples, how they are balanced, and how large a tar is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Literal["L0", "L1", "L2", "L3"] = Field("L1", description="level of the events that become samples")
    target_bytes: int = Field(64_000_000, ge=100_000, description="about the size of a tar, bytes")
    alpha: float = Field(
        0.5, ge=0, le=1, description="cluster shares go with size ** alpha: 1 natural, 0 uniform, in both clusterings"
    )
    keep: float = Field(
        0.8, gt=0, le=1, description="share of the train events that are written; the rest stays in reserve"
    )
    max_weight: float = Field(
        10.0, ge=1, description="no event is wanted more than so many times as often as the mean one"
    )
    min_frames: int = Field(2, ge=1, description="shortest sample, frames: a hand lets go in three")
    max_frames: int | None = Field(None, ge=1, description="longest sample, frames; null: any")
    pictures: Literal["leave_out", "weigh_down", "keep"] = Field(
        "leave_out",
        description="events of which a camera shows nothing (black, blank, over-exposed, frozen) for most of the time: "
        "left out, a quarter of the weight, or kept; never upweighted",
    )
    seed: int = Field(0, ge=0, description="seed of the draw and of the order")
