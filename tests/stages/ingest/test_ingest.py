"""Logs are read as they are, whatever their version."""

import json
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.reasons import Quarantined, Reason
from stages.ingest import IngestConfig
from stages.ingest.extract import extract, needed_columns
from stages.ingest.layout import layout_of
from stages.sources.find import find_datasets
from stages.sources.protocol import SourceError
from tests.datasets import Episode, pick_and_place, write_dataset
from tests.logs import load

CONFIG = IngestConfig()


def info(meta, **changes):
    path = meta / "info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


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


def test_names_that_differ_in_case_alone_are_one_name(tmp_path):
    for name in ("a/Set", "b/set"):
        write_dataset(tmp_path / name, [Episode(20, 0)])
    with pytest.raises(SourceError, match=r"two sources are named 'set'"):
        find_datasets([str(tmp_path / "a"), str(tmp_path / "b")])


def test_links_that_lead_round_in_circles_end(tmp_path):
    write_dataset(tmp_path / "many" / "one", [Episode(20, 0)])
    (tmp_path / "many" / "again").symlink_to(tmp_path / "many")
    assert list(find_datasets([str(tmp_path / "many")])) == ["one"]


@pytest.mark.parametrize(("source", "words"), [("nowhere", "there is no such folder"), ("file", "it is a file")])
def test_a_source_that_is_none_says_what_it_is(tmp_path, source, words):
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceError, match=words):
        find_datasets([str(tmp_path / source)])


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
    assert [(r.episode_id, r.place.length, r.task) for r in references] == [
        ("d/000000", 20, "one"),
        ("d/000001", 24, "two"),
        ("d/000002", 22, "three"),
        ("d/000003", 21, "four"),
    ]
    assert [c.name for c in references[0].cameras] == ["front", "wrist"]
    starts = [r.cameras[0].from_s for r in references]
    assert starts == ([0.0, 1.0, 2.2, 0.0] if version == "v3.0" else [0.0] * 4)  # three episodes a file
    layout = layout_of(dataset, references, CONFIG).layout
    for reference, episode in zip(references, episodes, strict=True):
        row, signals = extract(
            dataset, reference, layout, dataset.reader(needed_columns(dataset, layout)).read(reference), CONFIG
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
    assert references[1].place.file is not None
    assert references[1].place.file.uri.endswith("data/chunk-000/episode_000001.parquet")


def test_an_unknown_version_is_named(tmp_path):
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/info.json").write_text('{"codebase_version": "v1.6"}')
    with pytest.raises(SourceError, match=r"'v1.6', expected one of"):
        load("d", str(tmp_path))


@pytest.mark.parametrize(
    ("break_it", "complaint"),
    [
        (
            lambda m: (m / "episodes.jsonl").write_text('{"episode_index": 0}\n{"episode_index": 0, "length": 2}'),
            "listed more than once, differently",
        ),
        (lambda m: (m / "episodes.jsonl").write_text('{"length": 3}'), "jsonl:1: no episode_index"),
        (lambda m: (m / "episodes.jsonl").write_text("nonsense"), "line 1 is not JSON"),
        (lambda m: (m / "episodes.jsonl").write_bytes(b"\xff\xfe"), "line 1 is not JSON: 'utf-8' codec"),
        (lambda m: (m / "episodes.jsonl").unlink(), "episodes.jsonl is missing"),
        (lambda m: (m / "info.json").write_text("[]"), "a mapping is expected, found list"),
        (lambda m: (m / "info.json").write_text("[" * 100_000), "nested too deep"),
        (lambda m: info(m, fps=float("nan")), "fps is nan"),
        (lambda m: info(m, fps=float("inf")), "fps is inf"),
        (lambda m: info(m, fps=1e300), "fps is 1e\\+300"),
        (lambda m: info(m, data_path="data/{episode_index:06000000000d}.parquet"), "a path is expected, with places"),
        (lambda m: info(m, data_path="data/{episode_index.__class__}.parquet"), "a path is expected, with places"),
        (lambda m: info(m, data_path="data/{user}.parquet"), "cannot be filled for episode 0: user is None"),
        (lambda m: info(m, data_path=["data"]), "a path is expected"),
        (lambda m: (m / "episodes.jsonl").write_text(""), "meta lists no episode"),
        (lambda m: (m / "info.json").write_text('{"codebase_version": "v2.1", "fps": 0, "features": {}}'), "fps is 0"),
    ],
)
def test_odd_metadata_is_an_error_of_that_source(tmp_path, break_it, complaint):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)])
    break_it(tmp_path / "meta")
    with pytest.raises(SourceError, match=complaint):
        load("d", str(tmp_path))


ODD = [None, "twenty", ["a"], -1]
REQUIRED = [(key, value) for key in ("codebase_version", "fps", "features") for value in ODD]
PATHS = [(key, value) for key in ("data_path", "video_path") for value in ODD if not isinstance(value, str)]
OPTIONAL = [("chunks_size", value) for value in ODD if value is not None]


@pytest.mark.parametrize(("key", "value"), [*REQUIRED, *PATHS, *OPTIONAL])
def test_a_refusal_of_info_json_says_which_key_is_wrong(tmp_path, key, value):
    write_dataset(tmp_path, [Episode(20, 0)])
    info(tmp_path / "meta", **{key: value})
    with pytest.raises(SourceError, match=rf"meta/info.json: {key}\b"):
        load("d", str(tmp_path))


@pytest.mark.parametrize("length", ["twenty", ["a"], -1, float("nan")])
def test_a_length_that_is_none_is_named_and_loses_that_episode_alone(tmp_path, length):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)])
    listed = [{"episode_index": 0, "length": length}, {"episode_index": 1, "length": 20}]
    (tmp_path / "meta/episodes.jsonl").write_text("\n".join(map(json.dumps, listed)))
    dataset, references = load("d", str(tmp_path))
    assert [r.place.index for r in references] == [1]
    assert "length is" in dataset.lost_entries["episode 0"]


K = [[100.0, 0, 96], [0, 100.0, 48], [0, 0, 1]]
CAMERA = "observation.images.front"


@pytest.mark.parametrize(
    ("name", "content", "flag"),
    [
        ("modality.json", '{"state": {"arm": {"end": 3}}}', "metadata_refused"),
        ("stats.json", "[]", "metadata_refused"),
        ("stats.json", "{", "metadata_refused"),
        ("stats.json", '{"action": {"min": ["a"], "max": ["b"]}}', "metadata_refused"),
        ("tasks.jsonl", "nonsense", "metadata_refused"),
        ("calibration.json", "{", "metadata_refused"),
        ("calibration.json", json.dumps({"cameras": {CAMERA: 7}}), "calibration_refused"),
        ("calibration.json", json.dumps({"cameras": {CAMERA: {"K": K[:2]}}}), "calibration_refused"),
        ("calibration.json", json.dumps({"cameras": {CAMERA: {}}}), "calibration_refused"),
        ("calibration.json", json.dumps({"cameras": {CAMERA: {"K": [["1"] * 3] * 3}}}), "calibration_refused"),
        ("calibration.json", json.dumps({"cameras": {CAMERA: {"K": K, "note": float("nan")}}}), "calibration_refused"),
        ("calibration.json", json.dumps({"cameras": {CAMERA: {"K": K, "note": "\udc00"}}}), "calibration_refused"),
        ("calibration.json", json.dumps({"cameras": {CAMERA: {"K": K, "T_base_camera": K}}}), "calibration_refused"),
    ],
)
def test_an_optional_file_that_cannot_be_used_is_lost_alone_told_and_flagged(tmp_path, name, content, flag):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)])
    (tmp_path / "meta" / name).write_text(content)
    dataset, references = load("d", str(tmp_path))
    assert dataset.flags == (flag,)
    assert any(name in note for note in dataset.notes)
    assert [c.calibration for c in references[0].cameras] == [None]
    layout = layout_of(dataset, references, CONFIG).layout
    row, _ = extract(
        dataset, references[0], layout, dataset.reader(needed_columns(dataset, layout)).read(references[0]), CONFIG
    )
    assert row["flags"] == [flag]


@pytest.mark.parametrize("shape", [[2.5], ["x"], [-1]])
def test_a_feature_of_no_shape_is_passed_over_alone(tmp_path, shape):
    write_dataset(tmp_path, [Episode(20, 0)])
    path = tmp_path / "meta/info.json"
    features = json.loads(path.read_text())["features"] | {"force": {"dtype": "float32", "shape": shape}}
    info(tmp_path / "meta", features=features)
    dataset, _ = load("d", str(tmp_path))
    assert [f.column for f in dataset.features] == ["observation.state", "action"]
    assert "feature force" in dataset.notes[0]


@pytest.mark.parametrize("tasks", ["", '"tasks": [],', '"tasks": null,'])
def test_an_episode_without_a_task_is_an_episode(tmp_path, tasks):
    write_dataset(tmp_path, [Episode(20, 0)])
    (tmp_path / "meta/episodes.jsonl").write_text(f'{{"episode_index": 0, {tasks} "length": 20}}')
    assert [(r.place.length, r.task) for r in load("d", str(tmp_path))[1]] == [(20, None)]


def test_statistics_of_another_width_are_no_range(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0)], robot="so100")
    (tmp_path / "meta/stats.json").write_text(json.dumps({"observation.state": {"min": [0.0], "max": [1.0]}}))
    dataset, references = load("d", str(tmp_path))
    layout_of(dataset, references, CONFIG)


def test_words_of_an_episode_count_where_the_task_table_has_lost_a_line(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0, "one")])
    (tmp_path / "meta/tasks.jsonl").write_text('{"task_index": 7, "task": "x"}\nnonsense')
    dataset, references = load("d", str(tmp_path))
    layout = layout_of(dataset, references, CONFIG).layout
    row, _ = extract(
        dataset, references[0], layout, dataset.reader(needed_columns(dataset, layout)).read(references[0]), CONFIG
    )
    assert row["task"] == "one"


@pytest.mark.parametrize(
    "spans", ["5", '[{"start_frame": 1, "end_frame": 1e400}]', '[{"start_frame": 0, "end_frame": 1e19}]']
)
def test_spans_that_fit_nowhere_cost_the_label_not_the_episode(tmp_path, spans):
    write_dataset(tmp_path, [Episode(20, 0)])
    line = f'{{"episode_index": 0, "tasks": ["x"], "length": 20, "action_config": {spans}}}'
    (tmp_path / "meta/episodes.jsonl").write_text(line)
    (reference,) = load("d", str(tmp_path))[1]
    assert [(a, b) for a, b, _ in reference.place.spans] == [(0, 0)]


def test_a_column_of_whole_numbers_with_a_hole_in_it_costs_one_entry(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)], version="v3.0")
    path = tmp_path / "meta/episodes/chunk-000/file-000.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[0]["data/chunk_index"] = None
    for row in rows[1:]:
        row["data/chunk_index"] = float(row["data/chunk_index"])
    pq.write_table(pa.Table.from_pylist(rows), path)
    dataset, references = load("d", str(tmp_path))
    assert ([r.place.index for r in references], list(dataset.lost_entries)) == ([1], ["episode 0"])


def test_a_calibration_that_a_clip_can_carry_is_kept(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0)])
    (tmp_path / "meta/calibration.json").write_text(json.dumps({"cameras": {CAMERA: {"K": K}}}))
    dataset, (reference,) = load("d", str(tmp_path))
    assert (dataset.flags, json.loads(reference.cameras[0].calibration)) == ((), {"K": K})


@pytest.mark.parametrize(
    "line",
    ["nonsense", '{"length": 3}', '{"episode_index": true}', "[]", '{"episode_index": 1, "length": "x"}', "[" * 9999],
)
def test_one_bad_line_of_the_list_costs_that_entry(tmp_path, line):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20), Episode(20, 40)])
    path = tmp_path / "meta/episodes.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], line, lines[2]]))
    dataset, references = load("d", str(tmp_path))
    assert [r.place.index for r in references] == [0, 2]
    ((place, why),) = dataset.lost_entries.items()
    assert place in ("meta/episodes.jsonl:2", "episode 1")
    assert str(tmp_path) in why


def test_a_list_of_which_every_entry_is_there_twice_is_read_in_no_time(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0)])
    lines = [json.dumps({"episode_index": i, "length": 20}) for i in range(20_000)]
    (tmp_path / "meta/episodes.jsonl").write_text("\n".join(lines * 2))
    started = time.process_time()
    dataset, references = load("d", str(tmp_path))
    assert (len(references), dataset.lost_entries) == (20_000, {})
    assert time.process_time() - started < 10  # 21 s where each is looked for in all


def test_one_cut_part_of_the_v3_list_costs_its_episodes(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)], version="v3.0")
    first = tmp_path / "meta/episodes/chunk-000/file-000.parquet"
    first.with_name("file-001.parquet").write_bytes(first.read_bytes()[:-20])
    dataset, references = load("d", str(tmp_path))
    assert [r.place.index for r in references] == [0, 1]
    assert list(dataset.lost_entries) == ["meta/episodes/chunk-000/file-001.parquet"]
    assert "does not end as a Parquet file ends" in next(iter(dataset.lost_entries.values()))


def test_a_count_beyond_belief_costs_no_memory_and_is_told(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)])
    info(tmp_path / "meta", total_episodes=10**12)
    dataset, references = load("d", str(tmp_path))
    assert len(references) == 1002
    with pytest.raises(Quarantined, match="does not list it, nor 999999998998 others after it"):
        dataset.reader([]).read(references[-1])


def test_both_names_of_a_chunk_are_known_in_v2(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0)])
    info(tmp_path / "meta", data_path="data/chunk-{chunk_index:03d}/episode_{episode_index:06d}.parquet")
    assert load("d", str(tmp_path))[1][0].place.file is not None


def test_an_episode_that_is_counted_but_not_listed_is_not_forgotten(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)])
    info = json.loads((tmp_path / "meta/info.json").read_text())
    (tmp_path / "meta/info.json").write_text(json.dumps(info | {"total_episodes": 3}))
    dataset, references = load("d", str(tmp_path))
    assert [r.episode_id for r in references] == ["d/000000", "d/000001", "d/000002"]
    with pytest.raises(Quarantined) as error:
        dataset.reader([]).read(references[2])
    assert error.value.reason is Reason.EPISODE_NOT_LISTED


def test_an_episode_that_is_listed_but_not_counted_is_set_aside(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20), Episode(20, 40)])
    info = json.loads((tmp_path / "meta/info.json").read_text())
    (tmp_path / "meta/info.json").write_text(json.dumps(info | {"total_episodes": 2}))
    dataset, references = load("d", str(tmp_path))
    assert [r.place.counted for r in references] == [True, True, False]
    with pytest.raises(Quarantined, match=r"lists episode 2, total_episodes of meta/info\.json counts fewer") as error:
        dataset.reader([]).read(references[2])
    assert error.value.reason is Reason.EPISODE_NOT_COUNTED


@pytest.mark.parametrize("cameras", [("cam.left", "cam_left"), ("Top", "top"), ("a b", "a_b")])
def test_cameras_whose_names_would_collide_are_refused(tmp_path, cameras):
    write_dataset(tmp_path, [Episode(20, 0)], cameras=cameras)
    with pytest.raises(SourceError, match="would get the same name"):
        load("d", str(tmp_path))


def test_the_real_sets_are_read_whole(real):
    found = find_datasets([str(real)])
    assert list(found) == ["cr5_banana", "g1_crisps", "gr1_sim_picknplace"]
    expected = {
        "cr5_banana": (12, "cr5", ("single",)),
        "g1_crisps": (6, "unitree_g1_inspire", ("left", "right")),
        "gr1_sim_picknplace": (5, "gr1", ("left", "right")),
    }
    for name, place in found.items():
        dataset, references = load(name, place.uri)
        layout = layout_of(dataset, references, CONFIG).layout
        assert (len(references), layout.profile, layout.arms) == expected[name]
        for reference in references:
            row, signals = extract(
                dataset, reference, layout, dataset.reader(needed_columns(dataset, layout)).read(reference), CONFIG
            )
            assert row["n_rows"] == reference.place.length
            grippers = [s["values"] for s in signals if s["kind"] == "gripper"]
            assert max(np.ptp(g) for g in grippers) > 0.3  # every one of these episodes takes something


def test_the_written_path_is_a_pick_and_place():
    state = pick_and_place(100)
    assert np.flatnonzero(np.diff(state[:, 3])).tolist() == [39, 69]
