"""What a table is: a name, columns with their meaning, a sort key, and the laws its rows obey.

In: column declarations. Out: a `Table` that builds Arrow tables from rows and validates them. Every table of the
corpus is declared with it, one module a table, so that one page answers "what is in this column, in which unit".
This package imports nothing else of the project.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import pyarrow as pa
import pyarrow.compute as pc

Law = Callable[[pa.Table], list[str]]


class SchemaError(ValueError):
    """Rows do not fit the table they were meant for; the message names the table, the column and what was found."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, Arrow type, and a sentence with unit and shape."""

    name: str
    type: pa.DataType
    doc: str
    nullable: bool = False


R = TypeVar("R")  # a row: a TypedDict that says the same as the columns (tests hold the two together)


@dataclass(frozen=True, slots=True)
class Table(Generic[R]):
    """A table of the corpus. `key` is the column rows are sorted by and unique in; `laws` return complaints."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    laws: tuple[Law, ...] = ()

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema; each field carries its documentation as metadata `doc`."""
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable, metadata={"doc": c.doc}) for c in self.columns])

    def build(self, rows: Iterable[R]) -> pa.Table:
        """Arrow table of `rows`, sorted by the key and validated. Raises SchemaError."""
        given = [cast("Mapping[str, Any]", row) for row in rows]
        names = {c.name for c in self.columns}
        for row in given:
            if row.keys() != names:
                missing, extra = sorted(names - row.keys()), sorted(row.keys() - names)
                raise SchemaError(f"{self.name}: a row lacks columns {missing} and has unknown columns {extra}")
        try:
            table = pa.Table.from_pylist(given, schema=self.schema)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise SchemaError(f"{self.name}: {error}") from error
        table = table.sort_by([(k, "ascending") for k in self.key])
        self.validate(table)
        return table

    def empty(self) -> pa.Table:
        return self.schema.empty_table()

    def validate(self, table: pa.Table) -> None:
        """Check column types, nulls, uniqueness of the key, and the table's own laws. Raises SchemaError."""
        if not table.schema.equals(self.schema):
            raise SchemaError(f"{self.name}: columns are\n{table.schema}\nexpected\n{self.schema}")
        for column in self.columns:
            if not column.nullable and table[column.name].null_count:
                raise SchemaError(f"{self.name}: column {column.name} has {table[column.name].null_count} nulls")
        if table.num_rows:
            keys = table.select(list(self.key)).group_by(list(self.key)).aggregate([])
            if keys.num_rows != table.num_rows:
                raise SchemaError(f"{self.name}: {table.num_rows - keys.num_rows} rows repeat the key {self.key}")
        complaints = [complaint for law in self.laws for complaint in law(table)]
        if complaints:
            raise SchemaError(f"{self.name}: " + "; ".join(complaints[:5]))


def one_of(column: str, allowed: Iterable[str]) -> Law:
    """Law: every non-null value of a string column is one of `allowed`."""
    options = pa.array(sorted(allowed))

    def law(table: pa.Table) -> list[str]:
        values = table[column]
        bad = table.filter(pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, options))))
        return [f"column {column} holds {bad[column][0].as_py()!r}, not one of {options.to_pylist()}"] if bad else []

    return law


def within(column: str, low: float, high: float) -> Law:
    """Law: every non-null value of a numeric column lies in [low, high]."""

    def law(table: pa.Table) -> list[str]:
        values = table[column]
        ok = pc.fill_null(pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high)), True)
        bad = table.filter(pc.invert(ok))
        return [f"column {column} holds {bad[column][0].as_py()}, outside [{low}, {high}]"] if bad else []

    return law
