"""What is broken by hand is found, and mended by doing just that again."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.corpus import Corpus
from pipeline.repair import collect_garbage
from pipeline.verify import verify
from tests.corpora import contents
from tests.datasets import Episode, write_dataset

SMALL = ("shard.target_bytes=100000", "shard.keep=1.0", "run.episodes_per_part=1")


@pytest.fixture(scope="module")
def whole(build, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    source = write_dataset(folder / "logs", [Episode(60 + 3 * i, 100 * i) for i in range(3)])
    build([source], folder / "corpus", *SMALL)
    return folder / "corpus"


@pytest.fixture
def corpus(whole, tmp_path) -> Path:
    shutil.copytree(whole, tmp_path / "corpus", symlinks=True)
    return tmp_path / "corpus"


def first(corpus: Path, pattern: str) -> Path:
    return sorted(corpus.glob(pattern))[0]


def flip(path: Path) -> None:
    """One bit in the middle of a file."""
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 1
    path.write_bytes(blob)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


PLANTED = {
    "bit in a table": ("tables/events/*.parquet", flip),
    "table truncated": ("tables/signals/*.parquet", truncate),
    "table deleted": ("tables/captions/*.parquet", Path.unlink),
    "bit in a proxy": ("media/logs/000001/*.mp4", flip),
    "thumbnails deleted": ("media/logs/000001/*.jpg", Path.unlink),
    "bit in the centroids": ("models/*.npz", flip),
    "bit in a tar": ("shards/*/train-000000.tar", flip),
    "tar truncated": ("shards/*/train-000000.tar", truncate),
    "index deleted": ("shards/*/index.parquet", Path.unlink),
    "statistics changed": ("shards/*/stats.json", flip),
    "manifest deleted": ("shards/*/manifest.json", Path.unlink),
    "commit deleted": ("ledger/embed/*.json", Path.unlink),
    "commit of a tar deleted": ("ledger/shard/*.json", Path.unlink),
}


def test_an_undisturbed_corpus_has_no_fault(whole):
    assert verify(Corpus(str(whole))) == []


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_fault_is_found_and_mended(whole, corpus, case, ray_session):
    pattern, damage = PLANTED[case]
    path = first(corpus, pattern)
    damage(path)
    faults = verify(Corpus(str(corpus)))
    assert faults
    assert any(str(path.relative_to(corpus)).startswith(f.where) for f in faults)
    found = CliRunner().invoke(main, ["verify", "--corpus", str(corpus)])
    assert found.exit_code == 1
    mended = CliRunner().invoke(main, ["repair", "--corpus", str(corpus)])
    assert mended.exit_code == 0, mended.output
    assert "0 left" in mended.output
    assert contents(corpus) == contents(whole)


def test_an_event_without_a_fate_is_a_fault(corpus):
    """A samples table that forgot an event, consistently committed: no hash can tell, the law does."""
    import hashlib

    import pyarrow.parquet as pq

    path = first(corpus, "tables/samples/*.parquet")
    pq.write_table(pq.read_table(path).slice(1), path)
    commit_path = first(corpus, "ledger/samples/*.json")
    commit = json.loads(commit_path.read_text())
    blob = path.read_bytes()
    commit["files"]["samples"] |= {"bytes": len(blob), "sha256": hashlib.sha256(blob).hexdigest()}
    commit_path.write_text(json.dumps(commit))
    messages = [f.message for f in verify(Corpus(str(corpus)))]
    assert any("is in no shard and has no reason not to be" in m for m in messages)


def test_gc_removes_what_is_superseded_and_nothing_else(build, corpus):
    source = Path(Corpus(str(corpus)).manifest["sources"]["logs"])
    before = contents(corpus)
    build([source], corpus, *SMALL, "segment.min_l1_s=3.0")
    removed, size = collect_garbage(Corpus(str(corpus)), releases=True)
    assert size > 0
    assert any(p.startswith("tables/events/") for p in removed)
    assert not any(p.startswith(("media/", "tables/signals/")) for p in removed)  # still in use
    assert verify(Corpus(str(corpus))) == []
    assert collect_garbage(Corpus(str(corpus)), releases=True) == ([], 0)
    build([source], corpus, *SMALL)  # and back again
    assert contents(corpus) == before
