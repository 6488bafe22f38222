"""A policy from pictures: what cameras see, where the hand is, what is to be done; never where things are.

In: pictures of an instant, the robot's state, an instruction. Out: a chunk of actions, regressed in two steps as the
policies on state do it (`regression.py`). A small convolutional network a camera looks at its picture once; both steps
share what it found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from stages.train.policies.features import Scale, Texts
from stages.train.policies.network import ChunkNetwork
from stages.train.policies.regression import Settings, predicted
from stages.train.policy import Actions

if TYPE_CHECKING:
    from stages.train.simulation.world import Observation

STATE = 11


@dataclass(frozen=True, slots=True)
class PixelSettings:
    """regression: of the head, of training and of acting; cameras, side: pictures that it is shown (px); channels: of
    the four convolutions; eye: numbers that a camera's network says of a picture; shift: how far pictures are moved in
    training, at most (px)."""

    regression: Settings = field(default_factory=lambda: Settings(steps=2000, batch=64))
    cameras: tuple[str, ...] = ("left", "wrist")
    side: int = 64
    channels: tuple[int, int, int, int] = (16, 32, 64, 32)
    eye: int = 128
    shift: int = 2


class Eye(nn.Module):  # type: ignore[misc]
    """A picture [B, 3, S, S] of 0 to 1 -> float32[B, eye]. Three convolutions halve it, a fourth has no stride, and one
    linear layer reads all of its places: where a thing is matters as much as what it is."""

    def __init__(self, settings: PixelSettings) -> None:
        super().__init__()
        one, two, three, four = settings.channels
        places = (-(-settings.side // 8)) ** 2
        self.layers = nn.Sequential(
            nn.Conv2d(3, one, 5, 2, 2), nn.ReLU(),
            nn.Conv2d(one, two, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(two, three, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(three, four, 3, 1, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(four * places, settings.eye), nn.LayerNorm(settings.eye),
        )  # fmt: skip

    def forward(self, picture: Tensor) -> Tensor:
        result: Tensor = self.layers(picture)
        return result


class PixelNetwork(nn.Module):  # type: ignore[misc]
    """An eye a camera and a head that regresses chunks."""

    def __init__(self, settings: PixelSettings, text: int) -> None:
        super().__init__()
        own = settings.regression
        self.eyes = nn.ModuleList(Eye(settings) for _ in settings.cameras)
        features = len(settings.cameras) * settings.eye + STATE + text
        self.head = ChunkNetwork(features, own.horizon, 4, own.width, own.blocks)

    def features(self, pictures: Tensor, state: Tensor, text: Tensor) -> Tensor:
        """float32[B, D] of uint8 pictures [B, C, 3, S, S], normalised state [B, 11], text [B, Dt]."""
        bright = pictures.float() / 255 - 0.5
        views = [eye(bright[:, n]) for n, eye in enumerate(self.eyes)]
        return torch.cat([*views, state, text], dim=1)


class PixelPolicy:
    """A trained network with what it needs to act."""

    def __init__(self, network: PixelNetwork, settings: PixelSettings, state: Scale, done: Scale, texts: Texts) -> None:
        """state, done: scales of the robot's state and of actions."""
        self.network, self.settings = network.eval(), settings
        self.state, self.done, self.texts = state, done, texts

    def reset(self) -> None:
        """It remembers nothing."""

    def act(self, observation: Observation, instruction: str, next_event: str | None = None) -> Actions:
        """Raises KeyError where the observation lacks a camera."""
        own = self.settings.regression
        told = next_event if next_event is not None and own.text == "caption" else instruction
        views = np.stack([observation.pictures[name] for name in self.settings.cameras])
        pictures = torch.from_numpy(views).permute(0, 3, 1, 2)[None]
        state = torch.from_numpy(self.state.normalised(observation.state[None]))
        with torch.inference_mode():
            features = self.network.features(pictures, state, torch.from_numpy(self.texts.rows([told])))
            made = self.done.restored(predicted(self.network.head, own, features).numpy())[0]
        made[:, 3] = np.clip(made[:, 3], 0.0, 1.0)
        return np.asarray(made[: own.execute])
