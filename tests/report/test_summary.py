"""The last lines of a build are true and say what their words mean."""

import json

import pytest

from pipeline.corpus.view import Corpus
from pipeline.report.summary import Summary, _lag
from tests.datasets import Episode, write_dataset

SMALL = ("shard.target_bytes=100000",)
VOTE = {"lag_frames": 0, "voted_frames": 0, "votes": 11, "voters": 12, "score": 0.69, "weak": False, "disagrees": False}


@pytest.mark.parametrize(
    ("vote", "words"),
    [
        ({}, "in step (11 of 12 votes, score 0.69)"),
        (
            {"voted_frames": -1},
            "the log is 1 frame ahead of the video, within what can be told: not shifted (11 of 12 votes, score 0.69)",
        ),
        (
            {"voted_frames": 2, "lag_frames": 2},
            "the log is 2 frames behind the video, shifted by that (11 of 12 votes, score 0.69)",
        ),
        (
            {"voted_frames": 5, "votes": 4, "voters": 6, "disagrees": True},
            "not shifted: too few votes agree (4 of 6 votes say the log is 5 frames behind the video, score 0.69)",
        ),
        (
            {"votes": 1, "voters": 1, "weak": True, "score": None},
            "not shifted: too few votes to go by (1 of 1 votes say in step)",
        ),
    ],
)
def test_a_lag_is_what_was_found_and_then_what_was_done(vote, words):
    assert _lag(VOTE | vote) == words


@pytest.fixture(scope="module")
def corpus(build, tmp_path_factory) -> Corpus:
    """Two sources: one with two good episodes and a short one, one that is not there."""
    folder = tmp_path_factory.mktemp("summary")
    good = write_dataset(folder / "good", [Episode(60, 0), Episode(60, 60), Episode(5, 120)])
    build([good, folder / "gone"], folder / "corpus", *SMALL, "shard.min_frames=2", "quarantine.max_share=0.2")
    return Corpus(str(folder / "corpus"))


def test_sources_are_counted_as_they_were_named(corpus):
    lines = list(Summary(corpus).lines(1.0))
    assert lines[0] == "episodes   2 of 3 listed could be read, 0.00 h, of 1 of 2 sources"
    assert lines[1].startswith("           gone is not in the corpus: no dataset under ")
    assert "there is no such folder" in lines[1]


def test_every_event_of_the_shard_level_has_its_fate_in_words(corpus):
    (line,) = [x for x in Summary(corpus).lines(1.0) if x.lstrip().startswith("of ")]
    numbers = [int(word) for word in line.replace(",", "").split() if word.isdigit()]
    assert numbers[0] == sum(numbers[1:]) == corpus.table("samples").height
    assert "drawn" in line


def test_shares_that_decide_the_exit_code(corpus):
    assert Summary(corpus).failed_shares() == {"good": pytest.approx(1 / 3), "gone": 1.0}


def test_a_source_of_which_no_sample_comes_counts_as_failed(build, tmp_path):
    sources = [write_dataset(tmp_path / name, [Episode(60, 0), Episode(60, 60)]) for name in ("one", "two")]
    build(sources, tmp_path / "corpus", *SMALL, "shard.min_frames=1000")
    corpus = Corpus(str(tmp_path / "corpus"))
    assert Summary(corpus).barren == ["one", "two"]
    assert Summary(corpus).failed_shares() == {"one": 1.0, "two": 1.0}
    lines = list(Summary(corpus).lines(1.0))
    assert "           one: no sample came of it" in lines


def test_a_thousand_entries_that_cannot_be_read_are_one_commit(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(60, 0)])
    path = source / "meta/episodes.jsonl"
    path.write_text(path.read_text() + "\nx" * 1000)
    build([source], tmp_path / "corpus", *SMALL, until="ingest")
    assert len(list((tmp_path / "corpus/ledger/survey").iterdir())) == 1
    assert Corpus(str(tmp_path / "corpus")).quarantine().height == 1000


def test_an_entry_of_a_list_that_cannot_be_read_counts_as_an_episode(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(60, 0), Episode(60, 60)])
    path = source / "meta/episodes.jsonl"
    path.write_text(path.read_text() + "\nnonsense\n")
    build([source], tmp_path / "corpus", *SMALL)
    corpus = Corpus(str(tmp_path / "corpus"))
    assert Summary(corpus).failed_shares() == {"logs": pytest.approx(1 / 3)}  # of three entries, one of them lost
    (row,) = corpus.quarantine().to_dicts()
    assert (row["reason"], row["item"]) == ("entry_unreadable", "logs/meta/episodes.jsonl:3")
    assert "line 3 is not JSON" in row["message"]
    info = source / "meta/info.json"
    info.write_text(json.dumps({**json.loads(info.read_text()), "total_episodes": 3}))
    build([source], tmp_path / "counted", *SMALL)
    corpus = Corpus(str(tmp_path / "counted"))
    assert sorted(corpus.quarantine()["reason"]) == ["entry_unreadable", "episode_not_listed"]
    assert Summary(corpus).failed_shares() == {"logs": pytest.approx(1 / 3)}  # the same one, counted by info.json
