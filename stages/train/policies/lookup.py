"""Two policies that only look things up in the demonstrations, as a measure of what a task asks for.

*Nearest* does the chunk of the nearest training row of the same task, again every `execute` steps; *replay* does the
whole demonstration whose start is nearest, with its eyes shut. Distances are between normalised features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stages.train.examples import Examples
from stages.train.policies.features import geometry
from stages.train.policies.fit import scales
from stages.train.policies.idle import without_idle
from stages.train.policy import Actions

if TYPE_CHECKING:
    from stages.train.simulation.world import Observation


class _Rows:
    """Training rows to be near to."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples
        self.scale, _ = scales(examples)
        self.places = self.scale.normalised(geometry(examples.state, examples.environment))

    def nearest(
        self, observation: Observation, instruction: str, of: np.ndarray[tuple[int], np.dtype[np.bool_]]
    ) -> int:
        """Number of a row among those of the instruction. Raises KeyError where there is none."""
        texts = self.examples.texts
        number = texts.index(instruction) if instruction in texts else -1
        rows = np.flatnonzero(of & (self.examples.task == number))
        if not len(rows):
            raise KeyError(f"no demonstration of {instruction!r}")
        seen = geometry(observation.state[None], observation.environment_state[None])
        return int(rows[np.argmin(((self.places[rows] - self.scale.normalised(seen)) ** 2).sum(axis=1))])


class Nearest:
    """Does the next `execute` actions of the nearest row."""

    def __init__(self, examples: Examples, execute: int = 8) -> None:
        self._rows, self.execute = _Rows(without_idle(examples)), execute
        self._all = np.ones(len(self._rows.examples), dtype=bool)

    def reset(self) -> None:
        """It remembers nothing."""

    def act(self, observation: Observation, instruction: str, next_event: str | None = None) -> Actions:
        own = self._rows.examples
        row = self._rows.nearest(observation, instruction, self._all)
        count = max(1, int(own.action_valid[row, : self.execute].sum()))
        return np.asarray(own.action[row, :count])


class Replay:
    """Does one demonstration to its end, then stands still."""

    def __init__(self, examples: Examples) -> None:
        self._rows, self._ended = _Rows(examples), False
        self._last = np.zeros(4, dtype=np.float32)

    def reset(self) -> None:
        self._ended = False

    def act(self, observation: Observation, instruction: str, next_event: str | None = None) -> Actions:
        if self._ended:
            return self._last[None]
        own = self._rows.examples
        row = self._rows.nearest(observation, instruction, own.starts())
        whole = own.action[own.episode == own.episode[row], 0]
        self._ended, self._last = True, np.array([0.0, 0.0, 0.0, whole[-1, 3]], dtype=np.float32)
        return np.asarray(whole)
