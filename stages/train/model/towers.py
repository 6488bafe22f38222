"""The two towers together: what each stage trains, its losses, and what they predict.

In: a Batch. Out: losses to step on, pictures of an event after its first, actions. The action tower reads the video
tower's tokens at one noise level, the anchor, so that an event's K draws of action noise share one forward of video,
and a rollout one forward for all its action steps. s* = 45 of N_d = 50 is read here as a noise level of 0.9: pictures
that are mostly noise, which take five steps from pure noise at inference (the report says the number, not which end
counts as 0).

No gradient of the action loss reaches the video tower, except in stage `joint`, where both adapt to the next chunk.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from stages.train.batch import Batch
from stages.train.model.action import ActionTower, Sequences, sequences_of
from stages.train.model.config import ModelConfig
from stages.train.model.flow import TWO_STEP_TIME, Draws, draw, euler, mean_over, noised, velocity_of
from stages.train.model.latent import CHANGE, PatchLatent
from stages.train.model.video import Scene, VideoTower, scene_of

Stage = Literal["video", "action", "text", "joint"]
STAGES: tuple[str, ...] = get_args(Stage)


class WorldActionModel(nn.Module):  # type: ignore[misc]
    """`conditioner`: where one is attached, stage `text` trains it alone, by `conditioner.batch_losses(batch)`."""

    def __init__(self, config: ModelConfig, conditioner: nn.Module | None = None) -> None:
        super().__init__()
        self.config = config
        self.latent = PatchLatent(config.patch, config.luma, config.chroma)
        self.video = VideoTower(config, self.latent.width)
        self.action = ActionTower(config)
        self.conditioner = conditioner

    def trainable(self, stage: str) -> list[tuple[str, nn.Parameter]]:
        """What a stage trains, by name; all else is frozen. ValueError: no such stage."""
        prefixes = {
            "video": ("video.",),
            "action": ("action.",),
            "text": ("conditioner.",),
            "joint": ("video.", "action."),
        }
        if stage not in prefixes:
            raise ValueError(f"no stage {stage!r}; there are {', '.join(STAGES)}")
        return [(name, weight) for name, weight in self.named_parameters() if name.startswith(prefixes[stage])]

    def losses(self, batch: Batch, stage: str, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """`loss` is the one to step on; `video`, `action` its parts. Means over valid tokens: a packed batch has the
        loss of its events apart. Captions are dropped and the sight cones mask while `self.training`."""
        if stage == "text":
            if self.conditioner is None:
                raise ValueError("stage text trains a conditioner, and this model has none")
            return dict(self.conditioner.batch_losses(batch))
        return self.losses_of(batch, stage, self.draws(batch, generator))

    def draws(self, batch: Batch, generator: torch.Generator | None) -> Draws:
        rows, columns = self.latent.grid(batch.pictures)
        return draw(batch, self.config, (rows * columns, self.latent.width), generator, self.training)

    def losses_of(self, batch: Batch, stage: str, draws: Draws) -> dict[str, Tensor]:
        """The same with given draws."""
        if stage not in ("video", "action", "joint"):
            raise ValueError(f"no stage {stage!r}; there are {', '.join(STAGES)}")
        batch = replace(batch, text_valid=batch.text_valid & draws.keep_text)
        views = batch.pictures.shape[2]
        if stage == "video" and not views:
            raise ValueError("stage video needs a camera, and the batch has none")
        # a frozen video tower is read as a rollout reads it: without sight cones
        scene = scene_of(batch, self.config, self.latent, self.training and stage != "action") if views else None
        parts = {}
        if scene is not None and stage != "action":
            parts["video"] = self.video_loss(batch, scene, draws)
        if stage != "video":
            with torch.set_grad_enabled(stage == "joint" and torch.is_grad_enabled()):
                features = self.anchor_features(batch, scene, draws.anchor_noise)
            parts["action"] = self.action_loss(batch, scene, features, draws)
        return {"loss": torch.stack(list(parts.values())).sum()} | parts

    def video_loss(self, batch: Batch, scene: Scene, draws: Draws) -> Tensor:
        time = draws.video_time
        level = level_of(time, batch.picture_segment)
        velocity, _ = self._video(noised(scene.clean, draws.video_noise, level), time, scene, batch)
        return mean_over((velocity - (draws.video_noise - scene.clean)).square(), scene.predicted)

    def anchor_features(self, batch: Batch, scene: Scene | None, noise: Tensor) -> list[Tensor]:
        """Tokens after each video block, of all pictures and views in one sequence, float32[B, S, width], from the
        event's own pictures at the anchor's noise level."""
        if scene is None:
            return self._no_features(batch)
        anchor = self.config.anchor / self.config.denoising_steps
        return self._features(noised(scene.clean, noise, torch.tensor(anchor)), anchor, scene, batch)

    def action_loss(self, batch: Batch, scene: Scene | None, features: list[Tensor], draws: Draws) -> Tensor:
        action, noise, time = batch.action[:, None], draws.action_noise, draws.action_time
        if self.config.action_head == "two_step":
            # one regression from nothing, one from the action under a little noise (arXiv 2512.01809)
            noise = noise[:, :1]
            nearly = noised(action, noise, torch.tensor(1 - TWO_STEP_TIME))
            noisy = torch.cat([torch.zeros_like(nearly), nearly], dim=1)
            time = torch.cat([torch.ones_like(time[:, :1]), torch.full_like(time[:, :1], 1 - TWO_STEP_TIME)], dim=1)
            target = action.expand_as(noisy)
        else:
            of_action = batch.action_segment[:, None].expand(-1, time.shape[1], -1)
            level = time.gather(2, (of_action - 1).clamp(min=0))[..., None]
            noisy, target = noised(action, noise, level), noise - action
        said = self._action(noisy, time, features, self.sequences(batch, scene), batch)
        return mean_over((said - target).square(), batch.action_valid[:, None])

    def predict_video(self, batch: Batch, steps: int, generator: torch.Generator | None = None) -> Tensor:
        """float32[B, F, V, 3, H, W], 0 to 1: the event's first picture as it is, the others by so many Euler steps.

        One step gives the mean of what may come (least error, blurred where it is unsure), many a sample of it.
        Padding and missing views are not to be used.
        """
        return self.video_from(batch, steps, self.draws(batch, generator).video_noise)

    def predict_action(self, batch: Batch, steps: int, generator: torch.Generator | None = None) -> Tensor:
        """float32[B, T, Da], normalised, by so many Euler steps (the two-step head takes its two). Of the pictures only
        each event's first is read: the video tower comes from noise to the anchor by itself."""
        draws = self.draws(batch, generator)
        return self.action_from(batch, steps, draws.anchor_noise, draws.action_noise[:, :1])

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def video_from(self, batch: Batch, steps: int, noise: Tensor) -> Tensor:
        """`predict_video` from given noise, float32[B, F, V, P, C]."""
        scene = scene_of(batch, self.config, self.latent, training=False)
        found = euler(lambda x, now: self._video(x, _filled(batch, now), scene, batch)[0], noise, steps)
        change = self.latent.decode(found, scene.grid)
        index = scene.first[..., None, None, None, None].expand_as(batch.pictures)
        first = batch.pictures.gather(1, index)
        predicted = scene.predicted[..., None]
        return torch.where(predicted, (first + change).clamp(0, 1), first)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def action_from(self, batch: Batch, steps: int, anchor_noise: Tensor, noise: Tensor) -> Tensor:
        """`predict_action` from given noise, float32[B, F, V, P, C] and float32[B, 1, T, Da]."""
        scene = scene_of(batch, self.config, self.latent, training=False) if batch.pictures.shape[2] else None
        features = self._rollout_features(batch, scene, anchor_noise)
        at = self.sequences(batch, scene)

        def said(noisy: Tensor, now: float) -> Tensor:
            return self._action(noisy, _filled(batch, now)[:, None], features, at, batch)

        if self.config.action_head == "two_step":
            nothing = said(torch.zeros_like(noise), 1.0)
            return said(TWO_STEP_TIME * nothing, 1 - TWO_STEP_TIME)[:, 0]
        return euler(said, noise, steps)[:, 0]

    def sequences(self, batch: Batch, scene: Scene | None) -> Sequences:
        segment = batch.picture_segment.new_zeros(*batch.picture_segment.shape, 0) if scene is None else scene.segment
        patches = 1 if scene is None else scene.grid[0] * scene.grid[1]
        return sequences_of(batch, segment, patches, self.config)

    def _rollout_features(self, batch: Batch, scene: Scene | None, noise: Tensor) -> list[Tensor]:
        if scene is None:
            return self._no_features(batch)
        anchor = self.config.anchor / self.config.denoising_steps
        x, steps = noise, self.config.denoising_steps - self.config.anchor
        if steps:
            x = euler(lambda x, now: self._video(x, _filled(batch, now), scene, batch)[0], x, steps, until=anchor)
        return self._features(x, anchor, scene, batch)

    def _features(self, noisy: Tensor, level: float, scene: Scene, batch: Batch) -> list[Tensor]:
        _, features = self._video(noisy, _filled(batch, level), scene, batch)
        return [x.flatten(1, 3) for x in features]

    def _no_features(self, batch: Batch) -> list[Tensor]:
        return [batch.state.new_zeros(len(batch.state), 0, self.config.video_width)] * self.config.depth

    def _video(self, noisy: Tensor, time: Tensor, scene: Scene, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        output, features = self.video(noisy, time, scene, batch.text, batch.text_valid, batch.picture_segment)
        return velocity_of(output, noisy, level_of(time, batch.picture_segment), CHANGE), features

    def _action(self, noisy: Tensor, time: Tensor, features: list[Tensor], at: Sequences, batch: Batch) -> Tensor:
        noisy = noisy * batch.action_mask[:, None]  # columns that a robot lacks say nothing, trained or rolled out
        output: Tensor = self.action(noisy, time, batch.state, features, at, batch.text, batch.text_valid)
        if self.config.action_head == "two_step":
            return output
        of_action = batch.action_segment[:, None].expand(-1, time.shape[1], -1)
        return velocity_of(output, noisy, time.gather(2, (of_action - 1).clamp(min=0))[..., None], spread=1.0)


def level_of(time: Tensor, picture_segment: Tensor) -> Tensor:
    """float32[B, F, 1, 1, 1]: noise level of each picture's event."""
    return time.gather(1, (picture_segment - 1).clamp(min=0))[..., None, None, None]


def parameters_by_tower(model: WorldActionModel) -> dict[str, int]:
    """How many numbers each tower learns."""
    found: Counter[str] = Counter()
    for name, weight in model.named_parameters():
        found[name.split(".")[0]] += weight.numel()
    return dict(found)


def hidden_weights(named: list[tuple[str, nn.Parameter]]) -> list[tuple[str, nn.Parameter]]:
    """The 2-D weights between hidden layers, for Muon; tables, embeddings, ways in and out, norms, biases are not."""
    edges = ("_in", "_out", "_embedding", "table")
    return [(n, w) for n, w in named if w.dim() == 2 and not any(part.endswith(edges) for part in n.split("."))]


def _filled(batch: Batch, level: float) -> Tensor:
    return torch.full_like(batch.remaining, level, dtype=torch.float32)
