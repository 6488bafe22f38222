"""The text conditioner: what it is told is what its losses ask of it."""

import math

import torch

from stages.train.conditioner import Conditioner, Said
from stages.train.model import ModelConfig, WorldActionModel
from tests.train.model.batches import make_batch


def test_losses_by_hand():
    model = Conditioner(3, 2, 4)
    said = Said(
        text=torch.tensor([[1.0, 0.0], [0.0, 0.0]]),
        event=torch.zeros(2, 4),
        after=torch.tensor([[0.0, 0.0, 0.0, 0.0], [9.0, 0.0, 0.0, 0.0]]),
        remaining=torch.tensor([1.0, 2.0]),
    )
    wanted = torch.tensor([[1.0, 1.0], [5.0, 5.0]])
    event, after = torch.tensor([2, -1]), torch.tensor([1, -1])
    remaining, valid = torch.tensor([1.25, 5.0]), torch.tensor([True, True])
    losses = model.losses(said, event, after, remaining, wanted, valid)
    assert math.isclose(losses["event"].item(), math.log(4), rel_tol=1e-6)  # the second is unknown
    assert math.isclose(losses["after"].item(), math.log(4), rel_tol=1e-6)
    # Huber at 0.5 s: 0.25 ** 2 / 2, and 0.5 * (3 - 0.25)
    assert math.isclose(losses["remaining"].item(), (0.03125 + 1.375) / 2, rel_tol=1e-6)
    assert math.isclose(losses["aligned"].item(), 1.0, rel_tol=1e-6)
    assert math.isclose(
        losses["loss"].item(), sum(losses[n].item() for n in ("event", "after", "remaining", "aligned"))
    )


def test_what_is_padding_counts_for_nothing():
    model = Conditioner(3, 2, 4)
    said = model(torch.zeros(2, 3), torch.zeros(2, 2))
    nothing = torch.zeros(2, dtype=torch.bool)
    number = torch.tensor([1, 1])
    losses = model.losses(said, number, number, torch.ones(2), torch.ones(2, 2), nothing)
    assert losses["loss"].item() == 0.0


def test_it_learns_which_event_an_observation_is_of():
    torch.manual_seed(0)
    model = Conditioner(2, 2, 3)
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    text, task = torch.eye(3)[:, :2], torch.zeros(3, 2)
    event, after = torch.tensor([0, 1, 2]), torch.tensor([1, 2, -1])
    remaining, valid = torch.tensor([0.5, 1.0, 2.0]), torch.ones(3, dtype=torch.bool)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        optimiser.zero_grad()
        model.losses(model(features, task), event, after, remaining, text, valid)["loss"].backward()
        optimiser.step()
    said = model(features, task)
    assert said.event.argmax(dim=1).tolist() == [0, 1, 2]
    assert said.after[:2].argmax(dim=1).tolist() == [1, 2]
    assert torch.allclose(said.remaining, remaining, atol=0.1)


def test_the_text_stage_trains_it_alone():
    config = ModelConfig.tiny()
    model = WorldActionModel(config, Conditioner(config.state, config.text, 3))
    batch = make_batch(config, rows=4, frames=2, views=0, actions=3)
    losses = model.losses(batch, "text")
    assert set(losses) == {"loss", "event", "after", "remaining", "aligned"}
    losses["loss"].backward()
    moved = {name.split(".")[0] for name, weight in model.named_parameters() if weight.grad is not None}
    assert moved == {"conditioner"} == {name.split(".")[0] for name, _ in model.trainable("text")}
