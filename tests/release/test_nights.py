"""Night after night: new episodes cost what is new, labels and tars of all others stay, and given the centroids a fresh
build comes to the same rows."""

import glob
import os
from pathlib import Path

import polars as pl
import pytest

from pipeline import config
from pipeline.corpus.garbage import collect_garbage
from pipeline.corpus.repair import invalidate
from pipeline.corpus.verify import faults_of
from pipeline.corpus.view import Corpus
from pipeline.report.summary import Summary
from stages import storage
from stages.ingest import INGEST
from stages.ingest.survey import survey
from tests.datasets import Episode, write_dataset

OPTIONS = ("run.workers=2", "run.episodes_per_part=2", "align.min_score=2", "shard.min_shards=2")
EPISODES = 11
FATES = ["event_id", "status", "repeats", "inclusion", "vl_cluster", "action_cluster"]


def logs(folder: Path, number: int) -> Path:
    """The first episodes of a dataset of EPISODES."""
    source = folder / "logs"
    if not source.is_dir():
        write_dataset(source, [Episode(60 + 7 * i, 100 * i, f"task {i % 4}") for i in range(EPISODES)])
        os.rename(source / "meta/episodes.jsonl", folder / "all.jsonl")
    lines = (folder / "all.jsonl").read_text().splitlines()
    (source / "meta/episodes.jsonl").write_text("\n".join(lines[:number]))
    return source


def tars(corpus: Path) -> dict[str, int]:
    """{file: inode} of the current release."""
    return {os.path.basename(p): os.stat(p).st_ino for p in glob.glob(f"{corpus}/shards/latest/*.tar")}


def rows(corpus: Path) -> pl.DataFrame:
    return Corpus(str(corpus)).table("samples").select(FATES).sort("event_id")


@pytest.fixture(scope="module")
def night(build, tmp_path_factory):
    """(folder, first build, second build with one episode more, what was there after the first)."""
    folder = tmp_path_factory.mktemp("nights")
    corpus = folder / "corpus"
    first = build([logs(folder, EPISODES - 1)], corpus, *OPTIONS)
    before = (tars(corpus), rows(corpus), first.release)
    second = build([logs(folder, EPISODES)], corpus, *OPTIONS)
    return folder, second, before


def test_one_episode_more_is_labelled_by_the_centroids_in_force(night):
    folder, second, (_, before, _) = night
    assert second.computed["fit"] == 0
    assert second.computed["cluster"] == 1
    labels = ["event_id", "vl_cluster", "action_cluster"]
    assert rows(folder / "corpus").join(before, on=labels, how="semi").height == before.height


def test_its_events_alone_are_written_and_the_other_tars_are_the_same_files(night):
    folder, second, (before, fates, _) = night
    now = tars(folder / "corpus")
    assert before.items() <= now.items()
    assert second.computed["shard"] == len(now) - len(before)
    drawn = rows(folder / "corpus")
    changed = drawn.join(fates, on=["event_id", "repeats"], how="anti").join(fates, on="event_id", how="semi")
    assert changed.height <= 4
    index = pl.read_parquet(folder / "corpus/shards/latest/index.parquet")
    held = index.group_by("event_id").agg(pl.col("weight").sum(), copies=pl.len())
    in_tars = held.join(drawn, on="event_id")
    assert (
        in_tars["weight"] - in_tars["repeats"]
    ).abs().max() < 1e-9  # in a pass each is taken as often as it is drawn


def test_it_is_whole_and_a_rerun_does_nothing(night, build):
    folder, second, _ = night
    assert faults_of(str(folder / "corpus")) == []
    again = build([folder / "logs"], folder / "corpus", *OPTIONS)
    assert again.release == second.release
    assert not any(again.computed.values())


def test_a_fresh_build_with_the_same_centroids_comes_to_the_same_rows(night, build):
    folder, _, _ = night
    (model,) = {f["path"] for f in Corpus(str(folder / "corpus")).files("fit").filter(name="model").to_dicts()}
    fresh = folder / "fresh"
    build([folder / "logs"], fresh, *OPTIONS, f"cluster.centroids={folder}/corpus/{model}")
    assert rows(fresh).equals(rows(folder / "corpus"))
    for table in ("clusters", "embeddings"):
        assert Corpus(str(fresh)).table(table).equals(Corpus(str(folder / "corpus")).table(table))


def test_much_that_is_new_fits_anew_and_history_leaves_no_trace_nor_how_centroids_were_come_by(build, tmp_path):
    corpus = tmp_path / "corpus"
    build([logs(tmp_path, 3)], corpus, *OPTIONS)
    result = build([logs(tmp_path, 5)], corpus, *OPTIONS)
    assert result.computed["fit"] == 1
    fresh = build([logs(tmp_path, 5)], tmp_path / "fresh", *OPTIONS)
    assert fresh.release == result.release  # no tar could be used again
    for name, inode in tars(corpus).items():
        assert inode != os.stat(tmp_path / "fresh/shards/latest" / name).st_ino
        mine, other = (Path(c, "shards/latest", name).read_bytes() for c in (corpus, tmp_path / "fresh"))
        assert mine == other
    (model,) = Corpus(str(tmp_path / "fresh")).files("fit").filter(name="model")["path"].to_list()
    given = build([logs(tmp_path, 5)], tmp_path / "given", *OPTIONS, f"cluster.centroids={tmp_path}/fresh/{model}")
    assert given.release == fresh.release
    for name in tars(corpus):
        ours, other = (Path(c, "shards/latest", name).read_bytes() for c in (tmp_path / "given", tmp_path / "fresh"))
        assert ours == other


def test_a_damaged_tar_is_made_again_under_both_of_its_names(night, build):
    folder, second, _ = night
    corpus = folder / "corpus"
    name = sorted(tars(corpus))[0]
    whole = (corpus / "shards/latest" / name).read_bytes()
    with open(corpus / "shards/latest" / name, "r+b") as file:
        file.seek(3000)
        file.write(b"\xff" * 64)
    faults = faults_of(str(corpus))
    assert faults
    invalidate(str(corpus), faults, survey([f"logs={folder}/logs"], config.load(None, OPTIONS).of(INGEST)))
    result = build([folder / "logs"], corpus, *OPTIONS)
    assert (result.computed["shard"], result.release) == (1, second.release)
    assert (corpus / "shards/latest" / name).read_bytes() == whole
    assert faults_of(str(corpus)) == []


def test_gc_keeps_the_tars_of_the_release_and_with_releases_none_besides(night, build):
    folder, _, (_, _, first) = night
    corpus = folder / "corpus"
    build([folder / "logs"], corpus, *OPTIONS)
    collect_garbage(Corpus(str(corpus)), releases=False)
    assert (corpus / "shards" / first / "manifest.json").exists()
    collect_garbage(Corpus(str(corpus)), releases=True)
    assert not (corpus / "shards" / first / "manifest.json").exists()
    held = {storage.name_of(p) for p in glob.glob(f"{corpus}/shards/tars/*.tar")}
    assert held == {storage.name_of(c.files["shard"].path) for c in Corpus(str(corpus)).commits("shard")}
    assert faults_of(str(corpus)) == []


def test_the_summary_says_that_clusters_are_of_an_earlier_fit(night):
    folder, _, _ = night
    lines = "\n".join(Summary(Corpus(str(folder / "corpus"))).lines(1.0))
    assert "clusters   of an earlier fit: " in lines
    assert "clusters   of an earlier fit" not in "\n".join(Summary(Corpus(str(folder / "fresh"))).lines(1.0))
