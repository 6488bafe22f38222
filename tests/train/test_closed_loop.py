"""Closed loops by hand: a world of one number, intervals from a table, what a page shows."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.train.closed_loop.__main__ import TOWERS, of_towers
from stages.train.closed_loop.figures import cell, rows, shown, telling
from stages.train.closed_loop.page import Clip, page
from stages.train.simulation.evaluate import Outcome, evaluate, interval, rollout


@dataclass
class Line:
    """A hand on a line, which starts at `seed` and is done while it lies beyond 1."""

    task = SimpleNamespace(name="line")
    instruction = "go on"
    x = 0.0

    def reset(self, seed):
        self.x = float(seed)
        return self.seen()

    def step(self, action, draw=True):
        self.x += float(action[0])
        return self.seen(draw)

    def seen(self, draw=True):
        state = np.full(11, self.x, np.float32)
        pictures = {"top": self.picture()} if draw else {}
        return SimpleNamespace(state=state, environment_state=np.zeros(17, np.float32), pictures=pictures)

    def picture(self):
        return np.full((2, 2, 3), 10 * self.x, np.uint8)

    @property
    def success(self):
        return self.x > 1


class Steps:
    """Goes on by the given steps, three at a time; remembers what it was told."""

    def __init__(self, *steps):
        self.steps, self.told, self.resets = list(steps), [], 0

    def reset(self):
        self.resets += 1
        self.waiting = list(self.steps)

    def act(self, observation, instruction, next_event=None):
        self.told.append((float(observation.state[0]), instruction))
        chunk = self.waiting[:3] or [0.0]
        del self.waiting[:3]
        return np.array([[step, 0, 0, 1] for step in chunk], np.float32)


def test_a_rollout_asks_again_once_a_chunk_is_done_and_ends_when_success_has_held_for_a_second():
    policy = Steps(1, 0, 0, 1)  # beyond 1 after the fourth step, the 20th of such steps is the 23rd in all
    outcome = rollout(policy, Line(), 0, keep_pictures=True)
    assert policy.told[:3] == [(0, "go on"), (1, "go on"), (2, "go on")]
    assert (outcome.task, outcome.seed, outcome.success, outcome.seconds) == ("line", 0, True, 23 / 20)
    assert outcome.states[:5, 0].tolist() == [0, 1, 1, 1, 2]
    assert outcome.actions[:5, 0].tolist() == [1, 0, 0, 1, 0]
    assert outcome.pictures["top"].shape == (23, 2, 2, 3)
    assert outcome.pictures["top"][4, 0, 0].tolist() == [20, 20, 20]


def test_pictures_are_drawn_when_the_policy_looks_or_somebody_keeps_them():
    class Counting(Line):
        drawn = ()

        def step(self, action, draw=True):
            self.drawn = (*self.drawn, draw)
            return super().step(action, draw)

    world = Counting()
    rollout(Steps(0, 0, 0, 0, 0, 0), world, 0, limit_s=0.3)
    assert world.drawn == (False, False, True, False, False, True)
    world.drawn = ()
    rollout(Steps(0, 0, 0), world, 0, limit_s=0.1, keep_pictures=True)
    assert world.drawn == (True, True)


def test_what_is_only_carried_past_the_goal_is_no_success():
    outcome = rollout(Steps(2, 0, 0, -2), Line(), 0, limit_s=2.0)
    assert (outcome.success, outcome.seconds, outcome.pictures) == (False, 2.0, {})


@pytest.mark.parametrize(
    ("successes", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (9, 10, 0.5958, 0.9821), (92, 100, 0.8500, 0.9589), (0, 0, 0, 1)],
)
def test_intervals_are_wilsons(successes, of, low, high):
    """0 of n: z^2 / (n + z^2) = 3.8415 / 13.8415; of 5 of 10: 0.5 +- 0.5 z / sqrt(10 + z^2)."""
    assert interval(successes, of) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@given(st.integers(1, 500).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_an_interval_holds_its_share_and_mirrors_that_of_failures(case):
    successes, of = case
    low, high = interval(successes, of)
    assert 0 <= low <= successes / of <= high <= 1
    assert interval(of - successes, of) == (pytest.approx(1 - high), pytest.approx(1 - low))


def outcome(task: str, seed: int, success: bool) -> Outcome:
    return Outcome(task, seed, success, 4.0, np.zeros((0, 11), np.float32), np.zeros((0, 4), np.float32), {})


TRIED = {
    "good": [outcome("a-v3", 0, True), outcome("a-v3", 1, True), outcome("b-v3", 0, True), outcome("b-v3", 1, False)],
    "bad": [outcome("a-v3", 0, True), outcome("a-v3", 1, False), outcome("b-v3", 0, False), outcome("b-v3", 1, False)],
}


def test_a_table_has_all_and_each_task():
    head, good, bad = rows(TRIED)
    assert head == ["policy", "all", "a", "b"]
    assert good[0] == "good"
    assert [own.split(" (")[0] for own in good[1:]] == ["75 %", "100 %", "50 %"]
    assert [own.split(" (")[0] for own in bad[1:]] == ["25 %", "50 %", "0 %"]
    assert cell([]) == "-"
    assert len({len(line) for line in shown(TRIED).splitlines()}) == 1


def test_clips_are_a_success_and_a_failure_a_task_of_the_first_policy_that_has_one():
    found = [(name, own.task, own.seed, own.success) for name, own in telling(TRIED)]
    assert found == [("good", "a-v3", 0, True), ("bad", "a-v3", 1, False), ("good", "b-v3", 0, True),
                     ("good", "b-v3", 1, False)]  # fmt: skip


def test_a_runs_page_has_its_own_clips_whatever_a_baseline_did():
    name = f"{TOWERS}, event"
    assert [(own, o.task, o.success) for own, o in telling(of_towers({"good": TRIED["good"], name: TRIED["bad"]}))] == [
        (name, "a-v3", True), (name, "a-v3", False), (name, "b-v3", False)]  # fmt: skip


def test_a_page_says_what_it_is_told_and_nothing_as_markup():
    own = Clip("a-v3", "put <b> in", "good", 7, False, 20.0, "data:video/mp4;base64,AAAA")
    text = page(TRIED, [own], ["Two & two."])
    assert "put &lt;b&gt; in" in text
    assert "Two &amp; two." in text
    assert 'src="data:video/mp4;base64,AAAA"' in text
    assert "not done" in text
    assert "<td>100 %<br><span>34 to 100</span></td>" in text


class Still:
    """Stands where it is."""

    def reset(self):
        pass

    def act(self, observation, instruction, next_event=None):
        return np.array([[0, 0, 0.1 * float(observation.state[0]), 1]], np.float32)


def test_outcomes_do_not_depend_on_the_number_of_processes(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "egl")  # of a later test too: the simulator chooses when it is imported
    pytest.importorskip("mujoco")
    pytest.importorskip("metaworld")
    tasks = ["drawer-open-v3", "button-press-topdown-v3"]
    one, two = (evaluate(Still(), tasks, [3, 5], 0.5, processes) for processes in (1, 2))
    assert [(own.task, own.seed) for own in one] == [(task, seed) for task in tasks for seed in (3, 5)]
    for own, other in zip(one, two, strict=True):
        assert np.array_equal(own.states, other.states)
        assert (own.task, own.seed, own.success) == (other.task, other.seed, other.success)
    again = evaluate(Still(), tasks[::-1], [5], 0.5)
    assert np.array_equal(again[0].states, one[3].states)
