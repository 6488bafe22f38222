"""How much memory a unit of work took at its peak: resident set of this process, bytes.

A worker serves many units; on Linux its high-water mark is set back before each, elsewhere the figure is the largest so
far of the process.
"""

from __future__ import annotations

import gc
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def forget_peak() -> None:
    """Start counting anew, where the system can."""
    with suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak_memory() -> int:
    """Bytes."""
    with suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the collector of reference cycles, which looks again and again through many small objects that hold none:
    a third of a survey's time."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()
