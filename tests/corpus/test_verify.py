"""What is broken by hand is found, and mended by doing just that again."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from pipeline.build.driver import BuildFailedError
from pipeline.cli import main
from pipeline.corpus.compact import compact
from pipeline.corpus.garbage import collect_garbage
from pipeline.corpus.ledger import Ledger
from pipeline.corpus.repair import invalidate
from pipeline.corpus.verify import Fault, faults_of, verify
from pipeline.corpus.view import Corpus
from schemas.reasons import Quarantined
from stages.ingest.survey import Survey
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
    "dataset card changed": ("shards/*/README.md", flip),
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


TOGETHER = [  # each of a file and a stage of its own, so that none is mended along with another
    ["bit in a table", "table truncated", "table deleted", "commit deleted"],
    ["bit in a proxy", "thumbnails deleted"],
    ["bit in the centroids", "commit truncated", "bit in a commit"],
    ["index deleted", "statistics changed", "dataset card changed"],
    ["bit in a tar"],
    ["manifest deleted", "latest points elsewhere"],
    ["commit of a tar deleted"],
    ["bit in the plan"],
    ["bit in the manifest"],
]
ALONE = [pytest.param([case], marks=pytest.mark.soak) for case in PLANTED]


@pytest.mark.parametrize("cases", [*TOGETHER, *ALONE], ids=", ".join)
def test_planted_faults_are_found_and_mended(whole, corpus, cases, ray_session):
    damaged = []
    for pattern, damage in map(PLANTED.__getitem__, cases):
        damaged.append(first(corpus, pattern))
        damage(damaged[-1])
    faults = faults_of(str(corpus))
    for path in damaged:
        assert any(str(path.relative_to(corpus)).startswith(f.where) for f in faults), path
    found = CliRunner().invoke(main, ["verify", "--corpus", str(corpus)])
    assert found.exit_code == 1
    mended = CliRunner().invoke(main, ["repair", "--corpus", str(corpus)])
    assert mended.exit_code == 0, mended.output
    assert "0 left" in mended.output
    assert contents(corpus) == contents(whole)


def test_the_ledger_of_a_stage_is_read_twice_however_many_faults_it_has(corpus, monkeypatch):
    units = [path.stem for path in (corpus / "ledger/segment").glob("*.json")]
    faults = [Fault("missing", f"tables/events/{unit}", "gone", ("segment", unit)) for unit in units] * 50
    read, original = [], Ledger._look
    monkeypatch.setattr(Ledger, "_look", lambda self, stage: read.append(stage) or original(self, stage))
    invalidate(str(corpus), faults, Survey())
    assert read == ["segment", "segment"]  # to see what can be made again, and to remove it


def test_an_event_without_a_fate_is_a_fault(corpus):
    """A samples table that forgot an event, consistently committed: no hash can tell, the law does."""
    path = first(corpus, "tables/samples/*.parquet")
    pq.write_table(pq.read_table(path).slice(1), path)
    ledger = Ledger(str(corpus))
    (commit,) = ledger.state("samples").commits()
    blob = path.read_bytes()
    file = replace(commit.files["samples"], bytes=len(blob), sha256=hashlib.sha256(blob).hexdigest())
    ledger.write(replace(commit, files={"samples": file}))
    messages = [f.message for f in verify(Corpus(str(corpus)))]
    assert any("is in no shard and has no reason not to be" in m for m in messages)


def test_a_table_of_another_version_is_told_and_nothing_ends_in_a_trace(corpus):
    """Its columns are those of an older release; the commit agrees with the file."""
    path = first(corpus, "tables/lags/*.parquet")
    pq.write_table(pq.read_table(path).drop_columns(["curve"]), path)
    ledger, blob = Ledger(str(corpus)), path.read_bytes()
    commit = next(c for c in ledger.state("lag").commits() if c.files["lags"].path.endswith(path.name))
    file = replace(commit.files["lags"], bytes=len(blob), sha256=hashlib.sha256(blob).hexdigest())
    ledger.write(replace(commit, files={"lags": file}))
    faults = verify(Corpus(str(corpus)))
    assert [(f.kind, "another version" in f.message) for f in faults] == [("law", True)]


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


@pytest.fixture(scope="module")
def nights(build, tmp_path_factory) -> Path:
    """A corpus that got one episode a night, three nights, and one that was changed meanwhile."""
    folder = tmp_path_factory.mktemp("nights")
    source = write_dataset(folder / "logs", [Episode(60 + 3 * i, 100 * i) for i in range(4)])
    listing = (source / "meta/episodes.jsonl").read_text().splitlines()
    for nights in range(1, 5):
        (source / "meta/episodes.jsonl").write_text("\n".join(listing[:nights]))
        if nights == 4:
            (source / "data/chunk-000/episode_000001.parquet").write_bytes(b"")  # from now on in quarantine
        build([source], folder / "corpus", *SMALL[:2])
    collect_garbage(Corpus(str(folder / "corpus")), releases=True)
    return folder / "corpus"


@pytest.fixture
def nightly(nights, tmp_path) -> Path:
    return Path(shutil.copytree(nights, tmp_path / "corpus", symlinks=True))


def all_counts(corpus: Path) -> dict:
    opened = Corpus(str(corpus))
    return {stage: opened.counts(stage) for stage in ("ingest", "observe", "align", "segment", "embed")}


def test_compaction_changes_parts_and_nothing_else(build, nightly):
    before, counts = contents(nightly), all_counts(nightly)
    assert len(list(nightly.glob("tables/signals/*.parquet"))) == 3  # of four: one is in quarantine
    run = CliRunner().invoke(main, ["compact", "--corpus", str(nightly)])
    assert run.exit_code == 0, run.output
    assert "ingest   4 parts, now 1" in run.output
    assert contents(nightly) == before
    assert all_counts(nightly) == counts
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

    monkeypatch.setattr("pipeline.corpus.compact.storage.remove", killed)
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


def test_compaction_keeps_the_work_of_a_source_that_is_left_out_tonight(build, tmp_path):
    for name in ("one", "two"):
        write_dataset(tmp_path / name, [Episode(60, 0), Episode(63, 100)])
    corpus, both = tmp_path / "corpus", [tmp_path / "one", tmp_path / "two"]
    build(both, corpus, *SMALL[:2], "align.min_score=2")
    before = contents(corpus)
    build(both[:1], corpus, *SMALL[:2], "align.min_score=2")
    compact(Corpus(str(corpus)), 32)
    result = build(both, corpus, *SMALL[:2], "align.min_score=2")
    assert sum(result.computed.values()) == 0
    assert contents(corpus) == before


# -- what a bad disk must not do


def test_a_damaged_proxy_is_not_cut_into_a_new_release(build, corpus, whole):
    """Bit rot, then the nightly build, then verify and repair: the usual order."""
    path = first(corpus, "media/logs/000001/*.mp4")
    flip(path)
    source = Path(Corpus(str(corpus)).manifest["sources"]["logs"])
    other = (*SMALL, "shard.seed=5")
    with pytest.raises(BuildFailedError, match="a shard could not be written"):
        build([source], corpus, *other)
    rows = Corpus(str(corpus)).quarantine().to_dicts()
    assert {r["reason"] for r in rows} == {"damaged_file"}
    assert CliRunner().invoke(main, ["repair", "--corpus", str(corpus)]).exit_code == 0
    build([source], corpus, *other)
    fresh = corpus.parent / "fresh"
    build([source], fresh, *other)
    assert contents(corpus) == contents(fresh)


def test_a_damaged_page_of_a_table_is_not_read_as_values(corpus):
    opened = Corpus(str(corpus))
    path = first(corpus, "tables/signals/*.parquet")
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 3] ^= 1
    path.write_bytes(blob)
    with pytest.raises(Quarantined, match="corpus verify, then corpus repair"):
        opened.table("signals")


def test_gc_does_not_take_what_a_damaged_commit_names(corpus):
    flip(first(corpus, "ledger/observe/*.json"))
    before = sorted(p for p in corpus.rglob("*") if p.is_file())
    run = CliRunner().invoke(main, ["gc", "--corpus", str(corpus)])
    assert (run.exit_code, "is damaged: corpus repair" in run.output) == (2, True)
    assert sorted(p for p in corpus.rglob("*") if p.is_file()) == before


def test_repair_keeps_what_it_could_not_make_again(build, tmp_path):
    """Logs archived, a byte flipped in a thumbnail: the unit's other proxies must survive repair and gc."""
    source = write_dataset(tmp_path / "logs", [Episode(60 + 3 * i, 100 * i) for i in range(3)])
    corpus = tmp_path / "corpus"
    build([source], corpus, *SMALL[:2], "run.workers=1")
    before, media = contents(corpus), sorted(corpus.glob("media/*/*/*"))
    flip(first(corpus, "media/logs/000001/*.jpg"))
    (source / "videos").rename(tmp_path / "archived")
    run = CliRunner().invoke(main, ["repair", "--corpus", str(corpus)])
    assert "kept as it is, since its source cannot be read now: media/logs/000001" in run.output
    assert sorted(corpus.glob("media/*/*/*")) == media
    (tmp_path / "archived").rename(source / "videos")
    build([source], corpus, *SMALL[:2], "run.workers=1")
    assert CliRunner().invoke(main, ["repair", "--corpus", str(corpus)]).exit_code == 0
    assert contents(corpus) == before


def test_a_disk_that_cannot_read_a_file_is_a_fault_with_its_name(corpus, monkeypatch):
    bad = str(first(corpus, "tables/events/*.parquet"))
    real = Ledger.path.__globals__["storage"].read_bytes

    def read_bytes(uri: str) -> bytes:
        if uri == bad:
            raise OSError(5, "Input/output error")
        return real(uri)

    monkeypatch.setattr("pipeline.corpus.verify.storage.read_bytes", read_bytes)
    (fault,) = faults_of(str(corpus))
    assert fault.where == str(Path(bad).relative_to(corpus))
    assert "Input/output error" in fault.message


def test_a_release_whose_manifest_is_damaged_is_finished_again_by_the_next_build(build, corpus, whole):
    path = first(corpus, "shards/*/manifest.json")
    path.write_text("{")
    source = Path(Corpus(str(corpus)).manifest["sources"]["logs"])
    build([source], corpus, *SMALL)
    assert contents(corpus) == contents(whole)
