"""`corpus explain`: a picture and a page that say of every boundary why it is there."""

import io
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from pipeline.build import driver
from pipeline.cli import main
from pipeline.corpus.view import Corpus
from pipeline.explain.gather import explanation
from pipeline.explain.page import page
from pipeline.report.reviewed import links
from tests.datasets import Episode, write_dataset
from tests.faults.builds import arguments, dataset, killed_at
from tests.faults.crash import Point

EPISODE = "cell_a/000016"  # its first grasp misses


def test_both_files_are_written_and_named(sample_corpus, tmp_path):
    run = CliRunner().invoke(main, ["explain", EPISODE, "--corpus", str(sample_corpus), "--to", str(tmp_path)])
    assert run.exit_code == 0, run.output
    png, html = run.output.split()
    assert png == f"{tmp_path}/explain-cell_a-000016.png"
    with Image.open(png) as image:
        assert image.width > 1000
        assert len(set(image.convert("L").tobytes())) > 100  # thumbnails and all, not an empty sheet
    with open(html, encoding="utf-8") as file:
        text = file.read()
    led = re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', text)
    assert led == [link for link in led if link.startswith(links.BEGINS)]  # nothing is fetched
    named = {link.removeprefix(f"{links.BEGINS}event=").rstrip('"') for link in led}
    assert {f"{EPISODE}/L3/0000000", f"{EPISODE}/L1/0000000"} <= named
    assert "missed grasp" in text


def test_every_boundary_and_every_candidate_is_told(sample_corpus):
    corpus = Corpus(str(sample_corpus))
    found = explanation(corpus, EPISODE)
    events = corpus.table("events", [EPISODE]).filter(track="all")
    starts = set(events.filter(level="L0")["start_s"].to_list()) - {0.0}
    assert {b.time_s for b in found.boundaries} == starts
    assert all(b.evidence for b in found.boundaries)
    used = [m for m in found.timeline.marks if m["level"]]
    assert len(used) == sum(len(b.evidence) for b in found.boundaries)  # found again from the signals, one by one
    assert len(found.timeline.marks) > len(used)
    drawn = page(found)
    assert drawn.count(", not a boundary") == len(found.timeline.marks) - len(used)
    assert drawn.count("<tr>") == 1 + len(found.boundaries)


def test_an_episode_that_is_not_there_is_told_what_there_is(sample_corpus, tmp_path):
    run = CliRunner().invoke(main, ["explain", "cell_a/999", "--corpus", str(sample_corpus), "--to", str(tmp_path)])
    assert run.exit_code == 2
    assert "no episode of this corpus has that name; there are 44 with events, such as cell_a/000000" in run.output


def test_a_build_that_is_on_its_way_can_be_asked_too(build, tmp_path, monkeypatch):
    """It gets no further than embed: what segment has done is there to be looked at, as it was before that."""
    do_stage = driver.Build._do_stage

    def ends(self, stage, *rest):
        if stage.name == "embed":
            monkeypatch.setattr(driver, "record_plan", lambda *_, **__: None)  # as if killed: it writes no more
            raise KeyboardInterrupt
        do_stage(self, stage, *rest)

    monkeypatch.setattr(driver.Build, "_do_stage", ends)
    with pytest.raises(KeyboardInterrupt):
        build([dataset(tmp_path / "logs", 2)], tmp_path / "corpus")
    explained(tmp_path)


@pytest.mark.soak
def test_so_can_one_that_was_killed(tmp_path):
    source = dataset(tmp_path / "logs", 4)
    assert killed_at(Point("/ledger/embed/", "begun"), arguments(source, tmp_path / "corpus"))
    explained(tmp_path)


def explained(folder: Path) -> None:
    words = ["explain", "logs/000001", "--corpus", str(folder / "corpus"), "--to", str(folder)]
    run = CliRunner().invoke(main, words)
    assert run.exit_code == 0, run.output


def test_an_episode_that_was_set_aside_is_told_why(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(80, 0), Episode(5, 80)])
    build([source], tmp_path / "corpus", until="segment")
    words = ["explain", "logs/000001", "--corpus", str(tmp_path / "corpus"), "--to", str(tmp_path)]
    run = CliRunner().invoke(main, words)
    assert run.exit_code == 2
    assert "logs/000001: set aside by ingest, too_short: " in run.output


@pytest.mark.parametrize("cameras", [(), ("front",)])
def test_without_video_or_captions_there_is_a_drawing_too(build, tmp_path, cameras):
    source = write_dataset(tmp_path / "logs", [Episode(80, 0)], cameras=cameras)
    build([source], tmp_path / "corpus", until="segment")
    run = CliRunner().invoke(
        main, ["explain", "logs/000000", "--corpus", str(tmp_path / "corpus"), "--to", str(tmp_path)]
    )
    assert run.exit_code == 0, run.output
    Image.open(io.BytesIO((tmp_path / "explain-logs-000000.png").read_bytes())).verify()
