"""Two policies that regress a chunk of actions: behaviour cloning, and the same in two steps.

*Cloning* takes the mean absolute error of the chunk (L1, as action chunking does it). *Two steps* is the minimal
iterative policy (Pan et al., "Much Ado About Noising", arXiv 2512.01809): one network f(features, x, t) learns to give
the actions a from x = 0 at t = 0, and from x = t* a + (1 - t*) noise at t*; each squared error is divided by the square
of what its input lacks (t*, 1 - t*). Acting, it goes from zero to a first guess and from t* times that, without noise,
to the actions. No distribution is fitted and nothing is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from stages.train.policies.features import Scale, Texts, geometry
from stages.train.policies.network import ChunkNetwork
from stages.train.policy import Actions

if TYPE_CHECKING:
    from stages.train.simulation.world import Observation

Head = Literal["cloning", "two_step"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a policy is made. head: the loss; text: what it is told, the task or the event's caption; horizon: actions of
    a chunk; execute: of these, how many it does before it looks again; idle: whether rows on which nobody does anything
    are learnt as well; steps: of `batch` rows each; rate: AdamW's; averaged: decay of the running mean of the weights;
    noise: deviation of what is added to normalised geometry."""

    head: Head = "two_step"
    text: Literal["task", "caption"] = "task"
    horizon: int = 16
    execute: int = 8
    idle: bool = False
    width: int = 256
    blocks: int = 1
    steps: int = 2000
    batch: int = 128
    rate: float = 1e-3
    averaged: float = 0.995
    noise: float = 0.02
    middle: float = 0.9
    """t*, of two steps."""


def losses(
    network: ChunkNetwork, settings: Settings, features: Tensor, action: Tensor, valid: Tensor, noise: Tensor
) -> Tensor:
    """A number: of features [B, D], normalised action [B, H, 4], valid [B, H], noise like action."""
    start = torch.zeros(len(features))
    first = network(features, torch.zeros_like(action), start)
    weight = valid[:, :, None] / (valid.sum() * action.shape[2])
    if settings.head == "cloning":
        return ((first - action).abs() * weight).sum()
    t = settings.middle
    second = network(features, t * action + (1 - t) * noise, start + t)
    errors = ((first - action) / t) ** 2 + ((second - action) / (1 - t)) ** 2
    return (errors * weight).sum()


def predicted(network: ChunkNetwork, settings: Settings, features: Tensor) -> Tensor:
    """float32[B, H, 4], normalised."""
    start = torch.zeros(len(features))
    first: Tensor = network(features, torch.zeros(len(features), network.horizon, network.actions), start)
    if settings.head == "cloning":
        return first
    result: Tensor = network(features, settings.middle * first, start + settings.middle)
    return result


class RegressionPolicy:
    """A trained network with what it needs to act."""

    def __init__(self, network: ChunkNetwork, settings: Settings, seen: Scale, done: Scale, texts: Texts) -> None:
        """seen, done: scales of geometry and of actions."""
        self.network, self.settings = network.eval(), settings
        self.seen, self.done, self.texts = seen, done, texts

    def reset(self) -> None:
        """It remembers nothing."""

    def act(self, observation: Observation, instruction: str, next_event: str | None = None) -> Actions:
        told = next_event if next_event is not None and self.settings.text == "caption" else instruction
        made = self.chunks(observation.state[None], observation.environment_state[None], [told])[0]
        return np.asarray(made[: self.settings.execute])

    def chunks(self, state: Any, environment: Any, texts: list[str]) -> Actions:
        """float32[N, H, 4] of rows: state [N, 11], environment [N, 17], a text each."""
        own = self.seen.normalised(geometry(np.asarray(state), np.asarray(environment)))
        features = torch.from_numpy(np.concatenate([own, self.texts.rows(texts)], axis=1))
        with torch.inference_mode():
            made = self.done.restored(predicted(self.network, self.settings, features).numpy())
        made[..., 3] = np.clip(made[..., 3], 0.0, 1.0)
        return made
