"""`corpus forget`: nothing of an episode is left, everything of the others is, and it stays away."""

import shutil
from pathlib import Path

import pytest

from pipeline.corpus import tombstones
from pipeline.corpus.ledger import Ledger
from pipeline.corpus.lock import locked
from pipeline.corpus.verify import verify
from pipeline.corpus.view import Corpus
from stages.caption.vlm import cache
from stages.caption.vlm.requests import Answer
from tests.corpora import contents
from tests.forget.conftest import GONE, SMALL, run
from tests.forget.scan import naming, unpacked


@pytest.fixture
def corpus(before, tmp_path, ray_session) -> Path:
    return Path(shutil.copytree(before, tmp_path / "corpus", symlinks=True))


@pytest.fixture(scope="module")
def after(before, tmp_path_factory, ray_session) -> Path:
    """That corpus once the episode is forgotten."""
    corpus = Path(shutil.copytree(before, tmp_path_factory.mktemp("after") / "corpus", symlinks=True))
    run("forget", corpus, GONE)
    return corpus


@pytest.fixture
def without(after, tmp_path) -> Path:
    return Path(shutil.copytree(after, tmp_path / "without", symlinks=True))


def stones_alone(corpus: Path, episode: str = GONE) -> bool:
    named = naming(corpus, episode)
    return len(named) == 2 and all(path.startswith("ledger/forgotten/logs-00000") for path in named)


def rows_of_others(corpus: Path) -> dict[str, list]:
    """By table, those that hang on no other episode."""
    opened = Corpus(str(corpus))
    names = [n for n in opened.tables if n not in ("samples", "tars", "fitted", "lag_votes", "quarantine")]
    tables = {name: opened.table(name) for name in names}
    return {n: t.filter(t["episode_id"] != GONE).write_json() for n, t in tables.items() if "episode_id" in t.columns}


def test_nothing_is_left_but_the_tombstone_and_the_others_are_as_they_were(corpus):
    assert len(naming(corpus, GONE)) > 30
    (corpus / f".plan.parquet.{'0' * 8}.tmp").write_text(f"killed: {GONE}")
    (corpus / "tables/events/0123456789abcdef-01234567.parquet").write_text(f"no commit names it: {GONE}")
    run("explain", corpus, GONE, "--to", str(corpus / "pages"))
    (corpus / "ray.log").write_text(f"a worker said {GONE}")
    others, proxies = rows_of_others(corpus), {p: p.read_bytes() for p in (corpus / "media").rglob("*") if p.is_file()}
    said = run("forget", corpus, GONE, "--reason", "consent withdrawn", "--by", "anna")
    assert "shards/latest is" in said
    assert said.count("is gone: a loader that has it open must start anew") == 2
    assert stones_alone(corpus)
    assert verify(Corpus(str(corpus))) == []
    assert rows_of_others(corpus) == others
    assert all(p.read_bytes() == blob for p, blob in proxies.items() if f"/{GONE}/" not in str(p))
    assert not any(p.exists() for p in proxies if f"/{GONE}/" in str(p))
    assert len(list((corpus / "shards").glob("*/manifest.json"))) == 2  # the release, and latest
    listed = run("forget", corpus, "--list")
    assert "logs/000001" in listed
    assert "by anna  63 rows, 3.1 s  consent withdrawn\n    was in releases " in listed


def test_a_release_whose_books_gc_has_taken_goes_too(corpus):
    run("gc", corpus)
    assert len(list((corpus / "shards").glob("*/manifest.json"))) == 3  # two releases, and latest
    assert run("forget", corpus, GONE).count("is gone: a loader") == 2
    assert stones_alone(corpus)


def test_the_next_build_has_next_to_nothing_to_do_and_does_not_read_it(build, source, without):
    release = Corpus(str(without)).manifest["release"]
    result = build([source], without, *SMALL)
    assert {k for k, v in result.computed.items() if v} == set()
    assert result.release == release  # (only the vote on its source is taken again)
    assert result.plan.survey.passed == [GONE]
    assert stones_alone(without)
    assert verify(Corpus(str(without))) == []


def test_it_stays_away_after_gc_compact_repair_and_checkpoints(build, source, without):
    for stage in Corpus(str(without)).ledgers:
        Ledger(str(without)).fold(stage, 0)
    run("compact", without, "--episodes", "12")
    run("gc", without, "--releases")
    next((without / "tables/segment").parent.glob("events/*.parquet")).write_bytes(b"damaged")
    assert "0 left" in run("repair", without)
    assert stones_alone(without)
    assert "forgotten: 1\n" in run("status", without)
    assert "1 forgotten, in no table" in run("quarantine", without)


def test_with_centroids_fitted_anew_it_is_the_corpus_of_a_fresh_build(build, source, without, tmp_path):
    """Centroids in force stay, as aggregates; whoever wants them without the episode fits again."""
    anew = (*SMALL, "cluster.refit_share=0.0", "shard.repack_share=0.0")
    build([source], without, *anew)
    fresh = tmp_path / "fresh"
    shutil.copytree(without / tombstones.FOLDER, fresh / tombstones.FOLDER)
    build([source], fresh, *anew)
    mine = {k: v for k, v in contents(without).items() if not k.startswith("media/")}  # another night's crf
    assert mine == {k: v for k, v in contents(fresh).items() if not k.startswith("media/")}


def test_a_dry_run_says_the_same_and_touches_nothing(corpus):
    files = {p: p.read_bytes() for p in corpus.rglob("*") if p.is_file()}
    said = run("forget", corpus, GONE, "--dry-run")
    assert {p: p.read_bytes() for p in corpus.rglob("*") if p.is_file()} == files
    done = run("forget", corpus, GONE)
    for word in ("tables ", "media ", "shards "):
        assert [x for x in said.splitlines() if x.startswith(word)] == [
            x for x in done.splitlines() if x.startswith(word)
        ]


def test_a_recalled_episode_is_read_again(build, source, without, before):
    assert "reads it again" in run("forget", without, GONE, "--recall")
    assert not list((without / tombstones.FOLDER).iterdir())
    build([source], without, *SMALL)
    assert rows_of_others(without) == rows_of_others(before)
    events = [Corpus(str(c)).table("events").write_json() for c in (without, before)]
    assert events[0] == events[1]
    assert "has no tombstone" in run("forget", without, GONE, "--recall", code=2)


def test_unknown_and_forgotten_names(corpus):
    said = run("forget", corpus, "logs/00001", code=2)
    assert "logs/00001 is no episode of this corpus; is it logs/00000" in said
    assert "corpus show episodes lists them" in run("forget", corpus, "q", code=2)
    run("forget", corpus, GONE)
    assert f"{GONE}: forgotten already, on 20" in run("forget", corpus, GONE)
    run("forget", corpus, code=2)
    run("forget", corpus, GONE, "--list", code=2)


def test_a_build_that_holds_the_corpus_refuses_it(corpus):
    with locked(str(corpus)):
        assert "holds this corpus" in run("forget", corpus, GONE, code=2)
    assert not (corpus / tombstones.FOLDER).exists()


@pytest.mark.soak
@pytest.mark.parametrize("number", [0, -1])
def test_a_damaged_part_is_repaired_first_and_the_rest_of_it_is_not_lost(corpus, number):
    """One that holds the episode, and one that does not."""
    others = rows_of_others(corpus)
    parts = [corpus / p for p in Corpus(str(corpus)).parts("captions")]
    part = sorted(parts, key=lambda p: GONE.encode() in b"".join(unpacked(p.name, p.read_bytes())))[number]
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    assert "corpus repair" in run("forget", corpus, GONE, code=2)
    assert "is not forgotten to the end" in run("verify", corpus, code=1)
    assert "1 not to the end" in run("status", corpus)
    run("repair", corpus, code=1)  # it cannot end what was begun
    run("forget", corpus, GONE)
    assert stones_alone(corpus)
    assert verify(Corpus(str(corpus))) == []
    assert rows_of_others(corpus) == others


def test_a_tombstone_is_there_twice_and_a_lost_one_stops_the_build(build, source, without):
    one, copy = sorted((without / tombstones.FOLDER).iterdir())
    one.write_bytes(one.read_bytes().replace(b"logs", b"lags"))
    (fault,) = verify(Corpus(str(without)))
    assert fault.where == f"{tombstones.FOLDER}/{one.name}"
    run("forget", without, GONE)
    assert verify(Corpus(str(without))) == []
    for path in (one, copy):
        path.write_text("{}")
    with pytest.raises(tombstones.DamagedTombstone):
        build([source], without, *SMALL)


def test_answers_go_with_the_episode_they_were_asked_about(corpus):
    """A question of two episodes goes with either; one of which nobody knows the episode goes too."""
    told = [
        ("a", GONE),
        ("b", "logs/000002"),
        ("c", ""),
        ("d", ""),
        ("d", "logs/000002"),
        ("e", GONE),
        ("e", "logs/000003"),
    ]
    lines = [cache.line(key, Answer(f"said {key}", episode=of)) for key, of in told]
    (corpus / cache.FOLDER).mkdir()
    (corpus / cache.FOLDER / "one.jsonl").write_bytes(b"".join(lines))
    (corpus / cache.FOLDER / "two.jsonl").write_bytes(lines[0] + b"torn")
    said = run("forget", corpus, GONE)
    assert "answers    2 of models, and 1 that do not say what they were asked about" in said
    left = (corpus / cache.FOLDER / "one.jsonl").read_bytes()
    assert left == lines[1] + lines[3] + lines[4]
    assert not (corpus / cache.FOLDER / "two.jsonl").exists()


def test_files_that_no_build_wrote_are_named_and_left_alone(corpus):
    run("show", corpus, "events", "--to", str(corpus / "events.parquet"))
    run("plan", corpus, "--to", str(corpus / "mine.npz"))
    (corpus / "notes.txt").write_text("nothing of it")
    (corpus / "media" / GONE / "front.txt").write_text("by hand")
    said = run("forget", corpus, GONE)
    assert "events.parquet: no build wrote it" in said
    assert "mine.npz: no build wrote it" in said
    assert f"media/{GONE}/front.txt: no build wrote it" in said
    assert "notes.txt" not in said
    assert (corpus / "events.parquet").exists()


def test_all_episodes_can_be_forgotten(corpus):
    said = run("forget", corpus, *(f"logs/00000{n}" for n in range(4)))
    assert "none is in force until the next build" in said
    assert Corpus(str(corpus)).manifest["release"] is None
    assert not (corpus / "shards/latest").is_symlink()
    assert not list((corpus / "shards").rglob("*.tar"))
    assert "forgotten: 4" in run("status", corpus)


@pytest.mark.soak
def test_of_a_build_that_did_not_end_no_release_stays(build, source, corpus):
    build([source], corpus, *SMALL, "align.window_s=0.8", until="align")
    said = run("forget", corpus, GONE)
    assert "none is in force until the next build: the last build did not reach its end" in said
    assert stones_alone(corpus)
    build([source], corpus, *SMALL)
    assert stones_alone(corpus)
    assert verify(Corpus(str(corpus))) == []


def test_a_message_about_another_episode_names_it_no_longer():
    import pyarrow as pa

    from pipeline.forget.purge import without

    said = ["it claims the frames of logs/000001@front", "as logs/0000010 does", "my-logs/000001"]
    table = pa.table({"episode_id": ["logs/000002"] * 3, "message": said})
    left = without(table, {GONE})["message"].to_pylist()
    assert left == ["it claims the frames of a forgotten episode@front", *said[1:]]
