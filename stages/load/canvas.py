"""Memory for the pictures of a batch: each item's are decoded where they come to lie, so that none is copied again.

In: how many pictures each item has, and in which row of the batch it lies. Out: uint8[rows, F, H, W, 3] a camera, black
where there is no picture. In a worker it is shared memory from the start, in which the batch is handed over. Elsewhere
it is the memory of a batch that nobody holds any more, if there is one: pages that are new to a process cost half as
much as decoding into them (0.45 s a GB here).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import get_worker_info

Views = dict[str, npt.NDArray[np.uint8]]


class Canvas:
    """rows: of each item, in order; counts: its pictures; sizes: height and width by camera."""

    def __init__(self, rows: Sequence[int], counts: Sequence[int], sizes: Mapping[str, tuple[int, int]]) -> None:
        filled = [0] * (max(rows, default=-1) + 1)
        self._places: list[tuple[int, int, int]] = []
        for row, count in zip(rows, counts, strict=True):
            self._places.append((row, filled[row], filled[row] + count))
            filled[row] += count
        longest = max(filled, default=0)
        self.tensors = {name: _empty((len(filled), longest, *size, 3)) for name, size in sizes.items()}
        for tensor in self.tensors.values():
            for row, end in enumerate(filled):
                tensor[row, end:] = 0

    def views(self, item: int) -> Views:
        """The memory of an item's pictures, uint8[F, H, W, 3] by camera."""
        row, first, end = self._places[item]
        return {name: tensor.numpy()[row, first:end] for name, tensor in self.tensors.items()}


class _Pool(threading.local):
    """Buffers that were handed out; one that nothing refers to is handed out again. Each thread has its own: two that
    look at once would both find the same one free."""

    def __init__(self) -> None:
        self._held: list[npt.NDArray[np.uint8]] = []

    def take(self, size: int) -> npt.NDArray[np.uint8]:
        """uint8[size] of whatever content."""
        free = [n for n in range(len(self._held)) if sys.getrefcount(self._held[n]) == ALONE]
        fitting = [n for n in free if len(self._held[n]) >= size]
        if fitting:
            return self._held[min(fitting, key=lambda n: len(self._held[n]))][:size]
        if free:  # too small: as many are kept as are in use at a time
            del self._held[min(free, key=lambda n: len(self._held[n]))]
        elif len(self._held) >= MOST:
            self._held.clear()  # batches that somebody keeps are not ours to use again
        buffer = np.empty(size + size // 4, dtype=np.uint8)  # NumPy asks for huge pages, torch does not
        self._held.append(buffer)
        return buffer[:size]


ALONE = 2  # references to a buffer that only the pool holds: the list's, and that of the call that counts them
MOST = 32  # buffers that are looked through: a few cameras of a few batches
_pool = _Pool()


def _empty(shape: tuple[int, ...]) -> torch.Tensor:
    size = int(np.prod(shape))
    if get_worker_info() is None:
        return torch.from_numpy(_pool.take(size).reshape(shape))
    whole = torch.UntypedStorage._new_shared(size)
    return torch.empty(0, dtype=torch.uint8).set_(whole).view(shape)
