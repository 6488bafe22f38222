"""What a training run is: data, model, optimiser, stages, run, each key with its sentence.

In: a mapping (YAML, JSON, or made by hand). Out: frozen dataclasses. A key that is none is an error that names the
nearest one; so is a value of another type.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class ConfigError(ValueError):
    """A configuration that cannot be meant."""


def about(text: str, default: Any) -> Any:
    """A field with its sentence."""
    return field(default=default, metadata={"about": text})


@dataclass(frozen=True, slots=True)
class DataConfig:
    """What a batch holds."""

    mode: str = about("event (whole events) or unified (windows over event borders)", "event")
    caption: str = about("event, or the level whose caption is given (L0 to L3)", "event")
    text: str = about("caption or task; empty: the caption in event mode, the task in unified mode", "")
    cameras: tuple[str, ...] | None = about("views, in order; null: all; empty: none, state alone", None)
    side: int = about("height and width to which pictures are scaled (px)", 64)
    stride: int = about("rows from a picture to the next, K_p of the recipe", 4)
    cap: int = about("event mode: rows after which an event is cut", 129)
    horizon: int = about("unified mode: rows of a window", 16)
    history: int = about("unified mode: rows before the anchor whose states are given side by side with its own", 0)
    state: tuple[str, ...] = about("arrays of the shards that are the state, side by side", ("state",))
    action: tuple[str, ...] = about("arrays of the shards that are the action, side by side", ("action",))
    normalise: str = about("none, mean_std, min_max or quantile, by the release's statistics", "mean_std")
    where: str | None = about("SQL over the plan's columns: samples of which it is true", None)
    alpha: float | None = about("balance clusters anew by n ** alpha; null: as the release was drawn", None)
    batch: int = about("rows of a batch over all ranks", 16)
    bucket: bool = about("event mode: batches of events of like length", True)
    pack: int = about("event mode: rows of so many frames that hold several events; 0: an event a row", 0)
    workers: int = about("processes that read and decode beside the training", 1)
    seed: int = about("of the order of samples", 0)
    cache: str | None = about("folder for tars that are fetched", None)


@dataclass(frozen=True, slots=True)
class OptimiserConfig:
    """How weights move."""

    lr: float = about("learning rate after the warm-up, of Muon and of AdamW alike", 1e-3)
    muon: bool = about("Muon for hidden 2-D weights; false: AdamW for all", True)
    momentum: float = about("of Muon (Nesterov, 5 Newton-Schulz steps)", 0.95)
    betas: tuple[float, float] = about("of AdamW", (0.9, 0.95))
    weight_decay: float = about("of 2-D weights, decoupled", 0.01)
    clip: float = about("norm to which the gradient of all weights together is cut; 0: never", 1.0)
    warmup: int = about("steps in which the rate rises from 0", 100)
    floor: float = about("share of the rate that is left at the end of the cosine", 0.05)
    ema: float = about("decay of the averaged weights, which validation and rollouts use; 0: none are kept", 0.9999)


@dataclass(frozen=True, slots=True)
class StageConfig:
    """One stage of the recipe: which part of the model learns, and for how long."""

    stage: str = about("video, action, text or joint", "video")
    steps: int = about("optimiser steps", 1000)
    lr: float | None = about("learning rate of this stage; null: the optimiser's", None)


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Where and how it runs."""

    seed: int = about("of weights and noise", 0)
    device: str = about("cpu, cuda, or auto: cuda where there is one", "auto")
    bf16: bool = about("bfloat16 by autocast on CUDA; the CPU computes in float32", True)
    compile: bool = about("losses through torch.compile", False)
    threads: int = about("of torch on the CPU; 0: as torch has it", 0)
    log_every: int = about("steps from one line of metrics.jsonl to the next", 20)
    validate_every: int = about("steps from one validation to the next; 0: at the end of each stage alone", 0)
    validate_batches: int = about("batches of the val split that are held for it", 4)
    sample_steps: int = about(
        "Euler steps of predictions at validation: 1 gives the mean of what may come, of least error, more a sample", 1
    )
    checkpoint_every: int = about("steps from one checkpoint to the next; the last of each stage is kept anyway", 500)
    tensorboard: bool = about("write TensorBoard's events too, where it is installed", True)


@dataclass(frozen=True, slots=True)
class Config:
    """A training run."""

    data: DataConfig = field(default_factory=DataConfig, metadata={"about": "what a batch holds"})
    model: Mapping[str, Any] = field(
        default_factory=dict, metadata={"about": "sizes of the two towers: stages/train/model/config.py"}
    )
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig, metadata={"about": "how weights move"})
    stages: tuple[StageConfig, ...] = field(
        default=(StageConfig("video", 1000), StageConfig("action", 1000)),
        metadata={"about": "one after the other, each on the averaged weights of the one before"},
    )
    run: RunConfig = field(default_factory=RunConfig, metadata={"about": "where and how it runs"})

    def __post_init__(self) -> None:
        for key, value, choices in (
            ("data.mode", self.data.mode, ("event", "unified")),
            ("data.text", self.data.text, ("", "caption", "task")),
            *((f"stages[{n}].stage", own.stage, STAGES) for n, own in enumerate(self.stages)),
        ):
            if value not in choices:
                raise ConfigError(f"{key}: {value!r} is none of {', '.join(c or repr(c) for c in choices)}")
        for part, least in LEAST.items():
            for name, low in least.items():
                value = getattr(getattr(self, part), name)
                if value < low:
                    raise ConfigError(f"{part}.{name}: {value} is less than {low}")
        if self.data.pack and self.data.mode != "event":
            raise ConfigError("data.pack: whole events are packed: data.mode must be event")
        if not self.stages:
            raise ConfigError("stages: a run has one stage or more")


STAGES = ("video", "action", "text", "joint")
LEAST = {
    "data": {"side": 1, "stride": 1, "cap": 2, "horizon": 1, "history": 0, "batch": 1, "pack": 0, "workers": 0},
    "run": {"threads": 0, "log_every": 1, "validate_every": 0, "validate_batches": 0, "sample_steps": 1,
            "checkpoint_every": 1},
}  # fmt: skip


def load(path: str | Path | None, overrides: Sequence[str] = ()) -> Config:
    """A configuration of a YAML or JSON file (None: the defaults), then `part.key=value` overrides. Raises
    ConfigError."""
    values: Any = {}
    if path is not None:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
        values = (_json if str(path).endswith(".json") else _yaml)(text, str(path)) or {}
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise ConfigError(f"--set {override!r}: expected part.key=value")
        place = values
        *parts, last = key.strip().split(".")
        for own in parts:
            place = place.setdefault(own, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise ConfigError(f"--set {override!r}: {'.'.join(parts)} holds a value, not keys")
        place[last] = _yaml(text, f"--set {override!r}: the value")
    return read(Config, values, "")


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{what} is no JSON: {error}") from error


def _yaml(text: str, what: str) -> Any:
    try:
        import yaml
    except ModuleNotFoundError:
        raise ConfigError(f"{what}: YAML needs pyyaml (extra `train`); a file may be .json instead") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{what} is no YAML: {error}") from error


def read(kind: type[T], values: Any, where: str = "") -> T:
    """A dataclass of a mapping: keys it does not name have their defaults. where: of the mapping, for messages. Raises
    ConfigError."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where or 'the configuration'}: a mapping of keys, not {_shown(values)}")
    hints, known = get_type_hints(kind), [f.name for f in fields(kind)]  # type: ignore[arg-type]  # T is a dataclass
    for key in values:
        if key not in known:
            near = get_close_matches(str(key), known, 1, 0.0)
            raise ConfigError(f"{_joined(where, key)}: there is no such key; the nearest is {_joined(where, near[0])}")
    return kind(**{key: _value(hints[key], value, _joined(where, key)) for key, value in values.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    """A value of the kind that a field has."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _value(next(a for a in args if a is not type(None)), value, where)
    if is_dataclass(hint):
        return read(hint, value, where)  # type: ignore[arg-type]  # a class, not one of its objects
    if origin is Literal and value in args:
        return value
    if origin is Literal:
        raise ConfigError(f"{where}: {_shown(value)} is none of {', '.join(map(str, args))}")
    if origin is tuple:
        return _tuple(args, value, where)
    if origin is not None and issubclass(origin, Mapping):
        if isinstance(value, Mapping):
            return dict(value)
        raise ConfigError(f"{where}: a mapping of keys, not {_shown(value)}")
    return _single(hint, value, where)


def _tuple(kinds: Sequence[Any], value: Any, where: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigError(f"{where}: a list, not {_shown(value)}")
    kinds = [kinds[0]] * len(value) if kinds[-1] is Ellipsis else list(kinds)
    if len(kinds) != len(value):
        raise ConfigError(f"{where}: a list of {len(kinds)}, not of {len(value)}")
    return tuple(_value(k, v, f"{where}[{n}]") for n, (k, v) in enumerate(zip(kinds, value, strict=True)))


def _single(hint: Any, value: Any, where: str) -> Any:
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint is float and isinstance(value, str):  # YAML 1.1 takes 1e-3 for a text
        try:
            return float(value)
        except ValueError:
            pass
    if type(value) is hint:
        return value
    raise ConfigError(f"{where}: {NAMES.get(hint, hint)}, not {_shown(value)}")


NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _joined(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def _shown(value: object) -> str:
    return f"{value!r:.60}"


def plain(config: Any) -> dict[str, Any]:
    """As JSON has it: `read` of it is the same configuration again."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(config), default=dict))
    return found


def described(kind: type[Any] = Config, indent: str = "") -> str:
    """All keys with their defaults and sentences, as YAML."""
    lines = []
    hints = get_type_hints(kind)
    for own in fields(kind):
        default: Any = own.default_factory() if own.default_factory is not MISSING else own.default
        sentence = own.metadata.get("about", "")
        if is_dataclass(hints[own.name]):
            lines += [f"{indent}{own.name}:  # {sentence}", described(hints[own.name], indent + "  ")]
            continue
        shown = [plain(v) for v in default] if default and own.name == "stages" else default
        shown = dict(shown) if isinstance(shown, Mapping) else list(shown) if isinstance(shown, tuple) else shown
        lines.append(f"{indent}{own.name}: {json.dumps(shown)}  # {sentence}")
    return "\n".join(lines)
