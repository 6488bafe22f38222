"""The towers learn: one batch by heart, and a square that moves as the caption says and the actions drive it."""

from dataclasses import replace

import torch

from stages.train.batch import Batch
from stages.train.model import ModelConfig, WorldActionModel
from tests.train.model.batches import make_batch

TOY = ModelConfig.tiny(state=2, action=2, text=2, sight_cone=False, drop_short=0.0)
FRAMES, SIDE = 3, 16


def fitted(model: WorldActionModel, stage: str, steps: int, rate: float, batch_of, fixed: bool = False) -> list[float]:
    weights = [weight for _, weight in model.trainable(stage)]
    optimiser = torch.optim.AdamW(weights, rate, betas=(0.9, 0.95), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    losses = []
    for step in range(steps):
        generator = torch.Generator().manual_seed(0 if fixed else step)
        loss = model.losses(batch_of(step), stage, generator)["loss"]
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return losses


def moving_squares(rows: int, seed: int) -> Batch:
    """A white square of 5 pixels that moves for 4 steps in the direction that the text names, by what each action says
    (in pixels); actions vary in speed. The state is where it starts."""
    g = torch.Generator().manual_seed(seed)
    batch = make_batch(TOY, rows, FRAMES, 1, (FRAMES - 1) * TOY.stride, SIDE, seed)
    turn = 2 * torch.pi * torch.rand(rows, generator=g)
    direction = torch.stack([turn.cos(), turn.sin()], dim=-1)
    start = 5.5 + 4 * torch.rand(rows, 2, generator=g)
    steps = direction[:, None] * (1 + 0.2 * torch.randn(rows, batch.action.shape[1], 1, generator=g))
    place = torch.cat([start[:, None], start[:, None] + steps.cumsum(dim=1)], dim=1)[:, :: TOY.stride]
    pixel = torch.arange(SIDE) + 0.0
    cover = (3 - (pixel - place[..., None]).abs()).clamp(0, 1)  # rows, F, 2, SIDE: the edges are soft
    picture = cover[:, :, 1, :, None] * cover[:, :, 0, None, :]
    return replace(
        batch,
        pictures=picture[:, :, None, None].expand(-1, -1, 1, 3, -1, -1).contiguous(),
        state=((start - 7.5) / 2)[:, None],
        action=steps,
        text=direction[:, None],
    )


def test_one_batch_by_heart():
    """With the same noise each time the losses go to near zero."""
    torch.manual_seed(0)
    model, batch = WorldActionModel(TOY), moving_squares(4, 1)
    for stage in ("video", "action"):
        losses = fitted(model, stage, 100, 2e-2, lambda _: batch, fixed=True)
        assert losses[-1] < 0.01 * losses[0]


def test_a_moving_square_is_foreseen_and_driven():
    """Both on squares not seen before: pictures against the first one copied, actions against their mean."""
    torch.manual_seed(0)
    model, test = WorldActionModel(TOY), moving_squares(64, 10**6)
    fitted(model, "video", 150, 1e-2, lambda step: moving_squares(24, step))
    said = model.eval().predict_video(test, 5, torch.Generator().manual_seed(0))
    assert error(said, test.pictures) < 0.6 * error(test.pictures[:, :1], test.pictures)
    for head in ("flow", "two_step"):
        torch.manual_seed(0)
        actor = WorldActionModel(replace(TOY, action_head=head))
        actor.video.load_state_dict(model.video.state_dict())
        fitted(actor, "action", 60, 5e-3, lambda step: moving_squares(16, step))
        done = actor.eval().predict_action(test, 5, torch.Generator().manual_seed(0))
        assert error(done, test.action) < 0.3 * error(test.action.mean(dim=(0, 1)), test.action)


def error(said: torch.Tensor, truth: torch.Tensor) -> float:
    return float((said - truth).square().mean())
