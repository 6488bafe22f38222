"""The two towers: what a gradient reaches, what moves, that packed rows are their events apart."""

from dataclasses import replace

import pytest
import torch

from stages.train.batch import Batch
from stages.train.model import STAGES, ModelConfig, WorldActionModel, hidden_weights, parameters_by_tower
from stages.train.model.flow import Draws, drop_probability, velocity_of
from stages.train.model.video import scene_of
from tests.train.model.batches import make_batch, numbers, pack

TINY = ModelConfig.tiny()


def awake(config: ModelConfig = TINY, seed: int = 0) -> WorldActionModel:
    """A model whose ways out are no zeros, so that everything counts."""
    torch.manual_seed(seed)
    model = WorldActionModel(config)
    for weight in model.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.2)
    return model


def step(model: WorldActionModel, batch: Batch, stage: str) -> dict[str, float]:
    optimiser = torch.optim.AdamW([weight for _, weight in model.trainable(stage)], 1e-2)
    losses = model.losses(batch, stage, torch.Generator().manual_seed(0))
    losses["loss"].backward()
    optimiser.step()
    return numbers(losses)


def test_no_action_gradient_reaches_the_video_tower():
    model, batch = awake(), make_batch(TINY, 2, 3, 2, 6)
    batch.text_valid[1] = False  # the learned vector for no text counts too
    model.losses(batch, "action", torch.Generator().manual_seed(0))["loss"].backward()
    assert all(weight.grad is None for weight in model.video.parameters())
    # every weight of the action tower counts, but the windows': event mode has none
    assert {n for n, w in model.action.named_parameters() if w.grad is None or not w.grad.any()} == {
        "window_embedding.weight"
    }


def test_in_joint_training_it_does():
    model, batch = awake(), make_batch(TINY, 2, 3, 2, 6)
    model.losses(batch, "joint", torch.Generator().manual_seed(0))["action"].backward()
    assert any(weight.grad is not None and weight.grad.any() for weight in model.video.parameters())


@pytest.mark.parametrize(
    ("stage", "towers"), [("video", {"video"}), ("action", {"action"}), ("joint", {"video", "action"})]
)
def test_nothing_frozen_moves(stage: str, towers: set[str]):
    model, batch = awake(), make_batch(TINY, 2, 3, 2, 6)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    step(model, batch, stage)
    moved = {name.split(".")[0] for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}
    assert moved == towers
    assert {name.split(".")[0] for name, _ in model.trainable(stage)} == towers


def test_video_reads_neither_actions_nor_states():
    model, batch = awake().eval(), make_batch(TINY, 2, 3, 2, 6)
    other = replace(batch, action=batch.action + 1, state=batch.state + 1)
    seen = [model.predict_video(b, 2, torch.Generator().manual_seed(0)) for b in (batch, other)]
    assert torch.equal(*seen)


def test_actions_are_foretold_from_the_first_picture_alone():
    """Neither later pictures nor where a camera on the hand will be then: that would tell where the hand goes."""
    model, batch = awake().eval(), make_batch(TINY, 2, 3, 2, 6)
    later = replace(batch, pictures=batch.pictures.clone(), pose=batch.pose.clone(), action=batch.action + 1)
    later.pictures[:, 1:] = 0.5
    later.pose[:, 1:, :, :3, 3] += 0.3
    said = [model.predict_action(b, 2, torch.Generator().manual_seed(0)) for b in (batch, later)]
    assert torch.equal(*said)
    sooner = replace(batch, pose=batch.pose + 0.0)
    sooner.pose[:, :1, 0, :3, 3] += 0.3
    assert not torch.equal(said[0], model.predict_action(sooner, 2, torch.Generator().manual_seed(0)))


def test_half_precision():
    model, batch = awake(), make_batch(TINY, 2, 3, 2, 6)
    with torch.autocast("cpu", torch.bfloat16):
        half = numbers(model.losses(batch, "joint", torch.Generator().manual_seed(0)))
    whole = numbers(model.losses(batch, "joint", torch.Generator().manual_seed(0)))
    assert half["loss"] == pytest.approx(whole["loss"], rel=0.05)


def test_stages():
    model = WorldActionModel(TINY)
    assert STAGES == ("video", "action", "text", "joint")
    assert model.trainable("text") == []
    with pytest.raises(ValueError, match="no stage 'vido'"):
        model.trainable("vido")
    with pytest.raises(ValueError, match="trains a conditioner"):
        model.losses(make_batch(TINY, 1, 2, 1, 2), "text")
    with pytest.raises(ValueError, match="needs a camera"):
        model.losses(make_batch(TINY, 1, 2, 0, 2), "video")


def test_an_attached_conditioner_trains_alone():
    class Conditioner(torch.nn.Linear):
        def batch_losses(self, batch: Batch) -> dict[str, torch.Tensor]:
            return {"loss": self(batch.text).square().mean()}

    model, batch = WorldActionModel(TINY, Conditioner(TINY.text, 1)), make_batch(TINY, 2, 3, 2, 6)
    assert [name for name, _ in model.trainable("text")] == ["conditioner.weight", "conditioner.bias"]
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    step(model, batch, "text")
    moved = {name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}
    assert moved == {"conditioner.weight", "conditioner.bias"}


EVENTS = ((2, 3), (4, 8), (1, 2), (3, 6))  # pictures and actions


def packed_and_apart() -> tuple[Batch, Draws, list[Batch], list[Draws], WorldActionModel]:
    """Two rows of two events with padding behind, and the four events apart, with the same draws."""
    model = awake()
    apart = [make_batch(TINY, 1, f, 2, t, seed=i) for i, (f, t) in enumerate(EVENTS)]
    apart[1] = replace(apart[1], view_valid=torch.tensor([[[True, False]]]))
    apart[2] = replace(apart[2], calibrated=torch.tensor([[[True, False]]]), text_valid=torch.tensor([[False]]))
    apart[3] = replace(apart[3], window=torch.tensor([[5]]))
    model.train()
    draws = [model.draws(event, torch.Generator().manual_seed(9 + i)) for i, event in enumerate(apart)]
    rows, row_draws = [], []
    for pair in ((0, 1), (2, 3)):
        frames, actions = (sum(EVENTS[i][j] for i in pair) for j in (0, 1))
        more = (7 - frames, 12 - actions)
        rows.append(pack([apart[i] for i in pair], more))
        row_draws.append(joined([draws[i] for i in pair], more))
    return stacked(rows), stacked(row_draws), apart, draws, model


def joined(draws: list[Draws], padding: tuple[int, int]) -> Draws:
    def along(name: str, dim: int, more: int = 0) -> torch.Tensor:
        whole = torch.cat([getattr(d, name) for d in draws], dim=dim)
        shape = list(whole.shape)
        shape[dim] = more
        return torch.cat([whole, torch.randn(shape)], dim=dim) if more else whole

    return Draws(
        keep_text=along("keep_text", 1),
        video_time=along("video_time", 1),
        video_noise=along("video_noise", 1, padding[0]),
        anchor_noise=along("anchor_noise", 1, padding[0]),
        action_time=along("action_time", 2),
        action_noise=along("action_noise", 2, padding[1]),
    )


def stacked(parts: list) -> Batch:
    names = parts[0].__dataclass_fields__
    return type(parts[0])(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


@pytest.mark.parametrize("stage", ["video", "action", "joint"])
def test_packed_losses_are_those_of_the_events_apart(stage: str):
    packed, draws, apart, each, model = packed_and_apart()
    whole = numbers(model.losses_of(packed, stage, draws))
    tokens = {
        "video": [2 * (f - 1) if i != 1 else f - 1 for i, (f, _) in enumerate(EVENTS)],
        "action": [t for _, t in EVENTS],
    }
    for part in set(whole) - {"loss"}:
        mean = sum(
            float(model.losses_of(event, stage, d)[part].detach()) * n
            for event, d, n in zip(apart, each, tokens[part], strict=True)
        ) / sum(tokens[part])
        assert whole[part] == pytest.approx(mean, abs=1e-5, rel=1e-5)


def test_packed_predictions_are_those_of_the_events_apart():
    packed, draws, apart, each, model = packed_and_apart()
    model.eval()
    pictures = model.video_from(packed, 3, draws.video_noise)
    actions = model.action_from(packed, 3, draws.anchor_noise, draws.action_noise[:, :1])
    for i, (event, d) in enumerate(zip(apart, each, strict=True)):
        row, number = divmod(i, 2)
        own = packed.picture_segment[row] == number + 1
        views = event.view_valid[0, 0]
        alone = model.video_from(event, 3, d.video_noise)
        torch.testing.assert_close(pictures[row][own][:, views], alone[0][:, views], atol=1e-5, rtol=1e-5)
        own = packed.action_segment[row] == number + 1
        alone = model.action_from(event, 3, d.anchor_noise, d.action_noise[:, :1])
        torch.testing.assert_close(actions[row][own], alone[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("rows", [2, 129])
@pytest.mark.parametrize("views", [0, 1, 3])
def test_events_from_two_rows_to_the_cap(rows: int, views: int):
    model = awake()
    batch = make_batch(TINY, 1, (rows - 1) // 2 + 1, views, rows)
    for stage in ("video", "action") if views else ("action",):
        losses = numbers(model.losses(batch, stage, torch.Generator().manual_seed(0)))
        assert all(torch.isfinite(torch.tensor(list(losses.values()))))
    model.eval()
    assert model.predict_action(batch, 2).shape == (1, rows, TINY.action)
    if views:
        assert torch.equal(model.predict_video(batch, 2)[:, 0], batch.pictures[:, 0])


@pytest.mark.parametrize("head", ["flow", "two_step"])
def test_columns_that_a_robot_lacks_count_for_nothing(head: str):
    config = replace(TINY, action_head=head)
    model, batch = awake(config), make_batch(config, 2, 3, 1, 4)
    batch.action_mask[0, :, 1] = False
    other = replace(batch, action=batch.action.clone())
    other.action[0, :, 1] = 7.0
    losses = [numbers(model.losses(b, "action", torch.Generator().manual_seed(0))) for b in (batch, other)]
    assert losses[0] == losses[1]
    other.action[1, :, 1] = 7.0
    assert numbers(model.losses(other, "action", torch.Generator().manual_seed(0))) != losses[0]


@pytest.mark.parametrize("head", ["flow", "two_step"])
def test_rows_that_hold_nothing_but_padding_have_no_nan(head: str):
    config = replace(TINY, action_head=head)
    model, batch = awake(config), make_batch(config, 2, 3, 2, 6)
    batch.picture_segment[1] = 0
    batch.action_segment[1] = 0
    batch.view_valid[1] = False
    losses = model.losses(batch, "joint", torch.Generator().manual_seed(0))
    losses["loss"].backward()
    assert losses["loss"].isfinite()
    assert all(w.grad is None or w.grad.isfinite().all() for w in model.parameters())


def test_cross_view_attention_changes_nothing_at_first():
    torch.manual_seed(0)
    model = WorldActionModel(TINY)
    batch = make_batch(TINY, 1, 3, 2, 4)
    scene = scene_of(batch, TINY, model.latent, training=False)
    noise = torch.randn_like(scene.clean)
    before = model.anchor_features(batch, scene, noise)
    for block in model.video.blocks:
        block.across.forward = lambda x, *_: torch.zeros_like(x)
    assert all(torch.equal(a, b) for a, b in zip(before, model.anchor_features(batch, scene, noise), strict=True))


def test_a_network_that_says_nothing_yet_guesses_the_mean():
    """At s = 1 (noise alone) the guess of what is clean, x - v, is 0; at s = 0, x; between, for a spread of 1/2 and
    s = 1/2: x (1/2 * 1/4) / (1/16 + 1/4) = 0.4 x."""
    x, nothing = torch.tensor([1.0, -2.0]), torch.zeros(2)
    for time, share in ((1.0, 0.0), (0.5, 0.4), (0.0, 1.0)):
        s = torch.tensor(time)
        torch.testing.assert_close(x - s * velocity_of(nothing, x, s, 0.5), share * x)
    model, batch = WorldActionModel(TINY), make_batch(TINY, 1, 3, 2, 4)
    copied = batch.pictures[:, :1].expand_as(batch.pictures)
    torch.testing.assert_close(model.predict_video(batch, 1), copied, atol=1e-5, rtol=0)


def test_sight_cones_mask_while_the_video_tower_trains_alone():
    model, batch = awake(), make_batch(TINY, 1, 2, 2, 4, side=64)
    trained = scene_of(batch, TINY, model.latent, training=True).across
    assert not trained.all()
    assert scene_of(batch, TINY, model.latent, training=False).across.all()
    assert scene_of(batch, replace(TINY, sight_cone=False), model.latent, training=True).across.all()


def test_captions_drop_by_length():
    """0.1 up to 129 frames, 0.9 from 220; half-way (174.5) half-way."""
    frames = torch.tensor([2, 129, 174, 175, 220, 500])
    expected = torch.tensor([0.1, 0.1, 0.4931, 0.5069, 0.9, 0.9])
    torch.testing.assert_close(drop_probability(frames, TINY), expected, atol=1e-4, rtol=0)


def test_captions_are_dropped_in_training_alone():
    model, batch = WorldActionModel(replace(TINY, drop_short=1.0)), make_batch(TINY, 4, 2, 1, 4)
    assert not model.draws(batch, None).keep_text.any()
    assert model.eval().draws(batch, None).keep_text.all()


def test_captions_of_events_that_were_cut_drop_by_their_whole_length():
    """A batch has 4 rows of each; 220 frames: 0.9."""
    model, batch = WorldActionModel(replace(TINY, drop_short=0.0, drop_long=1.0)), make_batch(TINY, 4, 2, 1, 4)
    batch.frames[2:] = 220
    assert model.draws(batch, None).keep_text[:, 0].tolist() == [True, True, False, False]


def test_where_an_action_lies_beside_the_video():
    """Stride 2: actions 0, 1 beside latent frame 1, 2, 3 beside 2; the state beside the first picture, 0."""
    model, batch = WorldActionModel(TINY), make_batch(TINY, 1, 3, 1, 5)
    at = model.sequences(batch, scene_of(batch, TINY, model.latent, training=False))
    assert at.index.tolist() == [[0, 1, 1, 2, 2, 3]]
    assert at.video_index.tolist() == [[0] * 4 + [1] * 4 + [2] * 4]


def test_windows_are_told_apart_in_unified_mode_alone():
    model, batch = awake().eval(), make_batch(TINY, 1, 3, 1, 5)
    said = [
        model.predict_action(replace(batch, window=torch.tensor([[n]])), 1, torch.Generator().manual_seed(0))
        for n in (0, 1, 2)
    ]
    assert not torch.allclose(said[1], said[2])
    assert not model.action.window_embedding.weight[0].any()


def test_muon_moves_what_lies_between_layers():
    by_muon = {name for name, _ in hidden_weights(list(WorldActionModel(TINY).named_parameters()))}
    kinds = {name.rsplit(".", 2)[-2] for name in by_muon}
    assert kinds == {"qkv", "q", "kv", "out", "gate_up", "down", "value", "context"}


def test_sizes():
    model = WorldActionModel(TINY)
    assert sum(parameters_by_tower(model).values()) == sum(w.numel() for w in model.parameters())
    assert sum(parameters_by_tower(WorldActionModel(ModelConfig())).values()) < 5_000_000
    with pytest.raises(ValueError, match="no multiple of 16 x 6 heads"):
        ModelConfig(video_width=100)
