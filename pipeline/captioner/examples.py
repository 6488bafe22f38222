"""Questions with the answers that they should get, on disk as Parquet files of some hundred each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stages.caption.vlm.requests import Picture, Request

TOGETHER = 400  # examples of a file
PICTURE = pa.struct([("view", pa.string()), ("time_s", pa.float64()), ("jpeg", pa.binary())])
SCHEMA = pa.schema(
    [
        ("instructions", pa.string()),
        ("pictures", pa.list_(PICTURE)),
        ("facts", pa.string()),
        ("fields", pa.list_(pa.string())),
        ("most_tokens", pa.int64()),
        ("answer", pa.string()),  # JSON
    ]
)


@dataclass(frozen=True, slots=True)
class Example:
    """A question, and the fields of its answer."""

    request: Request
    answer: Mapping[str, str]

    @property
    def text(self) -> str:
        """The answer as a model should write it."""
        return json.dumps({f: self.answer.get(f, "") for f in self.request.fields}, ensure_ascii=False)


def save(folder: Path, examples: Iterable[Example]) -> int:
    """Write examples; how many they were."""
    folder.mkdir(parents=True, exist_ok=True)
    number, left = 0, iter(examples)
    while some := list(islice(left, TOGETHER)):
        rows = [
            {
                "instructions": e.request.instructions,
                "pictures": [{"view": p.view, "time_s": p.time_s, "jpeg": p.jpeg} for p in e.request.pictures],
                "facts": e.request.facts,
                "fields": list(e.request.fields),
                "most_tokens": e.request.most_tokens,
                "answer": json.dumps(dict(e.answer)),
            }
            for e in some
        ]
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / f"{number:07d}.parquet")
        number += len(some)
    return number


def load(folder: Path) -> Iterator[Example]:
    """Examples in the order in which they were written."""
    for path in sorted(folder.glob("*.parquet")):
        for row in pq.read_table(path).to_pylist():
            pictures = tuple(Picture(**p) for p in row["pictures"])
            request = Request(row["instructions"], pictures, row["facts"], tuple(row["fields"]), row["most_tokens"])
            yield Example(request, json.loads(row["answer"]))
