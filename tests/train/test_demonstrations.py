"""The trainer's own demonstrations: small, as their card says, and read by the pipeline with all that they hold."""

import json
from collections import Counter

import numpy as np
import polars as pl
import pytest

from pipeline.config import load as load_config
from pipeline.recorder.demonstrations.plans import plans
from stages.ingest import IngestConfig
from stages.ingest.describe import described, extra_columns
from stages.ingest.extract import extract, needed_columns
from stages.ingest.layout import layout_of
from stages.shard import SHARD
from stages.train.simulation import look
from stages.train.simulation.state import ENVIRONMENT_NAMES
from stages.train.simulation.tasks import HARD, TASKS
from tests.conftest import ROOT
from tests.logs import load

CUT = ROOT / "pipeline" / "demonstrations"
CONFIG = IngestConfig()


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return pl.concat(pl.read_parquet(path) for path in sorted(CUT.glob("data/*/*.parquet")))


@pytest.fixture(scope="module")
def info() -> dict:
    return json.loads((CUT / "meta" / "info.json").read_text())


def column(rows: pl.DataFrame, name: str) -> np.ndarray:
    return np.stack(rows[name].to_list())


def test_the_cut_is_small_and_no_part_of_the_sample():
    size = sum(path.stat().st_size for path in CUT.rglob("*") if path.is_file())
    assert size < 3_000_000
    assert ROOT / "pipeline" / "sample" not in CUT.parents


def test_the_cut_is_the_first_ten_demonstrations_of_each_hard_task(rows, info):
    planned = plans(dict.fromkeys(HARD, 10), seed=0)
    episodes = pl.read_parquet(CUT / "meta" / "episodes" / "chunk-000" / "file-000.parquet")
    assert [texts[0] for texts in episodes["tasks"]] == [plan.text for plan in planned]
    assert (info["total_episodes"], info["total_frames"], info["fps"]) == (50, rows.height, 20)
    assert episodes["length"].is_between(100, 400).all()
    missed = Counter(plan.task for plan in planned if plan.missed)
    card = (CUT / "README.md").read_text()
    for name in HARD:
        own = episodes.filter(pl.col("tasks").list.first() == TASKS[name].instruction)
        assert f"| {name} | {own.height} | {missed[name]} | {own['length'].sum() / 20:.0f} |" in card


def test_states_say_where_things_are(rows, info):
    """Each thing starts where it lies and is carried to its goal; the hand is near it as it is lifted."""
    assert info["features"]["observation.environment_state"]["names"] == list(ENVIRONMENT_NAMES)
    about, state = column(rows, "observation.environment_state"), column(rows, "observation.state")
    assert about.shape == (rows.height, 17)
    assert np.allclose(np.linalg.norm(about[:, 3:7], axis=1), 1, atol=1e-5)
    assert not about[:, 7:14].any()
    for _, episode in rows.with_row_index("row").group_by("episode_index"):
        own = episode["row"].to_numpy()
        assert np.ptp(about[own, 14:], axis=0).max() == 0
        thing, hand = about[own, :3], state[own, :3]
        moving = np.linalg.norm(np.diff(thing, axis=0), axis=1) > 0.005  # over 0.1 m/s: in the hand
        assert moving.any()
        assert np.linalg.norm(thing[:-1] - hand[:-1], axis=1)[moving].max() < 0.12
        assert thing[moving.argmax() + 1 :, 2].max() > thing[0, 2] + 0.05


def test_ingest_reads_environment_states_beside_the_robot_it_knows(rows):
    dataset, references = load("demonstrations", str(CUT))
    layout = layout_of(dataset, references, CONFIG).layout
    extras = extra_columns(dataset, layout)
    assert extras == ["observation.environment_state"]
    reader = dataset.reader(needed_columns(dataset, layout), extras)
    for number in (0, 49):
        episode, signals = extract(dataset, references[number], layout, reader.read(references[number]), CONFIG)
        streams = {s["stream"]: s["values"].reshape(-1, s["width"]) for s in signals}
        own = rows.filter(episode_index=number)
        assert episode["robot"] == "metaworld_sawyer"
        assert np.array_equal(
            streams["extra/observation.environment_state"], column(own, "observation.environment_state")
        )
    array = json.loads(described(dataset, layout))["extra.observation.environment_state"]
    assert tuple(value["name"] for value in array["values"]) == ENVIRONMENT_NAMES


def test_the_calibration_is_that_of_worlds():
    written = json.loads((CUT / "meta" / "calibration.json").read_text())["cameras"]
    of_worlds = look.calibration(look.TRAINING, 64)["cameras"]
    assert written == {
        f"observation.images.{name}": of_worlds[f"observation.images.{name}"] for name in ("left", "wrist")
    }


def test_the_trainers_configuration_keeps_whole_episodes_as_they_were_recorded():
    shard = load_config(str(ROOT / "pipeline" / "configs" / "training.yaml"), []).of(SHARD)
    assert (shard.level, shard.keep, shard.alpha, shard.recovery_share) == ("L3", 1, 1, 0)
