"""Robot profiles: which columns of a log are gripper, pose and joints, and in which units.

In: profile YAML files and a `Dataset`. Out: a `Layout`, the profile resolved to places, units and gripper ranges for
that very dataset. Chosen by `ingest.profile`, else by robot type, else by feature names, else inferred
(stages.ingest.inference).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from stages import bounded, storage
from stages.ingest.inference.units import unit_of
from stages.ingest.probe import Probe
from stages.ingest.streams import MOTION, Arm, Frozen, Kind, Layout, Stream
from stages.sources.protocol import Dataset, Feature, SourceError

Unit = Literal[
    "rad",
    "deg",
    "m",
    "mm",
    "percent",
    "raw",
    "auto",
    "m/s",
    "rad/s",
    "quaternion xyzw",
    "rad xyz",
    "rotation vector",
    "1",
]
Places = tuple[tuple[str, int], ...]
KINDS: tuple[Kind, ...] = ("position", "orientation", "joints", "velocity", "gripper", "gripper_command")


class Selector(Frozen):
    """Values of one column: by name, by index, by a part of meta/modality.json (`take` of it), or the whole column; or
    `places` in several columns. unit: rad, deg, m, mm, percent (of a calibrated range), raw; auto: as their
    range shows."""

    column: str = ""
    places: tuple[tuple[str, int], ...] = Field((), description="or each value by itself: [[column, index], ...]")
    names: tuple[str, ...] | None = None
    indices: tuple[int, ...] | None = None
    modality: str | None = None
    take: int | None = Field(None, description="first so many values of the modality part")
    unit: Unit = "raw"
    open: float | tuple[float, ...] | None = Field(None, description="gripper: value when open, of all or of each")
    closed: float | tuple[float, ...] | None = Field(None, description="gripper: value when closed")
    observed: Literal["low_is_closed", "high_is_closed"] | None = Field(
        None, description="gripper: the range is the dataset's own smallest and largest value"
    )


class ArmSpec(Frozen):
    """Selectors of an arm; of several for one thing the first that fits the dataset is taken."""

    position: tuple[Selector, ...] = ()
    orientation: tuple[Selector, ...] = ()
    joints: tuple[Selector, ...] = ()
    velocity: tuple[Selector, ...] = ()
    gripper: tuple[Selector, ...] = ()
    gripper_command: tuple[Selector, ...] = ()


class Match(Frozen):
    """Robot types (shell patterns, case folded), and names that must all be in a column."""

    robot_types: tuple[str, ...] = ()
    names: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class Profile(Frozen):
    """frame: frame of reference of positions; forward: axis of that frame in which the robot faces; action_mode: what
    the source's actions are; empty: not known. state, action: columns that a sample's arrays of that name are made of,
    side by side; empty: told by their names."""

    name: str
    match: Match = Match()
    frame: str = ""
    forward: Literal["", "+x", "-x", "+y", "-y"] = ""
    action_mode: Literal["", "absolute", "delta"] = ""
    state: tuple[str, ...] = ()
    action: tuple[str, ...] = ()
    arms: dict[Arm, ArmSpec]


@cache
def load_profiles() -> list[Profile]:
    """The profiles that come with the project, by file name."""
    folder = files("stages.ingest") / "profiles"
    paths = sorted((p for p in folder.iterdir() if p.name.endswith(".yaml")), key=lambda p: p.name)
    return [_valid(yaml.safe_load(p.read_text()), p.name) for p in paths]


def given_for(source: str, wanted: str | Mapping[str, str] | None) -> str | None:
    """What `ingest.profile` says of a source."""
    return wanted.get(source) if isinstance(wanted, Mapping) else wanted


def choose(dataset: Dataset, wanted: str | Mapping[str, str] | None) -> Profile | None:
    """The profile for a dataset, None if it must be inferred. Raises SourceError for a wanted one that is not there."""
    profiles, wanted = load_profiles(), given_for(dataset.name, wanted)
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
    for profile in profiles:
        if is_for(profile, dataset) and _resolves(profile, dataset):
            return profile
    for profile in profiles:
        columns = {f.column: set(f.names) for f in dataset.features}
        if profile.match.names and all(set(n) <= columns.get(c, set()) for c, n in profile.match.names.items()):
            return profile
    return None


def is_for(profile: Profile, dataset: Dataset) -> bool:
    """Whether a profile names the dataset's robot type."""
    robot = dataset.robot.casefold()
    return any(fnmatch.fnmatchcase(robot, pattern.casefold()) for pattern in profile.match.robot_types)


def unresolved(profile: Profile, layout: Layout, dataset: Dataset) -> str | None:
    """What a profile asks of columns that the dataset has, and that they do not hold; None if there is nothing."""
    features = {f.column: f for f in dataset.features}
    for arm, spec in profile.arms.items():
        for kind in KINDS:
            own = getattr(spec, kind)
            if not own or any(s.kind == kind and s.arm == arm for s in layout.streams):
                continue
            for selector in own:
                feature = features.get(selector.column)
                if feature is not None:
                    wants = (
                        f"names {list(selector.names)}" if selector.names else f"indices {list(selector.indices or ())}"
                    )
                    has = list(feature.names) if selector.names else f"0 to {feature.width - 1}"
                    return f"{kind} of arm {arm} wants {wants} of {selector.column}, which has {has}"
    return None


def resolve(profile: Profile, dataset: Dataset, probe: Probe) -> Layout:
    """Places, units and ranges of a profile in this dataset; streams that the dataset lacks are left out."""
    features = {f.column: f for f in dataset.features}
    streams = []
    for arm, spec in profile.arms.items():
        for kind in KINDS:
            for selector in getattr(spec, kind):
                places = _places(selector, features, dataset)
                stream = _stream(kind, arm, selector, places, dataset, probe) if places else None
                if stream is not None:
                    streams.append(stream)
                    break
    state, action = (tuple(c for c in own if c in features) for own in (profile.state, profile.action))
    return Layout(
        profile=profile.name,
        streams=tuple(streams),
        frame=profile.frame,
        forward=profile.forward,
        action_mode=profile.action_mode,
        state=state,
        action=action,
    )


def _stream(kind: Kind, arm: Arm, selector: Selector, places: Places, dataset: Dataset, probe: Probe) -> Stream | None:
    if not kind.startswith("gripper"):
        guessed = selector.unit == "auto"
        unit = unit_of(kind, places, dataset, probe)[0] if guessed else selector.unit
        return Stream(kind=kind, arm=arm, places=places, unit=unit, guessed=guessed)
    if selector.open is not None and selector.closed is not None:
        opened, closed = _each(selector.open, len(places)), _each(selector.closed, len(places))
        if len(opened) != len(places) or len(closed) != len(places):
            raise SourceError(f"{selector.column}: {len(places)} values of a gripper, open and closed give others")
        if any(o == c for o, c in zip(opened, closed, strict=True)):
            raise SourceError(f"{selector.column}: a gripper's open and closed are both {opened[0]:g} in the profile")
        return Stream(kind=kind, arm=arm, places=places, unit="1", open=opened, closed=closed)
    ends = [probe.range_of(*place) for place in places] if selector.observed else [None]
    found = [e for e in ends if e is not None]
    if len(found) < len(places):
        return None
    low, high = tuple(e[0] for e in found), tuple(e[1] for e in found)
    opened, closed = (high, low) if selector.observed == "low_is_closed" else (low, high)
    return Stream(kind=kind, arm=arm, places=places, unit="1", open=opened, closed=closed, guessed=True)


def _each(value: float | tuple[float, ...], number: int) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,) * number


def _resolves(profile: Profile, dataset: Dataset) -> bool:
    """Whether it finds a motion signal."""
    features = {f.column: f for f in dataset.features}
    return any(
        _places(selector, features, dataset)
        for spec in profile.arms.values()
        for kind in MOTION
        for selector in getattr(spec, kind)
    )


def _places(selector: Selector, features: dict[str, Feature], dataset: Dataset) -> Places | None:
    if selector.places:
        fits = all(c in features and 0 <= i < features[c].width for c, i in selector.places)
        return selector.places if fits else None
    feature = features.get(selector.column)
    indices = _indices(selector, feature, dataset) if feature is not None else None
    return tuple((selector.column, i) for i in indices) if indices else None


def _indices(selector: Selector, feature: Feature, dataset: Dataset) -> tuple[int, ...] | None:
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


def _valid(value: object, name: str) -> Profile:
    try:
        return Profile.model_validate(value)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise SourceError(f"robot profile {name}: {said} (stages/ingest/profiles/ has examples)") from error
