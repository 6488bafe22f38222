"""What was forgotten stays away when its source changes, and nothing else is passed over in its place."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli import main
from pipeline.corpus.view import Corpus
from pipeline.report.summary import Summary
from schemas.reasons import Quarantined, Reason
from stages.forgotten import Tombstone, content_of, refuse, refuse_unread, refuse_unreadable
from tests.datasets import Episode, write_dataset
from tests.forget.scan import naming

GONE = "logs/000001"
UNTIL = "ingest"


def episodes(*lengths: int) -> list[Episode]:
    return [Episode(n, 150 * n) for n in lengths]


def run(corpus: Path, *words: str) -> str:
    result = CliRunner().invoke(main, ["forget", "--corpus", str(corpus), *words])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def corpus(build, tmp_path) -> Path:
    """Three episodes, of which the second was forgotten."""
    source = write_dataset(tmp_path / "logs", episodes(60, 63, 66))
    build([source], tmp_path / "corpus", until=UNTIL)
    run(tmp_path / "corpus", GONE)
    shutil.rmtree(source)
    return tmp_path / "corpus"


def lengths(corpus: Path) -> dict[str, int]:
    return dict(Corpus(str(corpus)).table("episodes").select("episode_id", "n_rows").iter_rows())


def refused(corpus: Path) -> list[tuple[str, str]]:
    return list(Corpus(str(corpus)).quarantine().select("episode_id", "reason").iter_rows())


def lines(corpus: Path) -> str:
    return "\n".join(Summary(Corpus(str(corpus))).lines(0.0))


def test_deleted_in_the_source_too_its_number_goes_to_another_which_is_read(build, corpus):
    """A LeRobot dataset counts anew when an episode is deleted: 000002 becomes 000001."""
    source = write_dataset(corpus.parent / "logs", episodes(60, 66))
    build([source], corpus, until=UNTIL)
    assert lengths(corpus) == {"logs/000000": 60, GONE: 66}
    assert refused(corpus) == []
    assert f"{GONE} is in the corpus: its log is not the forgotten one" in lines(corpus)


def test_under_another_number_name_and_format_it_is_known_by_its_values(build, corpus):
    source = write_dataset(corpus.parent / "lab", episodes(72, 60, 66, 63), version="v3.0", cameras=("front", "wrist"))
    build([source], corpus, until=UNTIL)
    assert lengths(corpus) == {"lab/000000": 72, "lab/000001": 60, "lab/000002": 66}
    assert refused(corpus) == [("lab/000003", Reason.FORGOTTEN.value)]
    assert naming(corpus, GONE) == {p for p in naming(corpus, GONE) if p.startswith("ledger/forgotten/")}
    summary = Summary(Corpus(str(corpus)))
    assert summary.failed_shares() == {"lab": 0.0}  # nothing is wrong with it
    assert "quarantine 1 x forgotten" in lines(corpus)


def test_its_files_written_anew_it_is_known_by_its_values_and_then_by_its_files(build, corpus):
    source = write_dataset(corpus.parent / "logs", episodes(60, 63, 66), version="v3.0")
    build([source], corpus, until=UNTIL)
    assert refused(corpus) == [(GONE, Reason.FORGOTTEN.value)]
    run(corpus, GONE)  # what stands there now is it: from now on its files are not opened either
    assert build([source], corpus, until=UNTIL).plan.survey.passed == [GONE]
    assert refused(corpus) == []
    assert lengths(corpus) == {"logs/000000": 60, "logs/000002": 66}
    shutil.rmtree(source)
    source = write_dataset(corpus.parent / "logs", episodes(60, 66))
    build([source], corpus, until=UNTIL)
    assert lengths(corpus) == {"logs/000000": 60, GONE: 66}


def test_one_that_was_never_read_is_forgotten_with_its_evidence_and_its_name_is_not_read(build, tmp_path):
    """Nobody knows its values: what bears its name is refused, not silently read."""
    bad = episodes(60, 63)
    bad[1].state[30, 0] = np.nan
    source = write_dataset(tmp_path / "logs", bad)
    corpus = tmp_path / "corpus"
    build([source], corpus, until=UNTIL)
    assert refused(corpus) == [(GONE, Reason.NOT_FINITE.value)]
    run(corpus, GONE)
    assert {Path(p).parts[:2] for p in naming(corpus, GONE)} == {("ledger", "forgotten")}
    build([source], corpus, until=UNTIL)
    assert refused(corpus) == []
    shutil.rmtree(source)
    source = write_dataset(tmp_path / "logs", episodes(60, 70))
    build([source], corpus, until=UNTIL)
    assert refused(corpus) == [(GONE, Reason.FORGOTTEN.value)]
    run(corpus, GONE, "--recall")
    build([source], corpus, until=UNTIL)
    assert lengths(corpus) == {"logs/000000": 60, GONE: 70}


def test_the_same_log_under_another_name_is_told(build, tmp_path):
    one = write_dataset(tmp_path / "one", episodes(60, 63))
    two = write_dataset(tmp_path / "two", episodes(63, 70))
    build([one, two], tmp_path / "corpus", until=UNTIL)
    assert "two/000000: the same log as one/000001, and not forgotten: forget it too?" in run(
        tmp_path / "corpus", "one/000001"
    )


def test_an_episode_of_a_source_that_is_away_can_be_forgotten(build, tmp_path):
    one, two = (write_dataset(tmp_path / n, episodes(60, 63)) for n in ("one", "two"))
    build([one, two], tmp_path / "corpus", until=UNTIL)
    away = two.rename(tmp_path / "unmounted")
    build([one, two], tmp_path / "corpus", until=UNTIL)
    run(tmp_path / "corpus", "two/000001")
    away.rename(two)
    build([one, two], tmp_path / "corpus", until=UNTIL)
    assert ("two/000001", Reason.FORGOTTEN.value) in refused(tmp_path / "corpus")


def stone(name: str, content: str) -> Tombstone:
    return Tombstone(name, name, "", "", content, 3, 0.0, 1.0, "2026-01-01", "me", "")


def log(values: list[float], stream: str = "state") -> dict:
    return {"stream": stream, "width": 1, "values": np.array(values, np.float32), "time_s": np.arange(len(values))}


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1), st.integers(0, 1000))
def test_a_log_is_known_by_its_values_whatever_its_clock(values, later):
    one, other = log(values), log(values)
    other["time_s"] = other["time_s"] + later
    extra = log([1.0], "extra/force")  # what is read beside them is a matter of settings
    assert content_of([one]) == content_of([extra, other])
    assert content_of([one]) != content_of([log([*values, 0.0])])
    assert content_of([one]) != content_of([one, log(values, "action")])


def test_which_logs_are_refused():
    known = [stone("a/1", content_of([log([1.0])])), stone("b/1", "")]
    for call in (
        lambda: refuse("c/7", [log([1.0])], known),  # the same values under any name
        lambda: refuse("a/1", [], known),  # no values to tell by
        lambda: refuse_unread("b/1", known),
        lambda: refuse_unreadable("a/1", known),
    ):
        with pytest.raises(Quarantined) as error:
            call()
        assert error.value.reason is Reason.FORGOTTEN
        assert error.value.retryable
    refuse("a/1", [log([2.0])], known)
    refuse_unread("a/1", known)
    refuse_unread("b/1", [*known, stone("b/1", "known by now")])
    refuse_unreadable("c/7", known)
    refuse("a/1", [], [])
