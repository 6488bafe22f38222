"""Workers that die: a stage of which none comes back stops with the cause, one bad source costs only itself, and no
line of Ray's reaches the screen."""

import ctypes
import os
import re
import signal
import sys
import threading

import pytest

from pipeline.build.deaths import told_by
from pipeline.build.driver import BuildFailedError
from pipeline.build.session import quiet
from pipeline.corpus.view import Corpus
from pipeline.signals import signals_wait
from stages.align import LAG
from tests.datasets import Episode, write_dataset
from tests.failing import with_run

SMALL = ("shard.target_bytes=100000", "run.episodes_per_part=1")
CRASH = """\
*** SIGSEGV received at time=1795723739 on cpu 1 ***
    @     0x7f2361c5a050  (unknown)  (unknown)
Fatal Python error: Segmentation fault

Stack (most recent call first):
  File "/venv/lib/python3.13/site-packages/torch/nn/modules/conv.py", line 560 in _conv_forward
  File "/venv/lib/python3.13/site-packages/torch/nn/modules/module.py", line 1789 in _call_impl
  File "/home/me/event-corpus/stages/embed/image.py", line 47 in encode_images
  File "/home/me/event-corpus/pipeline/build/work.py", line 72 in execute
"""


def test_the_last_words_name_signal_library_and_our_own_line():
    words = "SIGSEGV in torch (torch/nn/modules/conv.py, line 560), called from stages/embed/image.py, line 47"
    assert told_by(CRASH) == words


def test_a_log_without_a_crash_says_nothing():
    assert told_by(":job_id:01000000\nUserWarning: a warning\n") is None


def segfaults(*sources):
    def lag(unit, work, config):
        if not sources or set(unit.sources.values()) & set(sources):
            ctypes.string_at(0)
        return LAG.run(unit, work, config)

    return lag


def logs(folder, name, number):
    return write_dataset(folder / name, [Episode(40, 40 * i) for i in range(number)], robot="metaworld_sawyer")


@pytest.fixture
def observed(build, tmp_path, monkeypatch):
    """Two sources, built up to observe: the first one is the larger, and has more tasks than may die in a row."""
    sources = [logs(tmp_path, "bad", 3), logs(tmp_path, "good", 2)]
    build(sources, tmp_path / "corpus", *SMALL, until="observe")
    monkeypatch.setattr("pipeline.build.runner.DEATHS", 2)
    return sources


def test_a_stage_whose_tasks_all_die_stops_after_a_few_and_says_why(build, observed, tmp_path, capfd):
    corpus = tmp_path / "corpus"
    with pytest.raises(BuildFailedError) as stopped:
        build(observed, corpus, *SMALL, until="lag", stages=with_run("lag", segfaults()))
    message = str(stopped.value)
    # two, and what was at work when the second died
    assert re.match(r"lag cannot run here: its first [23] tasks died twice each, of SIGSEGV in ", message), message
    assert "pipeline/test_deaths.py, line" in message
    assert "\n" not in message
    assert Corpus(str(corpus)).quarantine().height == 0
    account = (corpus / "ray.log").read_text()
    assert str(corpus / "ray.log") in message
    assert "SIGSEGV" in account
    assert "raylet" not in "".join(capfd.readouterr())
    build(observed, corpus, *SMALL, until="lag")
    assert Corpus(str(corpus)).table("lags").height == 5


@pytest.mark.soak
def test_one_source_that_kills_every_worker_costs_only_itself(build, observed, tmp_path):
    stages = with_run("lag", segfaults("bad"))
    build(observed, tmp_path / "corpus", *SMALL, until="lag", stages=stages)
    corpus = Corpus(str(tmp_path / "corpus"))
    assert set(corpus.table("lags")["episode_id"]) == {"good/000000", "good/000001"}
    rows = corpus.quarantine().to_dicts()
    assert {r["episode_id"] for r in rows} == {f"bad/{i:06d}" for i in range(3)}
    assert {r["reason"] for r in rows} == {"worker_died"}
    assert all("died twice: SIGSEGV" in r["message"] for r in rows)
    # again: only the bad one is tried, and is no stage's fault
    build(observed, tmp_path / "corpus", *SMALL, until="lag", stages=stages)
    assert Corpus(str(tmp_path / "corpus")).quarantine().height == 3


def test_what_is_written_to_standard_error_meanwhile_goes_to_the_file(tmp_path, capfd):
    path = tmp_path / "ray.log"
    with quiet(str(path)):
        print("a build's own line")
        os.write(2, b"from C++\n")
    assert path.read_text() == "from C++\n"
    print("after", file=sys.stderr)
    assert capfd.readouterr() == ("a build's own line\n", "after\n")


def test_a_file_in_which_nothing_is_printed_does_not_stay(tmp_path):
    with quiet(str(tmp_path / "ray.log")):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_that_come_while_ray_starts_are_heeded_when_it_has(number):
    done = []

    def start():
        with signals_wait():
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            done.append("started")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert done == ["started"]


def test_in_another_thread_signals_are_not_ours():
    def work():
        with signals_wait():
            seen.append(signal.getsignal(signal.SIGINT))

    seen: list[object] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
