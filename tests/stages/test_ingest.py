"""Logs are read as they are, and what must not be used is named."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.reasons import Quarantined, Reason
from stages.ingest import IngestConfig
from stages.ingest.extract import _held_swing, extract, opening, wanted_columns
from stages.ingest.infer import infer
from stages.ingest.layout import layout_of
from stages.ingest.lerobot import Dataset, Feature, load
from stages.ingest.profile import Stream, choose, load_profiles, resolve
from stages.ingest.rows import read_file
from stages.ingest.sources import SourceError, find_datasets
from tests.datasets import Episode, pick_and_place, write_dataset

CONFIG = IngestConfig()


def dataset_of(robot: str, names: dict[str, list[str]], **more) -> Dataset:
    features = tuple(Feature(column, len(n), tuple(n)) for column, n in names.items())
    values = {"modality": {}, "ranges": {}, "tasks": {}} | more
    return Dataset("d", "/d", "v2.1", robot, 30.0, features, **values)


def one_episode(root, **options):
    """(dataset, reference, layout, file) of the first episode of a written dataset."""
    if not (root / "meta").exists():
        write_dataset(root, [Episode(20, 0), Episode(24, 20)], **options)
    dataset, references = load("d", str(root))
    layout = layout_of(dataset, references, CONFIG)
    return dataset, references[0], layout, read_file(references[0], wanted_columns(dataset, layout))


# -- sources


def test_a_folder_of_datasets_is_walked(tmp_path):
    write_dataset(tmp_path / "many" / "one", [Episode(20, 0)])
    write_dataset(tmp_path / "many" / "deeper" / "two", [Episode(20, 0)])
    assert list(find_datasets([str(tmp_path / "many")])) == ["two", "one"]
    assert list(find_datasets([f"mine={tmp_path}/many/one"])) == ["mine"]
    assert list(find_datasets([f"mine={tmp_path}/many"])) == ["mine_two", "mine_one"]


def test_two_sources_of_one_name_suggest_another(tmp_path):
    for parent in "ab":
        write_dataset(tmp_path / parent / "set", [Episode(20, 0)])
    with pytest.raises(SourceError, match=r"two sources are named 'set'.*set_2="):
        find_datasets([str(tmp_path / "a"), str(tmp_path / "b")])


def test_a_folder_without_datasets_says_what_was_looked_for(tmp_path):
    with pytest.raises(SourceError, match=r"meta/info\.json"):
        find_datasets([str(tmp_path)])


# -- the three versions


@pytest.mark.parametrize("version", ["v2.0", "v2.1", "v3.0"])
def test_all_versions_give_the_same_episodes(tmp_path, version):
    episodes = [Episode(20, 0, "one"), Episode(24, 20, "two"), Episode(22, 44, "three"), Episode(21, 66, "four")]
    write_dataset(tmp_path, episodes, version=version, cameras=("front", "wrist"))
    dataset, references = load("d", str(tmp_path))
    assert (dataset.version, dataset.fps, dataset.robot) == (version, 20.0, "metaworld_sawyer")
    assert [(r.episode_id, r.length, r.task) for r in references] == [
        ("d/000000", 20, "one"),
        ("d/000001", 24, "two"),
        ("d/000002", 22, "three"),
        ("d/000003", 21, "four"),
    ]
    assert [c.name for c in references[0].cameras] == ["front", "wrist"]
    starts = [r.cameras[0].from_s for r in references]
    assert starts == ([0.0, 1.0, 2.2, 0.0] if version == "v3.0" else [0.0] * 4)  # three episodes a file
    layout = layout_of(dataset, references, CONFIG)
    for reference, episode in zip(references, episodes, strict=True):
        row, signals = extract(
            dataset, reference, layout, read_file(reference, wanted_columns(dataset, layout)), CONFIG
        )
        assert (row["n_rows"], row["task"]) == (episode.length, episode.task)
        by_stream = {s["stream"]: s["values"].reshape(-1, s["width"]) for s in signals}
        assert by_stream["position/single"] == pytest.approx(episode.state[:, :3], abs=1e-6)
        assert by_stream["gripper/single"][:, 0] == pytest.approx(episode.state[:, 3])


def test_a_template_that_lies_is_put_right_by_the_file_name(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)])
    info = json.loads((tmp_path / "meta/info.json").read_text())
    info["data_path"] = "data/chunk-{episode_index:03d}/episode_{episode_index:06d}.parquet"
    (tmp_path / "meta/info.json").write_text(json.dumps(info))
    _, references = load("d", str(tmp_path))
    assert references[1].file is not None
    assert references[1].file.uri.endswith("data/chunk-000/episode_000001.parquet")


def test_an_unknown_version_is_named(tmp_path):
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/info.json").write_text('{"codebase_version": "v1.6"}')
    with pytest.raises(SourceError, match=r"'v1.6', expected one of"):
        load("d", str(tmp_path))


@pytest.mark.parametrize(
    ("break_it", "complaint"),
    [
        (
            lambda m: (m / "episodes.jsonl").write_text('{"episode_index": 0}\n{"episode_index": 0}'),
            "listed more than once",
        ),
        (lambda m: (m / "episodes.jsonl").write_text('{"length": 3}'), "KeyError"),
        (lambda m: (m / "episodes.jsonl").write_text("nonsense"), "line 1 is not JSON"),
        (lambda m: (m / "episodes.jsonl").write_bytes(b"\xff\xfe"), "UnicodeDecodeError"),
        (lambda m: (m / "info.json").write_text("[]"), "codebase_version is|AttributeError"),
        (lambda m: (m / "info.json").write_text('{"codebase_version": "v2.1", "fps": 0, "features": {}}'), "fps is 0"),
        (lambda m: (m / "modality.json").write_text('{"state": {"arm": {"end": 3}}}'), "KeyError"),
        (lambda m: (m / "stats.json").write_text("[]"), "AttributeError"),
    ],
)
def test_odd_metadata_is_an_error_of_that_source(tmp_path, break_it, complaint):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)])
    break_it(tmp_path / "meta")
    with pytest.raises(SourceError, match=complaint):
        load("d", str(tmp_path))


def test_an_episode_that_is_counted_but_not_listed_is_not_forgotten(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)])
    info = json.loads((tmp_path / "meta/info.json").read_text())
    (tmp_path / "meta/info.json").write_text(json.dumps(info | {"total_episodes": 3}))
    _, references = load("d", str(tmp_path))
    assert [r.episode_id for r in references] == ["d/000000", "d/000001", "d/000002"]
    with pytest.raises(Quarantined) as error:
        read_file(references[2], [])
    assert error.value.reason is Reason.EPISODE_NOT_LISTED


def test_an_episode_that_is_listed_but_not_counted_is_set_aside(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20), Episode(20, 40)])
    info = json.loads((tmp_path / "meta/info.json").read_text())
    (tmp_path / "meta/info.json").write_text(json.dumps(info | {"total_episodes": 2}))
    _, references = load("d", str(tmp_path))
    assert [r.counted for r in references] == [True, True, False]
    with pytest.raises(Quarantined, match=r"lists episode 2, total_episodes of meta/info\.json counts fewer") as error:
        read_file(references[2], [])
    assert error.value.reason is Reason.EPISODE_NOT_COUNTED


def test_cameras_whose_names_would_collide_are_refused(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0)], cameras=("cam.left", "cam_left"))
    with pytest.raises(SourceError, match="would get the same name"):
        load("d", str(tmp_path))


def test_pictures_inside_the_data_files_are_a_missing_camera(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)])
    info = json.loads((tmp_path / "meta/info.json").read_text())
    info["features"]["observation.images.front"]["dtype"] = "image"
    (tmp_path / "meta/info.json").write_text(json.dumps(info))
    reason, message = reason_of(tmp_path)
    assert reason is Reason.MISSING_CAMERA
    assert "dtype image" in message


# -- robots


SO_JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
ALOHA_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper")
STATE = "observation.state"
ONE_ARM = {"joints/single", "gripper/single"}
POSED = {"position/single", "orientation/single", "gripper/single"}
ROBOTS = [  # robot type, names per column, the profile and the streams that must be found
    ("so101_follower", {STATE: [f"{j}.pos" for j in SO_JOINTS]}, "so100", ONE_ARM),
    ("so100", {STATE: [f"main_{j}" for j in SO_JOINTS]}, "so100", ONE_ARM),
    (
        "aloha",
        {STATE: [f"{side}_{j}" for side in ("left", "right") for j in ALOHA_JOINTS]},
        "aloha",
        {"joints/left", "gripper/left", "joints/right", "gripper/right"},
    ),
    (
        "franka",
        {"observation.state.cartesian_position": list("abcdef"), "observation.state.gripper_position": ["g"]},
        "franka_droid",
        POSED,
    ),
    ("widowx", {STATE: ["x", "y", "z", "roll", "pitch", "yaw", "pad", "gripper"]}, "widowx", POSED),
    (
        "cr5",
        {STATE: [f"joint_{i}" for i in range(6)], "action": [*(f"joint_{i}_vel" for i in range(6)), "gripper"]},
        "cr5",
        {*ONE_ARM, "gripper_command/single"},
    ),
]


@pytest.mark.parametrize(("robot", "names", "profile", "streams"), ROBOTS)
def test_robots_are_known_by_their_type(robot, names, profile, streams):
    ranges = {c: ((0.0,) * len(n), (100.0,) * len(n)) for c, n in names.items()}
    dataset = dataset_of(robot, names, ranges=ranges)
    chosen = choose(dataset, None)
    assert chosen is not None
    assert chosen.name == profile
    assert {f"{s.kind}/{s.arm}" for s in resolve(chosen, dataset).streams} == streams


def test_a_robot_of_unknown_type_is_known_by_its_names():
    dataset = dataset_of("some_lab_robot", {"observation.state": ["kLeftHandIndex", "kRightHandIndex"]})
    assert choose(dataset, None).name == "unitree_g1_inspire"


def test_the_gripper_range_of_an_so100_is_the_datasets_own():
    names = {"observation.state": ["gripper.pos"]}
    dataset = dataset_of("so100", names, ranges={"observation.state": ((2.0,), (62.0,))})
    layout = resolve(choose(dataset, "so100"), dataset)
    gripper = next(s for s in layout.streams if s.kind == "gripper")
    assert (gripper.closed, gripper.open, layout.range_inferred) == ((2.0,), (62.0,), True)


def test_every_profile_that_comes_with_the_project_parses():
    wanted = {
        "aloha",
        "cr5",
        "franka_droid",
        "gr1",
        "metaworld_sawyer",
        "so100",
        "unitree_g1_inspire",
        "unitree_g1_dex3",
        "widowx",
    }
    assert {p.name for p in load_profiles()} == wanted


def test_an_unknown_profile_lists_the_known():
    with pytest.raises(SourceError, match="known are"):
        choose(dataset_of("x", {}), "nosuch")


@pytest.mark.parametrize(
    ("values", "opened", "closed", "expected"),
    [
        ([[0.0], [0.5], [1.0]], (1.0,), (0.0,), [0.0, 0.5, 1.0]),
        ([[0.0], [0.5], [1.0]], (0.0,), (1.0,), [1.0, 0.5, 0.0]),  # 1 = closed, as CR5 and DROID log it
        ([[0.0, 1.5], [0.75, 0.75]], (0.0, 0.0), (1.5, 1.5), [0.5, 0.5]),  # a hand: the mean of its joints
        ([[-1.5], [1.5]], (-1.5,), (1.5,), [1.0, 0.0]),
        ([[110.0]], (100.0,), (0.0,), [1.0]),  # a little over the range is clipped
    ],
)
def test_gripper_opening_is_zero_closed_to_one_open(values, opened, closed, expected):
    stream = Stream(kind="gripper", arm="single", column="c", indices=(0,), unit="1", open=opened, closed=closed)
    assert opening(np.array(values), stream, 0.5, "f").tolist() == expected


@pytest.mark.parametrize(
    ("told", "swing"),
    [
        ([1.0] * 20 + [0.0] * 20, 1.0),
        ([0.0] + [1.0] * 39, 0.0),  # a first row that nobody wrote
        ([1.0] * 39 + [0.0], 0.0),  # let go in the last moment
        ([1.0] * 20 + [0.0] + [1.0] * 19, 0.0),  # a spike
        ([1.0] * 15 + [0.6] * 25, 0.4),
    ],
)
def test_a_command_counts_where_it_stands_for_half_a_second(told, swing):
    assert _held_swing(np.array(told, dtype=np.float32), np.arange(40) / 20) == pytest.approx(swing)


@given(
    values=st.lists(st.floats(-1, 2), min_size=1, max_size=30),
    scale=st.floats(0.1, 100),
    offset=st.floats(-50, 50),
    flip=st.booleans(),
)
def test_opening_does_not_depend_on_the_units_of_the_log(values, scale, offset, flip):
    raw = np.array(values)[:, None]
    plain = Stream(kind="gripper", arm="single", column="c", indices=(0,), unit="1", open=(1.0,), closed=(0.0,))
    sign = -scale if flip else scale
    other = plain.model_copy(update={"open": (sign + offset,), "closed": (offset,)})
    assert opening(raw * sign + offset, other, 9.0, "f") == pytest.approx(opening(raw, plain, 9.0, "f"), abs=1e-6)


# -- the profile of last resort


def test_a_two_level_last_value_without_names_is_a_gripper_open_at_the_start():
    state = np.column_stack([np.linspace(0, 1, 50), np.linspace(1, 3, 50), np.r_[np.full(20, 7.0), np.full(30, 2.0)]])
    dataset = Dataset("d", "/d", "v2.1", "?", 30.0, (Feature("observation.state", 3, ()),), {}, {}, {})
    layout = infer(dataset, {"observation.state": [state]})
    assert [(s.kind, s.indices, s.open, s.closed) for s in layout.streams] == [
        ("joints", (0, 1), (), ()),
        ("gripper", (2,), (7.0,), (2.0,)),
    ]
    assert layout.inferred


def test_names_tell_position_and_gripper():
    state = np.column_stack([np.linspace(0, 1, 50), *[np.linspace(0, 1, 50)] * 3])
    dataset = dataset_of("?", {"observation.state": ["jaw_width", "z", "y", "x"]})
    layout = infer(dataset, {"observation.state": [state]})
    assert [(s.kind, s.indices) for s in layout.streams] == [("position", (3, 2, 1)), ("gripper", (0,))]


def test_where_nothing_moves_there_is_no_profile():
    dataset = dataset_of("?", {"observation.state": ["a", "b"]})
    assert infer(dataset, {"observation.state": [np.ones((30, 2))]}) is None


# -- what is set aside


def refusal_of(root, config=CONFIG) -> Quarantined:
    dataset, references = load("d", str(root))
    layout = layout_of(dataset, references[1:], config)
    with pytest.raises(Quarantined) as error:
        extract(dataset, references[0], layout, read_file(references[0], wanted_columns(dataset, layout)), config)
    return error.value


def reason_of(root, config=CONFIG) -> tuple[Reason, str]:
    error = refusal_of(root, config)
    return error.reason, error.message


def rewrite(root, **columns):
    path = root / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(path)
    for name, change in columns.items():
        column = "observation.state" if name == "state" else name
        values = change(table[column].to_pylist())
        table = table.set_column(table.column_names.index(column), column, pa.array(values))
    pq.write_table(table, path)


def put(row, index, value):
    def change(rows):
        rows[row][index] = value
        return rows

    return change


def swap(rows):
    return [rows[1], rows[0], *rows[2:]]


def keep(root, rows):
    """The first rows alone, in the metadata too."""
    path = root / DATA
    pq.write_table(pq.read_table(path).slice(0, rows), path)
    listing = root / "meta/episodes.jsonl"
    listing.write_text(listing.read_text().replace('"length": 20', f'"length": {rows}', 1))


DATA = "data/chunk-000/episode_000000.parquet"
VIDEO = "videos/chunk-000/observation.images.front/episode_000000.mp4"
BROKEN = {  # how to break it, the reason it must get, what the message must say
    "nan": (lambda r: rewrite(r, state=put(3, 1, float("nan"))), Reason.NOT_FINITE, r"state\[1\] is nan at row 3"),
    "inf": (lambda r: rewrite(r, action=put(3, 0, float("inf"))), Reason.NOT_FINITE, r"action\[0\] is inf at row 3"),
    "shuffled": (
        lambda r: rewrite(r, timestamp=swap),
        Reason.TIME_NOT_INCREASING,
        r"is 0.0000 s at row 1 and 0.0500 s at the row",
    ),
    "duplicated": (
        lambda r: rewrite(r, timestamp=lambda t: [*t[:5], t[4], *t[6:]]),
        Reason.TIME_REPEATS,
        "at rows 4 and 5, 1 repeats",
    ),
    "clock set back": (
        lambda r: rewrite(r, timestamp=lambda t: [*t[:9], *(x - 3.0 for x in t[9:])]),
        Reason.TIME_NOT_INCREASING,
        "at row 9 and 0.4000 s at the row before",
    ),
    "no rows": (lambda r: keep(r, 0), Reason.EMPTY_EPISODE, "no row of episode 0"),
    "one row": (lambda r: keep(r, 1), Reason.TOO_SHORT, "1 rows, ingest.min_rows is 8"),
    "stuck": (
        lambda r: rewrite(
            r,
            state=lambda s: [[*x[:3], 1.0] for x in s],
            action=lambda a: [[*x[:3], float(i < 10)] for i, x in enumerate(a)],  # 0.5 s open, 0.5 s closed
        ),
        Reason.GRIPPER_STUCK,
        r"action\[3\] tells the gripper of arm single to move by 1.00 of its range, .+ moves by 0.0",
    ),
    "gap": (
        lambda r: rewrite(r, timestamp=lambda t: [*t[:-1], 9.0]),
        Reason.TIME_GAP,
        "jumps by 8.10 s between rows 18 and 19",
    ),
    "jump": (lambda r: rewrite(r, state=put(10, 2, 4.0)), Reason.STATE_JUMP, "m/s into row 10"),
    "gripper": (lambda r: rewrite(r, state=put(4, 3, 37.0)), Reason.GRIPPER_OUT_OF_RANGE, "is .37.0. at row 4"),
    "task": (lambda r: rewrite(r, task_index=lambda t: [5] * len(t)), Reason.UNKNOWN_TASK, "task_index 5"),
    "shape": (lambda r: rewrite(r, state=lambda s: [x[:3] for x in s]), Reason.WRONG_SHAPE, "metadata says 4"),
    "zero bytes": (lambda r: (r / DATA).write_bytes(b""), Reason.UNREADABLE_FILE, "episode_000000.parquet"),
    "no file": (lambda r: (r / DATA).unlink(), Reason.MISSING_FILE, "is absent"),
    "no camera": (lambda r: (r / VIDEO).unlink(), Reason.MISSING_CAMERA, "ingest.video=ignore"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_episode_is_refused_with_reason_and_place(tmp_path, case):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)])
    break_it, reason, message = BROKEN[case]
    break_it(tmp_path)
    found, text = reason_of(tmp_path)
    assert found is reason
    assert re.search(message, text), text


@pytest.mark.parametrize(
    ("case", "row", "lines"),
    [
        ("nan", 3, ["observation.state[1]"]),
        ("duplicated", 5, ["timestamp, s"]),
        (
            "jump",
            10,
            ["observation.state[2]", "observation.state[1]", "observation.state[0]"],
        ),  # z jumps, y moves on, x rests
        ("gripper", 4, ["opening of arm single, 0 to 1 by the profile"]),
        ("stuck", 10, ["commanded opening", "measured opening"]),
    ],
)
def test_a_refusal_carries_the_signal_that_shows_it(tmp_path, case, row, lines):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)])
    BROKEN[case][0](tmp_path)
    evidence = refusal_of(tmp_path).evidence
    assert (evidence.row, [name for name, _ in evidence.lines]) == (row, lines)
    assert {len(values) for _, values in evidence.lines} == {20}


def test_lengths_are_held_against_the_metadata(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)])
    path = tmp_path / "meta/episodes.jsonl"
    path.write_text(path.read_text().replace('"length": 20', '"length": 21', 1))
    reason, message = reason_of(tmp_path)
    assert reason is Reason.ROW_COUNT_MISMATCH
    assert "20 rows of episode 0, metadata says 21" in message


def test_a_short_episode_is_refused(tmp_path):
    write_dataset(tmp_path, [Episode(5, 0), Episode(20, 20)])
    assert reason_of(tmp_path)[0] is Reason.TOO_SHORT


def test_without_video_wanted_a_missing_camera_does_not_matter(tmp_path):
    dataset, reference, layout, file = one_episode(tmp_path)
    row, _ = extract(dataset, reference, layout, file, IngestConfig(video="ignore"))
    assert (row["cameras"], row["flags"]) == ([], ["no_video"])


def test_the_real_sets_are_read_whole(real):
    found = find_datasets([str(real)])
    assert list(found) == ["cr5_banana", "g1_crisps", "gr1_sim_picknplace"]
    expected = {
        "cr5_banana": (12, "cr5", ("single",)),
        "g1_crisps": (6, "unitree_g1_inspire", ("left", "right")),
        "gr1_sim_picknplace": (5, "gr1", ("left", "right")),
    }
    for name, uri in found.items():
        dataset, references = load(name, uri)
        layout = layout_of(dataset, references, CONFIG)
        assert (len(references), layout.profile, layout.arms) == expected[name]
        for reference in references:
            row, signals = extract(
                dataset, reference, layout, read_file(reference, wanted_columns(dataset, layout)), CONFIG
            )
            assert row["n_rows"] == reference.length
            grippers = [s["values"] for s in signals if s["kind"] == "gripper"]
            assert max(np.ptp(g) for g in grippers) > 0.3  # every one of these episodes takes something


def test_the_written_path_is_a_pick_and_place():
    state = pick_and_place(100)
    assert np.flatnonzero(np.diff(state[:, 3])).tolist() == [39, 69]
