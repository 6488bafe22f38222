"""A hand of which nobody can tell which end is closed: its changes cut, and nothing is said of what they do."""

import numpy as np
import pytest

from stages.episode import Signal
from stages.segment.config import SegmentConfig
from stages.segment.stage import event_rows
from tests.datasets import pick_and_place

FPS = 20.0
SAID = {
    "grasp",
    "release",
    "handover",
    "lift",
    "lower",
    "place",
    "push",
    "pull",
    "reach",
    "retract",
    "hold",
    "approach",
    "transport",
}


def signals(kind: str, turned: bool = False) -> dict[str, Signal]:
    state = pick_and_place(200)
    time = np.arange(200) / FPS
    opening = np.convolve(np.pad(state[:, 3:].ravel(), 3, "edge"), np.ones(7) / 7, "valid")[:, None]
    return {
        "position/single": Signal("position", "single", "m", time, state[:, :3]),
        f"{kind}/single": Signal(kind, "single", "1", time, 1 - opening if turned else opening),
    }


def events(found: dict[str, Signal], level: str | None = None) -> list[dict]:
    alignment = {
        "fps": FPS, "time_s": np.arange(200) / FPS, "signal_time_s": np.arange(200) / FPS, "cameras": [],
        "reference_camera": None,
    }  # fmt: skip
    rows = event_rows("s/000000", found, alignment, SegmentConfig())
    return [r for r in rows if level is None or r["level"] == level]


def test_what_a_known_hand_does_is_said():
    assert {"grasp", "release"} <= {e["primitive"] for e in events(signals("gripper"))}


def test_what_an_unknown_hand_does_is_not():
    found = events(signals("hand"))
    assert not SAID & {e["primitive"] for e in found}
    assert "unknown" in {e["primitive"] for e in found if e["level"] in ("L0", "L1")}
    kinds = {v["kind"] for e in found for v in e["evidence"]}
    assert {"hand_started", "hand_ended"} <= kinds
    assert not {"closing_started", "opening_started", "closed", "opened"} & kinds
    assert not {"missed_grasp", "reopen", "second_approach", "regrasp", "slip"} & {e["recovery"] for e in found}


@pytest.mark.parametrize("level", ["L1", "L0"])
def test_its_changes_are_cut_where_those_of_a_known_one_are(level):
    marks = sorted(
        v["time_s"] for e in events(signals("gripper"), "L0") for v in e["evidence"] if v["kind"] == "closing_started"
    )
    own = [e["start_s"] for e in events(signals("hand"), level)]
    assert marks
    assert all(min(abs(m - o) for o in own) < 0.3 for m in marks)


def test_turned_round_it_is_the_same_to_us():
    both = [events(signals("hand", turned)) for turned in (False, True)]
    assert [(e["event_id"], e["primitive"], e["static"]) for e in both[0]] == [
        (e["event_id"], e["primitive"], e["static"]) for e in both[1]
    ]
