"""What event a robot is in, in mid-rollout: said by a learned planner, or by an oracle with the simulator's state.

The oracle parts the worth of captions from the planner's errors. It walks reach, grasp, lift, move, lower, release,
retract, and goes on where the exact state is as it is in all the pool's demonstrations where the next of these begins:
hand, object and goal as they then lie to each other, or, for fingers, as long as they then take.
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
SHARE = 75  # percentile
NEAR = 1.5  # times that distance: near enough
LOST = 3.0  # times the distance at which a grasp begins: it is not held


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
    """Of rows [N, ...]: what the beginning of an event is known by, m. Lifts and retracts follow the fingers' time."""
    hand, thing, goal = state[:, :3], environment[:, :3], environment[:, 14:17]
    apart = thing - goal
    return {"grasp": hand - thing, "move": hand[:, 2:3], "lower": apart[:, :2], "release": apart}


class Oracle:
    """Of the tasks of a pool, whose events are as `looking_ahead` has them; captions are those of the draw's instant
    that is nearest when an event begins, among those in that kind of event."""

    def __init__(self, own: Examples, whole: Examples) -> None:
        self.own = own
        self.scale = Scale.of(geometry(own.state, own.environment))
        self.places = self.scale.normalised(geometry(own.state, own.environment))
        self.group = _groups(own)
        group = _groups(whole)
        starts = np.flatnonzero(_begins(whole, group))
        lengths = np.diff(np.append(starts, len(whole)))
        self.begins: dict[tuple[str, str], Begins] = {}
        self.lasts: dict[tuple[str, str], float] = {}
        for task in np.unique(whole.task):
            count = len(np.unique(whole.episode[whole.task == task]))
            for name in ORDER:
                of = (whole.task[starts] == task) & (group[starts] == name) & _held(whole, name)[starts]
                if of.sum() >= count / 2:
                    rows, text = starts[of], whole.texts[task]
                    measured = measures(whole.state[rows], whole.environment[rows])
                    self.begins[text, name] = Begins.of(measured.get(name, np.zeros((len(rows), 1), np.float32)))
                    self.lasts[text, name] = float(np.percentile(lengths[of], SHARE if name in measured else 50))
        self.reset()

    def reset(self) -> None:
        self.stage, self.steps, self.caption = "reach", 0, ""

    def now(self, observation: Observation, instruction: str) -> Now:
        """Asked at every step."""
        seen = measures(observation.state[None], observation.environment_state[None])
        self.steps += 1
        there = [name for name in ORDER if (instruction, name) in self.begins]
        at = there.index(self.stage)
        following = there[at + 1] if at + 1 < len(there) else ""
        before = self.stage
        if self.stage in ("lift", "move", "lower") and not self.begins[instruction, "grasp"].near(
            seen["grasp"][0], LOST
        ):
            self.stage = "reach"
        elif following and self._over(following, seen, instruction):
            self.stage = following
        if self.stage != before or not self.caption:
            self.steps, self.caption = 0, self._nearest(observation, instruction)
        return Now(self.caption, float("nan"))

    def _over(self, following: str, seen: dict[str, Floats], instruction: str) -> bool:
        """Fingers take as long as they do in the median; all else ends where the next begins, or is far too long."""
        if self.stage in ("grasp", "release"):
            return self.steps >= self.lasts.get((instruction, self.stage), 0.0)
        if following in seen and self.begins[instruction, following].near(seen[following][0], NEAR):
            return True
        return self.stage != "reach" and self.steps >= self.lasts[instruction, self.stage]

    def _nearest(self, observation: Observation, instruction: str) -> str:
        own = self.own
        there = own.task == own.texts.index(instruction)
        rows = np.flatnonzero(there & (self.group == self.stage))
        rows = rows if len(rows) else np.flatnonzero(there)  # no such event in the draw
        seen = self.scale.normalised(geometry(observation.state[None], observation.environment_state[None]))
        return str(own.texts[own.caption[rows[np.argmin(((self.places[rows] - seen) ** 2).sum(axis=1))]]])


def _begins(own: Examples, group: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    """bool[N]: the first instant of a run of one kind of event in an episode."""
    other = (group[1:] != group[:-1]) | (own.episode[1:] != own.episode[:-1])
    return np.append(True, other)


def _groups(own: Examples) -> npt.NDArray[np.object_]:
    names = np.array([GROUPS.get(name, name) for name in own.primitives], dtype=object)
    return np.asarray(names[own.primitive])


def _held(own: Examples, name: str) -> npt.NDArray[np.bool_]:
    """Grasps and releases that are those of a thing, not of a missed grasp; of the others: any."""
    if name not in ("grasp", "release"):
        return np.ones(len(own), dtype=bool)
    missed = np.array(["on nothing" in text or "missed grasp" in text for text in own.texts])
    return np.asarray(~missed[own.caption])
