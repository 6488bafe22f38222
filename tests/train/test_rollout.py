"""A trained model as a policy: by windows, by events that it is told or tells itself, switched as one likes."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from stages.train.config import Config, DataConfig, StageConfig
from stages.train.data import Facts
from stages.train.model.config import ModelConfig
from stages.train.rollout import Acting, TowerPolicy
from stages.train.run.build import build

CAPTIONS = ("The arm grasps the cup.", "The arm lifts the cup.")
WIDTH = 28
SHIFT, UNIT = [0.1, 0.2, 0.3, 0.5], [2.0, 2.0, 2.0, 1.0]


def embed(texts):
    return np.stack([np.eye(8, dtype=np.float32)[len(text) % 8] for text in texts])


def facts(cameras: tuple[str, ...] = ()) -> Facts:
    scales = {"state": {"shift": [0.0] * WIDTH, "unit": [1.0] * WIDTH}, "action": {"shift": SHIFT, "unit": UNIT}}
    state = ("state", "extra.observation.environment_state")
    return Facts(cameras, 16, 2, (20.0,), state, ("action",), WIDTH, 4, 8, CAPTIONS, (0.0,) * 4, {"one": scales})


def policy(cameras: tuple[str, ...] = (), text: str = "") -> TowerPolicy:
    torch.manual_seed(0)
    sizes = ModelConfig.tiny(action_head="two_step")
    names = ("depth", "video_width", "video_heads", "action_width", "action_heads", "patch", "luma", "chroma", "draws")
    own = {name: getattr(sizes, name) for name in (*names, "action_head")}
    model = build(own, facts(cameras))
    for parameter in model.parameters():  # an output that starts at zero would say nothing
        torch.nn.init.normal_(parameter, std=0.2)
    data = DataConfig(horizon=6, stride=2, cap=9, cameras=cameras, text=text)
    config = Config(data=data, stages=(StageConfig("action", 1), StageConfig("text", 1)))
    return TowerPolicy(model, config, facts(cameras), embed, "unified", Acting(execute=4))


def seen(cameras: tuple[str, ...] = ()) -> SimpleNamespace:
    rng = np.random.default_rng(0)
    pictures = {name: rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for name in cameras}
    state, environment = rng.normal(size=11).astype(np.float32), rng.normal(size=17).astype(np.float32)
    return SimpleNamespace(state=state, environment_state=environment, pictures=pictures)


def lasting(own: TowerPolicy, seconds: float, event: int) -> TowerPolicy:
    """Its conditioner says that the event is this one and takes so long."""
    with torch.no_grad():
        own.model.conditioner.remaining_out.weight.zero_()
        own.model.conditioner.remaining_out.bias.fill_(float(np.log(np.expm1(seconds))))
        own.model.conditioner.event_out.weight.zero_()
        own.model.conditioner.event_out.bias.copy_(torch.tensor([0.0, 0.0]).index_fill(0, torch.tensor([event]), 5.0))
    return own


def test_a_window_is_done_in_part():
    assert policy().act(seen(), "lift the cup").shape == (4, 4)


def test_an_event_is_done_whole_and_no_longer_than_the_most():
    own = lasting(policy(), 0.25, event=1)
    own.mode = "event"
    assert own.act(seen(), "lift the cup").shape == (5, 4)  # 0.25 s at 20 a second
    assert own.next_event == CAPTIONS[1]
    assert lasting(own, 3.0, event=0).act(seen(), "lift the cup").shape == (9, 4)
    assert own.next_event == CAPTIONS[0]
    assert lasting(own, 0.01, event=0).act(seen(), "lift the cup").shape == (2, 4)


def test_an_event_that_is_given_is_done_in_any_mode():
    own = lasting(policy(), 0.25, event=1)
    assert own.act(seen(), "lift the cup", next_event=CAPTIONS[0]).shape == (5, 4)
    assert own.next_event == CAPTIONS[0]


def test_modes_are_switched_in_mid_rollout():
    one, other = lasting(policy(), 0.2, event=1), lasting(policy(), 0.2, event=1)
    for own in (one, other):
        own.act(seen(), "lift the cup")
        own.mode = "event"
        own.act(seen(), "lift the cup")
        own.mode = "unified"
    assert np.array_equal(one.act(seen(), "lift the cup"), other.act(seen(), "lift the cup"))


def test_what_is_asked_for_decides_what_is_done():
    own = lasting(policy(), 0.2, event=1)
    first, second = (own.act(seen(), "lift the cup", next_event=caption) for caption in CAPTIONS)
    assert not np.allclose(first, second)


def test_actions_are_in_units_of_the_robot():
    own = policy()
    with torch.no_grad():
        own.model.action.action_out.weight.zero_()
        own.model.action.action_out.bias.fill_(1.0)
    # 1 normalised: shift + unit
    np.testing.assert_allclose(own.act(seen(), "lift the cup")[0], [2.1, 2.2, 2.3, 1.5], rtol=1e-5)


def test_cameras_are_where_their_calibration_says():
    cameras = ("front", "wrist")
    own = policy(cameras)
    entry = {"width": 16, "height": 16, "K": [[20, 0, 7.5], [0, 20, 7.5], [0, 0, 1]], "mount": "ee"}
    pose = np.eye(4)
    pose[2, 3] = 0.1
    own.calibrate({"wrist": entry | {"T_ee_camera": pose.tolist()}})
    observation = seen(cameras)
    observation.state[:7] = [0.5, 0.0, 0.2, 0.0, 0.0, 0.0, 1.0]
    batch = own._batch(observation, own._state(observation), "lift", 6)
    assert batch.calibrated[0, 0].tolist() == [False, True]
    np.testing.assert_allclose(batch.pose[0, :, 1, :3, 3], np.tile([0.5, 0.0, 0.3], (3, 1)), atol=1e-6)
    assert own.act(observation, "lift the cup").shape == (4, 4)


def test_what_it_cannot_see_is_told():
    own = policy()
    own.facts = replace(own.facts, state=("state", "extra.observation.force"))
    with pytest.raises(ValueError, match=r"no extra\.observation\.force"):
        own.act(seen(), "lift the cup")


def test_windows_are_numbered_as_the_run_has_learned_them():
    for mode, expected in (("event", [0, 0, 0]), ("unified", [0, 0, 1])):  # done 0, 4, 8 of windows of 6
        own = policy()
        own.config = replace(own.config, data=replace(own.config.data, mode=mode))
        found = []
        for _ in range(3):
            found.append(own._batch(seen(), own._state(seen()), "lift", 6).window.item())
            own.act(seen(), "lift the cup")
        assert found == expected


def test_without_captions_an_event_has_no_text():
    own = lasting(policy(), 0.25, event=0)
    own.facts, own.mode = replace(own.facts, captions=()), "event"
    assert own.act(seen(), "lift the cup").shape == (5, 4)
    assert own.next_event == ""


def test_a_run_that_reads_earlier_states_is_refused():
    own = policy()
    config = replace(own.config, data=replace(own.config.data, history=2))
    with pytest.raises(ValueError, match=r"data\.history"):
        TowerPolicy(own.model, config, own.facts, embed)


def test_words_are_of_the_kind_that_were_learned(monkeypatch):
    told: dict[str, list[str]] = {}
    for kind in ("caption", "task"):
        own = lasting(policy(text=kind), 0.25, event=1)
        batch = own._batch
        monkeypatch.setattr(own, "_batch", lambda o, s, text, n, kind=kind, batch=batch: (
            told.setdefault(kind, []).append(text), batch(o, s, text, n))[1])  # fmt: skip
        for own.mode in ("unified", "event"):
            own.act(seen(), "lift the cup")
        own.act(seen(), "lift the cup", next_event=CAPTIONS[0])
    assert told == {
        "caption": [CAPTIONS[1], CAPTIONS[1], CAPTIONS[0]],
        "task": ["lift the cup", "lift the cup", CAPTIONS[0]],
    }


def test_a_conditioner_that_was_not_trained_tells_nothing():
    own = policy()
    own.tells = False
    own.by_captions = False
    own.act(seen(), "lift the cup")  # windows under the task's words need none
    own.mode = "event"
    with pytest.raises(ValueError, match="stage text"):
        own.act(seen(), "lift the cup")
