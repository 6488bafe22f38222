"""Memory for the pictures of a batch: each item's are decoded where they come to lie, so that none is copied again.

In: how many pictures each item has, and in which row of the batch it lies. Out: uint8[rows, F, H, W, 3] a camera, black
where there is no picture. In a worker it is shared memory from the start, which the batch is handed over in. (Beside
decoding a batch and stacking it, as collate does, half of the loader's own time was in such copies.)
"""

from __future__ import annotations

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


def _empty(shape: tuple[int, ...]) -> torch.Tensor:
    if get_worker_info() is None:
        return torch.from_numpy(np.empty(shape, dtype=np.uint8))  # NumPy asks for huge pages, torch does not
    whole = torch.UntypedStorage._new_shared(int(np.prod(shape)))
    return torch.empty(0, dtype=torch.uint8).set_(whole).view(shape)
