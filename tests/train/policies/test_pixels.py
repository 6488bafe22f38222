"""Policies from pictures: rows with their pictures, shifts, what a policy reads and what it must not."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.train.examples import ENVIRONMENT
from stages.train.policies.network import parameters
from stages.train.policies.pictures import Seen, seen
from stages.train.policies.pixel_fit import pixel_fit, shifted
from stages.train.policies.pixels import PixelNetwork, PixelSettings
from stages.train.policies.regression import Settings
from tests.benchmarks.closed_loop.pixels import HEADING, Part, section, section_of, with_section
from tests.load.releases import Event, write_release
from tests.train.recordings import Recorded, of_recordings


def event(number: int, frames: int, task: str, split: str = "train") -> Event:
    cameras = {"left": (32, 32), "wrist": (32, 32)}
    return Event(number, frames, width=4, task=task, split=split, level="L3", extras=(ENVIRONMENT,), cameras=cameras)


def test_rows_have_the_pictures_of_their_instant(tmp_path: Path):
    """Frame r of a clip shows a grey of 8 r."""
    tars = [[event(1, 3, "go"), event(2, 9, "stay")], [event(3, 2, 'go\'s "end"', "val")]]
    write_release(tmp_path, tars, ["train", "val"])
    own = seen(str(tmp_path), ["go", 'go\'s "end"'], ("wrist", "left"), side=32, horizon=2)
    assert own.pictures.shape == (5, 2, 3, 32, 32)
    assert own.examples.frame.tolist() == [10, 11, 12, 10, 11]
    grey = own.pictures.mean(axis=(2, 3, 4))
    np.testing.assert_allclose(grey, np.array([0, 8, 16, 0, 8])[:, None] + np.zeros(2), atol=1.5)
    assert own.take(np.array([3])).examples.state[0, 0] == 3
    with pytest.raises(ValueError, match="holds no samples"):
        seen(str(tmp_path), ["jump"], ("left",))


@given(st.integers(0, 3), st.integers(0, 2**31 - 1))
def test_shifts_move_all_colours_of_a_picture_alike_and_repeat_its_border(most, seed):
    """Pixels that are numbered by row and column come from where the shift says, or from the border."""
    numbered = torch.arange(64, dtype=torch.uint8).view(1, 1, 1, 8, 8).expand(3, 2, 3, 8, 8).contiguous()
    moved = shifted(numbered, most, torch.Generator().manual_seed(seed))
    assert (moved.shape, moved.dtype) == (numbered.shape, torch.uint8)
    for row in moved.flatten(0, 1):
        assert torch.equal(row[0], row[1])
        assert torch.equal(row[0], row[2])
        down, right = (int(row[0, 4, 4]) // 8 - 4, int(row[0, 4, 4]) % 8 - 4)
        assert max(abs(down), abs(right)) <= most
        at = (torch.arange(8) + down).clamp(0, 7)[:, None] * 8 + (torch.arange(8) + right).clamp(0, 7)
        assert torch.equal(row[0].long(), at)


def test_the_default_network_has_about_0_8_million_parameters():
    assert 0.75e6 < parameters(PixelNetwork(PixelSettings(), 32)) < 0.9e6


SMALL = PixelSettings(
    Settings(head="cloning", horizon=2, execute=1, idle=True, width=32, steps=200, batch=26, rate=3e-3),
    cameras=("top",), side=16, channels=(4, 8, 8, 8), eye=16, shift=1,
)  # fmt: skip


def dot(x: int) -> np.ndarray:
    """uint8[16, 16, 3] with a bright square about column x."""
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[6:10, max(0, x - 2) : x + 2] = 255
    return picture


def dots(task: str, gripper: float) -> tuple[list[Recorded], list[np.ndarray]]:
    """A row an episode, which differ by their picture alone: the farther right the dot, the faster to the right."""
    own = []
    for x in range(2, 15):
        action = np.array([[(x - 8) / 10, 0, 0, gripper]], np.float32)
        own.append(Recorded(np.zeros((1, 11), np.float32), np.full((1, 17), x, np.float32), action, task))
    return own, [dot(x) for x in range(2, 15)]


def trained(seed: int, settings: PixelSettings = SMALL):
    (pulling, first), (pushing, second) = dots("pull", 0.0), dots("push", 1.0)
    pictures = np.stack(first + second).transpose(0, 3, 1, 2)[:, None]
    own = Seen(of_recordings(pulling + pushing, 2, 20.0), np.ascontiguousarray(pictures), ("top",))
    return pixel_fit(own, settings, torch.Generator().manual_seed(seed))


def shown(x: int) -> SimpleNamespace:
    """It has no environment state at all."""
    return SimpleNamespace(state=np.zeros(11, np.float32), pictures={"top": dot(x)})


def test_it_goes_where_the_picture_and_the_instruction_say():
    policy = trained(0)
    for text, gripper in (("pull", 0.0), ("push", 1.0)):
        for x in (4, 12):
            made = policy.act(shown(x), text)
            assert made.shape == (1, 4)
            assert made[0, 0] == pytest.approx((x - 8) / 10, abs=0.05)
            assert made[0, 3] == pytest.approx(gripper, abs=0.05)


def test_the_generator_alone_decides_what_comes_of_it():
    few = PixelSettings(Settings(horizon=2, idle=True, width=8, steps=3, batch=4), ("top",), 16, (2, 2, 2, 2), 4)
    torch.manual_seed(1)
    first = trained(5, few).act(shown(5), "push")
    torch.manual_seed(2)
    assert np.array_equal(first, trained(5, few).act(shown(5), "push"))
    assert not np.array_equal(first, trained(6, few).act(shown(5), "push"))


def test_pictures_of_other_cameras_or_another_size_are_refused():
    own = Seen(of_recordings(dots("push", 1.0)[0], 2, 20.0), np.zeros((13, 1, 3, 16, 16), np.uint8), ("side",))
    with pytest.raises(ValueError, match="side"):
        pixel_fit(own, SMALL, torch.Generator())


def test_a_page_keeps_one_section_of_its_own_whoever_writes_first():
    section = f"{HEADING}\n\nNew.\n"
    assert with_section("", section) == f"# Closed loop\n\n{HEADING}\n\nNew.\n"
    page = f"# Title\n\nText.\n\n{HEADING}\n\nOld.\n\n### Part\n\n## Other\n\nMore.\n"
    written = with_section(page, section)
    assert "Old" not in written
    assert "Text.\n" in written
    assert "## Other\n\nMore." in written
    assert section_of(written) == section
    assert with_section(written, section) == written
    assert section_of("# Title\n") == ""


def test_a_section_has_all_trainings_and_says_whether_they_are_above_what_was_asked_for():
    """9 of 15 at 5 a seed: Wilson's 36 to 80 % (centre (9 + 1.92) / 18.84 = 0.580, reach 0.222). Shares of 0.4, 0.6 and
    0.8 deviate by 0.2: 4.303 * 0.2 / sqrt(3) = 0.497."""
    parts = [
        Part(seed, {"pick-place-v3": done, "button-press-topdown-v3": 5}, 5, 60.0, 850_000,
             {"pick-place-v3": 30, "button-press-topdown-v3": 15})
        for seed, done in enumerate((2, 3, 4))
    ]  # fmt: skip
    text = section(parts, SimpleNamespace(seeds=3, episodes=5), PixelSettings())
    assert "| pick-place-v3 | **60 %** ± 50 (36 to 80) | 2 of 5 | 3 of 5 | 4 of 5 |" in text
    assert "| button-press-topdown-v3 | **100 %** ± 0 (80 to 100) | 5 of 5 | 5 of 5 | 5 of 5 |" in text
    assert "30 demonstrations of pick-place-v3, 15 demonstrations of button-press-topdown-v3" in text
    assert "Pick-place is above the 30 % that were asked for." in text
    alike = [replace(part, successes=parts[1].successes) for part in parts]
    text = section(alike, SimpleNamespace(seeds=3, episodes=5), PixelSettings())
    assert "Pick-place is above the 30 % that were asked for, by both intervals." in text
    with pytest.raises(ValueError, match="unlike"):
        section([parts[0], replace(parts[1], episodes=6)], SimpleNamespace(seeds=2, episodes=5), PixelSettings())
