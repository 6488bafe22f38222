"""What must not be pooled: two robots in one dataset, one motion in two units."""

import json

import numpy as np
import pytest

from schemas.reasons import Flag
from stages.ingest import IngestConfig
from stages.ingest.layout import layout_of
from stages.shard.layout import layout_key
from tests.arms import SO, picking, so_log, write_log
from tests.logs import load
from tests.stages.ingest.test_dialects import extracted


def test_two_robots_padded_into_one_dataset_are_told(tmp_path):
    """Six values and zeros, then fourteen."""
    narrow = [np.hstack([picking(i), np.zeros((160, 8))]) for i in range(3)]
    wide = [np.hstack([picking(i), picking(i + 50), picking(i + 90)[:, :2]]) for i in range(3)]
    episodes = [{"observation.state": s, "action": s} for s in (*narrow, *wide)]
    write_log(tmp_path, episodes, {"observation.state": None, "action": None})
    dataset, references = load("d", str(tmp_path))
    found = layout_of(dataset, references, IngestConfig())
    assert found.layout.flags == (Flag.ROBOTS_MIXED,)
    assert any("zero all through 3 of the 6 episodes" in str(f) for f in found.findings)
    assert all(Flag.ROBOTS_MIXED in extracted(tmp_path, i)[0]["flags"] for i in (0, 5))


def test_an_arm_that_rests_is_no_padding(tmp_path):
    random = np.random.default_rng(0)
    resting = [np.hstack([picking(i), random.normal(3, 0.01, (160, 6))]) for i in range(2)]
    working = [np.hstack([picking(i), picking(i + 9)]) for i in range(2)]
    episodes = [{"observation.state": s, "action": s} for s in (*resting, *working)]
    write_log(tmp_path, episodes, {"observation.state": None, "action": None})
    dataset, references = load("d", str(tmp_path))
    assert layout_of(dataset, references, IngestConfig()).layout.flags == ()


def test_one_motion_in_degrees_and_in_radians_is_one_motion_or_the_difference_is_said(tmp_path):
    """Degrees beyond 105 can be nothing else and become radians; up to 100 they may be percent: that is flagged, and
    their statistics are kept apart."""
    wide = np.array([2.0] * 5 + [1.0])
    names = [f"{joint}.pos" for joint in SO]
    columns = {"observation.state": names, "action": names}
    logs = {
        "deg": picking(0) * wide,
        "rad": picking(0) * wide * np.array([*[np.pi / 180] * 5, 0.01]),
        "narrow": picking(0),
    }
    rows, streams = {}, {}
    for name, state in logs.items():
        write_log(tmp_path / name, [dict.fromkeys(columns, state)] * 3, columns, robot="so101_follower")
        rows[name], streams[name] = extracted(tmp_path / name)
    assert streams["deg"]["joints/single"] == pytest.approx(streams["rad"]["joints/single"], abs=1e-3)
    flagged = {name: Flag.UNIT_UNKNOWN in row["flags"] for name, row in rows.items()}
    assert flagged == {"deg": False, "rad": False, "narrow": True}
    keys = {name: layout_key(row["layout"]) for name, row in rows.items()}
    assert len(set(keys.values())) == 3  # raw values in three units are never pooled
    assert "joints.single" not in json.loads(rows["narrow"]["layout"])


def test_a_profile_says_the_unit_where_values_cannot(tmp_path):
    so_log(tmp_path / "logs", 2)
    (tmp_path / "mine.yaml").write_text(
        "name: mine\narms: {single: {joints: [{column: observation.state, indices: [0, 1, 2, 3, 4], unit: deg}]}}"
    )
    row, streams = extracted(tmp_path / "logs", config=IngestConfig(profile=str(tmp_path / "mine.yaml")))
    assert Flag.UNIT_UNKNOWN not in row["flags"]
    assert streams["joints/single"] == pytest.approx(np.radians(picking(0)[:, :5]), abs=1e-4)
    assert row["arms"] == ["single"]


def test_the_splits_of_a_source_are_marks(tmp_path):
    so_log(tmp_path / "two", 3, more={"splits": {"train": "0:2", "test": "2:3"}})
    so_log(tmp_path / "one", 2, more={"splits": {"train": "0:2"}})
    assert [json.loads(extracted(tmp_path / "two", i)[0]["marks"]) for i in (0, 2)] == [
        {"split": "train"}, {"split": "test"},
    ]  # fmt: skip
    assert extracted(tmp_path / "one")[0]["marks"] == "{}"
