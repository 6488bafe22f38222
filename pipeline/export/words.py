"""Texts by number, as LeRobot's `meta/tasks.parquet` and `meta/subtasks.parquet` hold them.

In: texts as they come. Out: their numbers, and the table: the text is the index that pandas knows, beside a column of
numbers, since the lerobot package looks a text up as the name of the n-th row.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa


class Words:
    """Numbers of texts. A text has one number, and a second one where it follows itself."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, list[int]] = {}

    def number(self, text: str, other_than: int | None = None) -> int:
        """The number of a text: the first that is not `other_than`, so that two neighbours of the same words remain
        two."""
        own = self._numbers.setdefault(text, [])
        for number in own:
            if number != other_than:
                return number
        own.append(len(self.texts))
        self.texts.append(text)
        return own[-1]

    def table(self, what: str) -> pa.Table:
        """Columns `<what>_index` and `<what>`, the second of which is pandas' index."""
        columns = {
            f"{what}_index": pa.array(range(len(self.texts)), pa.int64()),
            what: pa.array(self.texts, pa.string()),
        }
        return pa.table(columns).replace_schema_metadata({"pandas": json.dumps(_pandas(what))})


def _pandas(what: str) -> dict[str, Any]:
    """What pandas writes about a frame of one column of numbers and an index of texts."""
    number = {"name": f"{what}_index", "field_name": f"{what}_index", "pandas_type": "int64", "numpy_type": "int64"}
    text = {"name": what, "field_name": what, "pandas_type": "unicode", "numpy_type": "object"}
    top = {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object"}
    return {
        "index_columns": [what],
        "column_indexes": [{**top, "metadata": {"encoding": "UTF-8"}}],
        "columns": [{**number, "metadata": None}, {**text, "metadata": None}],
        "pandas_version": "2.0.0",
    }
