"""What the numbers of an episode's streams are, for those who train on them: `schemas.sample.Layout`.

In: a dataset's features and the layout of its arms. Out: for each array of a sample the name, arm, kind and unit of
each column, its frame of reference, and for actions whether they are absolute. What nobody has said stays empty.
"""

from __future__ import annotations

import json

from schemas.ids import ARMS
from schemas.sample import Array, Value, array_of, is_canonical
from schemas.sample import Layout as SampleLayout
from stages.ingest.roles import COUNTERS
from stages.ingest.streams import HANDS, Layout
from stages.ingest.units import canonical_unit
from stages.sources.protocol import Dataset, Feature


def extra_columns(dataset: Dataset, layout: Layout) -> list[str]:
    """Numeric columns besides state, action, what the layout reads, and counters."""
    first: dict[str, str] = {}
    for column in _others(dataset, layout):
        first.setdefault(array_of(f"extra/{column}"), column)
    return list(first.values())


def alike(dataset: Dataset, layout: Layout) -> list[str]:
    """Those whose array would be named as that of a column before them: they are left out."""
    kept = set(extra_columns(dataset, layout))
    return [column for column in _others(dataset, layout) if column not in kept]


def _others(dataset: Dataset, layout: Layout) -> list[str]:
    known = {*layout.state, *layout.action, *COUNTERS, *(c for s in layout.streams for c in s.columns)}
    return [f.column for f in dataset.features if f.column not in known and f.width]


def described(dataset: Dataset, layout: Layout) -> str:
    """JSON of the layout of a dataset's samples, in order of its arrays' names."""
    features = {f.column: f for f in dataset.features}
    arrays: SampleLayout = {}
    for array, columns in layout.raw().items():
        values = [_value(features[c], i, layout) for c in columns for i in range(features[c].width)]
        mode = layout.action_mode if array == "action" else ""
        arrays[array] = Array(origin=", ".join(columns), values=values, frame="", forward="", mode=mode)
    grippers = {s.arm: s for s in layout.streams if s.kind == "gripper"}
    if grippers:
        own = [grippers[arm] for arm in ARMS if arm in grippers]
        values = [Value(name=arm, arm=arm, kind="gripper", unit="1") for arm in (s.arm for s in own)]
        arrays["gripper"] = Array(origin=", ".join(s.origin for s in own), values=values, frame="", forward="", mode="")
    for stream in (s for s in layout.streams if is_canonical(s.kind, canonical_unit(s.unit))):
        wide = 1 if stream.kind == "gripper_command" else len(stream.places)
        names = [_name(features[column], i) for column, i in stream.places[:wide]]
        unit = canonical_unit(stream.unit)
        values = [Value(name=n, arm=stream.arm, kind=stream.kind, unit=unit) for n in names]
        frame, forward = (layout.frame, layout.forward) if stream.kind in ("position", "orientation") else ("", "")
        arrays[f"{stream.kind}.{stream.arm}"] = Array(
            origin=stream.origin, values=values, frame=frame, forward=forward, mode=""
        )
    for column in extra_columns(dataset, layout):
        feature = features[column]
        values = [Value(name=_name(feature, i), arm="", kind="", unit=feature.unit) for i in range(feature.width)]
        arrays[array_of(f"extra/{column}")] = Array(origin=column, values=values, frame="", forward="", mode="")
    return json.dumps(arrays, sort_keys=True, ensure_ascii=False)


def _value(feature: Feature, index: int, layout: Layout) -> Value:
    """A raw value; what the layout reads it as, where it does. A gripper is raw here: its unit is the log's own."""
    name = _name(feature, index)
    for stream in layout.streams:
        if (feature.column, index) in stream.places:
            unit = feature.unit if stream.kind in HANDS else stream.unit
            return Value(name=name, arm=stream.arm, kind=stream.kind, unit=unit or "raw")
    return Value(name=name, arm="", kind="", unit=feature.unit)


def _name(feature: Feature, index: int) -> str:
    return feature.names[index] if feature.names else ""
