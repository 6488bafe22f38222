"""Media put in place by a thread while work goes on: whole or not at all, and no error is lost."""

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest

from pipeline import config
from pipeline.build.media import MediaWriter
from pipeline.build.worker import Context, execute
from pipeline.corpus.ledger import Ledger
from pipeline.plan import Plan
from stages.ingest import INGEST
from stages.ingest.survey import survey
from stages.observe import OBSERVE
from stages.storage import Unwritable
from tests.datasets import Episode, write_dataset


@pytest.fixture
def disk(monkeypatch):
    """disk(word, code): the flush of files whose path holds the word fails with this errno."""
    flush = os.fsync

    def failing(word: str, code: int) -> None:
        def fsync(number: int) -> None:
            if word in os.readlink(f"/proc/self/fd/{number}"):
                raise OSError(code, os.strerror(code))
            flush(number)

        monkeypatch.setattr(os, "fsync", fsync)

    return failing


def test_files_are_in_place_when_they_are_asked_for(tmp_path):
    with MediaWriter(Ledger(str(tmp_path))) as media:
        for name in ("a.mp4", "b.mp4"):
            with media.write(f"media/e/{name}") as target:
                Path(target).write_text(name)
        found = media.file("media/e/b.mp4")
    assert (found.path, found.bytes, found.sha256) == ("media/e/b.mp4", 5, hashlib.sha256(b"b.mp4").hexdigest())
    assert sorted(p.name for p in tmp_path.rglob("*.*")) == ["a.mp4", "b.mp4"]


def test_what_was_not_finished_is_not_there(tmp_path):
    with MediaWriter(Ledger(str(tmp_path))) as media:
        with suppress(ZeroDivisionError), media.write("media/e/a.mp4") as target:
            Path(target).write_text("half")
            raise ZeroDivisionError
        with pytest.raises(KeyError):
            media.file("media/e/a.mp4")
    assert not list(tmp_path.rglob("*.*"))


@pytest.fixture
def unit(tmp_path):
    """(unit, context) of observe, three episodes, one camera each."""
    source = write_dataset(tmp_path / "logs", [Episode(30, 100 * i) for i in range(3)])
    settings = config.load(None)
    found = survey([f"logs={source}"], settings.of(INGEST))
    plan = Plan(found, settings, Ledger(str(tmp_path / "corpus")))
    plan.wanted["observe"] = found.cameras.select(
        "item",
        "episode_id",
        source=pl.lit("logs"),
        group="uri",
        fingerprint=pl.int_range(pl.len()).cast(pl.String).str.zfill(64),
    )
    (unit,) = plan.units(OBSERVE, plan.wanted["observe"].with_columns(group=pl.lit("together")), 1)
    return unit, Context(str(tmp_path / "corpus"), OBSERVE, settings.of(OBSERVE))


def test_a_flush_that_fails_sets_its_clip_aside_and_no_other(unit, disk):
    """Of three clips the second; its row and files are not in the commit, those of the others are."""
    disk("/logs/000001/", errno.EIO)
    commit = execute(*unit)
    assert [item.status for item in commit.items] == ["ok", "retry", "ok"]
    assert commit.files["observations"].rows == 2
    media = sorted(path.split("-")[0] for path in commit.files if path.startswith("media/") and path.endswith(".mp4"))
    assert media == ["media/logs/000000/front", "media/logs/000002/front"]


def test_a_disk_full_at_the_flush_stops_the_unit(unit, disk):
    disk(".mp4", errno.ENOSPC)
    with pytest.raises(Unwritable):
        execute(*unit)


def test_after_a_place_is_full_no_other_file_is_tried(tmp_path, disk):
    """The second file's own flush would work; and no temporary file is left."""
    disk("a.mp4", errno.ENOSPC)
    with MediaWriter(Ledger(str(tmp_path))) as media:
        for name in ("a.mp4", "b.mp4"):
            with media.write(f"media/e/{name}") as target:
                Path(target).write_text(name)
        for name in ("a.mp4", "b.mp4"):
            with pytest.raises(Unwritable):
                media.file(f"media/e/{name}")
    assert not list(tmp_path.rglob("*.*"))
