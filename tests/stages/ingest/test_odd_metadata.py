"""Metadata of other forms than ours: read for what it means, or passed over and said."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.reasons import Flag, Quarantined
from stages.ingest import IngestConfig
from stages.ingest.layout import layout_of
from stages.ingest.roles import state_and_action
from stages.ingest.where import holds
from stages.sources.protocol import Feature
from tests.arms import SO, picking, so_log, write_log
from tests.logs import load
from tests.stages.ingest.test_dialects import extracted


def info(root, change):
    path = root / "meta/info.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("task", "read"),
    [(None, ""), ({"en": "pick it up"}, "pick it up"), ({"task": "go"}, "go"), (0, ""), ({"a": "x", "b": "y"}, "")],
)
def test_what_is_no_instruction_is_none(tmp_path, task, read):
    so_log(tmp_path, 1)
    (tmp_path / "meta/tasks.jsonl").write_text(json.dumps({"task_index": 0, "task": task}))
    (tmp_path / "meta/episodes.jsonl").write_text(json.dumps({"episode_index": 0, "tasks": [task], "length": 160}))
    row, _ = extracted(tmp_path)
    assert (row["task"], Flag.TASK_MISSING in row["flags"]) == (read, not read)


@pytest.mark.parametrize("dtype", ["uint16", "Float32", "numpy.float64", "half"])
def test_numbers_are_numbers_under_any_name(tmp_path, dtype):
    so_log(tmp_path, 2)
    info(tmp_path, lambda i: i["features"]["observation.state"].update(dtype=dtype))
    row, streams = extracted(tmp_path)
    assert row["profile"] == "so100"
    assert streams["state"].shape == (160, 6)


def test_a_type_that_nobody_knows_is_told(tmp_path):
    so_log(tmp_path, 2)
    info(tmp_path, lambda i: i["features"]["observation.state"].update(dtype="quaternion"))
    dataset, _ = load("d", str(tmp_path))
    assert any("observation.state is of dtype quaternion: not read" in note for note in dataset.notes)
    assert Flag.METADATA_REFUSED in dataset.flags


def test_a_shape_that_is_one_number_and_names_with_their_places(tmp_path):
    so_log(tmp_path, 2)
    names = {f"{joint}.pos": place for place, joint in enumerate(SO)}
    info(tmp_path, lambda i: [i["features"][c].update(shape=6, names=names) for c in ("observation.state", "action")])
    row, _ = extracted(tmp_path)
    assert row["profile"] == "so100"


def test_rows_without_a_task_have_no_instruction_and_cost_nothing(tmp_path):
    so_log(tmp_path, 1)
    path = tmp_path / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(path).drop_columns("task_index")
    index = pa.array([None] * 5 + [0] * 150 + [-1] * 5, pa.int64())
    pq.write_table(table.append_column("task_index", index), path)
    assert extracted(tmp_path)[0]["task"] == "put the cube in the box"


def test_a_mark_that_no_float_holds_is_none(tmp_path):
    so_log(tmp_path, 1, rows=[{"size": 10**400, "score": 2.5, "worse": float("inf")}])
    row, _ = extracted(tmp_path, config=IngestConfig(where="score > 2"))
    assert json.loads(row["marks"]) == {"score": 2.5}


def test_a_rule_takes_marks_of_one_and_zero_and_never_ends_in_a_trace():
    assert holds("success", {"success": 1})
    assert not holds("success", {"success": 0})
    assert not holds("sucess", {"success": True})  # nobody says that
    with pytest.raises(ValueError, match="true or false is expected"):
        holds("operator", {"operator": "ann"})
    with pytest.raises(ValueError, match="cannot be applied"):
        holds("n_rows > 3", {"n_rows": 10**400})


def test_what_an_episode_is_called_is_not_what_a_mark_says(tmp_path):
    so_log(tmp_path, 1, rows=[{"robot": "other", "source": "elsewhere"}])
    with pytest.raises(Quarantined):
        extracted(tmp_path, config=IngestConfig(where="robot = 'other'"))
    extracted(tmp_path, config=IngestConfig(where="robot = 'so101_follower' AND source = 'd'"))


@pytest.mark.parametrize(
    ("columns", "state", "action"),
    [
        (("robot state", "robot action"), ("robot state",), ("robot action",)),
        (("observation.state", "action_delta", "action_abs"), ("observation.state",), ("action_abs",)),
        (("observation.state", "action.arm", "action.hand"), ("observation.state",), ("action.arm", "action.hand")),
        (("joint_positions", "force_torque", "target_positions"), ("joint_positions",), ("target_positions",)),
    ],
)
def test_names_tell_state_and_action(columns, state, action):
    assert state_and_action([Feature(c, 6) for c in columns], "d") == (state, action)


def test_values_that_are_called_after_the_end_effector_are_its_pose(tmp_path):
    names = [f"end_effector_{n}" for n in ("x", "y", "z", "roll", "pitch", "yaw")] + ["gripper"]
    own = [np.hstack([0.3 + s[:, :3] / 200, s[:, 2:5] / 60, s[:, 5:]]) for s in (picking(i) for i in range(4))]
    columns = {"observation.state": names, "action": names}
    write_log(tmp_path, [dict.fromkeys(columns, s) for s in own], columns)
    dataset, references = load("d", str(tmp_path))
    found = {f"{s.kind}/{s.arm}": s.origin for s in layout_of(dataset, references, IngestConfig()).layout.streams}
    assert found["position/single"] == "observation.state[0, 1, 2]"
    assert found["orientation/single"] == "observation.state[3, 4, 5]"
