"""The report is one page that stands on its own and says what is so."""

import re
from pathlib import Path

from pipeline.corpus import Corpus
from pipeline.report import write
from tests.datasets import Episode, write_dataset


def test_the_samples_report_stands_on_its_own(sample_corpus):
    corpus = Corpus(str(sample_corpus))
    page = Path(write(corpus)).read_text()
    assert len(page.encode()) < 5_000_000
    outside = re.findall(r'(?:src|href)="(?!data:)[^"]*"', page)
    assert outside == []  # nothing is fetched
    assert "<script" not in page
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "44 episodes of 2 sources" in text
    assert f"{corpus.table('events').filter(level='L1').height} actions (L1)" in text
    assert "1.00 decodes a source frame (27648)" in text
    assert "+2 frames" in text
    assert page.count('aria-label="timeline of') == 4
    assert page.count('aria-label="cluster sizes"') == 2
    assert "Nothing: every episode is in the corpus." in text


def test_what_was_set_aside_is_shown_with_its_message(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(60, 0, "<b>mark & me</b>"), Episode(60, 100)])
    next(iter(source.glob("videos/*/*/episode_000001.mp4"))).write_bytes(b"")
    build([source], tmp_path / "corpus")
    page = Path(write(Corpus(str(tmp_path / "corpus")))).read_text()
    assert "video_unreadable" in page
    assert "logs/000001@front" in page
    assert "&lt;b&gt;mark &amp; me&lt;/b&gt;" in page  # the operator's text is text, not markup


def test_a_build_that_stops_early_has_a_report_too(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(60, 0)])
    build([source], tmp_path / "corpus", until="observe")
    assert "What went in" in Path(write(Corpus(str(tmp_path / "corpus")))).read_text()
