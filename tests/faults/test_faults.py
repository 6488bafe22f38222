"""What the design promises when things break, each broken on purpose. The long form is `soak`."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.corpus.lock import Locked, _here, _remove_if_stale, _started, holder, locked
from pipeline.corpus.verify import verify
from pipeline.corpus.view import Corpus
from stages import storage
from tests.corpora import contents
from tests.faults.builds import SMALL, arguments, dataset, killed_at, start
from tests.faults.crash import Point


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return dataset(tmp_path_factory.mktemp("faults") / "logs", 4)


@pytest.fixture(scope="module")
def undisturbed(build, source, tmp_path_factory) -> Path:
    corpus = tmp_path_factory.mktemp("undisturbed") / "corpus"
    build([source], corpus, *SMALL)
    return corpus


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(words))
    return result.exit_code, result.output


def test_killed_in_the_middle_of_a_publish_the_rerun_makes_the_same_corpus(build, source, undisturbed, tmp_path):
    corpus = tmp_path / "corpus"
    assert killed_at(Point("/ledger/observe/", "written", nth=2), arguments(source, corpus))
    assert list(corpus.rglob(".*.tmp"))  # it did die in the middle of one
    committed = {p: p.read_bytes() for p in corpus.rglob("ledger/*/*.json")}
    assert committed
    build([source], corpus, *SMALL)
    assert contents(corpus) == contents(undisturbed)
    assert all(p.read_bytes() == blob for p, blob in committed.items())  # no committed part was done again
    assert verify(Corpus(str(corpus))) == []


@pytest.mark.soak
def test_a_worker_that_is_killed_once_costs_nothing(source, undisturbed, tmp_path):
    """And neither does a wall clock that jumps a day to and fro in every worker."""
    corpus = tmp_path / "corpus"
    once = tmp_path / "it happened"
    point = Point("/ledger/segment/", "begun", victim="worker", once=str(once), clock=True)
    process = start(arguments(source, corpus), point)
    output, _ = process.communicate(timeout=180)
    assert once.exists()
    assert process.returncode == 0, output
    assert "quarantine empty" in output
    assert contents(corpus) == contents(undisturbed)


@pytest.mark.soak
def test_a_configuration_that_changes_between_kill_and_rerun_is_the_one_that_counts(build, source, tmp_path):
    corpus = tmp_path / "corpus"
    assert killed_at(Point("/ledger/caption/", "published"), arguments(source, corpus))
    other = (*SMALL, "segment.min_l1_s=1.5", "observe.crf=30")
    build([source], corpus, *other)
    build([source], tmp_path / "fresh", *other)
    kept = {p: d for p, d in contents(corpus).items() if not p.startswith("media/")}  # the old proxies await gc
    fresh = contents(tmp_path / "fresh")
    assert kept == {p: d for p, d in fresh.items() if not p.startswith("media/")}
    assert run("gc", "--corpus", str(corpus), "--releases")[0] == 0
    assert contents(corpus) == fresh


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, of a size that the test sets: mount(size or "ro")."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no right to mount a file system here")
        return place

    yield mount
    subprocess.run(["umount", "-l", str(place)], capture_output=True, check=False)


def test_a_full_disk_stops_the_build_and_loses_nothing(build, source, undisturbed, small_disk):
    whole = sum(p.stat().st_blocks * 512 for p in undisturbed.rglob("*") if not p.is_symlink())
    place = small_disk(f"size={whole // 2}")
    corpus = place / "corpus"
    code, output = run(*arguments(source, corpus))
    assert code == 2, output
    assert "No space left on device; make room, then run this again" in output
    assert "Traceback" not in output
    assert Corpus(str(corpus)).quarantine().height == 0  # it is no episode's fault
    small_disk("remount,size=100m")
    build([source], corpus, *SMALL)
    assert contents(corpus) == contents(undisturbed)


def test_a_read_only_corpus_can_be_looked_at_and_says_so_when_written_to(source, undisturbed, small_disk):
    place = small_disk("size=100m")
    corpus = place / "corpus"
    shutil.copytree(undisturbed, corpus, symlinks=True)
    small_disk("remount,ro")
    for words in (["status"], ["verify"], ["quarantine"], ["show", "events"]):
        code, output = run(*words, "--corpus", str(corpus))
        assert code == 0, output
    for words in (arguments(source, corpus), *([w, "--corpus", str(corpus)] for w in ("report", "gc", "compact"))):
        code, output = run(*words)
        assert (code, "Read-only file system; make it writable" in output) == (2, True), output


def second_is_refused(first: subprocess.Popen, source: Path, corpus: Path) -> None:
    end = time.monotonic() + 60
    while holder(str(corpus)) is None and time.monotonic() < end:
        time.sleep(0.05)
    second, output = run(*arguments(source, corpus))
    assert second == 2
    assert f"process {first.pid}, holds this corpus" in output


@pytest.mark.soak
def test_a_build_beside_which_another_was_refused_comes_to_its_end(source, tmp_path):
    corpus = tmp_path / "corpus"
    first = start([*arguments(source, corpus), "--until", "ingest"])
    second_is_refused(first, source, corpus)
    output, _ = first.communicate(timeout=180)
    assert first.returncode == 0, output
    assert "quarantine empty" in output


def test_of_two_builds_at_once_the_second_is_refused_and_sigterm_stops_the_first_as_cleanly_as_ctrl_c(source, tmp_path):
    """What a scheduler sends, while the first goes on undisturbed by the second."""
    corpus = tmp_path / "corpus"
    process = start(arguments(source, corpus))
    second_is_refused(process, source, corpus)
    end = time.monotonic() + 90
    while not list(corpus.glob("ledger/observe/*.json")) and time.monotonic() < end:
        time.sleep(0.05)
    assert list(corpus.glob("ledger/observe/*.json"))
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "Stopped. What is done is kept: run the same command to go on." in output
    assert "Traceback" not in output
    assert holder(str(corpus)) is None


def test_a_clock_that_jumps_does_not_free_a_lock(tmp_path, monkeypatch):
    """psutil counts a process's start from the boot time, which moves when the clock is set."""
    with locked(str(tmp_path)):
        real = psutil.Process.create_time
        monkeypatch.setattr(psutil.Process, "create_time", lambda self: real(self) + 3600)
        with pytest.raises(Locked), locked(str(tmp_path)):
            pass


def test_a_lock_taken_between_two_looks_stays(tmp_path, monkeypatch):
    """Its first holder ends and another takes it while a third is looking: the third removes nothing."""
    lock = tmp_path / "build.lock"
    lock.write_text("{}")
    real = storage.read_bytes

    def read(uri: str) -> bytes:
        lock.unlink()
        try:
            return real(uri)
        finally:
            lock.write_text(json.dumps({**_here(), "pid": os.getpid(), "started": _started(os.getpid())}))

    monkeypatch.setattr(storage, "read_bytes", read)
    _remove_if_stale(str(tmp_path))
    assert lock.exists()


def test_a_file_that_goes_before_it_is_removed_is_no_error(tmp_path, monkeypatch):
    file = tmp_path / "build.lock"
    real = storage.filesystem

    class Late:
        """Shows the file, then another removes it first."""

        def __init__(self, fs):
            self.fs = fs

        def get_file_info(self, path):
            return self.fs.get_file_info(path)

        def delete_file(self, path):
            file.unlink()
            self.fs.delete_file(path)

    file.write_text("{}")
    monkeypatch.setattr(storage, "filesystem", lambda uri: (Late(real(uri)[0]), real(uri)[1]))
    storage.remove(str(file))
    assert not file.exists()


def test_of_two_that_take_over_a_stale_lock_one_gets_it(tmp_path):
    """Many at once, many times, a stale lock lying there each time: never two inside."""
    stale = json.dumps({**_here(), "pid": 2**22 - 1, "started": "x"}).encode()
    code = (
        "import sys, os, time\n"
        "from pipeline.corpus.lock import Locked, locked\n"
        "for _ in range(40):\n"
        "    try:\n"
        "        with locked(sys.argv[1]):\n"
        "            os.mkdir(sys.argv[1] + '/inside')\n"  # fails where another is inside
        "            os.rmdir(sys.argv[1] + '/inside')\n"
        "    except Locked:\n"
        "        pass\n"
        "    except FileExistsError:\n"
        "        sys.exit('two inside')\n"
        "    try:\n"
        "        fd = os.open(sys.argv[1] + '/build.lock', os.O_CREAT | os.O_EXCL | os.O_WRONLY)\n"
        f"        os.write(fd, {stale!r})\n"
        "        os.close(fd)\n"
        "    except FileExistsError:\n"
        "        pass\n"
    )
    several = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.PIPE) for _ in range(4)]
    for one in several:
        _, error = one.communicate(timeout=60)
        assert one.returncode == 0, error.decode()


def test_times_of_files_do_not_count(build, source, undisturbed, tmp_path):
    """A corpus copied, restored from a backup, or written under a wrong clock is still the same corpus."""
    corpus = tmp_path / "corpus"
    shutil.copytree(undisturbed, corpus, symlinks=True)
    for number, path in enumerate(p for p in corpus.rglob("*") if p.is_file()):
        os.utime(path, (4e9, 4e9) if number % 2 else (1e8, 1e8))
    assert sum(build([source], corpus, *SMALL).computed.values()) == 0
    assert contents(corpus) == contents(undisturbed)
