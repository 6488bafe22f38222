"""One configuration for a build: each stage's own frozen model, read from YAML and `--set`, unknown keys refused.

In: a YAML file and `key=value` overrides. Out: a `CorpusConfig`. Raises ConfigError with the path of the wrong key.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from pipeline.stages import STAGES, Stages
from stages import bounded, storage
from stages.caption import CAPTION
from stages.cluster import CLUSTER
from stages.embed import EMBED
from stages.segment import SEGMENT
from stages.shard import SHARD
from stages.sources.find import named
from stages.stage import Stage

C = TypeVar("C", bound=BaseModel)


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the key."""


class RunConfig(BaseModel):
    """How the work is spread. Nothing here changes what comes out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int | None = Field(None, ge=1, description="tasks at a time; null: the CPUs that Ray has")
    episodes_per_part: int = Field(32, ge=1, description="most episodes in one Parquet part")
    gpus: dict[str, Annotated[float, Field(ge=1e-4)]] = Field(
        {}, description="GPUs that each task of a stage asks Ray for, such as {embed: 0.5}"
    )


class QuarantineConfig(BaseModel):
    """When a build counts as failed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_share: float = Field(
        0.5, ge=0, le=1, description="share of a source's episodes in quarantine above which the build exits with 1"
    )


class CorpusConfig(BaseModel):
    """Everything that a build can be told: a section for each of its stages (`config_for`), `run` and `quarantine`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    stages: ClassVar[Stages] = ()

    run: RunConfig = RunConfig()
    quarantine: QuarantineConfig = QuarantineConfig()

    def of(self, stage: Stage[C, Any]) -> C:
        """The section of a stage."""
        found = getattr(self, stage.key)
        assert isinstance(found, stage.config)
        return found

    @model_validator(mode="after")
    def _parts_fit_together(self) -> CorpusConfig:
        can = sorted(s.name for s in self.stages if s.gpu)
        cannot = sorted(set(self.run.gpus) - set(can))
        if cannot:
            raise ValueError(f"run.gpus: {', '.join(cannot)} can use no GPU; stages that can: {', '.join(can)}")
        if SHARD in self.stages and EMBED in self.stages:
            level, embed = self.of(SHARD).level, self.of(EMBED)
            if level not in embed.levels:
                raise ValueError(f"shard.level is {level}, embed.levels are {list(embed.levels)} without it")
        for name in can:
            device = getattr(getattr(self, name, None), "device", "cpu")
            if device == "cuda" and not self.run.gpus.get(name):
                words = f"{name}.device is cuda: say how much of a GPU each task takes, such as run.gpus={{{name}: 1}}"
                raise ValueError(words)
        return self


@cache
def config_for(stages: Stages) -> type[CorpusConfig]:
    """The configuration of a build of these stages."""
    sections: dict[str, Any] = {s.key: (s.config, s.config()) for s in stages}
    model = create_model("CorpusConfig", __base__=CorpusConfig, **sections)
    model.stages = stages
    return model


def load(path: str | None, overrides: Iterable[str] = (), stages: Stages = STAGES) -> CorpusConfig:
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
        return _found(config_for(stages).model_validate(values), path)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        where = path or "--set"
        raise ConfigError(f"{where}:\n" + "\n".join(lines) + "\nAll keys: corpus config") from error


def _found(config: CorpusConfig, path: str | None) -> CorpusConfig:
    """The configuration with its files by their whole paths: a later command may be started elsewhere. Raises
    ConfigError for one that is not there. path: of the YAML file, beside which a model may lie."""
    for key, file in named_files(config.model_dump(mode="json")):
        if key != "segment.labels" and not storage.is_file(storage.normalise(file)):  # labels may be folders
            raise ConfigError(f"{key}={file}: there is no such file")
    centroids, labels = config.of(CLUSTER).centroids, config.of(SEGMENT).labels
    segment = config.of(SEGMENT).model_copy(update={"labels": tuple(_absolute(f) for f in labels)})
    cluster = config.of(CLUSTER).model_copy(update={"centroids": centroids and storage.normalise(centroids)})
    caption, embed = config.of(CAPTION), config.of(EMBED)
    caption = caption.model_copy(update={"model": _model(caption.model, path)})
    if embed.encoder:
        encoder = _model(embed.encoder, path)
        embed = embed.model_copy(update={"encoder": encoder})
        if encoder.startswith(("/", ".", "~")) and not os.path.isdir(encoder):
            raise ConfigError(f"embed.encoder={encoder}: there is no such directory")
    budget = config.of(SHARD).budget
    shard = config.of(SHARD).model_copy(update={"budget": budget and storage.normalise(budget)})
    parts = {"segment": segment, "cluster": cluster, "caption": caption, "embed": embed, "shard": shard}
    return config.model_copy(update=parts)


def named_files(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, file or folder) of all that a configuration, as a mapping, has from elsewhere, models' folders left out."""
    profile = config["ingest"]["profile"]
    for given in profile.values() if isinstance(profile, Mapping) else (profile,):
        if given and given.endswith((".yaml", ".yml")):
            yield "ingest.profile", given
    for stage, key in (("cluster", "centroids"), ("shard", "budget")):
        if config[stage].get(key):
            yield f"{stage}.{key}", config[stage][key]
    yield from (("segment.labels", named(file)[1]) for file in config["segment"]["labels"])


def _model(name: str, path: str | None) -> str:
    """A model's directory by its whole path, found from here or beside the YAML file; any other name as it is."""
    beside = os.path.join(os.path.dirname(path or ""), name)
    return next((os.path.abspath(place) for place in (name, beside) if name and os.path.isdir(place)), name)


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
    ordered = [*dict.fromkeys(s.key for s in config.stages), *CorpusConfig.model_fields]
    for stage, model in ((name, getattr(config, name)) for name in ordered):
        lines.append(f"{stage}:  # {' '.join((type(model).__doc__ or '').split())}")
        for name, field in type(model).model_fields.items():
            dumped = model.model_dump(mode="json")[name]
            value = yaml.safe_dump(dumped, default_flow_style=True).removesuffix("...\n").strip()
            lines.append(f"  {name}: {value}  # {field.description}")
    return "\n".join(lines) + "\n"
