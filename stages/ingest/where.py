"""A rule that keeps or leaves out episodes: an SQL expression over what is known of one, read by Polars.

In: `success AND operator != 'trainee'`, and the values of one episode. Out: whether it holds. Names: what the source
says of an episode (episodes.marks), source, robot, task, n_rows, seconds. What nobody says is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def parsed(rule: str) -> Any:
    """The rule as a Polars expression. Raises ValueError."""
    import polars as pl

    try:
        return pl.sql_expr(rule)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ValueError(f"{rule!r} is no SQL expression: {' '.join(str(error).split())[:200]}") from error


def holds(rule: str, values: Mapping[str, str | float | bool]) -> bool:
    """False where it is null too. Raises ValueError where the values are not of a kind that it can compare."""
    import polars as pl

    expression = parsed(rule)
    row = {name: [values.get(name)] for name in {*values, *expression.meta.root_names()}}
    try:
        result = pl.DataFrame(row).select(kept=expression)["kept"]
    except (pl.exceptions.PolarsError, OverflowError, TypeError) as error:
        raise ValueError(f"{rule!r} cannot be applied to {dict(values)}: {error}") from error
    if result.dtype.is_integer():  # marks of 1 and 0
        result = result != 0
    if result.dtype not in (pl.Boolean, pl.Null):
        raise ValueError(f"{rule!r} gives {result.dtype}, true or false is expected")
    return bool(result[0])
