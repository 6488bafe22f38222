"""Running units on Ray Data: embedded by default, a cluster where RAY_ADDRESS names one.

In: units and the context. Out: their commits, as they come. Workers publish their own parts; only commits come back.
A worker that dies takes its unit's block with it: Ray tries once more, then leaves it out (`max_errored_blocks`), and
the caller sees which units are missing.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.config import RunConfig
from pipeline.ledger import Commit
from pipeline.nodes import NodeError, check_nodes
from pipeline.work import Context, Unit, as_quarantined
from schemas.reasons import Quarantined
from stages import storage


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
        """Commits in the order in which they are done; fewer than units where workers died. Raises Unwritable."""
        self._start()
        import ray.data

        rows = [{"unit": pickle.dumps(unit)} for unit in units]
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
        gpus = dict[str, float](**self.config.gpus).get(units[0].stage, 0.0)
        at_once = min(self.workers, len(rows))
        if gpus:
            nodes = [n["Resources"].get("GPU", 0) for n in ray.nodes() if n["Alive"]]
            if max(nodes) < gpus:  # Ray would wait for ever
                raise NodeError(
                    f"run.gpus: a task of {units[0].stage} asks for {gpus} GPU, no node has more than {max(nodes):g}"
                )
            at_once = min(at_once, sum(int(n / gpus) for n in nodes))
        shared = ray.put(context)
        with warnings.catch_warnings():  # Ray Data retries a dead worker for ever; 2.60 has no other way to say once
            warnings.simplefilter("ignore", DeprecationWarning)
            work = dataset.map(
                _execute, fn_args=(shared,), num_cpus=1, num_gpus=gpus, concurrency=at_once, max_retries=1
            )
        for batch in work.iter_batches(batch_size=None, prefetch_batches=0, batch_format="pyarrow"):
            for blob in batch["commit"].to_pylist():
                commit: Commit | Unpublished | storage.Unwritable = pickle.loads(blob)
                if isinstance(commit, storage.Unwritable):
                    raise commit
                yield commit

    def _start(self) -> None:
        if self.started:
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
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
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.max_errored_blocks = -1
        for name in ("ray.data", "ray"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.started = True

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        if self.mine:
            import ray

            ray.shutdown()


def _execute(row: dict[str, Any], context: Any) -> dict[str, Any]:
    """In a worker: one unit, one commit."""
    import ray

    unit: Unit = pickle.loads(row["unit"])
    shared: Context = ray.get(context) if isinstance(context, ray.ObjectRef) else context
    try:
        from pipeline.rooms import rooms
        from pipeline.work import execute

        return {"commit": pickle.dumps(execute(unit, shared, rooms()[unit.stage]))}
    except storage.Unwritable as error:  # an exception would look like a dead worker to Ray Data
        return {"commit": pickle.dumps(error)}
    except Exception as error:  # the unit could not be published: told, where Ray Data would drop it without a word
        return {"commit": pickle.dumps(Unpublished(unit.items, as_quarantined(error)))}
