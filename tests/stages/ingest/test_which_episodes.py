"""Which datasets and episodes there are: gaps, copies, snapshots, pointers."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.reasons import Quarantined
from stages.ingest import IngestConfig
from stages.ingest.survey import survey
from stages.sources.find import find_datasets
from stages.sources.protocol import SourceError
from tests.arms import so_log
from tests.datasets import Episode, write_dataset
from tests.logs import load
from tests.stages.ingest.test_dialects import extracted

CONFIG = IngestConfig()


def test_deleted_episodes_that_kept_the_others_indices_are_no_loss(tmp_path):
    so_log(tmp_path, 4, more={"total_episodes": 2})
    lines = (tmp_path / "meta/episodes.jsonl").read_text().splitlines()
    (tmp_path / "meta/episodes.jsonl").write_text("\n".join([lines[0], lines[3]]))
    _, references = load("d", str(tmp_path))
    assert [r.place.index for r in references] == [0, 3]


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_an_episode_that_is_listed_twice_alike_is_one_and_differently_is_lost(tmp_path, version):
    write_dataset(tmp_path, [Episode(20, 20 * i) for i in range(3)], version=version)
    if version == "v3.0":
        path = tmp_path / "meta/episodes/chunk-000/file-000.parquet"
        rows = pq.read_table(path).to_pylist()
        again = [rows[0], {**rows[1], "length": 7}]
        pq.write_table(pa.Table.from_pylist(again), path.with_name("file-001.parquet"))
    else:
        path = tmp_path / "meta/episodes.jsonl"
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines, lines[0], json.dumps({**json.loads(lines[1]), "length": 7})]))
    dataset, references = load("d", str(tmp_path))
    assert [r.place.index for r in references] == [0, 2]
    ((_, why),) = dataset.lost_entries.items()
    assert "episode 1 is listed more than once, differently" in why


def test_git_lfs_pointers_are_told(tmp_path):
    so_log(tmp_path, 2)
    for path in (tmp_path / "data").rglob("*.parquet"):
        path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 4321\n")
    with pytest.raises(SourceError, match="git lfs pull"):
        load("d", str(tmp_path))


def test_one_pointer_among_files_is_told_for_its_episode(tmp_path):
    so_log(tmp_path, 3)
    path = tmp_path / "data/chunk-000/episode_000002.parquet"
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize {'9' * 120}\n"
    path.write_text(pointer)
    with pytest.raises(Quarantined, match="git lfs pull"):
        extracted(tmp_path, 2)


def test_a_snapshot_of_the_hub_is_called_as_its_dataset_and_taken_once(tmp_path):
    commits = ("0" * 40, "1" * 40)
    for commit in commits:
        so_log(tmp_path / "datasets--lab--kitchen/snapshots" / commit, 1)
    refs = tmp_path / "datasets--lab--kitchen/refs"
    refs.mkdir()
    (refs / "main").write_text(commits[0])
    found = find_datasets([str(tmp_path / "datasets--lab--kitchen")])
    assert list(found) == ["kitchen"]
    assert found["kitchen"].uri.endswith(commits[0])
    assert "2 snapshots" in found["kitchen"].note


def test_the_same_files_under_two_names_are_told(tmp_path):
    """And no others, though all their sizes agree."""
    for name in "abc":
        so_log(tmp_path / name, 2)
    for path in (tmp_path / "c/data").rglob("*.parquet"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    found = survey([str(tmp_path / n) for n in "abc"], CONFIG)
    assert {n: len(v) for n, v in found.notes.items()} == {"a": 0, "b": 1, "c": 0}
    assert "same files as a" in found.notes["b"][0]
