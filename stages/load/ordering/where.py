"""`where`: which rows of a plan a condition in SQL holds for.

In: a plan, a condition over its columns, as SQLite reads it (which comes with Python):
`task LIKE '%cup%' AND n_frames > 20`. Out: bool[N].
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.plan import CODED, NUMBERS, Plan

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
COLUMNS = ("key", "event_id", *CODED, *(name for name, (_, shape) in NUMBERS.items() if not shape))


def rows_where(plan: Plan, where: str, more: Mapping[str, npt.NDArray[Any]] | None = None) -> npt.NDArray[np.bool_]:
    """more: further columns by name, object[N] or numbers. Raises ValueError with the columns there are."""
    given = dict(more or {})
    names = [*COLUMNS, *given]
    words = {word.lower() for word in WORD.findall(where)}
    used = [name for name in names if name.lower() in words]
    columns = [_column(plan, name) if name not in given else given[name].tolist() for name in used]
    store = sqlite3.connect(":memory:")
    try:
        store.execute(f"CREATE TABLE plan ({', '.join(['number INTEGER PRIMARY KEY', *used])})")
        marks = ", ".join("?" * (len(used) + 1))
        store.executemany(f"INSERT INTO plan VALUES ({marks})", zip(range(len(plan)), *columns, strict=True))
        found = [number for (number,) in store.execute(f"SELECT number FROM plan WHERE ({where})")]
        mask = np.zeros(len(plan), dtype=bool)
        mask[found] = True
    except (sqlite3.Error, sqlite3.Warning, IndexError) as error:
        raise ValueError(f"where={where!r}: {error}; columns are {', '.join(names)}") from error
    finally:
        store.close()
    return mask


def _column(plan: Plan, name: str) -> list[Any]:
    if name in ("key", "event_id"):
        return [plan.key(row) if name == "key" else plan.event_id(row) for row in range(len(plan))]
    if name in CODED:
        return list(plan.text(name))
    return list(plan.numbers[name].tolist())
