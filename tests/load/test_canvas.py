"""A batch's memory is its own for as long as anybody holds a piece of it."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from stages.load.canvas import Canvas, _Pool


def test_pictures_of_an_item_lie_in_their_row_one_after_another_and_the_rest_is_black():
    canvas = Canvas([0, 1, 0], [2, 1, 1], {"top": (2, 3)})
    for item in range(3):
        canvas.views(item)["top"][:] = item + 1
    assert canvas.tensors["top"][:, :, 0, 0, 0].tolist() == [[1, 1, 3], [2, 0, 0]]


def test_memory_is_used_again_when_nobody_holds_it():
    pool = _Pool()
    first = pool.take(100)
    address = first.ctypes.data
    tensor = torch.from_numpy(first.reshape(10, 10)).permute(1, 0)[2:]
    del first
    assert pool.take(100).ctypes.data != address  # the tensor is a view of it
    del tensor
    assert address in {one.ctypes.data for one in (pool.take(90), pool.take(90))}


def test_batches_that_are_kept_do_not_change():
    kept = []
    for value in range(40):
        canvas = Canvas([0], [3], {"top": (4, 4), "wrist": (4, 4)})
        for view in canvas.views(0).values():
            view[:] = value
        kept.append(canvas.tensors["top"].permute(0, 1, 4, 2, 3) if value % 3 else None)
        del canvas, view
    assert all(int(t.min()) == int(t.max()) == value for value, t in enumerate(kept) if t is not None)
    assert np.unique([int(t.max()) for t in kept if t is not None]).size == 26


def test_threads_do_not_get_each_others_memory():
    def changed(value: int) -> int:
        found = 0
        for _ in range(2000):
            own = Canvas([0], [2], {"top": (16, 16)})
            own.views(0)["top"][:] = value
            held = own.tensors["top"]
            del own
            found += int(held.min()) != value or int(held.max()) != value
        return found

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(changed, range(4))) == [0, 0, 0, 0]
    finally:
        sys.setswitchinterval(interval)
