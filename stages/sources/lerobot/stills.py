"""Pictures inside a data file: a camera of dtype image keeps PNG or JPEG in the rows that they belong to.

In: a local Parquet file, the column, the rate of rows. Out: `Stills`. A file may hold several episodes in any order, so
a picture's time is that of its row in its episode, after `start_of` the episode.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.reasons import Quarantined, Reason
from stages import bounded
from stages.video.pictures import Stills

APART_S = 1e5  # seconds from the start of one episode to the start of the next, in the times of a file's pictures


def start_of(index: int) -> float:
    """When an episode's first picture is, s."""
    return index * APART_S


def stills(path: str, column: str, fps: float, uri: str) -> Stills:
    """Raises Quarantined(VIDEO_UNREADABLE)."""
    try:
        names = bounded.column_names(path)
        if column not in names:
            raise ValueError(f"no column {column!r}, found {names[:20]}")
        known = "episode_index" in names
        of = bounded.table(path, ["episode_index"])["episode_index"].to_numpy() if known else None
        source = pq.ParquetFile(path, memory_map=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Quarantined(Reason.VIDEO_UNREADABLE, f"{uri}: {' '.join(str(error).split())[:300]}") from error
    episode = np.zeros(source.metadata.num_rows, dtype=np.int64) if of is None else of.astype(np.int64)
    order = np.argsort(episode, kind="stable")
    ordered = episode[order]
    first = np.searchsorted(ordered, ordered)
    times = ordered * APART_S + (np.arange(len(order)) - first) / fps
    reader = _Rows(source, column)
    read: list[Callable[[], bytes]] = [partial(reader.picture, int(row)) for row in order]
    return Stills(times, read, uri)


class _Rows:
    """Encoded pictures by row; one row group is held at a time."""

    def __init__(self, source: pq.ParquetFile, column: str) -> None:
        self.source, self.column = source, column
        sizes = [source.metadata.row_group(i).num_rows for i in range(source.metadata.num_row_groups)]
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self._held: tuple[int, pa.ChunkedArray | None] = (-1, None)

    def picture(self, row: int) -> bytes:
        """Raises ValueError where there is none."""
        group = int(np.searchsorted(self.starts, row, side="right")) - 1
        if self._held[0] != group:
            self._held = (group, self.source.read_row_group(group, columns=[self.column])[self.column])
        values = self._held[1]
        assert values is not None
        value = values[row - int(self.starts[group])].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            raise ValueError("the row holds no picture")
        return data
