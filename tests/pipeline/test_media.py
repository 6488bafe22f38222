"""Media put in place by a thread while work goes on: whole or not at all, and no error is lost."""

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.config import CorpusConfig
from pipeline.ledger import Ledger
from pipeline.media import MediaWriter
from pipeline.plan import Plan
from pipeline.rooms import observe
from pipeline.survey import survey
from pipeline.work import Context, execute
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
            with media.write(f"e/{name}") as target:
                Path(target).write_text(name)
        found = media.file("e/b.mp4")
    assert (found.path, found.bytes, found.sha256) == ("media/e/b.mp4", 5, hashlib.sha256(b"b.mp4").hexdigest())
    assert sorted(p.name for p in tmp_path.rglob("*.*")) == ["a.mp4", "b.mp4"]


def test_what_was_not_finished_is_not_there(tmp_path):
    with MediaWriter(Ledger(str(tmp_path))) as media:
        with suppress(ZeroDivisionError), media.write("e/a.mp4") as target:
            Path(target).write_text("half")
            raise ZeroDivisionError
        with pytest.raises(KeyError):
            media.file("e/a.mp4")
    assert not list(tmp_path.rglob("*.*"))


@pytest.fixture
def unit(tmp_path):
    """(unit, context) of observe, three episodes, one camera each."""
    source = write_dataset(tmp_path / "logs", [Episode(30, 100 * i) for i in range(3)])
    config = CorpusConfig()
    plan = Plan(survey([f"logs={source}"], config.ingest), config)
    items = [f"{e}@{r.cameras[0].name}" for e, r in plan.survey.episodes.items()]
    plan.wanted["observe"] = {item: f"{n:064x}" for n, item in enumerate(items)}
    return plan.unit("observe", items), Context(str(tmp_path / "corpus"), config)


def test_a_flush_that_fails_sets_its_clip_aside_and_no_other(unit, disk):
    """Of three clips the second; its row and files are not in the commit, those of the others are."""
    disk("/logs/000001/", errno.EIO)
    commit = execute(*unit, observe)
    assert [item.status for item in commit.items] == ["ok", "retry", "ok"]
    assert commit.files["observations"].rows == 2
    media = sorted(path.split("-")[0] for path in commit.files if path.startswith("media/") and path.endswith(".mp4"))
    assert media == ["media/logs/000000/front", "media/logs/000002/front"]


def test_a_disk_full_at_the_flush_stops_the_unit(unit, disk):
    disk(".mp4", errno.ENOSPC)
    with pytest.raises(Unwritable):
        execute(*unit, observe)


def test_after_a_place_is_full_no_other_file_is_tried(tmp_path, disk):
    """The second file's own flush would work; and no temporary file is left."""
    disk("a.mp4", errno.ENOSPC)
    with MediaWriter(Ledger(str(tmp_path))) as media:
        for name in ("a.mp4", "b.mp4"):
            with media.write(f"e/{name}") as target:
                Path(target).write_text(name)
        for name in ("a.mp4", "b.mp4"):
            with pytest.raises(Unwritable):
                media.file(f"e/{name}")
    assert not list(tmp_path.rglob("*.*"))
