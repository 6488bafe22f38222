"""Settings of embed."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class EmbedConfig(BaseModel):
    """What is embedded, and with which encoders."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    levels: tuple[Literal["L0", "L1", "L2", "L3"], ...] = Field(
        ("L0", "L1", "L2", "L3"),
        description="levels whose events are embedded and clustered; shard.level must be one of them",
    )
    frames_per_event: int = Field(3, ge=1, description="pictures per event and camera, evenly inside the event")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where the encoders run; cuda needs run.gpus.embed too")
    encoder: str | None = Field(
        None,
        description="directory or hub name (NAME@REVISION pins it) of a model of transformers with both towers in one "
        "space, such as CLIP or SigLIP; null: image_encoder and text_encoder",
    )
    image_encoder: Literal["efficientnet-lite0", "efficientnet-lite0-float"] = Field(
        "efficientnet-lite0",
        description="1280-d pooled features: in 8-bit integers on a cpu, in floats on cuda; or in floats on both, at a "
        "quarter of the speed on a cpu (docs/picture-encoders.md)",
    )
    text_encoder: Literal["use-multilingual-v3", "all-minilm-l6-v2"] = Field(
        "use-multilingual-v3",
        description="512-d sentence vectors of 16 languages; or 384-d ones of English alone (docs/text-encoders.md)",
    )
    steps: int = Field(16, ge=2, description="instants that a trajectory is resampled to")
    seconds_scale: float = Field(3.0, gt=0, description="duration whose logarithm counts as 0, s")
