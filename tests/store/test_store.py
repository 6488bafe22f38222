"""Logs and corpus on an object store: the same corpus as on a disk, through kills, damage and a store that goes away.

`make store-test`. The store is moto's S3 server (the program that S3_SERVER names), a process of its own as builds are.
"""

from __future__ import annotations

import json
import os
import random
import re
import select
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest

from pipeline.corpus.view import Corpus
from stages import storage
from tests.corpora import contents
from tests.faults.builds import arguments, dataset, start
from tests.faults.corruption import WOUNDS, files
from tests.forget.scan import naming

pytestmark = [pytest.mark.store, pytest.mark.timeout(600)]
LOGS = "s3://robots/logs"
WRITES = re.compile(rb"((?:PUT|POST) /\S+) HTTP/1.1\r\n")


class Line:
    """A way to the server that can be cut: connections are then refused. `asked`: method and path of each write."""

    def __init__(self, server: int) -> None:
        asked = self.asked = list[str]()

        class Relay(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection(("127.0.0.1", server)) as there:
                    ends = {self.request: there, there: self.request}
                    while ready := select.select(list(ends), [], [], 60)[0]:
                        for end in ready:
                            data = end.recv(1 << 16)
                            if not data:
                                return
                            if end is self.request:
                                asked.extend(m.decode() for m in WRITES.findall(data))
                            ends[end].sendall(data)

        self.relay, self.port = Relay, 0
        self.join()

    def join(self) -> None:
        self.listener = Listener(("127.0.0.1", self.port), self.relay)
        self.port = self.listener.server_address[1]
        threading.Thread(target=self.listener.serve_forever, daemon=True).start()

    def cut(self) -> None:
        self.listener.shutdown()
        self.listener.server_close()


class Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    block_on_close = False


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    """The way to a running server with the bucket `robots`; the environment points at it."""
    program = os.environ.get("S3_SERVER")
    if program is None:
        pytest.skip("S3_SERVER names no server: make store-test")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "-H", "127.0.0.1", "-p", str(port)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    way = Line(port)
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{way.port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        end = time.monotonic() + 60
        while True:
            try:
                bucket = urllib.request.Request(f"http://127.0.0.1:{port}/robots", method="PUT")
                urllib.request.urlopen(bucket).close()
                break
            except urllib.error.URLError:  # not up yet
                assert time.monotonic() < end, "the server does not come up"
            time.sleep(0.2)
        yield way
    running.kill()
    running.wait()


def test_a_small_write_is_one_put_and_a_large_one_arrives_whole(line: Line) -> None:
    before = len(line.asked)
    storage.write_bytes("s3://robots/try/small", b"x" * 1000)
    assert line.asked[before:] == ["PUT /robots/try/small"]
    large = bytes(range(256)) * 100_000  # 26 MB: in several parts
    storage.write_bytes("s3://robots/try/large", large)
    assert storage.read_bytes("s3://robots/try/small") == b"x" * 1000
    assert storage.read_bytes("s3://robots/try/large") == large


@pytest.fixture(scope="module")
def on_disk(line: Line, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus on a disk, made of the logs in the bucket."""
    folder = tmp_path_factory.mktemp("store")
    pafs.copy_files(str(dataset(folder / "logs", 4)), LOGS)
    corpus(*arguments(LOGS, folder / "corpus"))
    return folder / "corpus"


@pytest.fixture
def mirror(tmp_path: Path):  # type: ignore[no-untyped-def]
    """mirror(uri): a copy on the disk of what is there now."""

    def copy(uri: str) -> Path:
        folder = tmp_path / f"mirror-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        pafs.copy_files(uri, str(folder))
        return folder

    return copy


def corpus(*words: str, code: int = 0) -> str:
    """What `corpus WORDS` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *words], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


MOVED = (".nv-meta/split.yaml", ".nv-meta/.info.json")  # they say where tars lie: a bucket has no links


def held(folder: Path) -> dict[str, Any]:
    """What a corpus holds, wherever its tars lie; their hashes are the manifest's."""
    found = {k: v for k, v in contents(folder).items() if k not in (*MOVED, "manifest.json")}
    found = {k: v for k, v in found.items() if not k.endswith((".tar", ".tar.idx"))}
    manifest = json.loads((folder / "shards" / Corpus(str(folder)).manifest["release"] / "manifest.json").read_text())
    manifest["files"] = {k: v for k, v in manifest["files"].items() if k not in MOVED}
    return {**found, "manifest.json": {k: v for k, v in manifest.items() if k != "sha256"}}


def building(uri: str, stage: str) -> subprocess.Popen[str]:
    """A build that has come to a first commit of a stage."""
    process, end = start(arguments(LOGS, uri)), time.monotonic() + 120
    while not storage.listing(f"{uri}/ledger/{stage}") and time.monotonic() < end:
        assert process.poll() is None
        time.sleep(0.05)
    assert time.monotonic() < end, f"no commit of {stage}"
    return process


def test_a_corpus_in_a_bucket_is_the_one_on_a_disk(on_disk, mirror):
    uri = "s3://robots/whole"
    corpus(*arguments(LOGS, uri))
    assert held(mirror(uri)) == held(on_disk)
    assert "no fault" in corpus("verify", "--corpus", uri)
    before = storage.listing(uri)
    assert "nothing to do" in corpus(*arguments(LOGS, uri))
    again = storage.listing(uri)
    assert {n for n in before if before[n] != again.get(n)} <= {"plan.parquet", "manifest.json"}
    assert "now" in corpus("compact", "--corpus", uri)
    corpus("gc", "--corpus", uri)
    assert held(mirror(uri)) == held(on_disk)


@pytest.mark.parametrize("stage", ["observe", "embed", "shard"])
def test_a_killed_build_goes_on(on_disk, mirror, stage):
    uri = f"s3://robots/killed-{stage}"
    process = building(uri, stage)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    corpus(*arguments(LOGS, uri))
    assert held(mirror(uri)) == held(on_disk)
    assert "no fault" in corpus("verify", "--corpus", uri)


def test_damage_is_found_and_mended(on_disk, mirror):
    """One wound to each kind of file."""
    uri = "s3://robots/wounded"
    corpus(*arguments(LOGS, uri))
    bucket, _ = storage.filesystem(uri)
    for seed, kind in enumerate(("tables", "media", "models", "shards", "ledger", "record")):
        copy = mirror(uri)
        chance = random.Random(seed)
        path = chance.choice(files(copy)[kind])
        chance.choice(WOUNDS)(path, chance)
        name = f"robots/wounded/{path.relative_to(copy)}"
        bucket.delete_file(name)
        if path.exists():
            pafs.copy_files(str(path), name, destination_filesystem=bucket)
        corpus("verify", "--corpus", uri, code=1)
        corpus("repair", "--corpus", uri)
        assert "no fault" in corpus("verify", "--corpus", uri)
        assert held(mirror(uri)) == held(on_disk)


def test_an_episode_is_forgotten_in_a_bucket_too(on_disk, mirror, tmp_path):
    uri, gone = "s3://robots/forgotten", "logs/000001"
    corpus(*arguments(LOGS, uri))
    assert "shards/latest is" in corpus("forget", gone, "--corpus", uri)
    assert all(path.startswith("ledger/forgotten") for path in naming(mirror(uri), gone))
    assert "no fault" in corpus("verify", "--corpus", uri)
    assert "forgotten  1 episode on request" in corpus(*arguments(LOGS, uri))
    shutil.copytree(on_disk, tmp_path / "disk", symlinks=True)
    corpus("forget", gone, "--corpus", str(tmp_path / "disk"))
    corpus(*arguments(LOGS, tmp_path / "disk"))
    linked = {k: v for k, v in held(tmp_path / "disk").items() if not k.endswith(".tar")}  # a bucket has no links
    assert held(mirror(uri)) == linked


@pytest.mark.parametrize("stage", ["observe", "embed"])
def test_a_store_that_goes_away_stops_the_build_and_sets_nothing_aside(line, on_disk, mirror, stage):
    uri = f"s3://robots/away-{stage}"
    process = building(uri, stage)
    line.cut()
    try:
        output, _ = process.communicate(timeout=200)
    finally:
        line.join()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 2, output
    assert output.splitlines()[-1].startswith("corpus: s3://robots/")  # of the corpus, or of the logs
    assert "cannot be used: AWS Error NETWORK_CONNECTION" in output.splitlines()[-1]
    assert "Traceback" not in output
    assert "quarantine empty" in corpus(*arguments(LOGS, uri))
    assert held(mirror(uri)) == held(on_disk)


def test_a_bucket_that_is_not_there_is_named(line):
    told = corpus(*arguments(LOGS, "s3://elsewhere/corpus"), code=2)
    assert "s3://elsewhere/corpus/build.lock cannot be used: AWS Error NO_SUCH_BUCKET" in told
    assert len(told.splitlines()) == 1
