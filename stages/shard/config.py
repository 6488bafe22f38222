"""Settings of shard."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Weights = dict[str, Annotated[float, Field(gt=0, le=1000)]]


class ShardConfig(BaseModel):
    """Which events become samples, how they are balanced, and how they lie in tars."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Literal["L0", "L1", "L2", "L3"] = Field("L1", description="level of the events that become samples")
    alpha: float = Field(
        0.5, ge=0, le=1, description="cluster shares go with size ** alpha: 1 natural, 0 uniform, in both clusterings"
    )
    grouped: bool = Field(
        True,
        description="shares first among groups of like clusters, then within each, so that many variants of a scene do "
        "not outweigh another; false: among all clusters at once",
    )
    keep: float = Field(
        0.8, gt=0, le=100, description="train samples in all, as a share of the train events; the rest is reserve"
    )
    samples: int | None = Field(None, ge=1, description="train samples in all; null: by `keep`")
    max_repeats: int = Field(3, ge=1, le=1000, description="no event is drawn more than so many times")
    recovery_share: float = Field(
        0.1, ge=0, le=1, description="least share of the samples in which something is mended or tried again"
    )
    source_weights: Weights = Field(
        default_factory=dict, description="{source: how much its events are wanted beside others of their clusters}"
    )
    robot_weights: Weights = Field(default_factory=dict, description="the same by robot")
    budget: str | None = Field(
        None, description="a file that `corpus budget` wrote: samples by cluster, agreed with other corpora"
    )
    min_frames: int = Field(2, ge=1, description="shortest sample, frames: a hand lets go in three")
    max_frames: int | None = Field(None, ge=1, description="longest sample, frames; null: any")
    pictures: Literal["leave_out", "weigh_down", "keep"] = Field(
        "leave_out",
        description="events of which a camera shows nothing (black, blank, over-exposed, frozen) for most of the time: "
        "left out, a quarter of the weight, or as any other",
    )
    repeats: Literal["materialise", "index"] = Field(
        "materialise",
        description="an event that is drawn three times lies in three tars; or in one, and the loader repeats it by "
        "`weight` of index.parquet, or by weights of its own",
    )
    reserve: Literal["index", "tars"] = Field(
        "index", description="events that are not drawn: in index.parquet alone, without a tar, or in tars of their own"
    )
    history: int = Field(0, ge=0, description="frames before the event that a sample holds too, as far as there are")
    future: int = Field(0, ge=0, description="frames after the event that a sample holds too, as far as there are")
    target_bytes: int = Field(64_000_000, ge=100_000, description="no tar is much larger than this, bytes")
    min_shards: int = Field(
        64, ge=1, description="least train tars, so that ranks and workers are fed; as many as 20 samples each allow"
    )
    repack_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="tars of the last release are used again until so large a share of what they hold is no longer "
        "drawn as often; 0: all tars are written anew whenever the draw changes",
    )
    seed: int = Field(0, ge=0, description="seed of the draw and of the order")
