"""`corpus gc` removes what builds wrote and no build needs, and nothing else."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.corpus import record
from pipeline.corpus.garbage import configured
from pipeline.corpus.view import Corpus
from tests.corpora import contents
from tests.datasets import Episode, write_dataset

SMALL = ("shard.target_bytes=100000",)


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("gc")
    return [write_dataset(folder / name, [Episode(60, 0), Episode(60, 60)]) for name in ("one", "two")]


@pytest.fixture(scope="module")
def built(build, sources, tmp_path_factory) -> Path:
    corpus = tmp_path_factory.mktemp("gc_built") / "corpus"
    build(sources, corpus, *SMALL)
    return corpus


@pytest.fixture
def corpus(built, tmp_path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "a=b" / "corpus", symlinks=True))


def gc(corpus: Path, *options: str) -> str:
    run = CliRunner().invoke(main, ["gc", "--corpus", str(corpus), *options])
    assert run.exit_code == 0, run.output
    return run.output


def files(corpus: Path) -> set[str]:
    return {str(p.relative_to(corpus)) for p in corpus.rglob("*") if p.is_file() or p.is_symlink()}


def test_what_no_build_wrote_stays_wherever_it_lies(corpus):
    mine = [
        "media/notes.txt", "media/one/000000/my.mp4", "tables/mine.parquet", "tables/events/mine.parquet",
        "models/best.npz", "shards/readme.md", ".hidden.tmp", "ledger/note.txt", "tables/.backup.tmp",
        "media/holiday/IMG-20240101.jpg", "src/.x.0badc0de.tmp", ".notes.deadbeef.tmp",
    ]  # fmt: skip
    for name in mine:
        (corpus / name).parent.mkdir(parents=True, exist_ok=True)
        (corpus / name).write_text("mine")
    before = files(corpus)
    gc(corpus, "--releases")
    assert files(corpus) == before


def test_a_dry_run_lists_what_would_go_and_touches_nothing(build, sources, corpus, tmp_path):
    build(sources, corpus, *SMALL, "segment.min_l1_s=1.5", "observe.crf=30")
    before = files(corpus)
    *listed, last = gc(corpus, "--releases", "--dry-run").splitlines()
    assert files(corpus) == before
    assert last.startswith(f"{len(listed)} files would be removed, ")
    assert gc(corpus, "--releases").startswith(f"{len(listed)} files removed, ")
    assert before - files(corpus) == set(listed)
    assert any(path.startswith("media/") for path in listed)
    build(sources, tmp_path / "fresh", *SMALL, "segment.min_l1_s=1.5", "observe.crf=30")
    assert contents(corpus) == contents(tmp_path / "fresh")


@pytest.mark.parametrize("how", ["through a link", "relative"])
def test_centroids_that_the_configuration_points_at_stay(build, sources, corpus, tmp_path, how, monkeypatch):
    (centroids,) = (corpus / "models").glob("*.npz")
    named = str(centroids)
    if how == "through a link":
        (tmp_path / "link").symlink_to(tmp_path / "a=b")
        named = str(tmp_path / "link" / centroids.relative_to(tmp_path / "a=b"))
    elif how == "relative":
        monkeypatch.chdir(corpus)
        named = str(centroids.relative_to(corpus))
    build(sources, corpus, *SMALL, f"cluster.centroids={named}")
    monkeypatch.chdir(tmp_path)
    gc(corpus, "--releases")
    assert centroids.exists()
    build(sources, corpus, *SMALL, f"cluster.centroids={centroids}")


def test_work_on_a_source_that_is_away_today_stays(build, sources, built, corpus, tmp_path):
    away = sources[1].rename(tmp_path / "unmounted")
    try:
        build(sources, corpus, *SMALL)
        assert set(Corpus(str(corpus)).manifest["lost"]) == {"two"}
        gc(corpus, "--releases")
    finally:
        away.rename(sources[1])
    again = build(sources, corpus, *SMALL)
    assert again.computed["observe"] == 0
    assert again.computed["segment"] == 0
    assert again.computed["fit"] == 0
    kept = (
        "samples",
        "tars",
        "index.parquet",
        "plan.npz",
        "stats.json",
        "manifest.json",
        "README.md",
    )  # tars of the night without it serve
    ours, fresh = ({k: v for k, v in c.items() if k not in kept and ".tar" not in k and ".nv-" not in k} for c in
                   (contents(corpus), contents(built)))  # fmt: skip
    assert ours == fresh
    columns = ["event_id", "status", "repeats", "vl_cluster", "action_cluster"]
    drawn = [Corpus(str(c)).table("samples").select(columns) for c in (corpus, built)]
    assert drawn[0].equals(drawn[1])


def test_what_a_configuration_points_at_stays_in_every_form_of_it(corpus):
    named = {
        "ingest": {"profile": {"one": f"{corpus}/media/one/000000/arm-0badc0de.mp4.yaml", "two": "ur5"}},
        "cluster": {"centroids": f"{corpus}/models/clusters-{'0' * 16}.npz"},
        "shard": {"budget": f"{corpus}/tables/x/{'0' * 16}-00000000.parquet"},
        "segment": {"labels": [f"one={corpus}/marked.csv"]},
    }
    plan, manifest = record.read(str(corpus))
    parts = {stage: {**manifest["config"][stage], **keys} for stage, keys in named.items()}
    record.write(str(corpus), plan, {**manifest, "config": {**manifest["config"], **parts}})
    kept = ("media/one/000000/arm-0badc0de.mp4.yaml", f"models/clusters-{'0' * 16}.npz")
    kept += (f"tables/x/{'0' * 16}-00000000.parquet", "marked.csv")
    for path in kept:
        (corpus / path).parent.mkdir(parents=True, exist_ok=True)
        (corpus / path).write_text("mine")
    assert set(configured(Corpus(str(corpus)))) == set(kept)
    gc(corpus, "--releases")
    assert all((corpus / path).exists() for path in kept)
