"""A stage that is declared in this file alone goes through build, resume, verify, repair, gc, compact and status."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import BaseModel, ConfigDict
from ray.cloudpickle import register_pickle_by_value

from pipeline import config
from pipeline.corpus.compact import compact
from pipeline.corpus.garbage import collect_garbage
from pipeline.corpus.repair import invalidate, sources_of
from pipeline.corpus.verify import faults_of, verify
from pipeline.corpus.view import Corpus
from pipeline.stages import STAGES
from schemas.events import EVENTS
from schemas.table import Column, Table, within
from stages.ingest import INGEST
from stages.ingest.survey import survey
from stages.stage import Scope, Stage
from stages.work import Inputs, Outcome
from tests.datasets import Episode, write_dataset

register_pickle_by_value(sys.modules[__name__])  # workers do not have the folder of this file on their path

DURATIONS = Table(
    name="durations",
    key=("event_id",),
    columns=(
        Column("event_id", pa.string(), "event"),
        Column("episode_id", pa.string(), "source/000003"),
        Column("long", pa.bool_(), "whether it lasts longer than `toy.least_s`"),
        Column("seconds", pa.float64(), "how long it lasts, s"),
    ),
    laws=(within("seconds", 0.0, 1e4),),
)


class ToyConfig(BaseModel):
    """Which events count as long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least_s: float = 1.0


@dataclass(frozen=True)
class ToyWork(Inputs):
    """Input tables, and a greeting, to have something of its own."""

    greeting: str = ""


def toy(unit, work, config):
    assert unit.payload.greeting == f"{len(unit.names)} episodes"
    outcome = Outcome()

    def one(name):
        events = work.rows(EVENTS, name)
        outcome.add(
            DURATIONS,
            [
                {
                    "event_id": e["event_id"],
                    "episode_id": name,
                    "seconds": e["end_s"] - e["start_s"],
                    "long": e["end_s"] - e["start_s"] > config.least_s,
                }
                for e in events
            ],
        )
        outcome.count(name, durations=len(events))

    return outcome.each(unit.names, one)


TOY = Stage(
    name="toy",
    version=1,
    config=ToyConfig,
    scope=Scope.EPISODE,
    reads=(EVENTS,),
    writes=(DURATIONS,),
    payload=lambda plan, items, inputs: ToyWork(inputs.parts, inputs.media, f"{len(items)} episodes"),
    run=toy,
)
WITH_TOY = (*STAGES, TOY)
SMALL = ("shard.target_bytes=100000", "run.episodes_per_part=1")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("toy") / "logs", [Episode(60 + 5 * i, 100 * i) for i in range(3)])


@pytest.fixture(scope="module")
def built(build, source, tmp_path_factory):
    corpus = tmp_path_factory.mktemp("toy_built") / "corpus"
    build([source], corpus, *SMALL, stages=WITH_TOY)
    return corpus


@pytest.fixture
def corpus(built, tmp_path):
    return Path(shutil.copytree(built, tmp_path / "corpus", symlinks=True))


def opened(corpus: Path) -> Corpus:
    return Corpus(str(corpus), WITH_TOY)


def test_it_is_built_once_and_again_only_for_what_it_depends_on(build, source, corpus):
    events = opened(corpus).table("events")
    durations = opened(corpus).table("durations")
    assert durations["event_id"].to_list() == events.sort("event_id")["event_id"].to_list()
    assert opened(corpus).counts("toy") == {"durations": float(events.height)}
    again = build([source], corpus, *SMALL, stages=WITH_TOY)
    assert not any(again.computed.values())
    other = build([source], corpus, *SMALL, "toy.least_s=2.0", stages=WITH_TOY)
    assert {stage for stage, units in other.computed.items() if units} == {"toy"}
    assert opened(corpus).table("durations")["long"].sum() < durations["long"].sum()


def test_status_and_configuration_know_it(corpus):
    status = opened(corpus).status().filter(stage="toy").to_dicts()[0]
    assert (status["items"], status["done"], status["missing"], status["parts"]) == (3, 3, 0, 3)
    assert "toy:  # Which events count as long." in config.to_yaml(config.load(None, (), WITH_TOY))
    with pytest.raises(config.ConfigError, match=r"toy\.most_s"):
        config.load(None, ["toy.most_s=1"], WITH_TOY)


def test_a_damaged_part_of_it_is_found_and_mended(build, corpus):
    whole = opened(corpus).table("durations")
    path = sorted(corpus.glob("tables/durations/*.parquet"))[0]
    path.write_bytes(path.read_bytes()[:-1])
    faults = faults_of(str(corpus), WITH_TOY)
    assert [(f.where, f.unit[0]) for f in faults] == [(str(path.relative_to(corpus)), "toy")]
    sources, asked = sources_of(str(corpus), WITH_TOY)
    removed, kept = invalidate(str(corpus), faults, survey(sources, asked.of(INGEST)))
    assert removed
    assert not kept
    mended = build(sources, corpus, *SMALL, stages=WITH_TOY)
    assert {stage: units for stage, units in mended.computed.items() if units} == {"toy": 1}
    assert verify(opened(corpus)) == []
    assert opened(corpus).table("durations").equals(whole)


def test_its_superseded_parts_are_garbage_and_its_small_ones_are_merged(build, source, corpus):
    build([source], corpus, *SMALL, "toy.least_s=2.0", stages=WITH_TOY)
    removed, _ = collect_garbage(opened(corpus), releases=False)
    assert sorted(path.split("/")[:2] for path in removed) == [["ledger", "toy"]] * 3 + [["tables", "durations"]] * 3
    before = opened(corpus).table("durations")
    assert compact(opened(corpus), 8)["toy"] == (3, 1)
    assert opened(corpus).table("durations").equals(before)
    assert verify(opened(corpus)) == []
