"""Every row of a release with its pictures, in memory: what policies on pictures are trained on.

In: a release of whole episodes, instructions, cameras. Out: `Examples` and the pictures of the same rows, each video
decoded once. Batches are drawn from all rows at random, which no reader of videos keeps up with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stages.load import EventDataset
from stages.train.examples import Examples, examples

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """examples: N rows; pictures: uint8[N, C, 3, side, side] of the same rows, RGB; cameras: C names."""

    examples: Examples
    pictures: Pixels
    cameras: tuple[str, ...]

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Seen:
        return Seen(self.examples.take(rows), self.pictures[rows], self.cameras)


def seen(
    urls: str | Sequence[str], instructions: Sequence[str], cameras: Sequence[str], side: int = 64, horizon: int = 16
) -> Seen:
    """Rows of all episodes of these instructions, by episode and frame. Raises ValueError where there are none, or a
    row has no picture."""
    quoted = ", ".join("'" + text.replace("'", "''") + "'" for text in instructions)
    where = f"task IN ({quoted})"
    own = examples(urls, horizon, caption="L1", where=where)
    found = np.zeros((len(own), len(cameras), 3, side, side), dtype=np.uint8)
    filled = np.zeros(len(own), dtype=np.bool_)
    first = {name: int(np.searchsorted(own.episode, number)) for number, name in enumerate(own.episodes)}
    for split in ("train", "val"):
        try:
            dataset = EventDataset(urls, cameras=list(cameras), size=(side, side), split=split, where=where, alpha=1.0)
        except ValueError as problem:
            if str(problem).startswith("no sample of split"):
                continue
            raise
        plan = dataset.release.plan
        for number in range(len(dataset)):
            item = dataset[number]
            at = first[plan.names["episode"][plan.numbers["episode"][number]]]
            rows = at + int(item["frame"]) - int(own.frame[at]) + item["video_frame"].numpy()
            for n, name in enumerate(cameras):
                found[rows, n] = item[f"video.{name}"].numpy()
            filled[rows] = True
    if not filled.all():
        raise ValueError(f"{urls}: {np.count_nonzero(~filled)} of {len(own)} rows have no picture")
    return Seen(own, found, tuple(cameras))
