"""Which weights are whose, how they move, and their mean."""

import math

import pytest
import torch
from torch import nn

from stages.train.config import OptimiserConfig
from stages.train.ema import Ema
from stages.train.model import ModelConfig, WorldActionModel
from stages.train.optimiser import Optimiser, rate


class Small(nn.Module):
    """A matrix between a way in and a way out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.text_in, self.middle, self.action_out = nn.Linear(3, 4), nn.Linear(4, 6), nn.Linear(6, 2)
        self.index_embedding, self.norm = nn.Embedding(5, 4), nn.LayerNorm(4)

    def forward(self, x):
        return self.action_out(torch.tanh(self.middle(self.norm(self.text_in(x)) + self.index_embedding.weight[0])))


def named(model):
    return list(model.named_parameters())


def test_muon_has_the_hidden_matrices_and_adamw_the_rest():
    split = Optimiser(named(Small()), OptimiserConfig(), 10).split
    assert split["muon"] == ["middle.weight"]
    assert set(split["adamw"]) == {name for name, _ in named(Small())} - {"middle.weight"}
    assert Optimiser(named(Small()), OptimiserConfig(muon=False), 10).split["muon"] == []


def test_of_the_two_towers_every_weight_has_one_optimiser():
    model = WorldActionModel(ModelConfig.tiny())
    for stage in ("video", "action", "joint"):
        own = model.trainable(stage)
        optimiser = Optimiser(own, OptimiserConfig(), 10)
        shapes = {name: p.dim() for name, p in own}
        assert sorted(optimiser.split["muon"] + optimiser.split["adamw"]) == sorted(shapes)
        assert {shapes[name] for name in optimiser.split["muon"]} == {2}
        held = [id(p) for part in optimiser.parts for group in part.param_groups for p in group["params"]]
        assert sorted(held) == sorted(id(p) for _, p in own)


def test_a_matrix_moves_by_an_orthogonal_step_of_the_size_of_adams():
    """The first update of Muon is the gradient's orthogonal factor times lr * 0.2 * sqrt(max(rows, columns)) (five
    Newton-Schulz steps leave singular values between 0.7 and 1.2)."""
    model = Small()
    before = model.middle.weight.detach().clone()
    optimiser = Optimiser(named(model), OptimiserConfig(lr=0.01, weight_decay=0.0, warmup=0, clip=0.0), 10)
    model(torch.randn(7, 3)).square().sum().backward()
    optimiser.step(0)
    sizes = torch.linalg.svdvals(model.middle.weight.detach() - before) / (0.01 * 0.2 * math.sqrt(6))
    assert sizes.min() > 0.65
    assert sizes.max() < 1.25


def test_the_gradient_is_cut_by_the_norm_of_all_of_it():
    model = Small()
    optimiser = Optimiser(named(model), OptimiserConfig(clip=0.5, lr=0.0), 10)
    (100 * model(torch.ones(1, 3))).sum().backward()
    whole = torch.cat([p.grad.flatten() for _, p in named(model)]).norm()
    seen = []
    optimiser.parts[0].register_step_pre_hook(lambda *_: seen.extend(p.grad.clone() for _, p in named(model)))
    torch.testing.assert_close(optimiser.step(0), whole)
    torch.testing.assert_close(torch.cat([g.flatten() for g in seen]).norm(), torch.tensor(0.5))


def test_the_rate_rises_and_falls():
    assert [rate(n, 100, 4, 0.1) for n in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert rate(4, 100, 4, 0.1) == 1.0
    assert rate(52, 100, 4, 0.1) == pytest.approx(0.1 + 0.9 / 2)  # half of the way from 4 to 100
    assert rate(100, 100, 4, 0.1) == pytest.approx(0.1)
    assert rate(0, 2, 100, 0.1) == 1.0  # a short stage warms up in half of its steps


def test_its_state_goes_on_where_it_was():
    draws = torch.randn(6, 5, 3, generator=torch.Generator().manual_seed(1))

    def run(model, optimiser, steps):
        for n in steps:
            model(draws[n]).square().mean().backward()
            optimiser.step(n)

    one, two = Small(), Small()
    whole = Optimiser(named(one), OptimiserConfig(warmup=1), 6)
    run(one, whole, range(6))
    half = Optimiser(named(two), OptimiserConfig(warmup=1), 6)
    run(two, half, range(3))
    again = Optimiser(named(two), OptimiserConfig(warmup=1), 6)
    again.load({name: value.clone() for name, value in half.tensors().items()})
    run(two, again, range(3, 6))
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(named(one), named(two), strict=True))


def test_the_mean_of_weights_by_hand():
    weight = nn.Parameter(torch.tensor([0.0]))
    ema = Ema([("w", weight)], 0.5)
    means = []
    for value in (1.0, 2.0, 3.0):
        with torch.no_grad():
            weight.fill_(value)
        ema.update()
        means.append(ema.averages["w"].item())
    # decays 1/10, 2/11, 3/12
    first = 0.9
    second = first * 2 / 11 + 2 * 9 / 11
    assert means == pytest.approx([first, second, second / 4 + 3 * 3 / 4])
    assert Ema([("w", weight)], 0.2).rate() == 0.1
    with ema.swapped():
        assert weight.item() == pytest.approx(means[-1])
    assert weight.item() == 3.0
    ema.settle()
    assert weight.item() == pytest.approx(means[-1])


def test_without_a_decay_the_weights_stand_for_their_mean():
    weight = nn.Parameter(torch.tensor([4.0]))
    ema = Ema([("w", weight)], 0.0)
    ema.update()
    with ema.swapped():
        assert weight.item() == 4.0
