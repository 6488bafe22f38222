"""Logs are read as they are, whatever their version."""

import json

import numpy as np
import pytest

from schemas.reasons import Quarantined, Reason
from stages.ingest import IngestConfig
from stages.ingest.extract import extract, wanted_columns
from stages.ingest.layout import layout_of
from stages.ingest.lerobot import load
from stages.ingest.rows import read_file
from stages.ingest.sources import SourceError, find_datasets
from tests.datasets import Episode, pick_and_place, write_dataset

CONFIG = IngestConfig()


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
