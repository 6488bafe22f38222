"""decord, loaded so that it can take over no other library's symbols.

In: a local path. Out: its frames in sequence. On import decord2 opens every library under `site-packages/nvidia/*/lib`
with RTLD_GLOBAL, which torch's CUDA build brings along. One of them, libnvblas, then answers for `sgemm` in the whole
process: without a GPU it has no BLAS to fall back on, and torch's first matrix product ends in SIGSEGV. So decord is
imported only where it is asked for, sees no `nvidia` package meanwhile, and its own libraries (a second FFmpeg beside
PyAV's) are opened for itself alone.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import av

BATCH = 16  # frames; 15 MB at 640x480
_LOADING = threading.Lock()


def load() -> Any:
    """The decord module; imported by the first that asks."""
    with _LOADING:
        if "decord" not in sys.modules:
            with _nothing_global():
                importlib.import_module("decord")
    return sys.modules["decord"]


def frames(path: str) -> Iterator[av.VideoFrame]:
    """Frames in sequence, RGB. Raises decord.DECORDError (an attribute of `load()`)."""
    reader = load().VideoReader(path, num_threads=1)
    for start in range(0, len(reader), BATCH):
        batch = reader.get_batch(list(range(start, min(start + BATCH, len(reader))))).asnumpy()
        for picture in batch:
            yield av.VideoFrame.from_ndarray(picture, format="rgb24")


@contextmanager
def _nothing_global() -> Iterator[None]:
    """No package named `nvidia` is to be found, and a library is opened for its opener alone."""
    real, flag = sys.modules.get("nvidia"), ctypes.RTLD_GLOBAL
    sys.modules["nvidia"] = ModuleType("nvidia")  # without a spec: nothing can be looked up in it
    ctypes.RTLD_GLOBAL = ctypes.RTLD_LOCAL  # type: ignore[misc]
    try:
        yield
    finally:
        ctypes.RTLD_GLOBAL = flag  # type: ignore[misc]
        if real is None:
            del sys.modules["nvidia"]
        else:
            sys.modules["nvidia"] = real
