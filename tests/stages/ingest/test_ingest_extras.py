"""Numbers beside state and action ride along; what is wrong with one is told and costs no episode."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.ingest import IngestConfig, IngestWork
from stages.ingest.layout import layout_of
from stages.ingest.stage import ingest
from stages.work import Unit
from tests.datasets import Episode, write_dataset
from tests.logs import load

CONFIG = IngestConfig()


def with_features(root, **widths):
    """Declare more columns in info.json."""
    about = json.loads((root / "meta/info.json").read_text())
    about["features"] |= {name: {"dtype": "float32", "shape": [width]} for name, width in widths.items()}
    (root / "meta/info.json").write_text(json.dumps(about))


def ingested(root):
    """What the stage makes of the first episode, as it is done in a build."""
    dataset, references = load("d", str(root))
    work = IngestWork({"d": dataset}, {"d": layout_of(dataset, references, CONFIG).layout}, (references[0],))
    return ingest(Unit("ingest", (("d/000000", "f"),), work, {"d/000000": "d"}), CONFIG)


def test_other_numbers_ride_along_and_cost_nothing_where_they_are_wrong(tmp_path):
    """One is whole, one holds a NaN, one is absent, two would have one name in a sample."""
    write_dataset(tmp_path, [Episode(20, 0)])
    path = tmp_path / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(path)
    columns = {"force": np.arange(20.0), "torque": np.r_[np.nan, np.ones(19)], "a/b": np.ones(20), "a.b": np.zeros(20)}
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values.astype(np.float32)))
    pq.write_table(table, path)
    with_features(tmp_path, force=1, torque=1, absent=2, **{"a/b": 1, "a.b": 1})
    made = ingested(tmp_path)
    assert not made.refused
    extras = {r["stream"]: r["values"].tolist() for r in made.rows["signals"] if r["kind"] == "extra"}
    assert extras == {"extra/force": list(range(20)), "extra/a/b": [1.0] * 20}
    (episode,) = made.rows["episodes"]
    assert "extra_refused" in episode["flags"]
    assert [words for column in ("torque", "absent", "a.b") for words in episode["extras_refused"] if column in words]
    assert len(episode["extras_refused"]) == 3
    layout = json.loads(episode["layout"])
    assert layout["extra.a.b"]["origin"] == "a/b"
    assert {"extra.force", "extra.torque", "state", "action"} <= set(layout)


def test_a_column_that_only_rides_along_and_cannot_be_read_costs_no_episode(tmp_path):
    """Its pages are overwritten; and one that is in the file twice."""
    write_dataset(tmp_path, [Episode(20, 0)])
    path = tmp_path / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(path).append_column("force", pa.array(np.random.default_rng(0).normal(size=20)))
    pq.write_table(table, path, compression="none", use_dictionary=False)
    place = pq.read_metadata(path).row_group(0)
    force = next(place.column(i) for i in range(place.num_columns) if place.column(i).path_in_schema == "force")
    blob = bytearray(path.read_bytes())
    blob[force.data_page_offset : force.data_page_offset + 20] = b"\xff" * 20
    path.write_bytes(blob)
    with_features(tmp_path, force=1)
    made = ingested(tmp_path)
    assert not made.refused
    (episode,) = made.rows["episodes"]
    assert "force" in episode["extras_refused"][0]
    assert {r["stream"] for r in made.rows["signals"]} >= {"state", "action", "position/single"}
