"""A label file that `corpus labels` wrote, people changed, and a build is given back."""

import csv

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.corpus.view import Corpus
from pipeline.labels import read
from pipeline.labels.returned import exported
from schemas.episodes import Label
from tests.datasets import Episode, write_dataset

UNTIL = {"until": "caption"}
SPANS = [(0, 1.0, "reach"), (1.0, 1.5, "grasp"), (1.5, 3.0, "lift"), (3.0, 4.0, "place")]


def row(start, end, primitive, origin="machine", said_by=""):
    about = {"episode_id": "lab/000001", "level": "L1", "track": "all", "start_s": start, "end_s": end}
    about |= {"caption": f"the arm: {primitive}", "primitive": primitive, "origin": origin, "said_by": said_by}
    return about | {"exported": exported(about)}


@pytest.fixture
def rows():
    return [row(*span) for span in SPANS]


def given_back(tmp_path, rows, **how):
    path = tmp_path / "back.csv"
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return list(read([str(path)], **how).get("lab/000001", ()))


def label(start, end, text="", primitive=None, said_by="back.csv"):
    return Label("L1", start, end, text, primitive=primitive, said_by=said_by)


def test_what_nobody_has_changed_is_nobodys_word(tmp_path, rows):
    assert given_back(tmp_path, rows) == []
    rows[0]["end_s"] = "1.00"  # as a spreadsheet writes it
    assert given_back(tmp_path, rows) == []
    assert [x.text for x in given_back(tmp_path, rows, everything=True)] == [f"the arm: {p}" for *_, p in SPANS]


def test_a_persons_span_stays_theirs(tmp_path, rows):
    rows[2] = row(1.5, 3.0, "lift", "human", "ada")
    assert given_back(tmp_path, rows) == [label(1.5, 3.0, "the arm: lift", "lift", "ada")]
    rows[2] = row(1.5, 3.0, "lift", "source", "action_config")  # the source brings it along by itself
    assert given_back(tmp_path, rows) == []


def test_only_what_was_changed_counts(tmp_path, rows):
    rows[1]["caption"] = "take the cup"
    rows[3]["primitive"] = "push"
    assert given_back(tmp_path, rows) == [label(1.0, 1.5, "take the cup"), label(3.0, 4.0, "", "push")]


def test_an_edge_that_is_moved_is_the_neighbours_too(tmp_path, rows):
    rows[1]["end_s"] = 1.7
    assert given_back(tmp_path, rows) == [label(1.0, 1.7), label(1.7, 3.0)]
    rows[1]["start_s"] = 0.8
    assert given_back(tmp_path, rows) == [label(0, 0.8), label(0.8, 1.7), label(1.7, 3.0)]
    rows[1]["end_s"] = 3.2  # over all of the next, and into the one after it
    assert given_back(tmp_path, rows) == [label(0, 0.8), label(0.8, 3.2), label(3.2, 4.0)]
    rows[1]["end_s"], rows[2]["start_s"] = 1.7, 1.7  # both by hand
    assert given_back(tmp_path, rows) == [label(0, 0.8), label(0.8, 1.7), label(1.7, 3.0)]
    rows[1]["end_s"], rows[2]["start_s"] = 1.3, 1.5  # shorter: the next one grows
    assert given_back(tmp_path, rows) == [label(0, 0.8), label(0.8, 1.3), label(1.3, 3.0)]


def test_rows_that_are_new_are_a_persons(tmp_path, rows):
    rows[1] |= {"exported": "", "origin": ""}
    assert given_back(tmp_path, rows) == [label(1.0, 1.5, "the arm: grasp", "grasp")]
    rows[1] |= {"exported": "whatever", "origin": "machine"}
    assert given_back(tmp_path, rows) == [label(1.0, 1.5, "the arm: grasp", "grasp")]


def test_given_back_unchanged_nothing_is_done_again(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(80, 0), Episode(100, 100)], cameras=())
    corpus, path = tmp_path / "corpus", tmp_path / "labels.csv"
    build([source], corpus, **UNTIL)
    assert CliRunner().invoke(main, ["labels", "--corpus", str(corpus), "--to", str(path)]).exit_code == 0
    lines = list(csv.DictReader(path.open()))
    assert all(len(r["start_s"].partition(".")[2]) <= 3 and r["id"].startswith("logs/") for r in lines)
    assert not any(build([source], corpus, f"segment.labels=[{path}]", **UNTIL).computed.values())

    # one edge, of one episode; and a span of an episode that nobody has
    own = [r for r in lines if r["episode_id"] == "logs/000001" and r["level"] == "L1"]
    own[0]["end_s"] = str(float(own[0]["end_s"]) + 0.2)
    lines.append({**lines[0], "episode_id": "logs/000077", "exported": ""})
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(lines[0]))
        table.writeheader()
        table.writerows(lines)
    result = build([source], corpus, f"segment.labels=[{path}]", **UNTIL)
    assert {s: n for s, n in result.computed.items() if n} == {"segment": 1, "caption": 1}
    human = Corpus(str(corpus)).table("events").filter(origin="human")
    assert set(human["episode_id"]) == {"logs/000001"}
    assert human["said_by"].to_list() == ["labels.csv"] * 2
    assert human["end_s"].to_list()[0] == human["start_s"].to_list()[1]
    (aside,) = Corpus(str(corpus)).quarantine().to_dicts()
    assert (aside["reason"], aside["episode_id"]) == ("label_refused", "logs/000077")
    assert "no source has an episode logs/000077" in aside["message"]
    build([source], corpus, **UNTIL)
    assert Corpus(str(corpus)).quarantine().is_empty()
