"""Settings of segment."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from stages import bounded, storage
from stages.segment.model import SegmentModel


class SegmentConfig(BaseModel):
    """What counts as a boundary. Times in s; speeds as a share of the arm's own fast motion; strengths 0 to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: tuple[str, ...] = Field(
        (), description="files of people's spans, which win: CSV or JSON; source=FILE where it names no source"
    )
    smooth_s: float = Field(0.1, ge=0, description="Gaussian over paths, s; a fifth wider in a noisy log")
    gripper_min_range: float = Field(
        0.08, gt=0, le=1, description="an opening that varies less over the episode never acts"
    )
    gripper_min_share: float = Field(
        0.15,
        gt=0,
        le=1,
        description="a closing or opening moves the fingers by this share of their range in the episode",
    )
    still: float = Field(0.07, gt=0, le=1, description="an arm slower than this rests")
    moving: float = Field(0.15, gt=0, le=1, description="an arm that rested moves again when faster than this")
    min_rest_s: float = Field(0.2, gt=0, description="shortest rest that is evidence of a boundary, s")
    min_idle_s: float = Field(0.4, gt=0, description="shortest rest that is a span of its own, s")
    turn_window_s: float = Field(0.35, gt=0, description="a turn compares the way before and after, each so long, s")
    handover_s: float = Field(0.8, ge=0, description="one hand opens and the other closes within this: a handover, s")
    attempt_s: float = Field(2.0, gt=0, description="fingers that reopen so soon, nothing carried, have missed, s")
    model: SegmentModel | None = Field(
        None, description="what corpus tune-segment has learned: its YAML file, which becomes part of the configuration"
    )
    scale: float = Field(
        1.0, ge=0.1, le=10, description="granularity of all levels together: 2 cuts coarser, 0.5 finer"
    )
    strength_l2: float = Field(0.85, ge=0, le=1, description="evidence that parts L2 spans where no hand acts")
    strength_l1: float = Field(0.4, ge=0, le=1, description="evidence that parts L1 spans")
    strength_l0: float = Field(0.35, ge=0, le=1, description="evidence that parts L0 spans")
    min_l2_s: float = Field(0.8, gt=0, description="shortest L2 span, s")
    min_l1_s: float = Field(0.1, gt=0, description="shortest L1 span, s")
    min_l0_s: float = Field(0.1, gt=0, description="shortest L0 span, s")
    usual_l2_s: float = Field(2.5, gt=0, description="L2 spans shorter than this need stronger evidence, s")
    usual_l1_s: float = Field(0.4, gt=0, description="L1 spans shorter than this need stronger evidence, s")
    pace: float = Field(0.75, ge=0, description="or than this share of the mean time between candidates")
    brief_s: float = Field(1.5, gt=0, description="L0 parts an L1 span only beside a span shorter than this, s")
    usual_l0_s: float = Field(0.4, gt=0, description="L0 spans shorter than this need stronger evidence, s")
    vertical: float = Field(0.7, gt=0, le=1, description="share of the displacement that makes a stroke vertical")

    @field_validator("model", mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        """A file by its name. Its content counts, wherever it lies."""
        if not isinstance(value, str):
            return value
        try:
            return bounded.yaml_file(storage.normalise(value))
        except (OSError, bounded.Unreadable) as error:
            raise ValueError(f"{value} cannot be read: {error}") from error

    @property
    def learned(self) -> SegmentModel | None:
        """The model, if weights were learned."""
        return self.model if self.model is not None and self.model.kind == "weights" else None

    @property
    def untaught(self) -> SegmentConfig:
        """The same without weights; a granularity that was learned stays."""
        return self if self.learned is None else self.model_copy(update={"model": None})

    @property
    def granularity(self) -> float:
        """`scale`, times what was learned of it."""
        return self.scale * (self.model.scale if self.model is not None and self.model.kind == "scale" else 1.0)

    def asks(self, level: str) -> tuple[float, float, float]:
        """(strength from which evidence is worth a boundary, shortest span, usual span, s) of a level, scaled."""
        name = level.lower()
        strength, least, usual = (
            getattr(self, key) for key in (f"strength_{name}", f"min_{name}_s", f"usual_{name}_s")
        )
        return self.scaled(strength, least, usual)

    def scaled(self, strength: float, least: float, usual: float) -> tuple[float, float, float]:
        """What is asked at `granularity` instead of 1."""
        scale = self.granularity
        return strength ** (1.0 / scale), least * scale, usual * scale
