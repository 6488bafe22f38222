"""Tables refuse rows that do not fit, and say why."""

from typing import get_args, get_origin, get_type_hints, is_typeddict

import numpy as np
import pyarrow as pa
import pytest

from pipeline.stages import STAGES, tables
from schemas.alignments import ALIGNMENTS, LAG_VOTES, LAGS, AlignmentRow, LagRow, LagVoteRow
from schemas.captions import CAPTIONS, CaptionRow
from schemas.clusters import CLUSTERS, EMBEDDINGS, FITTED, ClusterRow, EmbeddingRow, FittedRow
from schemas.episodes import EPISODES, EpisodeRow
from schemas.events import EVENTS, EventRow
from schemas.observations import OBSERVATIONS, ObservationRow
from schemas.quarantine import QUARANTINE, QuarantineRow
from schemas.samples import SAMPLES, TARS, SampleRow, TarRow
from schemas.signals import SIGNALS, SignalRow
from schemas.table import Column, SchemaError, Table, one_of, within

PETS = Table(
    "pets",
    ("name",),
    (Column("name", pa.string(), ""), Column("age", pa.int32(), "", nullable=True)),
    (within("age", 0, 30),),
)


def test_rows_are_sorted_by_key():
    assert PETS.build([{"name": "b", "age": 2}, {"name": "a", "age": None}])["name"].to_pylist() == ["a", "b"]


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([{"name": "a"}], "lacks columns \\['age'\\]"),
        ([{"name": "a", "age": 1, "x": 1}], "unknown columns \\['x'\\]"),
        ([{"name": None, "age": 1}], "name"),
        ([{"name": "a", "age": 1}, {"name": "a", "age": 2}], "1 rows repeat the key"),
        ([{"name": "a", "age": 31}], "age holds 31"),
        ([{"name": "a", "age": "old"}], "pets"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows, complaint):
    with pytest.raises(SchemaError, match=complaint):
        PETS.build(rows)


def test_one_of_names_the_stranger():
    law = one_of("name", ("a", "b"))
    assert law(pa.table({"name": ["a"]})) == []
    assert "'c'" in law(pa.table({"name": ["c"]}))[0]


def test_every_column_says_what_it_is():
    for table in tables(STAGES).values():
        assert all(column.doc for column in table.columns)
        table.validate(table.empty())


ROWS = {
    ALIGNMENTS.name: AlignmentRow,
    CAPTIONS.name: CaptionRow,
    CLUSTERS.name: ClusterRow,
    FITTED.name: FittedRow,
    EMBEDDINGS.name: EmbeddingRow,
    EPISODES.name: EpisodeRow,
    EVENTS.name: EventRow,
    LAGS.name: LagRow,
    LAG_VOTES.name: LagVoteRow,
    OBSERVATIONS.name: ObservationRow,
    QUARANTINE.name: QuarantineRow,
    SAMPLES.name: SampleRow,
    TARS.name: TarRow,
    SIGNALS.name: SignalRow,
}
PLAIN = {str: pa.types.is_string, bool: pa.types.is_boolean, int: pa.types.is_integer, float: pa.types.is_floating}


def agrees(hint, kind: pa.DataType, nullable: bool) -> bool:
    """Whether a Python type says the same as an Arrow type."""
    parts = [h for h in get_args(hint) if h is not type(None)] if type(None) in get_args(hint) else [hint]
    if (type(None) in get_args(hint)) != nullable:
        return False
    (hint,) = parts
    if hint in PLAIN:
        return PLAIN[hint](kind)
    if hint is bytes:
        return pa.types.is_binary(kind)
    if is_typeddict(hint):
        names = get_type_hints(hint)
        return list(names) == [f.name for f in kind] and all(agrees(names[f.name], f.type, f.nullable) for f in kind)
    if get_origin(hint) is list:
        return agrees(get_args(hint)[0], kind.value_type, False)
    return get_origin(hint) is np.ndarray and (
        pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)
    )


@pytest.mark.parametrize("name", tables(STAGES))
def test_a_typed_row_says_what_its_table_says(name):
    table, hints = tables(STAGES)[name], get_type_hints(ROWS[name])
    assert list(hints) == [c.name for c in table.columns]
    for column in table.columns:
        assert agrees(hints[column.name], column.type, column.nullable), column.name


def event(name: str, level: str, span: tuple[int, int], parent: str | None) -> dict:
    return {
        "event_id": name,
        "episode_id": "s/000000",
        "level": level,
        "track": "all",
        "origin": "machine",
        "parent_id": parent,
        "start_frame": span[0],
        "end_frame": span[1],
        "start_s": 0.0,
        "end_s": 1.0,
        "primitive": "move",
        "arms": [],
        "holds": [],
        "static": False,
        "confidence": 1.0,
        "recovery": None,
        "label": None,
        "said_by": None,
        "evidence": [],
    }


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([event("t", "L3", (0, 9), None), event("a", "L1", (1, 9), "t")], "starts at frame 1, expected 0"),
        (
            [event("t", "L3", (0, 9), None), event("a", "L1", (0, 5), "t"), event("b", "L1", (6, 9), "t")],
            "frame 6, expected 5",
        ),
        ([event("t", "L3", (0, 9), None), event("a", "L1", (0, 10), "t")], "does not lie in its parent"),
        ([event("t", "L3", (0, 9), None), event("a", "L1", (0, 9), None)], "has no parent"),
        ([event("t", "L3", (0, 0), None)], "is empty"),
    ],
)
def test_spans_that_break_a_law_are_refused(rows, complaint):
    with pytest.raises(SchemaError, match=complaint):
        EVENTS.build(rows)
