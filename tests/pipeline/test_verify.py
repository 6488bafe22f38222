"""What is broken by hand is found, and mended by doing just that again."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.compact import compact
from pipeline.corpus import Corpus
from pipeline.ledger import Ledger
from pipeline.repair import collect_garbage
from pipeline.verify import look, verify
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
    "bit in a commit": ("ledger/segment/*.json", flip),
    "commit truncated": ("ledger/cluster/*.json", truncate),
    "bit in the plan": ("plan.parquet", flip),
    "plan deleted": ("plan.parquet", Path.unlink),
    "bit in the manifest": ("manifest.json", flip),
    "latest points elsewhere": ("shards/latest", lambda p: (p.unlink(), p.symlink_to("nowhere"))),
}


def test_an_undisturbed_corpus_has_no_fault(whole):
    assert verify(Corpus(str(whole))) == []


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_fault_is_found_and_mended(whole, corpus, case, ray_session):
    pattern, damage = PLANTED[case]
    path = first(corpus, pattern)
    damage(path)
    faults = look(str(corpus))
    assert any(str(path.relative_to(corpus)).startswith(f.where) for f in faults)
    found = CliRunner().invoke(main, ["verify", "--corpus", str(corpus)])
    assert found.exit_code == 1
    mended = CliRunner().invoke(main, ["repair", "--corpus", str(corpus)])
    assert mended.exit_code == 0, mended.output
    assert "0 left" in mended.output
    assert contents(corpus) == contents(whole)


def test_an_event_without_a_fate_is_a_fault(corpus):
    """A samples table that forgot an event, consistently committed: no hash can tell, the law does."""
    path = first(corpus, "tables/samples/*.parquet")
    pq.write_table(pq.read_table(path).slice(1), path)
    ledger = Ledger(str(corpus))
    (commit,) = ledger.load("samples")
    blob = path.read_bytes()
    file = replace(commit.files["samples"], bytes=len(blob), sha256=hashlib.sha256(blob).hexdigest())
    ledger.write(replace(commit, files={"samples": file}))
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


def test_a_commit_whose_numbers_were_changed_by_hand_counts_for_nothing(build, corpus, whole):
    path = first(corpus, "ledger/embed/*.json")
    path.write_text(path.read_text().replace('"status":"ok"', '"status":"quarantined"', 1))
    source = Path(Corpus(str(corpus)).manifest["sources"]["logs"])
    result = build([source], corpus, *SMALL)
    assert result.computed["embed"] == 1
    assert contents(corpus) == contents(whole)


# -- small parts become few


@pytest.fixture
def nightly(build, tmp_path) -> Path:
    """A corpus that got one episode a night, three nights, and one that was changed meanwhile."""
    source = write_dataset(tmp_path / "logs", [Episode(60 + 3 * i, 100 * i) for i in range(4)])
    listing = (source / "meta/episodes.jsonl").read_text().splitlines()
    for nights in range(1, 5):
        (source / "meta/episodes.jsonl").write_text("\n".join(listing[:nights]))
        if nights == 4:
            (source / "data/chunk-000/episode_000001.parquet").write_bytes(b"")  # from now on in quarantine
        build([source], tmp_path / "corpus", *SMALL[:2])
    collect_garbage(Corpus(str(tmp_path / "corpus")), releases=True)
    return tmp_path / "corpus"


def test_compaction_changes_parts_and_nothing_else(build, nightly):
    before = contents(nightly)
    assert len(list(nightly.glob("tables/signals/*.parquet"))) == 3  # of four: one is in quarantine
    run = CliRunner().invoke(main, ["compact", "--corpus", str(nightly)])
    assert run.exit_code == 0, run.output
    assert "ingest   4 parts, now 1" in run.output
    assert contents(nightly) == before
    assert verify(Corpus(str(nightly))) == []
    assert Corpus(str(nightly)).quarantine()["reason"].to_list() == ["unreadable_file"]
    assert len(list(nightly.glob("tables/events/*.parquet"))) == 1
    source = Path(Corpus(str(nightly)).manifest["sources"]["logs"])
    assert sum(build([source], nightly, *SMALL[:2]).computed.values()) == 0
    assert "now 1" in CliRunner().invoke(main, ["compact", "--corpus", str(nightly)]).output  # and again: nothing to do
    collect_garbage(Corpus(str(nightly)), releases=True)
    assert contents(nightly) == before


def test_a_compaction_that_is_killed_leaves_both_and_the_next_one_ends_it(nightly, monkeypatch):
    before = contents(nightly)

    def killed(uri: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.compact.storage.remove", killed)
    with pytest.raises(KeyboardInterrupt):
        compact(Corpus(str(nightly)), 32)
    monkeypatch.undo()
    assert len(list(nightly.glob("ledger/ingest/*.json"))) == 4 + 1  # the small ones, and the merged one
    assert contents(nightly) == before
    assert verify(Corpus(str(nightly))) == []
    compact(Corpus(str(nightly)), 32)
    collect_garbage(Corpus(str(nightly)), releases=True)
    assert len(list(nightly.glob("ledger/ingest/*.json"))) == 1
    assert contents(nightly) == before


def test_a_damaged_part_is_not_copied_under_a_new_hash(nightly):
    flip(first(nightly, "tables/signals/*.parquet"))
    run = CliRunner().invoke(main, ["compact", "--corpus", str(nightly)])
    assert run.exit_code == 2
    assert "is not what was committed: corpus repair" in run.output
