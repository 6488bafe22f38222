"""What people's recorders and converters write, read as they meant it; conditions after public reports."""

import io
import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from schemas.reasons import Flag, Quarantined, Reason
from stages.ingest import IngestConfig
from stages.ingest.extract import extract, needed_columns
from stages.ingest.layout import layout_of
from stages.ingest.survey import survey
from stages.sources.places import placed
from stages.sources.protocol import SourceError
from tests.arms import FPS, SO, picking, so_log, write_log
from tests.datasets import Episode, write_dataset
from tests.logs import load

CONFIG = IngestConfig()


def extracted(root, number=0, config=CONFIG):
    """(episode row, {stream: float[T, D]}) of one episode."""
    dataset, references = load("d", str(root))
    layout = layout_of(dataset, references, config).layout
    log = dataset.reader(needed_columns(dataset, layout)).read(references[number])
    row, signals = extract(dataset, references[number], layout, log, config)
    return row, {s["stream"]: s["values"].reshape(-1, s["width"]) for s in signals}


# -- state and action under any name


@pytest.mark.parametrize(
    ("state", "action"),
    [
        ({"observation.state": slice(0, 6)}, {"action": slice(0, 6)}),
        ({"state": slice(0, 6)}, {"actions": slice(0, 6)}),  # openpi
        ({"observation.qpos": slice(0, 6)}, {"action": slice(0, 6)}),
        (
            {"observation.states.joint.position": slice(0, 5), "observation.states.effector.position": slice(5, 6)},
            {"actions.joint.position": slice(0, 5), "actions.effector.position": slice(5, 6)},
        ),
        (
            {f"observation.{joint}": slice(i, i + 1) for i, joint in enumerate(SO)},  # one column a joint
            {f"action.{joint}": slice(i, i + 1) for i, joint in enumerate(SO)},
        ),
        ({f"{joint}_pos": slice(i, i + 1) for i, joint in enumerate(SO)}, {"cmd": slice(0, 6)}),
    ],
)
def test_what_was_logged_is_in_the_sample_whatever_its_columns_are_called(tmp_path, state, action):
    own = [picking(i) for i in range(3)]
    columns = {**state, **action}
    episodes = [{c: s[:, part] for c, part in columns.items()} for s in own]
    write_log(tmp_path, episodes, dict.fromkeys(columns))
    row, streams = extracted(tmp_path)
    assert streams["state"] == pytest.approx(own[0], abs=1e-4)
    assert streams["action"] == pytest.approx(own[0], abs=1e-4)
    layout = json.loads(row["layout"])
    assert (layout["state"]["origin"], layout["action"]["origin"]) == (", ".join(state), ", ".join(action))
    assert [len(layout[a]["values"]) for a in ("state", "action")] == [6, 6]


def test_a_source_in_which_neither_can_be_told_is_refused_in_one_line(tmp_path):
    write_log(tmp_path, [{"next.reward": np.zeros((20, 1))}], {"next.reward": None})
    dataset, references = load("d", str(tmp_path))
    with pytest.raises(SourceError, match="neither state nor action can be told") as error:
        layout_of(dataset, references, CONFIG)
    assert "\n" not in str(error.value)


# -- the same robot, the same streams


def test_an_so101_is_the_same_under_its_new_name_and_without_statistics(tmp_path):
    old, new = so_log(tmp_path / "old"), so_log(tmp_path / "new", robot="so_follower")
    (row, streams), (other, others) = extracted(old), extracted(new)
    assert (row["profile"], other["profile"]) == ("so100", "so100")
    assert streams.keys() == others.keys() >= {"joints/single", "gripper/single"}
    assert all((streams[s] == others[s]).all() for s in streams)
    assert streams["gripper/single"][[0, 30, 70], 0] == pytest.approx([0.0, 1.0, 0.1], abs=0.03)


def test_two_so101_are_two_arms(tmp_path):
    names = [f"{side}_{joint}.pos" for side in ("left", "right") for joint in SO]
    own = [np.hstack([picking(i), picking(i + 50)]) for i in range(3)]
    columns = {"observation.state": names, "action": names}
    write_log(tmp_path, [dict.fromkeys(columns, s) for s in own], columns, robot="bi_so_follower")
    row, streams = extracted(tmp_path)
    assert row["arms"] == ["left", "right"]
    assert streams["joints/right"].shape == (160, 5)
    assert streams["gripper/left"][30, 0] == pytest.approx(1.0, abs=0.02)


def test_an_angle_that_wraps_is_continued_in_degrees_too_and_kept_in_radians(tmp_path):
    turned = picking(0)
    turned[:, 4] += np.linspace(120, 260, len(turned))
    wrapped = turned.copy()
    wrapped[:, 4] = (wrapped[:, 4] + 180) % 360 - 180
    names = [f"{joint}.pos" for joint in SO]
    columns = {"observation.state": names, "action": names}
    for folder, state in (("plain", turned), ("wrapped", wrapped)):
        write_log(tmp_path / folder, [dict.fromkeys(columns, state)] * 3, columns, robot="so101_follower")
    (_, plain), (_, other) = extracted(tmp_path / "plain"), extracted(tmp_path / "wrapped")
    steps = [np.diff(streams["joints/single"], axis=0) for streams in (plain, other)]
    assert steps[0] == pytest.approx(steps[1], abs=1e-5)
    assert np.ptp(other["joints/single"][:, 4]) == pytest.approx(np.radians(np.ptp(turned[:, 4])), rel=1e-3)


@pytest.mark.parametrize(("unit", "scale"), [("deg", 1.6), ("raw", 0.5)])
def test_a_leap_in_one_row_is_flagged_in_any_unit(tmp_path, unit, scale):
    state = picking(0) * ([scale] * 5 + [1])
    state[100:, 1] += 100 * scale
    names = [f"{joint}.pos" for joint in SO]
    columns = {"observation.state": names, "action": names}
    write_log(
        tmp_path,
        [dict.fromkeys(columns, state), *[dict.fromkeys(columns, picking(1) * ([scale] * 5 + [1]))] * 2],
        columns,
        robot="so101",
    )
    row, _ = extracted(tmp_path)
    assert Flag.STATE_JUMPS in row["flags"]
    assert (Flag.UNIT_UNKNOWN in row["flags"]) == (unit == "raw")
    assert Flag.STATE_JUMPS not in extracted(tmp_path, 1)[0]["flags"]


def test_an_absurd_angle_is_a_jump_although_it_unwraps_to_nothing(tmp_path):
    names = [f"joint_{i}" for i in range(6)]
    state = np.zeros((40, 6)) + np.linspace(0, 1, 40)[:, None]
    state[20, 2] = 1e14
    action = np.hstack([state, np.zeros((40, 1))])
    columns = {"observation.state": names, "action": [*(f"joint_{i}_vel" for i in range(6)), "gripper"]}
    write_log(tmp_path, [{"observation.state": state, "action": action}], columns, robot="cr5")
    with pytest.raises(Quarantined) as error:
        extracted(tmp_path)
    assert error.value.reason is Reason.STATE_JUMP


# -- instructions and marks


def test_instructions_over_time_are_spans_and_the_task_names_them_in_order(tmp_path):
    said = ["open the drawer", "put the cube in", "close the drawer"]
    so_log(tmp_path, 2, tasks=said)
    for index in range(2):
        path = tmp_path / f"data/chunk-000/episode_{index:06d}.parquet"
        table = pq.read_table(path).drop_columns("task_index")
        pq.write_table(table.append_column("task_index", pa.array(np.repeat([0, 1, 2], [60, 60, 40]))), path)
    row, _ = extracted(tmp_path)
    assert row["task"] == "open the drawer, then put the cube in, then close the drawer"
    assert [(x["level"], x["start"], x["end"], x["text"]) for x in row["labels"]] == [
        ("L2", 0, 60, said[0]), ("L2", 60, 120, said[1]), ("L2", 120, 160, said[2]),
    ]  # fmt: skip


def test_a_column_of_words_is_the_instruction_where_no_table_has_one(tmp_path):
    so_log(tmp_path, 1, tasks=[""], features={"language_instruction": {"dtype": "string", "shape": [1]}})
    path = tmp_path / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(path).drop_columns("task_index")
    pq.write_table(table.append_column("language_instruction", pa.array(["wipe the table"] * 160)), path)
    assert extracted(tmp_path)[0]["task"] == "wipe the table"


def test_what_a_source_says_of_an_episode_rides_along_and_can_leave_it_out(tmp_path):
    lines = [{"success": i != 1, "operator": "ann" if i else "bob", "score": i / 2} for i in range(3)]
    so_log(tmp_path, 3, rows=lines)
    assert [json.loads(extracted(tmp_path, i)[0]["marks"]) for i in range(3)] == lines
    config = IngestConfig(where="success AND operator <> 'bob'")
    left_out = []
    for i in range(3):
        try:
            extracted(tmp_path, i, config)
        except Quarantined as error:
            left_out.append((i, error.reason))
    assert left_out == [(0, Reason.LEFT_OUT), (1, Reason.LEFT_OUT)]
    with pytest.raises(Quarantined, match="does not hold"):
        extracted(tmp_path, 2, IngestConfig(where="shift = 'night'"))  # nobody says


def test_what_a_rule_leaves_out_is_not_looked_at_for_faults(tmp_path):
    """Failed episodes are often broken ones: who leaves them out wants to hear no more of them."""
    so_log(tmp_path, 2, rows=[{"success": False}, {"success": True}])
    path = tmp_path / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(path).drop_columns("timestamp")
    pq.write_table(table.append_column("timestamp", pa.array(np.zeros(160, np.float32))), path)
    with pytest.raises(Quarantined) as error:
        extracted(tmp_path, 0, IngestConfig(where="success"))
    assert error.value.reason is Reason.LEFT_OUT


def test_a_rule_that_is_no_sql_is_refused_where_it_is_read():
    with pytest.raises(ValueError, match="is no SQL expression"):
        IngestConfig(where="success AND (")


def test_success_is_read_from_the_rows_where_the_list_does_not_say(tmp_path):
    so_log(tmp_path, 2, features={"next.success": {"dtype": "bool", "shape": [1]}})
    for index in range(2):
        path = tmp_path / f"data/chunk-000/episode_{index:06d}.parquet"
        done = pa.array([False] * 159 + [index == 1])
        pq.write_table(pq.read_table(path).append_column("next.success", done), path)
    assert [json.loads(extracted(tmp_path, i)[0]["marks"]) for i in range(2)] == [{"success": False}, {"success": True}]


# -- cameras


def png(number: int, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    shade = number % 250 if mode == "RGB" else number * 16
    Image.new(mode, (64, 48), (shade,) * 3 if mode == "RGB" else shade).save(buffer, "PNG")
    return buffer.getvalue()


def with_pictures(root, column: str, number: int, mode: str = "RGB") -> None:
    path = root / f"data/chunk-000/episode_{number:06d}.parquet"
    table = pq.read_table(path)
    rows = [{"bytes": png(40 * number + i, mode), "path": None} for i in range(table.num_rows)]
    pq.write_table(table.append_column(column, pa.array(rows)), path)


def test_pictures_inside_the_data_files_are_a_camera(tmp_path):
    feature = {"dtype": "image", "shape": [48, 64, 3]}
    so_log(tmp_path, 2, features={"observation.image": feature, "observation.wrist_image": feature})
    for column in ("observation.image", "observation.wrist_image"):
        for number in range(2):
            with_pictures(tmp_path, column, number)
    dataset, references = load("d", str(tmp_path))
    camera = references[1].cameras[0]
    assert [c.name for c in references[1].cameras] == ["observation.image", "observation.wrist_image"]
    pictures = dataset.pictures(camera, camera.file.uri)
    assert pictures.info.pts_s - camera.from_s == pytest.approx(np.arange(160) / FPS, abs=1e-4)
    _, frames = pictures.frames("pyav")
    assert [int(f.to_ndarray(format="rgb24").mean()) for f in frames] == [(40 + i) % 250 for i in range(160)]


def test_pictures_of_several_episodes_in_one_file_are_told_apart_in_any_order(tmp_path):
    from stages.sources.lerobot.stills import start_of, stills

    rows = [{"bytes": png(i), "path": None} for i in range(6)]
    path = tmp_path / "file.parquet"
    pq.write_table(pa.table({"episode_index": [4, 4, 1, 1, 4, 1], "image": pa.array(rows)}), path, row_group_size=2)
    found = stills(str(path), "image", 10.0, "u")
    assert found.info.pts_s == pytest.approx([start_of(e) + i / 10 for e in (1, 4) for i in range(3)])
    assert [int(f.to_ndarray(format="rgb24").mean()) for f in found.frames("")[1]] == [2, 3, 5, 0, 1, 4]


def test_a_footer_that_claims_gigabytes_is_refused_before_the_pictures_are_opened(tmp_path):
    from stages.sources.lerobot.stills import stills

    path = tmp_path / "file.parquet"
    pq.write_table(pa.table({"episode_index": [0], "image": pa.array([{"bytes": png(0), "path": None}])}), path)
    data = path.read_bytes()
    path.write_bytes(data[:-8] + (2**31 - 1).to_bytes(4, "little") + data[-4:])
    with pytest.raises(Quarantined, match="a footer of 2147483647 bytes") as refused:
        stills(str(path), "image", 10.0, "u")
    assert refused.value.reason is Reason.VIDEO_UNREADABLE


@pytest.mark.parametrize(
    "spec",
    [
        {"dtype": "image", "shape": [48, 64, 1]},
        {"dtype": "video", "shape": [48, 64, 3], "info": {"is_depth_map": True}},
        {"dtype": "video", "shape": [48, 64, 3], "info": {"video.is_depth_map": True}},
    ],
)
def test_depth_is_passed_over_and_told(tmp_path, spec):
    name = "observation.images.top_depth" if spec["dtype"] == "image" else "observation.images.d435"
    so_log(tmp_path, 2, features={name: spec})
    dataset, references = load("d", str(tmp_path))
    assert references[0].cameras == ()
    assert any("depth map" in note and name in note for note in dataset.notes)


def test_files_in_another_folder_than_the_template_says_are_found_and_told(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0)])
    (tmp_path / "videos").rename(tmp_path / "video")
    dataset, references = load("d", str(tmp_path))
    assert references[0].cameras[0].file.uri.startswith(f"{tmp_path}/video/")
    assert any("lie in video/" in note for note in dataset.notes)


def test_two_episodes_that_claim_the_same_pictures_are_both_refused_and_drift_is_not(tmp_path):
    write_dataset(tmp_path, [Episode(20 + i, 100 * i) for i in range(4)], version="v3.0", per_file=4)
    found = survey([str(tmp_path)], CONFIG).cameras
    assert found["first"].to_list() == [0, 20, 41, 63]
    assert found["whole"].to_list() == [86] * 4
    assert found["claimed"].null_count() == 4
    path = tmp_path / "meta/episodes/chunk-000/file-000.parquet"
    rows = pq.read_table(path).to_pylist()
    key = "videos/observation.images.front/from_timestamp"
    rows[2][key] -= 1 / 20  # a frame of drift
    rows[3][key] -= 0.5  # ten frames
    pq.write_table(pa.Table.from_pylist(rows), path)
    claimed = survey([str(tmp_path)], CONFIG).cameras["claimed"].to_list()
    source = tmp_path.name
    assert claimed == [None, None, f"{source}/000003@front", f"{source}/000002@front"]


def test_where_times_drift_the_lengths_place_each_episode(tmp_path):
    """Late by up to 0.8 frames, as after many concatenations: frame i is still row i."""
    source = write_dataset(tmp_path / "logs", [Episode(30, 100 * i) for i in range(6)], version="v3.0", per_file=6)
    path = source / "meta/episodes/chunk-000/file-000.parquet"
    rows = pq.read_table(path).to_pylist()
    for row in rows:
        for end in ("from", "to"):
            row[f"videos/observation.images.front/{end}_timestamp"] += 0.8 / 20 * row["episode_index"] / 5
    pq.write_table(pa.Table.from_pylist(rows), path)
    from stages.observe import ObserveConfig, Span
    from stages.observe.file import placed_in
    from stages.video.probe import probe

    info = probe(str(source / "videos/observation.images.front/chunk-000/file-000.mp4"), "u")
    cameras = survey([str(source)], CONFIG).cameras
    spans = [
        Span(r["episode_id"], "front", r["from_s"], r["to_s"], 20.0, "s", r["first"], r["frames"], r["whole"])
        for r in cameras.iter_rows(named=True)
    ]
    assert [placed_in(info, s, ObserveConfig(), "u")[:2] for s in spans] == [(30 * i, 30 * i + 30) for i in range(6)]


def test_frames_are_found_by_count_or_time_and_never_twice():
    """The laws of `placed` on numbers by hand: episodes of 10 frames at 10 frames/s, one without a length."""
    import polars as pl

    cameras = pl.DataFrame(
        {
            "item": ["a", "b", "c", "d"],
            "uri": ["u", "u", "v", "v"],
            "column": [""] * 4,
            "from_s": [0.0, 1.0, 0.0, 1.0],
            "to_s": [1.0, 2.0, 1.0, None],
            "fps": [10.0] * 4,
            "frames": [10, 10, 10, None],
        }
    )
    found = placed(cameras)
    assert found["first"].to_list()[:2] == [0, 10]
    assert found["whole"].to_list() == [20, 20, None, None]
    assert all(a <= b for a, b in pairwise(found["first"].to_list()[:2]))
    assert found["claimed"].null_count() == 4
