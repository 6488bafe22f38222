"""The model of a configuration and of what the data is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stages.train.conditioner import Conditioner
from stages.train.config import ConfigError, read
from stages.train.model import WorldActionModel
from stages.train.model.config import ModelConfig

if TYPE_CHECKING:
    from stages.train.data import Facts


def build(sizes: Mapping[str, Any], facts: Facts) -> WorldActionModel:
    """sizes: keys of ModelConfig; those that hang on the data are the data's. Raises ConfigError."""
    own = {
        "state": facts.state_width,
        "action": facts.action_width,
        "text": facts.text_width,
        "stride": facts.stride,
    }
    for key, value in own.items():
        if sizes.get(key, value) != value:
            raise ConfigError(f"model.{key}: {sizes[key]}, but the data says {value}; leave it out")
    try:
        config = read(ModelConfig, {**sizes, **own}, "model")
        if facts.cameras and facts.side % config.patch:
            raise ConfigError(f"data.side: {facts.side} px are no multiple of patches of {config.patch} (model.patch)")
        return WorldActionModel(config, Conditioner(config.state, config.text, max(1, len(facts.captions))))
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"model: {error}") from error
