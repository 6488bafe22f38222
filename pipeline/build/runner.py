"""Running units as Ray tasks: embedded by default, a cluster where RAY_ADDRESS names one.

In: units and the context. Out: their commits, as they come. Workers publish their own parts; only commits come back.
A worker that dies takes its unit with it: Ray tries once more, then the caller is told of the death and its cause.
Where no unit of a stage comes back, the stage is at fault, not its items: it stops after a few deaths.

Tasks, not a Ray Data map: units are independent and return a few kB, so there is no stream of blocks to manage. A map
costs 0.35 s a stage against 0.01, and its first one 2.3 s and two actors (1.8 s of CPU) more.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline import signals
from pipeline.build.deaths import LastWords
from pipeline.build.nodes import NodeError
from pipeline.build.session import Session
from pipeline.build.worker import Context, execute
from pipeline.config import RunConfig
from pipeline.corpus.commit import Commit
from schemas.reasons import Quarantined
from stages import storage
from stages.stage import Stage
from stages.work import Unit, as_quarantined

DEATHS = 4  # units that die one after another, twice each, before a stage of which none has come back is given up
LOOK_S = 1.0  # seconds between two looks at whether a signal came


class StageDied(RuntimeError):
    """No unit of a stage survives."""


@dataclass(frozen=True, slots=True)
class Unpublished:
    """A unit that ran and could not be published, and why."""

    items: tuple[tuple[str, str], ...]
    error: Quarantined


@dataclass(frozen=True, slots=True)
class Died:
    """A unit whose worker died twice, and why."""

    items: tuple[tuple[str, str], ...]
    cause: str


class Runner:
    """A Ray session, started by the first stage that has work and shut down on exit. A context manager."""

    def __init__(self, config: RunConfig, root: str) -> None:
        self.config, self.wanted = config, config.workers
        self.session = Session(config.workers, root)

    @property
    def workers(self) -> int:
        """Tasks at a time."""
        if self.wanted is not None:
            return self.wanted
        if os.environ.get("RAY_ADDRESS"):  # only the cluster knows how large it is
            self.session.start()
        if self.session.started:
            import ray

            return max(1, int(ray.cluster_resources().get("CPU", 1)))
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def run(
        self, units: Sequence[Unit[Any]], context: Context, proven: bool = False
    ) -> Iterator[Commit | Unpublished | Died]:
        """What came of each unit, in the order in which they are done. `proven`: some unit of this stage has come back
        already. Raises StageDied, storage.Unusable, NodeError."""
        self.session.start()
        import ray

        gpus, at_once = self._resources(context.stage)
        # max_calls=0: a task with a GPU would otherwise get a process of its own, which loads its models again
        task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=1, max_calls=0)(_execute)
        shared, left = ray.put(context), deque(units)
        words, tried, deaths, cause = LastWords(self.session.logs()), set[str](), 0, ""
        running: dict[ray.ObjectRef, Unit[Any]] = {}
        while left or running:
            signals.check()
            hopeless = not proven and deaths >= DEATHS and not _from_elsewhere(left, tried)
            if hopeless and not running:
                raise StageDied(
                    f"{units[0].stage} cannot run here: its first {deaths} tasks died twice each, of {cause}; nothing "
                    f"is set aside for it ({self.session.log} has the whole account)"
                )
            while left and len(running) < at_once and not hopeless:
                unit = left.popleft()
                tried |= set(unit.sources.values())
                running[task.remote(unit, shared)] = unit
            done, _ = ray.wait(list(running), timeout=LOOK_S)
            for reference in done:
                unit = running.pop(reference)
                try:
                    outcome: Commit | Unpublished | storage.Unusable | Died = ray.get(reference)
                except ray.exceptions.RayTaskError as error:  # the task could not even be unpacked
                    outcome = Unpublished(unit.items, as_quarantined(error))
                except ray.exceptions.RayError as error:  # its worker died, twice
                    cause, account = words.of(error)
                    self.session.note(f"{unit.stage}, {unit.items[0][0]}: {account}")
                    outcome = Died(unit.items, cause)
                if isinstance(outcome, storage.Unusable):
                    raise outcome
                if isinstance(outcome, Died):
                    deaths += 1
                    if not proven and not _from_elsewhere(left, tried):
                        left.reverse()
                else:
                    proven = True
                yield outcome

    def _resources(self, stage: Stage[Any, Any]) -> tuple[float, int]:
        """(GPUs of a task, tasks at a time). Raises NodeError."""
        import ray

        gpus = self.config.gpus.get(stage.name, 0.0)
        if not gpus:
            return gpus, self.workers
        nodes = [n["Resources"].get("GPU", 0) for n in ray.nodes() if n["Alive"]]
        if max(nodes) < gpus:  # Ray would wait for ever
            raise NodeError(
                f"run.gpus: a task of {stage.name} asks for {gpus} GPU, no node has more than {max(nodes):g}"
            )
        return gpus, min(self.workers, sum(int(n / gpus) for n in nodes))

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.session.__exit__(kind, *rest)


def _from_elsewhere(left: deque[Unit[Any]], tried: set[str]) -> bool:
    """Bring a unit of a source that has not been tried to the front; whether there is one. A bad source, which comes
    first, must not pass for a stage that cannot run."""
    for unit in left:
        if not tried >= set(unit.sources.values()):
            left.remove(unit)
            left.appendleft(unit)
            return True
    return False


def _execute(unit: Unit[Any], context: Context) -> Commit | Unpublished | storage.Unusable:
    """In a worker: one unit, one commit."""
    try:
        return execute(unit, context)
    except storage.Unusable as error:  # an exception would come back as an error of the task
        return error
    except Exception as error:  # the unit could not be published
        return Unpublished(unit.items, as_quarantined(error))
