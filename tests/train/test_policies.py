"""State policies: what they see, what they learn from, that they come back from a file as they were."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.train.policies import Nearest, Replay, Settings, fit, load, save
from stages.train.policies.features import Scale, Texts, geometry, hashed
from stages.train.policies.idle import idle, without_idle
from stages.train.policies.network import ChunkNetwork, parameters
from stages.train.policies.regression import losses, predicted
from tests.train.recordings import Recorded, of_recordings

SMALL = Settings(horizon=4, execute=2, width=32, steps=60, batch=32, rate=3e-3)


def recorded(speeds: list[float], gripper: list[float] | None = None, task: str = "go", at: float = 0.0) -> Recorded:
    """A hand that starts at x = `at` and moves along x so fast (m/s), a second a row; the goal lies at x = 1."""
    count = len(speeds)
    state = np.zeros((count, 11), np.float32)
    state[:, 0] = at + np.cumsum([0.0, *speeds[:-1]])
    environment = np.zeros((count, 17), np.float32)
    environment[:, 14] = 1.0
    action = np.zeros((count, 4), np.float32)
    action[:, 0] = speeds
    action[:, 3] = 1.0 if gripper is None else gripper
    return Recorded(state, environment, action, task)


def seen(x: float, goal: float = 1.0) -> SimpleNamespace:
    state, environment = np.zeros(11, np.float32), np.zeros(17, np.float32)
    state[0], environment[14] = x, goal
    return SimpleNamespace(state=state, environment_state=environment, pictures={})


def test_rows_have_the_actions_after_them_and_the_events_that_they_lie_in():
    own = recorded([0.1, 0.2, 0.3])
    own = Recorded(own.state, own.environment, own.action, "go", ((0, "reach"), (2, "lift")))
    examples = of_recordings([own, recorded([0.5])], 2, 10.0)
    assert examples.action[:, :, 0].tolist() == np.float32([[0.1, 0.2], [0.2, 0.3], [0.3, 0.3], [0.5, 0.5]]).tolist()
    assert examples.action_valid.tolist() == [[True, True], [True, True], [True, False], [True, False]]
    said = [[examples.texts[n] for n in numbers] for numbers in (examples.caption, examples.next_caption)]
    assert said == [["reach", "reach", "lift", "go"], ["lift", "lift", "", ""]]
    assert examples.event_remaining_s == pytest.approx([0.2, 0.1, 0.1, 0.1])
    assert examples.remaining_s == pytest.approx([0.3, 0.2, 0.1, 0.1])
    assert (examples.episode.tolist(), examples.frame.tolist()) == ([0, 0, 0, 1], [0, 1, 2, 0])
    assert examples.take(np.array([2])).remaining_s == pytest.approx([0.1])


def test_geometry_has_places_and_the_differences_between_them():
    state = np.arange(11, dtype=np.float32)[None]
    environment = 100 + np.arange(17, dtype=np.float32)[None]
    own = geometry(state, environment)[0].tolist()
    assert own[:7] == [0, 1, 2, 7, 8, 9, 10]  # place, velocity, opening
    assert own[7:24] == list(range(100, 117))
    assert own[24:] == [100, 100, 100, 107, 107, 107, 114, 114, 114, 14, 14, 14]


def test_a_column_that_does_not_vary_is_shifted_alone():
    scale = Scale.of(np.float32([[1, 5], [3, 5]]))
    assert scale.normalised(np.float32([[1, 5], [3, 6]])).tolist() == [[-1, 0], [1, 1]]
    assert scale.restored(np.float32([[-1, 0]])).tolist() == [[1, 5]]


@given(st.lists(st.text(alphabet="abc ", min_size=1), min_size=1, max_size=4))
def test_hashed_words_know_no_order_and_have_length_one(words):
    vector, turned = hashed([" ".join(words), " ".join(reversed(words))])
    assert vector == pytest.approx(turned, abs=1e-6)
    length = float(np.linalg.norm(vector))
    assert length == pytest.approx(1, abs=1e-5) or length == 0  # no words, or words that cancel out


def test_texts_of_training_need_no_encoder_others_do():
    texts = Texts({"go": np.float32([1, 0])})
    assert texts.vector("go").tolist() == [1, 0]
    with pytest.raises(KeyError, match="no encoder"):
        texts.vector("stay")
    assert Texts.of(["go"], hashed).vector("stay").shape == (32,)


def test_idle_is_a_hand_that_stands_with_fingers_that_have_long_done_what_they_were_told():
    """10 rows a second: fingers count as busy for 8 rows from their change at row 2 on, that is up to row 9."""
    speeds, gripper = [0.0, 0.1] + [0.0] * 10 + [0.1, 0.0], [1.0, 1.0] + [0.0] * 12
    examples = of_recordings([recorded(speeds, gripper), recorded([0.0, 0.3], [1.0, 1.0])], 3, 10.0)
    assert np.flatnonzero(idle(examples)).tolist() == [0, 10, 11, 13, 14]
    own = without_idle(examples)
    assert own.frame.tolist() == [*range(1, 10), 12, 1]
    assert own.action[7:10, :, 0].tolist() == np.float32([[0, 0, 0.1], [0, 0.1, 0], [0.1, 0.1, 0.1]]).tolist()
    assert own.action_valid[7:10].tolist() == [[True] * 3, [True, True, False], [True, False, False]]
    assert own.action[-1, 0, 0] == np.float32(0.3)


def test_an_episode_that_begins_with_rest_begins_where_its_instants_do():
    """Of the second one frames from 2 on; its fingers are open as those of the first are closed."""
    whole = of_recordings([recorded([0.5], [0.0]), recorded([0.0, 0.0, 0.0, 0.5], at=3.0)], 2, 10.0)
    examples = whole.take((whole.episode == 0) | (whole.frame >= 2))
    assert examples.starts().tolist() == [True, True, False]
    assert idle(examples).tolist() == [False, True, False]  # nothing was commanded there
    assert len(Replay(examples).act(seen(3.0), "go")) == 2


def test_two_steps_weigh_each_error_by_what_its_input_lacks():
    """A network that gives nothing: from zero the error is 1 / 0.9, from 0.9 a of 0.1 noise 1 / 0.1, squared."""
    network = ChunkNetwork(3, 2, 4, 8, 1)
    for own in network.parameters():
        own.data.zero_()
    action, valid = torch.ones(5, 2, 4), torch.ones(5, 2)
    valid[0, 1] = 0
    action[0, 1] = 1e6  # counts for nothing
    settings = Settings(horizon=2)
    given_ = (torch.zeros(5, 3), action, valid, torch.randn(5, 2, 4))
    assert losses(network, settings, *given_).item() == pytest.approx(1 / 0.81 + 1 / 0.01, rel=1e-5)
    assert losses(network, Settings(head="cloning", horizon=2), *given_).item() == pytest.approx(1)


def test_acting_goes_from_zero_to_a_guess_and_from_there_to_actions():
    network = SimpleNamespace(horizon=1, actions=1)
    asked = []

    def answer(features, chunk, time):
        asked.append((chunk[0, 0, 0].item(), time[0].item()))
        return chunk + 2

    double = type("Double", (SimpleNamespace,), {"__call__": lambda self, *a: answer(*a)})(**vars(network))
    result = predicted(double, Settings(), torch.zeros(1, 3))
    assert asked == [(0.0, 0.0), (pytest.approx(1.8), pytest.approx(0.9))]
    assert result.item() == pytest.approx(3.8)


def test_the_default_network_has_about_0_18_million_parameters():
    assert parameters(ChunkNetwork(36 + 32, 16, 4, 256, 1)) == 183_360


@pytest.mark.parametrize("head", ["cloning", "two_step"])
def test_it_learns_to_go_to_the_goal_and_comes_back_from_a_file_as_it_was(head, tmp_path):
    """The farther the goal, the faster: speed is 0.2 of the distance. Tasks differ by their sign."""
    pytest.importorskip("safetensors")
    rng = np.random.default_rng(0)
    own = []
    for _ in range(30):
        x, speeds = (start := float(rng.uniform(-1, 0.9))), []
        for _ in range(10):
            speeds.append(0.2 * (1 - x))
            x += speeds[-1]
        own.append(recorded(speeds, at=start))
        back = own[-1].action * np.float32([-1, 1, 1, 1])
        own.append(Recorded(own[-1].state, own[-1].environment, back, "flee"))
    examples = of_recordings(own, 4, 1.0)
    settings = Settings(head=head, horizon=4, execute=2, idle=True, width=32, steps=400, batch=64, rate=3e-3)
    policy = fit(examples, settings, torch.Generator().manual_seed(0))
    made = policy.act(seen(0.0), "go")
    assert made.shape == (2, 4)
    assert made[:, 0] == pytest.approx([0.2, 0.16], abs=0.05)
    assert made[:, 3] == pytest.approx([1, 1], abs=0.05)
    assert policy.act(seen(0.0), "flee")[0, 0] == pytest.approx(-0.2, abs=0.08)
    save(policy, tmp_path / "policy.safetensors")
    again = load(tmp_path / "policy.safetensors")
    assert again.settings == settings
    assert np.array_equal(again.act(seen(0.3), "flee"), policy.act(seen(0.3), "flee"))


def test_the_generator_alone_decides_what_comes_of_a_training():
    examples = of_recordings([recorded([0.1, 0.2, 0.3, 0.2, 0.1])], 4, 1.0)
    torch.manual_seed(1)
    first = fit(examples, SMALL, torch.Generator().manual_seed(5)).act(seen(0.2), "go")
    torch.manual_seed(2)
    assert np.array_equal(first, fit(examples, SMALL, torch.Generator().manual_seed(5)).act(seen(0.2), "go"))
    assert not np.array_equal(first, fit(examples, SMALL, torch.Generator().manual_seed(6)).act(seen(0.2), "go"))


def test_a_horizon_that_the_examples_do_not_reach_is_refused():
    with pytest.raises(ValueError, match="horizon=16"):
        fit(of_recordings([recorded([0.1])], 4, 1.0), Settings(), torch.Generator())


def test_nearest_does_what_was_done_there_and_replay_the_whole_of_it():
    near, far = recorded([0.1, 0.2, 0.3]), recorded([0.4, 0.5], [1.0, 0.0], at=-2.0)
    other = recorded([0.6], task="flee", at=-2.0)
    examples = of_recordings([near, far, other], 3, 20.0)
    policy = Nearest(examples, execute=2)
    assert policy.act(seen(0.11), "go")[:, 0].tolist() == np.float32([0.2, 0.3]).tolist()
    assert policy.act(seen(0.31), "go")[:, 0].tolist() == np.float32([0.3]).tolist()  # nothing comes after it
    assert policy.act(seen(0.0), "flee")[0, 0] == np.float32(0.6)
    with pytest.raises(KeyError, match="no demonstration of 'stay'"):
        policy.act(seen(0.0), "stay")
    replay = Replay(examples)
    for _ in range(2):
        replay.reset()
        assert replay.act(seen(-1.9), "go")[:, 0].tolist() == np.float32([0.4, 0.5]).tolist()
        assert replay.act(seen(0.0), "go").tolist() == [[0, 0, 0, 0]]  # the gripper as it was left
