"""A Batch is what the shards say: worked out by hand from releases made by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.train.config import Config, ConfigError, DataConfig
from stages.train.data import NoBatch, Source
from stages.train.data.calibration import bent, camera, hand_poses
from stages.train.run.loop import device_of, train
from tests.load.releases import Event, write_release
from tests.train.loop.standin import embed

SIZE = (32, 32)  # of clips; batches show them at half of it
TURNED = [[0.0, -1.0, 0.0, 0.1], [1.0, 0.0, 0.0, 0.2], [0.0, 0.0, 1.0, 0.3], [0.0, 0.0, 0.0, 1.0]]
STILL = {"K": [[40.0, 0.0, 15.5], [0.0, 44.0, 11.5], [0.0, 0.0, 1.0]], "width": 32, "height": 32, "model": "pinhole",
         "distortion": [0.0] * 5, "mount": "base", "T_base_camera": TURNED}  # fmt: skip
HELD = {**{k: v for k, v in STILL.items() if k != "T_base_camera"}, "mount": "ee", "T_ee_camera": TURNED}
CALIBRATION = {"left": STILL, "wrist": HELD}
LENGTHS = (2, 5, 9, 6)


def event(number: int, frames: int, **changed) -> Event:
    return Event(number, frames, **({"cameras": {"left": SIZE, "wrist": SIZE}, "calibration": CALIBRATION,
                                     "hand": True} | changed))  # fmt: skip


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Events of 2, 5, 9 and 6 frames with a still camera and one on the hand; the last one's cameras are unknown, and
    it has a single one."""
    events = [event(n, frames) for n, frames in enumerate(LENGTHS[:3])]
    events.append(event(3, LENGTHS[3], calibration={}, cameras={"left": SIZE}))
    return str(write_release(tmp_path_factory.mktemp("release"), [events]))


def source(release, **changed) -> Source:
    given = {"batch": 4, "side": 16, "stride": 2, "normalise": "mean_std", "cap": 7, "bucket": False, "workers": 0}
    return Source(release, DataConfig(**(given | changed)), embed)


def batch(release, **changed):
    """All four events in the plan's order."""
    own = source(release, **changed)
    return own, next(own.batches(own.loader(shuffle=False, drop_last=False)))


def normal(value):
    """By a release's statistics: mean 20, deviation 2."""
    return (value - 20) / 2


def test_whole_events_row_by_row(release):
    own, found = batch(release)
    assert own.facts.cameras == ("left", "wrist")
    assert (own.facts.state_width, own.facts.action_width, own.facts.text_width) == (2, 2, 6)
    assert found.action_segment.tolist() == [[1] * n + [0] * (7 - n) for n in (2, 5, 7, 6)]  # the third is cut
    assert found.action_index.tolist() == [list(range(7))] * 4
    rows = torch.arange(5) / 1000
    torch.testing.assert_close(found.action[1, :5], normal(-(1 + rows))[:, None].expand(-1, 2))
    torch.testing.assert_close(found.state[:, 0, 0], normal(torch.arange(4.0)))
    assert found.picture_segment.tolist() == [[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 0]]
    assert found.picture_index.tolist() == [[0, 0, 0, 0], [0, 1, 2, 0], [0, 1, 2, 3], [0, 1, 2, 0]]
    greys = found.pictures[2, :, 0, :].mean(dim=(1, 2, 3)) * 255
    torch.testing.assert_close(greys, torch.tensor([0.0, 16, 32, 48]), atol=2.5, rtol=0)
    assert found.view_valid[:, 0].tolist() == [[True, True]] * 3 + [[True, False]]
    assert found.calibrated[:, 0].tolist() == [[True, True]] * 3 + [[False, False]]
    assert found.window.tolist() == [[0]] * 4
    torch.testing.assert_close(found.remaining[:, 0], torch.tensor(LENGTHS) / 10)  # of the whole event
    assert found.frames[:, 0].tolist() == list(LENGTHS)


def test_texts_and_the_numbers_of_captions(release):
    own, found = batch(release)
    assert own.captions == ("then", "event 0", "event 1", "event 2", "event 3")  # the most frequent first
    assert found.next_caption.tolist() == [[0]] * 4
    torch.testing.assert_close(found.text[:, 0], torch.tensor(embed([f"event {n}" for n in range(4)])))
    torch.testing.assert_close(found.caption_text, found.text)
    torch.testing.assert_close(found.task_text[:, 0], torch.tensor(embed(["lift the cup"] * 4)))
    assert found.caption.tolist() == [[1], [2], [3], [4]]
    assert found.text_valid.all()
    of_task = batch(release, text="task")[1]
    torch.testing.assert_close(of_task.text[0, 0], torch.tensor(embed(["lift the cup"]))[0])


def test_cameras_are_scaled_with_their_pictures_and_move_with_the_hand(release):
    _, found = batch(release)
    # half the pixels: centres at integers, so that a point c lies at (c + 0.5) / 2 - 0.5
    half = torch.tensor([[20.0, 0.0, 7.5], [0.0, 22.0, 5.5], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(found.intrinsics[1, 0], half.expand(2, 3, 3))
    torch.testing.assert_close(found.pose[1, :3, 0], torch.tensor(TURNED).expand(3, 4, 4))
    for picture, row in enumerate((0, 2, 4)):  # of event 1: the hand is at (row, 1, 0.5), turned by row quarters
        cos, sin = np.cos(row * np.pi / 2), np.sin(row * np.pi / 2)
        hand = np.array([[cos, -sin, 0, row], [sin, cos, 0, 1], [0, 0, 1, 0.5], [0, 0, 0, 1]])
        expected = torch.tensor(hand @ np.array(TURNED), dtype=torch.float32)
        torch.testing.assert_close(found.pose[1, picture, 1], expected, atol=1e-5, rtol=0)
    assert torch.equal(found.pose[3], torch.eye(4).expand(4, 2, 4, 4))


def test_packed_rows_hold_the_same_events(release):
    _, plain = batch(release)
    own = source(release, pack=16, batch=1, cap=9)
    found = next(own.batches(own.loader(shuffle=False, drop_last=False)))
    _, whole = batch(release, cap=9)
    # best fit decreasing of 2, 5, 9, 6 into 16: 9 and 6 leave one, 5 and 2 are the next row
    assert found.action_segment.tolist() == [[1] * 9 + [2] * 6 + [0]]
    assert found.action_index.tolist() == [[*range(9), *range(6), 0]]
    assert found.picture_segment.tolist() == [[1] * 5 + [2] * 3]
    assert found.picture_index.tolist() == [[0, 1, 2, 3, 4, 0, 1, 2]]
    assert found.view_valid.tolist() == [[[True, True], [True, False]]]
    assert found.calibrated.tolist() == [[[True, True], [False, False]]]
    for n, event in enumerate((2, 3)):
        actions, pictures = found.action_segment[0] == n + 1, found.picture_segment[0] == n + 1
        rows, shown = whole.action_segment[event] == 1, whole.picture_segment[event] == 1
        torch.testing.assert_close(found.action[0, actions], whole.action[event, rows])
        torch.testing.assert_close(found.pictures[0, pictures], whole.pictures[event, shown])
        torch.testing.assert_close(found.pose[0, pictures], whole.pose[event, shown])
        for name in ("state", "intrinsics", "text", "caption_text", "remaining", "frames", "next_caption"):
            torch.testing.assert_close(getattr(found, name)[0, n], getattr(whole, name)[event, 0])
    assert plain.action.shape[1] == 7


def test_windows_cross_the_borders_of_events_and_end_with_the_recording(tmp_path):
    """A recording of 12 frames with two events; windows of 4 actions, a picture of each second row."""
    spans = {"L1": [{"start": 0, "end": 7, "primitive": "reach", "caption": "reach it"},
                    {"start": 7, "end": 12, "primitive": "lift", "caption": "lift it"}]}  # fmt: skip
    url = str(write_release(tmp_path, [[event(1, 12, level="L3", spans=spans)]]))
    own = source(url, mode="unified", horizon=4, history=2, caption="L1", batch=12)
    found = next(own.batches(own.loader(shuffle=False)))
    assert own.captions == ("lift it", "reach it")
    assert found.action.shape == (12, 4, 2)
    assert found.state.shape == (12, 1, 6)
    assert found.action_segment[8:].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]]
    assert found.picture_segment[8:].tolist() == [[1, 1], [1, 1], [1, 0], [1, 0]]
    assert found.picture_index[5].tolist() == [0, 1]
    torch.testing.assert_close(found.action[5, :, 0], normal(-(1 + torch.arange(5.0, 9) / 1000)))
    torch.testing.assert_close(found.state[5, 0, ::2], normal(1 + torch.tensor([3.0, 4, 5]) / 1000))
    torch.testing.assert_close(found.state[0, 0, ::2], normal(torch.tensor([1.0, 1, 1])))  # repeated before the start
    assert found.window[:, 0].tolist() == [2] * 2 + [3] * 4 + [4] * 4 + [5] * 2  # the sample begins at frame 10
    assert found.frames.tolist() == [[4]] * 12
    torch.testing.assert_close(found.remaining[:, 0] * 10, torch.tensor([7.0, 6, 5, 4, 3, 2, 1, 5, 4, 3, 2, 1]))
    torch.testing.assert_close(found.text[:, 0], torch.tensor(embed(["lift the cup"] * 12)))
    assert found.next_caption[:, 0].tolist() == [0] * 7 + [-1] * 5
    torch.testing.assert_close(found.pose[5, 1, 1, :3, 3], torch.tensor([7.2, 0.9, 0.8]), atol=1e-5, rtol=0)


def test_columns_that_a_robot_lacks_are_masked(tmp_path):
    url = str(write_release(tmp_path, [[event(0, 3, width=1), event(1, 3)]]))
    for changed in ({"batch": 2}, {"batch": 1, "pack": 6, "cap": 3}, {"batch": 6, "mode": "unified", "horizon": 2}):
        own, found = batch(url, **changed)
        there = found.action_mask.reshape(-1, 2)
        assert own.facts.action_width == 2
        assert there[:, 0].all()
        assert there[:, 1].float().mean() == 0.5


def test_a_hand_counts_where_samples_that_are_chosen_have_one(tmp_path):
    events = [event(0, 4, robot="with"), event(1, 4, robot="without", hand=False, calibration={})]
    url = str(write_release(tmp_path, [events]))
    own, found = batch(url, where="robot = 'without'", batch=1)
    assert (own.columns.hand, found.calibrated.any().item()) == (False, False)
    own, found = batch(url, where="robot = 'with'", batch=1)
    assert (own.columns.hand, found.calibrated.all().item()) == (True, True)


def test_without_cameras_there_is_the_state_alone(release):
    own, found = batch(release, cameras=())
    assert own.facts.cameras == ()
    assert found.pictures.shape == (4, 0, 0, 3, 16, 16)
    assert found.action.shape == (4, 7, 2)
    assert found.view_valid.shape == (4, 1, 0)
    own, found = batch(release, cameras=(), mode="unified", horizon=3)
    assert found.action.shape[1:] == (3, 2)
    assert found.pose.shape == (4, 0, 0, 4, 4)


def test_arrays_side_by_side_are_the_state(release):
    own, found = batch(release, state=("state", "position.single"))
    assert own.facts.state_width == 5
    assert found.state.shape == (4, 1, 5)
    torch.testing.assert_close(found.state[2, 0, 2:], torch.tensor([(0 - 30) / 2, (2 - 30) / 2, (0.5 - 30) / 2]))


def test_rows_that_fill_a_short_batch_are_of_no_event(release):
    own = source(release, batch=6)
    found = next(own.batches(own.loader(shuffle=False, drop_last=False, rank=1, world=2)))
    assert len(found.action) == 2
    assert found.action_segment.any(1).tolist() == [True, True]
    own = source(release, batch=3)
    loader = own.loader(shuffle=False, drop_last=False, rank=2, world=3)
    second = list(own.batches(loader))[1]
    assert not second.action_segment.any()
    assert not second.picture_segment.any()
    assert not second.text_valid.any()
    assert not second.view_valid.any()
    assert not second.calibrated.any()


def test_a_split_that_fills_no_batch_says_so(release):
    with pytest.raises(NoBatch, match=r"4 items, which fill no batch of 5 rows"):
        source(release, batch=5).loader()


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_quaternions_turn_vectors_as_their_product_says(quaternion):
    x, y, z, w = np.array(quaternion) / np.linalg.norm(quaternion)
    matrix = hand_poses(np.array([1.0, 2, 3]), np.array(quaternion))
    vector = np.array([0.3, -0.7, 0.2])
    axis = np.array([x, y, z])
    expected = vector + 2 * w * np.cross(axis, vector) + 2 * np.cross(axis, np.cross(axis, vector))
    np.testing.assert_allclose(matrix[:3, :3] @ vector, expected, atol=1e-12)
    np.testing.assert_array_equal(matrix[:, 3], [1, 2, 3, 1])


def test_what_is_no_pinhole_is_not_calibrated():
    assert camera(STILL, 16, 16) is not None
    for wrong in (None, {**STILL, "model": "fisheye"}, {**STILL, "K": [[1, 2]]}, {**STILL, "mount": "table"}):
        assert camera(wrong, 16, 16) is None
    strong = [-0.3, 0.0, 0.0, 0.0, 0.0]
    assert camera({**STILL, "distortion": strong}, 16, 16) is None
    # at half the size (fx 20, fy 22, middle 7.5, 5.5) the far corner is x = 0.375, y = 9.5 / 22
    x, y = 7.5 / 20, 9.5 / 22
    moved = 0.3 * (x * x + y * y) * np.hypot(20 * x, 22 * y)
    assert bent(np.array(strong), camera(STILL, 16, 16).intrinsics, 16, 16) == pytest.approx(moved)


def test_a_run_that_cannot_be_says_which_key_is_wrong(release, tmp_path, monkeypatch):
    given = {"batch": 4, "stride": 2, "workers": 0}
    for data, message in (
        ({"cameras": (), "side": 16}, "video needs a camera"),
        ({"side": 24}, r"data\.side: 24 px are no multiple of patches of 16"),
    ):
        with pytest.raises(ConfigError, match=message):
            train(release, Config(data=DataConfig(**given, **data)), tmp_path, embed=embed, say=lambda _: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("gpu", "cuda"):
        with pytest.raises(ConfigError, match=r"run\.device"):
            device_of(name)


def test_each_process_of_a_machine_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert device_of("auto") == device_of("cuda") == torch.device("cuda", 2)
    assert device_of("cuda:1") == torch.device("cuda", 1)
    assert device_of("cpu") == torch.device("cpu")
