"""Which centroids are in force, whatever happened in between; tars that say what their names promise."""

import glob
import io
import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import webdataset

from pipeline import config
from pipeline.build.driver import BuildFailedError
from pipeline.corpus.repair import invalidate
from pipeline.corpus.verify import faults_of
from pipeline.corpus.view import Corpus
from stages.ingest import INGEST
from stages.ingest.survey import survey
from tests.datasets import Episode, write_dataset

OPTIONS = ("run.workers=2", "align.min_score=2", "shard.min_shards=2")
LABELS = ["event_id", "vl_cluster", "action_cluster"]


def logs(folder: Path, name: str, number: int, first: int = 0) -> Path:
    episodes = [Episode(60 + 7 * (first + i), 100 * i, f"task {(first + i) % 4}") for i in range(number)]
    return write_dataset(folder / name, episodes)


@pytest.fixture(scope="module")
def served(build, tmp_path_factory):
    """(sources, corpus): ten episodes of one source, then one of another, which the first fit labels too."""
    folder = tmp_path_factory.mktemp("serving")
    sources = [logs(folder, "one", 10), logs(folder, "two", 1, 10)]
    build(sources[:1], folder / "corpus", *OPTIONS)
    second = build(sources, folder / "corpus", *OPTIONS)
    assert second.computed["fit"] == 0
    return sources, folder / "corpus"


@pytest.fixture
def corpus(served, tmp_path) -> tuple[list[Path], Path]:
    shutil.copytree(served[1], tmp_path / "corpus", symlinks=True)
    return served[0], tmp_path / "corpus"


def labels(corpus: Path) -> pl.DataFrame:
    return Corpus(str(corpus)).table("clusters").select(LABELS).sort("event_id")


def mend(build, sources: list[Path], corpus: Path):
    found = survey([str(s) for s in sources], config.load(None, OPTIONS).of(INGEST))
    invalidate(str(corpus), faults_of(str(corpus)), found)
    return build(sources, corpus, *OPTIONS)


def test_a_copied_corpus_is_whole_and_goes_on(build, corpus):
    sources, copy = corpus
    assert faults_of(str(copy)) == []
    assert not any(build(sources, copy, *OPTIONS).computed.values())


@pytest.mark.parametrize("lost", ["plan.parquet", "tables/fitted/*.parquet"])
def test_what_is_lost_besides_the_centroids_leaves_them_in_force(build, corpus, lost):
    sources, copy = corpus
    before, release = labels(copy), Corpus(str(copy)).manifest["release"]
    for path in glob.glob(f"{copy}/{lost}"):
        Path(path).unlink()
    result = mend(build, sources, copy)
    assert labels(copy).equals(before)
    assert result.release == release
    assert faults_of(str(copy)) == []


def test_a_repair_holds_to_no_centroids_of_other_settings(build, corpus):
    """The commit of the fit is taken back, its model stays; then another number of clusters is asked for."""
    sources, copy = corpus
    for path in glob.glob(f"{copy}/tables/fitted/*.parquet"):
        Path(path).unlink()
    found = survey([str(s) for s in sources], config.load(None, OPTIONS).of(INGEST))
    invalidate(str(copy), faults_of(str(copy)), found)
    build(sources, copy, *OPTIONS, "cluster.vl_clusters=2", "cluster.action_clusters=2")
    assert labels(copy)["vl_cluster"].max() == 1


def test_centroids_that_cannot_be_used_fail_with_a_line_and_leave_those_in_force(build, corpus, tmp_path):
    sources, copy = corpus
    before = labels(copy)
    (tmp_path / "junk.npz").write_bytes(b"junk")
    with pytest.raises(BuildFailedError, match="fit failed"):
        build(sources, copy, *OPTIONS, f"cluster.centroids={tmp_path}/junk.npz")
    (row,) = Corpus(str(copy)).quarantine().filter(stage="fit").to_dicts()
    assert row["message"].startswith(f"cluster.centroids={tmp_path}/junk.npz cannot be used: ")
    assert "Traceback" not in row["message"]
    assert build(sources, copy, *OPTIONS).computed["fit"] == 0
    assert labels(copy).equals(before)


def test_given_centroids_do_not_outlive_their_being_given(build, corpus, tmp_path):
    sources, copy = corpus
    shutil.copytree(copy, tmp_path / "few", symlinks=True)
    build(sources, tmp_path / "few", *OPTIONS, "cluster.vl_clusters=2", "cluster.action_clusters=2")
    (model,) = Corpus(str(tmp_path / "few")).files("fit").filter(name="model")["path"].to_list()
    build(sources, copy, *OPTIONS, f"cluster.centroids={tmp_path}/few/{model}")
    assert labels(copy)["vl_cluster"].max() == 1
    assert build(sources, copy, *OPTIONS).computed["fit"] == 1
    assert labels(copy)["vl_cluster"].max() > 1


def test_a_source_that_is_away_for_a_night_changes_no_label(build, tmp_path):
    sources = [logs(tmp_path, "one", 3), logs(tmp_path, "two", 2, 3)]
    build(sources, tmp_path / "corpus", *OPTIONS)
    before = labels(tmp_path / "corpus")
    (tmp_path / "two").rename(tmp_path / "away")
    assert build(sources, tmp_path / "corpus", *OPTIONS).computed["fit"] == 0
    (tmp_path / "away").rename(tmp_path / "two")
    assert build(sources, tmp_path / "corpus", *OPTIONS).computed["fit"] == 0
    assert labels(tmp_path / "corpus").equals(before)


def test_there_and_back_again_every_tar_says_what_it_was_written_for(build, corpus):
    """Alpha half, nothing, half: whatever is used again says so in `tars`, and KEY.json holds just that."""
    sources, copy = corpus
    for options in (("shard.alpha=0",), (), ("shard.history=1",), ()):
        build(sources, copy, *OPTIONS, *options)
        told = {r["file"]: r for r in Corpus(str(copy)).table("tars").to_dicts()}
        for path in sorted(glob.glob(f"{copy}/shards/latest/*.tar")):
            row = told[Path(path).name]
            weights = dict(zip(row["events"], row["weights"], strict=True))
            for sample in webdataset.WebDataset(path, shardshuffle=False):
                meta = json.loads(sample["json"])
                assert (meta["plan"], meta["weight"]) == (row["plan"], weights[meta["event_id"]])
        assert faults_of(str(copy)) == []
    damaged = Path(sorted(glob.glob(f"{copy}/shards/latest/*.tar"))[0])
    whole = damaged.read_bytes()
    with damaged.open("r+b") as file:
        file.write(b"\xff" * 2000)
    mend(build, sources, copy)
    assert damaged.read_bytes() == whole


def test_a_budget_of_other_clusters_is_refused_in_one_line(build, corpus, tmp_path):
    sources, copy = corpus
    for name, content in (("junk", b"junk"), ("other", _budget())):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BuildFailedError, match=r"shard\.budget="):
            build(sources, copy, *OPTIONS, f"shard.budget={tmp_path}/{name}")


def _budget() -> bytes:
    frame = pl.DataFrame({"vl": [0], "action": [0], "recovery": [False], "weight": [1.0], "copies": [3]})
    sink = io.BytesIO()
    frame.with_columns(model=pl.lit("0" * 64), level=pl.lit("L1")).write_parquet(sink)
    return sink.getvalue()


def test_weights_of_what_is_not_there_are_told(build, corpus):
    sources, copy = corpus
    result = build(sources, copy, *OPTIONS, 'shard.source_weights={"nope": 5}')
    stats = json.loads((copy / "shards" / str(result.release) / "stats.json").read_text())
    assert "shard.source_weights names nope: no train event is of it" in stats["balance"]["notes"]
    assert np.isfinite(stats["drift"]["vl"]["distance"])
