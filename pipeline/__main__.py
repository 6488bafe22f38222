"""`corpus`, and `python -m pipeline`: the command line, which a signal ends quietly even while its libraries load."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

# Polars' allocator keeps freed pages for ten seconds; given back at once, a large driver's peak is an eighth lower
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:100,muzzy_decay_ms:0")


def main() -> None:
    """Run the command line. Exit code 130 on SIGINT and SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        from pipeline.cli import main as command
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("pipeline", "stages", "schemas"):
            raise
        sys.exit(f"corpus: {error.name} is not installed; what builds a corpus comes with 'event-corpus[build]'")
    from pipeline.signals import heeded

    with heeded():
        command()


def _stop(number: int, _: FrameType | None) -> None:
    """Nothing has begun: there is nothing to clean up, and a half imported library could not be left in order."""
    os.write(sys.stderr.fileno(), b"\nStopped.\n")
    os._exit(130)


if __name__ == "__main__":
    main()
