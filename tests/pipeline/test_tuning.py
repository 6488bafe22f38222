"""`corpus tune-segment` and `corpus sheet` on the sample's corpus, as a user types them."""

import csv

import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from pipeline.cli.main import main
from pipeline.corpus.view import Corpus
from stages.segment import SegmentConfig
from tests.benchmarks.segmentation import truth


def run(*words):
    return CliRunner().invoke(main, [str(w) for w in words], catch_exceptions=False)


def truth_file(path, phases=None, number=10, level="L1"):
    """Spans of some of the sample's tuning episodes, by frame; those of some phases alone if given."""
    spans = truth.sample_spans(held_out=False)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["episode_id", "level", "start_frame", "end_frame", "caption"])
        for name in list(spans)[:number]:
            rows.writerows([name, level, a, b, p] for a, b, p in spans[name] if phases is None or p in phases)
    return path


def test_hands_alone_are_learned_and_the_file_is_taken_by_a_build(sample_corpus, tmp_path):
    marked = truth_file(tmp_path / "hands.csv", {"grasp", "missed_grasp", "release", "reopen"})
    found = run("tune-segment", "--corpus", sample_corpus, "--truth", marked, "--to", tmp_path / "m.yaml")
    assert found.exit_code == 0, found.output
    assert "weights of evidence" in found.output
    assert "segment.model=" in found.output
    model = yaml.safe_load((tmp_path / "m.yaml").read_text())
    assert model["kind"] == "weights"
    assert model["tried"]["weights"]["f1"] > 0.85 > model["tried"]["untuned"]["f1"]
    assert len(model["episodes"]) >= 7
    assert SegmentConfig(model=str(tmp_path / "m.yaml")).learned is not None
    assert run("config", "--set", f"segment.model={tmp_path}/m.yaml").exit_code == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("episode_id,level,start_s,end_s\ncell_a/000000,L1,0,1\n", "at least 3 are needed"),
        ("episode_id,level,start_s,end_s\nnone/000000,L1,0,1\n", "none/000000"),
        ("episode_id,level,start_s,end_s\ncell_a/000000,L3,0,1\n", "hold no span"),
        ("episode_id,level,start_s,end_s\ncell_a/000000,L1,0,1\ncell_a/000000,L2,0,1\n", "give --level"),
        ("episode_id,start_s\n", "no column level"),
    ],
)
def test_labels_that_teach_nothing_are_told_in_one_line(sample_corpus, tmp_path, text, says):
    (tmp_path / "t.csv").write_text(text)
    found = run("tune-segment", "--corpus", sample_corpus, "--truth", tmp_path / "t.csv", "--to", tmp_path / "m.yaml")
    assert found.exit_code == 2
    assert says in found.output
    assert len(found.output.splitlines()) == 1
    assert not (tmp_path / "m.yaml").exists()


def test_spans_that_cannot_be_used_are_told(sample_corpus, tmp_path):
    marked = truth_file(tmp_path / "t.csv", number=5)
    lines = marked.read_text().splitlines()
    marked.write_text("\n".join([*lines, "cell_a/000001,L1,10,60,across others"]) + "\n")
    found = run("tune-segment", "--corpus", sample_corpus, "--truth", marked, "--to", tmp_path / "m.yaml")
    assert found.exit_code == 0
    assert "not used: L1 10 to 60 frames" in found.output
    refused = run("tune-segment", "--corpus", sample_corpus, "--truth", marked, "--to", tmp_path)
    assert refused.exit_code == 2
    assert "is a folder" in refused.output


def test_a_sheet_shows_named_events_and_random_ones(sample_corpus, tmp_path):
    events = Corpus(str(sample_corpus)).table("events", ["cell_a/000000"])["event_id"].to_list()[:2]
    found = run("sheet", *events, "--corpus", sample_corpus, "--to", tmp_path / "two.png")
    assert found.exit_code == 0, found.output
    two = Image.open(tmp_path / "two.png")
    assert run("sheet", "--random", 3, "--corpus", sample_corpus, "--to", tmp_path / "three.png").exit_code == 0
    assert Image.open(tmp_path / "three.png").height > two.height > 3 * 150  # three cameras, one row each
    again = run("sheet", "--random", 3, "--corpus", sample_corpus, "--to", tmp_path / "again.png")
    assert again.exit_code == 0
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "three.png").read_bytes()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["cell_a/000000/L1/9999999"], "no such event"),
        ([], "name events, or give --random N"),
        (["--random", "2", "--source", "nobody"], "no event of L1 to draw in nobody"),
        (["--random", "2", "--to", "a.jpg"], "ends in .png"),
    ],
)
def test_a_sheet_of_nothing_is_told(sample_corpus, words, says):
    found = run("sheet", "--corpus", sample_corpus, *words)
    assert found.exit_code == 2
    assert says in found.output
