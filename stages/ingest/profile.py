"""Robot profiles: which columns of a log are gripper, pose and joints, and in which units.

In: profile YAML files and a `Dataset`. Out: a `Layout`, the profile resolved to column indices and gripper ranges for
that very dataset. Chosen by `ingest.profile`, else by robot type, else by feature names, else inferred
(stages.ingest.infer).
"""

from __future__ import annotations

import fnmatch
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages import bounded, storage
from stages.sources.protocol import Dataset, Feature, SourceError

Kind = Literal["position", "orientation", "joints", "velocity", "gripper", "gripper_command"]
Arm = Literal["single", "left", "right"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Selector(_Frozen):
    """Values of one column: by name, by index, by a part of meta/modality.json (`take` of it), or the whole column."""

    column: str
    names: tuple[str, ...] | None = None
    indices: tuple[int, ...] | None = None
    modality: str | None = None
    take: int | None = Field(None, description="first so many values of the modality part")
    unit: str = "raw"
    open: float | None = Field(None, description="gripper: value when open")
    closed: float | None = Field(None, description="gripper: value when closed")
    observed: Literal["low_is_closed", "high_is_closed"] | None = Field(
        None, description="gripper: the range is the dataset's own smallest and largest value"
    )


class ArmSpec(_Frozen):
    """Selectors of an arm; of several for one thing the first that fits the dataset is taken."""

    position: tuple[Selector, ...] = ()
    orientation: tuple[Selector, ...] = ()
    joints: tuple[Selector, ...] = ()
    velocity: tuple[Selector, ...] = ()
    gripper: tuple[Selector, ...] = ()
    gripper_command: tuple[Selector, ...] = ()


class Match(_Frozen):
    """Robot types (shell patterns, case folded), and names that must all be in a column."""

    robot_types: tuple[str, ...] = ()
    names: dict[str, tuple[str, ...]] = {}


class Profile(_Frozen):
    """frame: frame of reference of positions; action_mode: what the source's actions are; empty: not known."""

    name: str
    match: Match = Match()
    frame: str = ""
    action_mode: Literal["", "absolute", "delta"] = ""
    arms: dict[Arm, ArmSpec]


class Stream(_Frozen):
    """A stream of one arm, resolved: indices into a column; for a gripper the values that mean open and closed."""

    kind: Kind
    arm: Arm
    column: str
    indices: tuple[int, ...]
    unit: str
    open: tuple[float, ...] = ()
    closed: tuple[float, ...] = ()


class Layout(_Frozen):
    """A profile resolved for a dataset; `inferred` where no profile of ours fitted."""

    profile: str
    inferred: bool = False
    range_inferred: bool = False
    frame: str = ""
    action_mode: str = ""
    streams: tuple[Stream, ...]

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(a for a in ("single", "left", "right") if any(s.arm == a for s in self.streams))


@cache
def load_profiles() -> list[Profile]:
    """The profiles that come with the project, by file name."""
    folder = files("stages.ingest") / "profiles"
    paths = sorted((p for p in folder.iterdir() if p.name.endswith(".yaml")), key=lambda p: p.name)
    return [_valid(yaml.safe_load(p.read_text()), p.name) for p in paths]


def choose(dataset: Dataset, wanted: str | None) -> Profile | None:
    """The profile for a dataset, None if it must be inferred. Raises SourceError for a wanted one that is not there."""
    profiles = load_profiles()
    if wanted is not None:
        if wanted.endswith((".yaml", ".yml")):
            try:
                return _valid(bounded.yaml_file(storage.normalise(wanted)), wanted)
            except (OSError, bounded.Unreadable) as error:
                raise SourceError(f"ingest.profile={wanted}: {error}") from error
        by_name = {p.name: p for p in profiles}
        if wanted not in by_name:
            raise SourceError(f"ingest.profile={wanted!r}: known are {sorted(by_name)}, or give a YAML file")
        return by_name[wanted]
    robot = dataset.robot.casefold()
    for profile in profiles:
        fits = any(fnmatch.fnmatchcase(robot, pattern) for pattern in profile.match.robot_types)
        if fits and _resolves(profile, dataset):
            return profile
    for profile in profiles:
        columns = {f.column: set(f.names) for f in dataset.features}
        if profile.match.names and all(set(n) <= columns.get(c, set()) for c, n in profile.match.names.items()):
            return profile
    return None


def resolve(profile: Profile, dataset: Dataset) -> Layout:
    """Indices and ranges of a profile in this dataset; streams that the dataset lacks are left out."""
    features = {f.column: f for f in dataset.features}
    streams, range_inferred = [], False
    for arm, spec in profile.arms.items():
        for kind in ("position", "orientation", "joints", "velocity", "gripper", "gripper_command"):
            for selector in getattr(spec, kind):
                indices = _indices(selector, features, dataset)
                if indices is None:
                    continue
                stream = Stream(kind=kind, arm=arm, column=selector.column, indices=indices, unit=selector.unit)
                if kind.startswith("gripper"):
                    ends = _range(selector, indices, dataset)
                    if ends is None:
                        continue
                    range_inferred |= selector.observed is not None
                    stream = stream.model_copy(update={"open": ends[0], "closed": ends[1], "unit": "1"})
                streams.append(stream)
                break
    return Layout(
        profile=profile.name,
        streams=tuple(streams),
        range_inferred=range_inferred,
        frame=profile.frame,
        action_mode=profile.action_mode,
    )


def _resolves(profile: Profile, dataset: Dataset) -> bool:
    return any(s.kind in ("position", "joints", "velocity") for s in resolve(profile, dataset).streams)


def _indices(selector: Selector, features: dict[str, Feature], dataset: Dataset) -> tuple[int, ...] | None:
    feature = features.get(selector.column)
    if feature is None:
        return None
    if selector.names is not None:
        if not set(selector.names) <= set(feature.names):
            return None
        return tuple(feature.names.index(n) for n in selector.names)
    if selector.modality is not None:
        part = dataset.modality.get(selector.column, {}).get(selector.modality)
        if part is None or not 0 <= part[0] < part[1] <= feature.width:
            return None
        return tuple(range(*part))[: selector.take]
    indices = selector.indices if selector.indices is not None else tuple(range(feature.width))
    return indices if indices and min(indices) >= 0 and max(indices) < feature.width else None


def _range(
    selector: Selector, indices: tuple[int, ...], dataset: Dataset
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    if selector.open is not None and selector.closed is not None:
        return (selector.open,) * len(indices), (selector.closed,) * len(indices)
    if selector.observed is None or selector.column not in dataset.ranges:
        return None
    sides = dataset.ranges[selector.column]
    if min(map(len, sides)) <= max(indices):  # statistics of another width than the feature
        return None
    low, high = (tuple(side[i] for i in indices) for side in sides)
    if any(a >= b for a, b in zip(low, high, strict=True)):
        return None
    return (high, low) if selector.observed == "low_is_closed" else (low, high)


def _valid(value: object, name: str) -> Profile:
    try:
        return Profile.model_validate(value)
    except ValidationError as error:
        raise SourceError(f"robot profile {name}: {error}") from error
