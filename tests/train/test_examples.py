"""Instants of a release in memory, by hand."""

from pathlib import Path

import numpy as np
import pytest

from stages.train.examples import ENVIRONMENT, examples, load
from tests.load.releases import Event, write_release


def event(number: int, frames: int, after: int = 0, split: str = "train", weight: float = 1.0) -> Event:
    return Event(number, frames, width=4, after=after, split=split, weight=weight, extras=(ENVIRONMENT,))


def test_every_instant_of_every_event_counts_once(tmp_path: Path):
    tars = [[event(1, 3, after=2), event(2, 2, weight=3.0)], [event(3, 2, split="val")]]
    write_release(tmp_path, tars, ["train", "val"])
    own = examples(str(tmp_path), horizon=3)
    assert len(own) == 3 + 2 + 2  # context rows are no instants of their own, val counts too
    assert own.frame.tolist() == [10, 11, 12, 10, 11, 10, 11]
    assert own.episodes == ("lab/000001", "lab/000002", "lab/000003")
    assert own.episode.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert own.environment[:3, 0].tolist() == [1, 2, 3]  # number + row
    # the action of row r is -(number + r / 1000); the first event's windows go on into its context
    np.testing.assert_allclose(own.action[2, :, 0], [-1.002, -1.003, -1.004], atol=1e-6)
    assert own.action_valid.tolist()[:3] == [[True] * 3] * 3
    assert own.action_valid.tolist()[3:5] == [[True, True, False], [True, False, False]]
    assert [own.texts[n] for n in own.caption[[0, 3]]] == ["event 1", "event 2"]
    np.testing.assert_allclose(own.event_remaining_s[:3], [0.3, 0.2, 0.1], atol=1e-6)
    np.testing.assert_allclose(own.remaining_s[:3], [9.0, 8.9, 8.8], atol=1e-6)


def test_it_is_read_back_as_it_was_saved(tmp_path: Path):
    write_release(tmp_path / "corpus", [[event(1, 3), event(2, 2)]])
    own = examples(str(tmp_path / "corpus"), horizon=2)
    own.save(tmp_path / "own.npz")
    again = load(tmp_path / "own.npz")
    assert (again.texts, again.episodes, again.fps) == (own.texts, own.episodes, own.fps)
    np.testing.assert_array_equal(again.action, own.action)
    np.testing.assert_array_equal(again.take(again.episode == 1).environment, own.of_episodes([1]).environment)


def test_a_release_without_environment_is_refused(tmp_path: Path):
    write_release(tmp_path, [[Event(1, 3)]])
    with pytest.raises(ValueError, match="environment_state"):
        examples(str(tmp_path), horizon=2)
