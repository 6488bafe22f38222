"""Which episodes, columns and cameras make up a dataset."""

import json

import polars as pl
import pytest

from pipeline.corpus.view import Corpus
from pipeline.export import NotExportable
from pipeline.export.choice import Column, _columns
from pipeline.export.lerobot import write
from tests.datasets import Episode, write_dataset


def values(*names: str) -> dict:
    return {"values": [{"name": name} for name in names]}


def test_columns_that_only_some_episodes_have_are_left_out_and_told():
    layout = {"state": values("x", "y"), "action": values("", ""), "extra.observation.force": values("n")}
    both = {"action": 2, "state": 2, "extra/observation.force": 1}
    assert _columns(layout, [both, both]) == (
        (
            Column("observation.state", "state", 2, ("x", "y")),
            Column("action", "action", 2, None),
            Column("observation.force", "extra/observation.force", 1, ("n",)),
        ),
        (),
    )
    columns, left_out = _columns(layout, [both, {"action": 2, "state": 2}])
    assert [c.name for c in columns] == ["observation.state", "action"]
    assert left_out == ("observation.force",)


@pytest.mark.parametrize("name", ["action_raw", "timestamp", "language_persistent"])
def test_a_column_under_a_name_that_lerobot_reads_otherwise_is_left_out(name):
    assert _columns({}, [{f"extra/{name}": 1}]) == ((), (name,))


def test_without_cameras_or_captions_into_an_empty_folder(build, tmp_path):
    """A dataset a source, each at its own rate; what is done in an event stands for its caption."""
    one = write_dataset(tmp_path / "one", [Episode(40, 0)], version="v3.0", cameras=())
    two = write_dataset(tmp_path / "two", [Episode(30, 0)], version="v3.0", cameras=(), fps=10)
    build([one, two], tmp_path / "corpus", until="segment")
    (tmp_path / "out").mkdir()
    made = write(Corpus(str(tmp_path / "corpus")), str(tmp_path / "out"), "L2")
    assert [(m.folder, m.episodes, m.frames, m.cameras) for m in made] == [("one", 1, 40, 0), ("two", 1, 30, 0)]
    info = json.loads((tmp_path / "out/two/meta/info.json").read_text())
    assert (info["fps"], info["video_path"]) == (10, None)
    rows = pl.read_parquet(tmp_path / "out/two/data/chunk-000/file-000.parquet")
    assert rows["timestamp"][29] == pytest.approx(2.9)
    words = pl.read_parquet(tmp_path / "out/two/meta/subtasks.parquet")["subtask"].to_list()
    assert set(words) <= {
        "approach",
        "grasp",
        "transport",
        "place",
        "retract",
        "idle",
        "reach",
        "unknown",
    }  # no captions
    with pytest.raises(NotExportable, match="not empty"):
        write(Corpus(str(tmp_path / "corpus")), str(tmp_path / "out"), "L2")
