"""One configuration for a build: each stage's own frozen model, read from YAML and `--set`, unknown keys refused.

In: a YAML file and `key=value` overrides. Out: a `CorpusConfig`. Raises ConfigError with the path of the wrong key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stages import bounded, storage
from stages.align import AlignConfig
from stages.caption import CaptionConfig
from stages.cluster import ClusterConfig
from stages.embed import EmbedConfig
from stages.ingest import IngestConfig
from stages.ingest.sources import named
from stages.observe import ObserveConfig
from stages.segment import SegmentConfig
from stages.shard import ShardConfig


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the key."""


GpuStage = Literal["observe", "embed"]


class RunConfig(BaseModel):
    """How the work is spread. Nothing here changes what comes out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int | None = Field(None, ge=1, description="tasks at a time; null: the CPUs that Ray has")
    episodes_per_part: int = Field(32, ge=1, description="most episodes in one Parquet part")
    gpus: dict[GpuStage, float] = Field(
        {}, description="GPUs that each task of a stage asks Ray for, such as {embed: 0.5}"
    )


class QuarantineConfig(BaseModel):
    """When a build counts as failed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_share: float = Field(
        0.5, ge=0, le=1, description="share of a source's episodes in quarantine above which the build exits with 1"
    )


class CorpusConfig(BaseModel):
    """Everything that a build can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ingest: IngestConfig = IngestConfig()
    observe: ObserveConfig = ObserveConfig()
    align: AlignConfig = AlignConfig()
    segment: SegmentConfig = SegmentConfig()
    caption: CaptionConfig = CaptionConfig()
    embed: EmbedConfig = EmbedConfig()
    cluster: ClusterConfig = ClusterConfig()
    shard: ShardConfig = ShardConfig()
    run: RunConfig = RunConfig()
    quarantine: QuarantineConfig = QuarantineConfig()

    @model_validator(mode="after")
    def _parts_fit_together(self) -> CorpusConfig:
        if self.shard.level not in self.embed.levels:
            raise ValueError(
                f"shard.level is {self.shard.level}, embed.levels are {list(self.embed.levels)} without it"
            )
        if self.embed.device == "cuda" and not self.run.gpus.get("embed"):
            raise ValueError("embed.device is cuda: say how much of a GPU each task takes, such as run.gpus={embed: 1}")
        return self


def load(path: str | None, overrides: Iterable[str] = ()) -> CorpusConfig:
    """Configuration from an optional YAML file, then `stage.key=value` overrides. Raises ConfigError."""
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = bounded.yaml_file(storage.normalise(path)) or {}
        except FileNotFoundError as error:
            raise ConfigError(f"no configuration file {path}") from error
        except (OSError, bounded.Unreadable) as error:
            raise ConfigError(str(error)) from error
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: expected a mapping of stages, found {type(values).__name__}")
    for override in overrides:
        _set(values, override)
    try:
        config = CorpusConfig.model_validate(values)
        for key, file in (("ingest.profile", config.ingest.profile), ("cluster.centroids", config.cluster.centroids)):
            is_file = file is not None and (key != "ingest.profile" or file.endswith((".yaml", ".yml")))
            if is_file and not storage.exists(storage.normalise(str(file))):
                raise ConfigError(f"{key}={file}: there is no such file")
        absolute = config.segment.model_copy(update={"labels": tuple(_absolute(f) for f in config.segment.labels)})
        given = config.cluster.centroids  # a later command may be started elsewhere
        cluster = config.cluster.model_copy(update={"centroids": given and storage.normalise(given)})
        return config.model_copy(update={"segment": absolute, "cluster": cluster})
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        where = path or "--set"
        raise ConfigError(f"{where}:\n" + "\n".join(lines) + "\nAll keys: corpus config") from error


def _absolute(file: str) -> str:
    """A label file, `source=` kept, by its whole path: a repair may be started elsewhere."""
    source, uri = named(file)
    return f"{source}={uri}" if source else uri


def _set(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator:
        raise ConfigError(f"--set {override!r}: expected stage.key=value")
    *path, last = key.strip().split(".")
    place = values
    for part in path:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise ConfigError(f"--set {override!r}: {part} holds a value, not keys")
    try:
        place[last] = bounded.parse(text.encode(), f"--set {override!r}: the value", yaml.safe_load, "YAML")
    except bounded.Unreadable as error:
        raise ConfigError(str(error)) from error


def to_yaml(config: CorpusConfig) -> str:
    """The resolved configuration with a comment per key: its description."""
    lines = []
    for stage, model in config:
        lines.append(f"{stage}:  # {' '.join((type(model).__doc__ or '').split())}")
        for name, field in type(model).model_fields.items():
            dumped = model.model_dump(mode="json")[name]
            value = yaml.safe_dump(dumped, default_flow_style=True).removesuffix("...\n").strip()
            lines.append(f"  {name}: {value}  # {field.description}")
    return "\n".join(lines) + "\n"
