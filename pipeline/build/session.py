"""A Ray session for one build: started, kept quiet, shut down.

In: the run's configuration and the corpus. Out: a running Ray. All that Ray prints goes to a file, not to the user's
screen: it writes from threads of its own, as late as when it is shut down, and from C++.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from pipeline.build.nodes import NodeError, check_nodes
from pipeline.signals import signals_wait
from stages import storage

CLOSING = "ray-closes"
LOG = "ray.log"
SETTINGS = {  # of Ray, read from the environment where it starts
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",  # 15 if not given: beside two busy programs a build then gets a thirtieth of the cores
}


class Session:
    """A context manager; `start` is called by the first stage that has work."""

    def __init__(self, workers: int | None, root: str) -> None:
        self.workers, self.root = workers, root
        self.started = self.mine = False
        self.log = os.path.join(root if storage.is_local(root) else tempfile.gettempdir(), LOG)
        self._quiet = ExitStack()

    def start(self) -> None:
        """Start Ray, or join the cluster of RAY_ADDRESS. Raises NodeError."""
        if self.started:
            return
        wait_until_closed()  # of a build before this one
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        self._quiet.enter_context(quiet(self.log))
        import ray

        # a raylet's messages are printed whatever `log_to_driver` says, and what was held back as a repetition when
        # Ray is shut down; there is no public way to have them elsewhere
        worker = ray._private.worker
        printed, worker.print_to_stdstream = worker.print_to_stdstream, self._heard
        if not ray.is_initialized():
            self._quiet.callback(setattr, worker, "print_to_stdstream", printed)
            options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
            address = os.environ.get("RAY_ADDRESS")
            if not address:  # "local", or Ray would join whatever cluster was last started on this machine
                options |= {"address": "local", "num_cpus": self.workers, "include_dashboard": False}
            self.mine = True
            if not all(map(storage.is_text, sys.argv)):  # Ray takes the command line along, and only as UTF-8
                ray._private.utils.get_entrypoint_name = lambda: "corpus"
            # its own handler of SIGTERM would take our place, and what that raises is lost where a callback runs
            handles, ray._private.utils.set_sigterm_handler = ray._private.utils.set_sigterm_handler, lambda _: None
            try:
                with signals_wait():
                    ray.init(**options)
            except ConnectionError as error:
                raise NodeError(
                    f"RAY_ADDRESS={address}: no Ray cluster answers there, or it does not know this user's token "
                    f"(docs/cluster.md)"
                ) from error
            finally:
                ray._private.utils.set_sigterm_handler = handles
                signal.alarm(0)  # of its C++ handler, for a moment in place: it would abort us three seconds later
            if address:
                check_nodes(self.root)
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        self.started = True

    def logs(self) -> Path | None:
        """Folder of this machine's worker logs; None where Ray runs elsewhere."""
        import ray

        node = getattr(ray._private.worker, "_global_node", None)
        return Path(node.get_logs_dir_path()) if node is not None else None

    def _heard(self, data: Mapping[str, Any], ignore_prefix: bool = False) -> None:
        self.note("\n".join(f"{data.get('pid')}: {line}" for line in data.get("lines", ())))

    def note(self, words: str) -> None:
        """Add to the file that has Ray's lines."""
        with suppress(OSError), open(self.log, "a", encoding="utf-8", errors="replace") as file:
            file.write(words.rstrip("\n") + "\n")

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self.mine:
            self._quiet.close()
        elif kind is not None:
            with signals_wait():
                _close(self._quiet)
        else:  # 1.4 s of waiting, in which the report is drawn
            threading.Thread(target=_close, args=(self._quiet,), name=CLOSING).start()


def wait_until_closed() -> None:
    """Until no session of this process is being shut down: until then standard error goes to its file."""
    for thread in threading.enumerate():
        if thread.name == CLOSING:
            thread.join()


def _close(quiet: ExitStack) -> None:
    import ray

    with quiet:
        ray.shutdown()


@contextmanager
def quiet(path: str) -> Iterator[None]:
    """What is written to the process's standard error goes to a file, which is removed if it stays empty."""
    try:
        log: TextIO = open(path, "w", encoding="utf-8", errors="replace", buffering=1)  # noqa: SIM115
    except OSError:  # a full or read-only disk: the build will say so itself
        log = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    with log:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
    with suppress(OSError):
        if log.name == path and os.path.getsize(path) == 0:
            os.remove(path)
