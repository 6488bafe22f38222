"""What event a robot is in, in mid-rollout: said by a learned planner, or by an oracle with the simulator's state.

The oracle parts the worth of captions from the planner's errors. It walks reach, grasp, lift, move, lower, release,
retract, and goes on where the exact state is as it is in the demonstrations where the next of these begins: places of
hand, object and goal relative to each other within the 90th percentile of their distance from the median.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import torch

from stages.train.conditioner import Conditioner
from stages.train.examples import Examples
from stages.train.experiments.pool import Pool
from stages.train.policies.features import Scale, geometry

if TYPE_CHECKING:
    from stages.train.simulation.world import Observation

Floats = npt.NDArray[np.float32]

STEPS, BATCH, RATE = 1500, 128, 1e-3
NOISE = 0.02  # of the deviation of each column of geometry, as policies have it
GROUPS = {"align": "reach", "place": "lower"}  # primitives that an oracle need not tell apart
ORDER = ("reach", "grasp", "lift", "move", "lower", "release", "retract")
SHARE = 90  # percentile
STALLED, STALLED_STEPS = 0.002, 10  # m in so many steps: what is carried cannot go on
LOST = 3.0  # times the distance at which a grasp begins: it is not held
SETTLED, SETTLED_STEPS = 0.01, 4  # opening's change in so many steps: fingers have closed


@dataclass(frozen=True, slots=True)
class Now:
    """caption: of the event; remaining_s: NaN where that is not known."""

    caption: str
    remaining_s: float


class Teller(Protocol):
    def reset(self) -> None: ...

    def now(self, observation: Observation, instruction: str) -> Now: ...


class Planner:
    """The text conditioner, trained on a draw's own demonstrations."""

    def __init__(self, own: Examples, pool: Pool, generator: torch.Generator) -> None:
        self.pool = pool
        self.scale = Scale.of(geometry(own.state, own.environment))
        seen = torch.from_numpy(self.scale.normalised(geometry(own.state, own.environment)))
        vectors = torch.from_numpy(pool.vectors)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
            self.model = Conditioner(seen.shape[1], vectors.shape[1], len(own.texts))
        task, event, after = (torch.from_numpy(column) for column in (own.task, own.caption, own.next_caption))
        remaining = torch.from_numpy(own.event_remaining_s)
        optimiser = torch.optim.AdamW(self.model.parameters(), lr=RATE)
        valid = torch.ones(BATCH, dtype=torch.bool)
        for _ in range(STEPS):
            rows = torch.randint(len(own), (BATCH,), generator=generator)
            jitter = NOISE * torch.randn(BATCH, seen.shape[1], generator=generator)
            said = self.model(seen[rows] + jitter, vectors[task[rows]])
            losses = self.model.losses(said, event[rows], after[rows], remaining[rows], vectors[event[rows]], valid)
            optimiser.zero_grad()
            losses["loss"].backward()
            optimiser.step()
        self.known = torch.from_numpy(np.isin(np.arange(len(own.texts)), own.caption))

    def reset(self) -> None:
        """It remembers nothing."""

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def now(self, observation: Observation, instruction: str) -> Now:
        seen = self.scale.normalised(geometry(observation.state[None], observation.environment_state[None]))
        task = torch.from_numpy(self.pool.embed([instruction]))
        said = self.model(torch.from_numpy(seen), task)
        number = int(said.event[0].masked_fill(~self.known, -torch.inf).argmax())
        return Now(self.pool.examples.texts[number], float(said.remaining[0]))


@dataclass(frozen=True, slots=True)
class Begins:
    """What holds where an event begins: a measure near its median. radius: SHARE of its distances."""

    median: Floats
    radius: float

    @classmethod
    def of(cls, measures: Floats) -> Begins:
        median = np.median(measures, axis=0)
        return cls(median, float(np.percentile(np.linalg.norm(measures - median, axis=1), SHARE)))

    def near(self, measure: Floats, times: float = 1.0) -> bool:
        return float(np.linalg.norm(measure - self.median)) <= times * self.radius


def measures(state: Floats, environment: Floats) -> dict[str, Floats]:
    """Of rows [N, ...]: what the beginning of each event is known by, m."""
    hand, thing, goal = state[:, :3], environment[:, :3], environment[:, 14:17]
    apart = thing - goal
    return {"grasp": hand - thing, "move": hand[:, 2:], "lower": apart[:, :2], "release": apart}


class Oracle:
    """Of the tasks of a pool; captions are those of the nearest instant of the draw in the same kind of event."""

    def __init__(self, own: Examples, pool: Pool) -> None:
        self.own = own
        self.scale = Scale.of(geometry(own.state, own.environment))
        self.places = self.scale.normalised(geometry(own.state, own.environment))
        self.group = _groups(own)
        whole = pool.examples
        group = _groups(whole)
        first = np.append(True, whole.event[1:] != whole.event[:-1])
        self.begins: dict[tuple[str, str], Begins] = {}
        for task in np.unique(whole.task):
            for name in ("grasp", "move", "lower", "release"):
                rows = first & (whole.task == task) & (group == name) & _held(whole, name)
                if rows.sum() >= 0.5 * len(np.unique(whole.episode[whole.task == task])):
                    measured = measures(whole.state[rows], whole.environment[rows])[name]
                    self.begins[whole.texts[task], name] = Begins.of(measured)
        self.reset()

    def reset(self) -> None:
        self.stage, self.path, self.openings = "reach", list[Floats](), list[float]()

    def now(self, observation: Observation, instruction: str) -> Now:
        self.path.append(observation.state[:3])
        self.openings.append(float(observation.state[10]))
        seen = measures(observation.state[None], observation.environment_state[None])
        following = self._following(instruction)
        if self._lost(seen, instruction):
            self.stage = "reach"
        elif following and self._over(following, seen, instruction):
            self.stage, self.path, self.openings = following, self.path[-1:], self.openings[-1:]
        return Now(self._caption(observation, instruction), float("nan"))

    def _following(self, instruction: str) -> str:
        """The event after this one, of those that the task has."""
        always = ("reach", "lift", "retract")
        there = [n for n in ORDER if n in always or (instruction, n) in self.begins]
        at = there.index(self.stage)
        return there[at + 1] if at + 1 < len(there) else ""

    def _over(self, following: str, seen: dict[str, Floats], instruction: str) -> bool:
        if following == "lift":
            recent = self.openings[-SETTLED_STEPS:]
            return len(recent) == SETTLED_STEPS and recent[-1] < 0.95 and max(recent) - min(recent) < SETTLED
        if following == "retract":
            return self.openings[-1] > 0.9
        begins = self.begins[instruction, following]
        if following == "move":
            return float(seen["move"][0, 0]) >= float(begins.median[0]) - begins.radius
        if begins.near(seen[following][0]):
            return True
        recent_path = np.array(self.path[-STALLED_STEPS:])
        stalled = len(recent_path) == STALLED_STEPS and float(np.ptp(recent_path, axis=0).max()) < STALLED
        return stalled and following == "release"

    def _lost(self, seen: dict[str, Floats], instruction: str) -> bool:
        held = self.stage in ("lift", "move", "lower")
        return held and not self.begins[instruction, "grasp"].near(seen["grasp"][0], LOST)

    def _caption(self, observation: Observation, instruction: str) -> str:
        own = self.own
        there = own.task == own.texts.index(instruction)
        rows = np.flatnonzero(there & (self.group == self.stage))
        rows = rows if len(rows) else np.flatnonzero(there)  # no such event in the draw
        seen = self.scale.normalised(geometry(observation.state[None], observation.environment_state[None]))
        nearest = rows[np.argmin(((self.places[rows] - seen) ** 2).sum(axis=1))]
        return str(own.texts[own.caption[nearest]])


def _groups(own: Examples) -> npt.NDArray[np.object_]:
    names = np.array([GROUPS.get(name, name) for name in own.primitives], dtype=object)
    return np.asarray(names[own.primitive])


def _held(own: Examples, name: str) -> npt.NDArray[np.bool_]:
    """Of a grasp: that it is one, and is followed by a lift; of the others: any."""
    if name != "grasp":
        return np.ones(len(own), dtype=bool)
    missed = np.array(["on nothing" in text for text in own.texts])
    return np.asarray(~missed[own.caption])
