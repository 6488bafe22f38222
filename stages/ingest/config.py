"""Settings of ingest."""

from __future__ import annotations

import fnmatch
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from stages.ingest.where import parsed


class IngestConfig(BaseModel):
    """How logs are read and which of them are set aside at the door."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    UNHASHED: ClassVar[frozenset[str]] = frozenset(
        {"licences", "attributions"}
    )  # they go into samples, not into tables

    profile: str | dict[str, str] | None = Field(
        None,
        description="robot profile by name or YAML file, for all sources or {source: profile}; null: chosen by robot "
        "type or names",
    )
    where: str | None = Field(
        None,
        description="SQL over what is known of an episode (success, operator, ..., source, robot, task, n_rows, "
        "seconds): those of which it is not true are left out; null: none",
    )
    certainty: float = Field(
        0.9, gt=0.5, lt=1, description="how sure it must be which end of a gripper is closed where no profile says so"
    )
    video: Literal["require", "ignore"] = Field(
        "require", description="require: a declared camera without its file quarantines the episode; ignore: no video"
    )
    ignore_cameras: tuple[str, ...] = Field(
        (), description="cameras that are not used, by name (shell patterns), such as one that is dead"
    )
    links: Literal["inside", "follow"] = Field(
        "inside", description="inside: links that lead out of a dataset are refused (the Hub's cache is known); follow"
    )
    licences: str | dict[str, str] | None = Field(
        None,
        description="licence by SPDX identifier or in words, of all sources or {source: licence}, where a source does "
        "not say or says otherwise; null: as README.md (license:) or meta/info.json say, else unknown",
    )
    attributions: str | dict[str, str] | None = Field(
        None, description="whom to name, for all sources or {source: text}; null: as the source says"
    )
    min_rows: int = Field(8, ge=2, description="shortest episode, rows")
    max_gap_s: float = Field(2.0, gt=0, description="longest hole in the timestamps, s")
    max_speed_m_s: float = Field(5.0, gt=0, description="end-effector speed above which the state has jumped, m/s")
    max_joint_speed_rad_s: float = Field(25.0, gt=0, description="joint speed above which the state has jumped, rad/s")
    gripper_tolerance: float = Field(
        0.5, ge=0, description="how far the mean opening may leave the profile's range, as a share of that range"
    )
    gripper_stuck: float = Field(
        0.01, ge=0, description="a measured opening that moves no more than this while commanded to is stuck, of 1"
    )
    labels: Literal["L3", "L2", "L1", "L0"] | None = Field(
        "L2", description="level of spans that a source brings along (action_config, subtask_index); null: not used"
    )

    @field_validator("where")
    @classmethod
    def _sql(cls, rule: str | None) -> str | None:
        if rule is not None:
            parsed(rule)
        return rule

    val_share: float = Field(0.1, ge=0, lt=1, description="share of recordings in the val split, by hash")
    split_seed: int = Field(0, ge=0, description="seed of that hash")


def uses(config: IngestConfig, camera: str) -> bool:
    """Whether a camera is used."""
    return config.video == "require" and not any(fnmatch.fnmatchcase(camera, p) for p in config.ignore_cameras)
