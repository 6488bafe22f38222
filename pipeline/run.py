"""Running units as Ray tasks: embedded by default, a cluster where RAY_ADDRESS names one.

In: units and the context. Out: their commits, as they come. Workers publish their own parts; only commits come back.
A worker that dies takes its unit with it: Ray tries once more, then the caller sees which units are missing.

Tasks, not a Ray Data map: units are independent and return a few kB, so there is no stream of blocks to manage. A map
costs 0.35 s a stage against 0.01, and its first one 2.3 s and two actors (1.8 s of CPU) more.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pipeline.config import RunConfig
from pipeline.ledger import Commit
from pipeline.nodes import NodeError, check_nodes
from pipeline.work import Context, Unit, as_quarantined
from schemas.reasons import Quarantined
from stages import storage

CLOSING = "ray-closes"


@dataclass(frozen=True, slots=True)
class Unpublished:
    """A unit that ran and could not be published, and why."""

    items: tuple[tuple[str, str], ...]
    error: Quarantined


class Runner:
    """A Ray session, started by the first stage that has work and shut down on exit. A context manager."""

    def __init__(self, config: RunConfig, root: str) -> None:
        self.root = root
        self.config, self.wanted = config, config.workers
        self.started = False
        self.mine = False

    @property
    def workers(self) -> int:
        """Tasks at a time."""
        if self.wanted is not None:
            return self.wanted
        if os.environ.get("RAY_ADDRESS"):  # only the cluster knows how large it is
            self._start()
        if self.started:
            import ray

            return max(1, int(ray.cluster_resources().get("CPU", 1)))
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def run(self, units: Sequence[Unit], context: Context) -> Iterator[Commit | Unpublished]:
        """Commits in the order in which they are done; fewer than units where workers died. Raises Unusable."""
        self._start()
        import ray

        gpus = dict[str, float](**self.config.gpus).get(units[0].stage, 0.0)
        at_once = self.workers
        if gpus:
            nodes = [n["Resources"].get("GPU", 0) for n in ray.nodes() if n["Alive"]]
            if max(nodes) < gpus:  # Ray would wait for ever
                raise NodeError(
                    f"run.gpus: a task of {units[0].stage} asks for {gpus} GPU, no node has more than {max(nodes):g}"
                )
            at_once = min(at_once, sum(int(n / gpus) for n in nodes))
        task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=1)(_execute)
        shared, left = ray.put(context), iter(units)
        running = {task.remote(unit, shared): unit for unit in islice(left, at_once)}
        while running:
            done, _ = ray.wait(list(running))
            for reference in done:
                unit = running.pop(reference)
                running |= {task.remote(following, shared): following for following in islice(left, 1)}
                try:
                    commit: Commit | Unpublished | storage.Unusable = ray.get(reference)
                except ray.exceptions.RayTaskError as error:  # the task could not even be unpacked
                    commit = Unpublished(unit.items, as_quarantined(error))
                except ray.exceptions.RayError:  # its worker died, twice
                    continue
                if isinstance(commit, storage.Unusable):
                    raise commit
                yield commit

    def _start(self) -> None:
        if self.started:
            return
        for thread in threading.enumerate():
            if thread.name == CLOSING:  # of a build before this one
                thread.join()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        if not ray.is_initialized():
            options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
            address = os.environ.get("RAY_ADDRESS")
            if not address:  # "local", or Ray would join whatever cluster was last started on this machine
                options |= {"address": "local", "num_cpus": self.wanted, "include_dashboard": False}
            try:
                ray.init(**options)
            except ConnectionError as error:
                raise NodeError(
                    f"RAY_ADDRESS={address}: no Ray cluster answers there, or it does not know this user's token "
                    f"(docs/cluster.md)"
                ) from error
            self.mine = True
            if os.environ.get("RAY_ADDRESS"):
                check_nodes(self.root)
            if threading.current_thread() is threading.main_thread():  # Ray has set its own, which prints a trace
                signal.signal(signal.SIGTERM, signal.default_int_handler)
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        self.started = True

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self.mine:
            return
        import ray

        if kind is not None:
            ray.shutdown()
            return
        closing = threading.Thread(target=ray.shutdown, name=CLOSING)  # 1.4 s of waiting: the report is drawn meanwhile
        closing.start()  # the interpreter waits for it at its end


def _execute(unit: Unit, context: Context) -> Commit | Unpublished | storage.Unusable:
    """In a worker: one unit, one commit."""
    try:
        from pipeline.rooms import rooms
        from pipeline.work import execute

        return execute(unit, context, rooms()[unit.stage])
    except storage.Unusable as error:  # an exception would come back as an error of the task
        return error
    except Exception as error:  # the unit could not be published
        return Unpublished(unit.items, as_quarantined(error))
