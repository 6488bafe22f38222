"""What `corpus tune-segment` learned from people's boundaries: a linear model of evidence, or a granularity.

In: a YAML file, or the same as a mapping (`segment.model`). Out: a frozen `SegmentModel`, part of the configuration, so
that another model is another fingerprint.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

COMMON = "all"  # key of the shift of all kinds of evidence together
Level = Literal["L2", "L1", "L0"]


class Tried(BaseModel):
    """A way to cut, cross-validated by episode: boundary F1 with its 95 % interval, predicted over true number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    f1: float
    interval: tuple[float, float]
    ratio: float
    better: tuple[float, float] = Field((0.0, 0.0), description="95 % interval of what it gains on the untuned one")


class SegmentModel(BaseModel):
    """`kind` is what won: the weights, the granularity alone (`scale`), or nothing, and then nothing changes.

    Boundaries of `level` are chosen by the probability that people mark a candidate, 1 / (1 + exp(-(bias + sum of
    weight x feature))), features as stages/segment/boundaries/learned.py has them. Coarser levels keep only boundaries
    of this level, finer levels all of them, beside their own. The boundaries of all levels then lie `shift_s` later
    than signals show them; what is done in a span is told from where it shows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["weights", "scale", "nothing"]
    level: Level = "L1"
    scale: float = Field(1.0, ge=0.1, le=10)
    asked: float = Field(0.5, ge=0, le=1, description="probability from which a candidate is worth a boundary")
    least_s: float = Field(0.1, gt=0)
    usual_s: float = Field(0.4, gt=0)
    bias: float = 0.0
    weights: dict[str, float] = Field(default_factory=dict)
    shift_s: dict[str, float] = Field(default_factory=dict, description="by kind of evidence; of those not named: all")
    says: tuple[str, ...] = Field((), description="what was learned, in words")
    tried: dict[str, Tried] = Field(default_factory=dict, description="untuned, scale, weights")
    episodes: tuple[str, ...] = Field((), description="that it was learned from")
