"""Global batches of an epoch: which items come together, before ranks and workers share them out.

In: items in the epoch's order, the length of each, its group (layout), the global batch. Out: a `Schedule`: batches of
rows, each row one item, or several that are packed. Pure functions of the order, so that a world of any size sees the
same batches.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stages.load.ordering.order import shuffled

Ints = npt.NDArray[np.int64]
WINDOW = 64  # batches that are sorted by length, or packed, together


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """items int64[M] in order; row_ends: end of each row among items; batch_ends: end of each batch among rows."""

    items: Ints
    row_ends: Ints
    batch_ends: Ints

    def __len__(self) -> int:
        return len(self.batch_ends)

    def batch(self, number: int) -> list[Ints]:
        """The rows of a global batch, each the items in it."""
        first, end = (int(self.batch_ends[number - 1]) if number else 0), int(self.batch_ends[number])
        starts = [int(self.row_ends[row - 1]) if row else 0 for row in range(first, end)]
        return [self.items[s : self.row_ends[row]] for s, row in zip(starts, range(first, end), strict=True)]


@dataclass(frozen=True, slots=True)
class Wish:
    """global_batch: rows of a batch over all ranks; bucket: batches of like length; pack: rows of so many frames, each
    filled with several items (0: a row is an item); drop_last: leave out the last, short batch of each group."""

    global_batch: int
    bucket: bool = False
    pack: int = 0
    drop_last: bool = False


def schedule(
    order: Ints, lengths: Ints, groups: npt.NDArray[np.int32] | None, wish: Wish, seed: tuple[str, int, int]
) -> Schedule:
    """lengths, groups: by item; groups: batches hold items of one group (None: any). seed: (digest, seed, epoch)."""
    parts = []
    codes = np.zeros(len(order), dtype=np.int32) if groups is None else groups[order]
    for group in np.unique(codes):
        places = np.flatnonzero(codes == group)
        parts.append(_of_group(places, order[places], lengths, wish, (*seed, int(group))))
    batches = sorted((batch for part in parts for batch in part), key=lambda batch: batch[0])
    empty = np.zeros(0, dtype=np.int64)
    return Schedule(
        np.concatenate([empty, *(items for _, items, _ in batches)]),
        np.cumsum(np.concatenate([empty, *(counts for _, _, counts in batches)]), dtype=np.int64),
        np.cumsum([len(counts) for _, _, counts in batches], dtype=np.int64),
    )


Batch = tuple[tuple[int, int], Ints, Ints]  # (whether it is short, its place in the order), items, items of each row


def _of_group(places: Ints, order: Ints, lengths: Ints, wish: Wish, seed: tuple[str, int, int, int]) -> list[Batch]:
    size = wish.global_batch
    found: list[Batch] = []
    items, counts = order[:0], np.zeros(0, dtype=np.int64)  # what no batch has yet
    window = WINDOW * size * (4 if wish.pack else 1)
    for number, first in enumerate(range(0, len(order), window)):
        own = order[first : first + window]
        last = int(places[min(first + window, len(order)) - 1])
        more = np.ones(len(own), dtype=np.int64)
        if wish.pack:
            rows = packed(own, lengths[own], wish.pack)
            own, more = np.concatenate(rows), np.array([len(row) for row in rows], dtype=np.int64)
        elif wish.bucket:
            own = own[np.argsort(lengths[own], kind="stable")]
        items, counts = np.concatenate([items, own]), np.concatenate([counts, more])
        whole = len(counts) // size
        ends = [0, *np.cumsum(counts)[size - 1 :: size].tolist()]
        made = [(items[ends[n] : ends[n + 1]], counts[n * size : (n + 1) * size]) for n in range(whole)]
        items, counts = items[ends[whole] :], counts[whole * size :]
        if wish.pack or wish.bucket:  # what is sorted by length must not come in that order
            made = [made[n] for n in shuffled(whole, f"{seed[0]}:{seed[3]}:{number}", seed[1], seed[2], "batches")]
        step = max(1, (last - int(places[first])) // max(1, whole))
        found += [((0, int(places[first]) + n * step), *batch) for n, batch in enumerate(made)]
    if len(counts) and not wish.drop_last:
        found.append(((1, int(places[-1])), items, counts))
    return found


def packed(items: Ints, lengths: Ints, size: int) -> list[Ints]:
    """Items in rows of at most `size` frames (a longer one counts `size`), the longest first, each where the least
    room is left (best fit decreasing)."""
    lengths = np.minimum(lengths, size)
    room: list[tuple[int, int]] = []  # (frames left, row), sorted
    rows: list[list[int]] = []
    for place in np.argsort(-lengths, kind="stable"):
        need = int(lengths[place])
        at = bisect.bisect_left(room, (need, -1))
        if at < len(room):
            left, row = room.pop(at)
        else:
            left, row = size, len(rows)
            rows.append([])
        rows[row].append(int(items[place]))
        bisect.insort(room, (left - need, row))
    return [np.array(row, dtype=np.int64) for row in rows]


def share(rows: list[Ints], rank: int, world: int, global_batch: int) -> tuple[list[Ints], int]:
    """(a rank's rows of a global batch, how many of them repeat others to fill a short batch): ranks in turn give the
    global order, and all have as many rows."""
    own = global_batch // world
    if len(rows) < global_batch:
        own = -(-len(rows) // world)
    mine = rows[rank * own : (rank + 1) * own]
    missing = own - len(mine)
    return mine + [rows[n % len(rows)] for n in range(missing)], missing
