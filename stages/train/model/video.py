"""The video tower: a denoiser of all views of an event, the first picture given.

In: latents of an event's pictures, those after the first noised, their noise level, text. Out: their velocity towards
noise, and the tokens after each block, which the action tower reads. A block is attention within a view over the
event's pictures, attention across views at one time, and feed-forward; noise level and text modulate each. Nothing
here reads an action or a state.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stages.train.batch import Batch
from stages.train.model.attention import (
    Condition,
    GatedFeedForward,
    Modulated,
    SelfAttention,
    of_segment,
    rotary,
    same_segment,
)
from stages.train.model.cameras import CameraCode, CrossViewAttention, camera_code
from stages.train.model.config import ModelConfig
from stages.train.model.latent import PatchLatent
from stages.train.model.sight_cone import sight_mask


@dataclass(frozen=True, slots=True)
class Scene:
    """What of a batch's pictures every noise level and block share. B rows, F pictures, V views, P patches."""

    clean: Tensor
    """float32[B, F, V, P, C]: of a first picture itself, of others their change from it."""
    given: Tensor
    """float32[B, F, V, P, C]: the event's first picture, beside each of its pictures."""
    first: Tensor
    """int64[B, F]: where in the row the event's first picture is."""
    is_first: Tensor
    """bool[B, F]."""
    segment: Tensor
    """int64[B, F, V]: event of a picture; 0: none, or the event lacks the view."""
    turn: Tensor
    """float32[B * V, F * P, 2, d / 2]: rotary code of picture, row and column."""
    within: Tensor | None
    """bool[B * V, 1, F * P, F * P]: may attend within a view; None: all may."""
    code: CameraCode
    across: Tensor
    """bool[B * F, 1, V * P, V * P]: may attend across views."""
    grid: tuple[int, int]

    @property
    def predicted(self) -> Tensor:
        """bool[B, F, V, 1, 1]: tokens that are denoised, and count in the loss."""
        return ((self.segment > 0) & ~self.is_first[..., None])[..., None, None]


@torch.autocast("cuda", enabled=False)  # type: ignore[untyped-decorator]  # geometry in float32
@torch.autocast("cpu", enabled=False)  # type: ignore[untyped-decorator]
def scene_of(batch: Batch, config: ModelConfig, latent: PatchLatent, training: bool) -> Scene:
    """training: with sight cones."""
    rows, pictures, views = batch.pictures.shape[:3]
    size = (batch.pictures.shape[-2], batch.pictures.shape[-1])
    grid = latent.grid(batch.pictures)
    segment = torch.where(
        of_segment(batch.view_valid, batch.picture_segment), batch.picture_segment[..., None], 0
    )  # B, F, V
    is_first = batch.picture_index == 0
    same = batch.picture_segment[:, :, None] == batch.picture_segment[:, None]
    first = (same & is_first[:, None]).int().argmax(dim=-1)
    encoded = latent.encode(batch.pictures)
    given = encoded.gather(1, first.view(rows, pictures, 1, 1, 1).expand_as(encoded))
    clean = torch.where(is_first.view(rows, pictures, 1, 1, 1), encoded, encoded - given)

    patches = torch.cartesian_prod(*(torch.arange(n, device=segment.device) for n in grid)).reshape(-1, 2)
    head = config.video_width // config.video_heads
    time = batch.picture_index[..., None].expand(-1, -1, len(patches)).flatten(1)  # B, F * P
    row, column = patches.repeat(pictures, 1).expand(rows, -1, -1).unbind(-1)
    spatial = 2 * (3 * head // 16)
    turn = rotary((time, row, column), (head - 2 * spatial, spatial, spatial))

    of_view = segment.transpose(1, 2).flatten(0, 1).repeat_interleave(len(patches), dim=1)  # B * V, F * P
    within = None if bool((of_view == of_view[:, :1]).all()) else same_segment(of_view, of_view)
    at_once = segment.flatten(0, 1).repeat_interleave(len(patches), dim=1)  # B * F, V * P
    across = same_segment(at_once, at_once)
    calibrated = (of_segment(batch.calibrated, batch.picture_segment) & (segment > 0)).flatten(0, 1)
    intrinsics = of_segment(batch.intrinsics, batch.picture_segment).flatten(0, 1)
    # where a camera on the hand will be is what the action tower has to find: its code is that of the first picture
    known_pose = batch.pose.gather(1, first[..., None, None, None].expand_as(batch.pose)).flatten(0, 1)
    if training and config.sight_cone and views > 1:
        across = across & sight_mask(
            intrinsics, batch.pose.flatten(0, 1), calibrated, patches, latent.patch, config
        ).unsqueeze(1)
    return Scene(
        clean=clean,
        given=given,
        first=first,
        is_first=is_first,
        segment=segment,
        turn=turn.repeat_interleave(views, dim=0),
        within=within,
        code=camera_code(intrinsics, known_pose, calibrated, size, patches, head),
        across=across,
        grid=grid,
    )


class VideoBlock(nn.Module):  # type: ignore[misc]
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.modulated = Modulated(width, 9)
        self.within = SelfAttention(width, heads)
        self.across = CrossViewAttention(width, heads)
        self.feed_forward = GatedFeedForward(width)

    def forward(self, x: Tensor, scene: Scene, modulation: Tensor) -> Tensor:
        """float[B, F, V, P, width]; modulation float[B, F, 1, 1, 9 * width]."""
        rows, pictures, views, patches, _ = x.shape
        shift, scale, gate, shift2, scale2, gate2, shift3, scale3, gate3 = self.modulated(modulation)
        in_view = self.modulated.shifted(x, shift, scale).transpose(1, 2).flatten(2, 3).flatten(0, 1)
        seen = self.within(in_view, scene.turn, scene.within)
        x = x + gate * seen.view(rows, views, pictures, patches, -1).transpose(1, 2)
        if views > 1:
            at_once = self.modulated.shifted(x, shift2, scale2).flatten(2, 3).flatten(0, 1)
            x = x + gate2 * self.across(at_once, scene.code, scene.across).view_as(x)
        return x + gate3 * self.feed_forward(self.modulated.shifted(x, shift3, scale3))


class VideoTower(nn.Module):  # type: ignore[misc]
    def __init__(self, config: ModelConfig, channels: int) -> None:
        super().__init__()
        width = config.video_width
        self.given_in = nn.Linear(channels, width)
        self.noisy_in = nn.Linear(channels, width)
        self.condition = Condition(width, config.text, 9)
        self.blocks = nn.ModuleList(VideoBlock(width, config.video_heads) for _ in range(config.depth))
        self.norm = nn.RMSNorm(width)
        self.velocity_out = nn.Linear(width, channels)
        nn.init.zeros_(self.velocity_out.weight)
        nn.init.zeros_(self.velocity_out.bias)

    def forward(
        self, noisy: Tensor, time: Tensor, scene: Scene, text: Tensor, text_valid: Tensor, picture_segment: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """noisy float32[B, F, V, P, C] (of first pictures it is not read); time float32[B, N]; text [B, N, Dt].

        The velocity, as noisy; tokens after each block, float32[B, F, V, P, width].
        """
        first = scene.is_first[..., None, None, None]
        x = self.given_in(scene.given) + torch.where(first, 0.0, self.noisy_in(noisy))
        # a first picture is clean whatever the noise level of the others
        levels = torch.stack([time, torch.zeros_like(time)], dim=-1)
        both = self.condition(levels, text[:, :, None].expand(-1, -1, 2, -1), text_valid[:, :, None].expand_as(levels))
        of_picture = of_segment(both, picture_segment)  # B, F, 2, 9 * width
        modulation = torch.where(scene.is_first[..., None], of_picture[:, :, 1], of_picture[:, :, 0])[:, :, None, None]
        features = []
        for block in self.blocks:
            x = block(x, scene, modulation)
            features.append(x)
        return self.velocity_out(self.norm(x)), features
