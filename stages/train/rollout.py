"""A trained model as a policy: `act(observation, instruction | next_event)`, by events or by fixed windows.

In: the folder of a run. Out: `TowerPolicy`. *Event mode*: the next event's caption, given or told by the conditioner,
and the seconds that it still takes; the whole segment is denoised and done. *Unified mode*: a fixed window under the
instruction, of which the first part is done. The mode may be changed in mid-rollout: the weights are the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from stages.train.batch import Batch
from stages.train.config import Config, read
from stages.train.data import Facts, Texts
from stages.train.data.calibration import camera, hand_poses
from stages.train.policy import Actions
from stages.train.run.build import build
from stages.train.text import Embed, encoder

if TYPE_CHECKING:
    from stages.train.simulation.world import Observation

Mode = Literal["event", "unified"]
SEED = 20_261_127  # of the noise of every rollout
LEAST = 2  # rows of an event


@dataclass(frozen=True, slots=True)
class Acting:
    """execute: actions of a window that are done before the next look; steps: of Euler (two-step heads take two)."""

    execute: int = 8
    steps: int = 5


class TowerPolicy:
    """next_event: its caption, told so far by the conditioner, empty where a corpus has none; for whoever shows it."""

    def __init__(
        self,
        model: Any,
        config: Config,
        facts: Facts,
        embed: Embed,
        mode: Mode = "unified",
        acting: Acting | None = None,
        calibration: Mapping[str, Any] | None = None,
    ) -> None:
        """calibration: {camera: as in KEY.calib.json}, of pictures as an observation has them; None: not calibrated."""
        if len(facts.scales) != 1:
            raise ValueError(f"a robot is of one layout, this model has learned {len(facts.scales)}")
        if config.data.history:
            raise ValueError("a policy is asked once a chunk: it has no states of the rows before (data.history)")
        self.model, self.config, self.facts, self.mode = model.eval(), config, facts, mode
        self.acting = acting or Acting()
        kind = config.data.text or ("task" if config.data.mode == "unified" else "caption")
        self.by_captions, self.tells = kind == "caption", any(own.stage == "text" for own in config.stages)
        self.texts = Texts(embed)
        own = next(iter(facts.scales.values()))
        self.scales = {
            name: tuple(np.asarray(own[name][part], dtype=np.float32) for part in ("shift", "unit"))
            for name in ("state", "action")
        }
        self.calibrate(calibration or {})
        self.reset()

    def calibrate(self, calibration: Mapping[str, Any]) -> None:
        """{camera: as in KEY.calib.json}, of pictures as an observation has them."""
        side = self.facts.side
        self.cameras = [camera(calibration.get(name), side, side) for name in self.facts.cameras]

    def reset(self) -> None:
        self.generator = torch.Generator().manual_seed(SEED)
        self.next_event = ""
        self.rows = 0  # done so far

    def act(self, observation: Observation, instruction: str, next_event: str | None = None) -> Actions:
        """float32[K, Da]: a whole event where one is given, or in event mode; else a window's first part. Words
        are of the kind that the model has learned from, captions or the task's. Raises ValueError where a conditioner
        is needed that was not trained."""
        state = self._state(observation)
        by_window = next_event is None and self.mode == "unified"
        seconds = 0.0
        if not by_window or self.by_captions:
            caption, seconds = self._told(state, instruction)
            self.next_event = caption if next_event is None else next_event
        text = self.next_event if self.by_captions or next_event is not None else instruction
        if by_window:
            batch = self._batch(observation, state, text, self.config.data.horizon)
            self.rows += self.acting.execute
            return np.asarray(self._predicted(batch)[: self.acting.execute])
        rows = int(np.clip(round(seconds * self.facts.fps[0]), LEAST, self.config.data.cap))
        self.rows += rows
        return np.asarray(self._predicted(self._batch(observation, state, text, rows)))

    def _state(self, observation: Observation) -> Tensor:
        """float32[Ds], normalised, of the arrays that the model was trained on."""
        known = {"state": observation.state, "extra.observation.environment_state": observation.environment_state}
        missing = [name for name in self.facts.state if name not in known]
        if missing:
            raise ValueError(f"an observation has no {missing[0]}: there are {', '.join(known)}")
        shift, unit = self.scales["state"]
        return torch.from_numpy((np.concatenate([known[name] for name in self.facts.state]) - shift) / unit).float()

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _told(self, state: Tensor, instruction: str) -> tuple[str, float]:
        """Caption and seconds of the event that is to be done now."""
        if not self.tells:
            raise ValueError("what event comes is told by the conditioner, and this run has not trained it: stage text")
        said = self.model.conditioner(state[None], self.texts([instruction]))
        known = self.facts.captions
        return known[int(said.event[0].argmax())] if known else "", float(said.remaining[0])

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _predicted(self, batch: Batch) -> Actions:
        found: Actions = self.model.predict_action(batch, self.acting.steps, self.generator)[0].float().numpy()
        shift, unit = self.scales["action"]
        return np.asarray(found * unit[: found.shape[1]] + shift[: found.shape[1]])

    def _window(self) -> int:
        """Number of the window; 0, none, also where windows were never learned: their codes are noise then."""
        learned = self.config.data.mode == "unified"
        return self.rows // self.config.data.horizon if learned and self.mode == "unified" else 0

    def _batch(self, observation: Observation, state: Tensor, text: str, rows: int) -> Batch:
        """One event of so many rows: its first picture is seen, the others are to come."""
        facts = self.facts
        frames = -(-rows // facts.stride) if facts.cameras else 0
        views, side = len(facts.cameras), facts.side
        pictures = torch.zeros(1, frames, views, 3, side, side)
        for v, name in enumerate(facts.cameras):
            pictures[:, :, v] = torch.from_numpy(observation.pictures[name].copy()).permute(2, 0, 1).float() / 255
        vector = self.texts([text])[None]
        intrinsics, pose = torch.eye(3).repeat(1, 1, views, 1, 1), torch.eye(4).repeat(1, frames, views, 1, 1)
        hand = hand_poses(*(observation.state[part].astype(np.float64) for part in (slice(3), slice(3, 7))))
        for v, own in enumerate(self.cameras):
            if own is not None:
                intrinsics[:, :, v] = torch.from_numpy(own.intrinsics)
                pose[:, :, v] = torch.from_numpy(hand @ own.pose if own.mount == "ee" else own.pose)
        return Batch(
            pictures=pictures,
            picture_segment=torch.ones(1, frames, dtype=torch.int64),
            picture_index=torch.arange(frames)[None],
            view_valid=torch.ones(1, 1, views, dtype=torch.bool),
            intrinsics=intrinsics,
            pose=pose,
            calibrated=torch.tensor([[[own is not None for own in self.cameras]]], dtype=torch.bool).view(1, 1, views),
            state=state[None, None],
            action=torch.zeros(1, rows, facts.action_width),
            action_mask=torch.ones(1, rows, facts.action_width, dtype=torch.bool),
            action_segment=torch.ones(1, rows, dtype=torch.int64),
            action_index=torch.arange(rows)[None],
            text=vector,
            text_valid=torch.tensor([[bool(text)]]),
            task_text=vector,
            caption_text=vector,
            caption=torch.full((1, 1), -1),
            next_caption=torch.full((1, 1), -1),
            remaining=torch.full((1, 1), rows / facts.fps[0]),
            frames=torch.full((1, 1), rows),
            window=torch.full((1, 1), self._window()),
        )


def load(
    folder: str | Path,
    embed: Embed | None = None,
    mode: Mode | None = None,
    acting: Acting | None = None,
    calibration: Mapping[str, Any] | None = None,
) -> TowerPolicy:
    """The averaged weights of a run, in the mode that it was trained in unless another is given. Raises OSError."""
    from safetensors.torch import load_file

    about = json.loads((Path(folder) / "run.json").read_text())
    config, facts = read(Config, about["config"]), read(Facts, about["facts"])
    model = build(config.model, facts)
    model.load_state_dict(load_file(Path(folder) / "model.safetensors"))
    own: Mode = "event" if config.data.mode == "event" else "unified"
    return TowerPolicy(model, config, facts, embed or encoder(), mode or own, acting, calibration)
