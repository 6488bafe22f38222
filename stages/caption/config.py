"""Settings of caption."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class CaptionConfig(BaseModel):
    """Which captioner writes the sentences."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    captioner: Literal["signals"] = Field("signals", description="signals: from kinematics and task text, no weights")
