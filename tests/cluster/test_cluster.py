"""The same build on a cluster of several nodes, one of them killed in mid-build: same rows, same bytes, nothing lost.

Real processes: `ray start` for a head and two more nodes, each with a raylet and workers of its own.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pipeline.corpus.verify import verify
from pipeline.corpus.view import Corpus
from tests.corpora import contents
from tests.faults.builds import arguments, dataset

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
OPEN = {"RAY_AUTH_MODE": "disabled"}  # no token between processes of one machine
RAY = str(Path(sys.executable).with_name("ray"))


class Node:
    """One `ray start --block`: a raylet and what it starts."""

    def __init__(self, *options: str, **environment: str) -> None:
        command = [RAY, "start", "--block", "--disable-usage-stats", *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", **OPEN, **environment},
        )  # fmt: skip

    def kill(self) -> int:
        """kill -9 of everything this node runs; how many processes that was."""
        victims = []
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            victims = [*parent.children(recursive=True), parent]
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.send_signal(signal.SIGKILL)
        psutil.wait_procs(victims, timeout=10)
        return len(victims)


class Cluster:
    """A head and more nodes on this machine."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        port = self.address.split(":")[1]
        self.head = Node("--head", f"--port={port}", "--num-cpus=1", "--include-dashboard=false")
        self.nodes: list[Node] = []
        self.wait(1)

    def add(self, *options: str, **environment: str) -> Node:
        node = Node(f"--address={self.address}", "--num-cpus=1", *options, **environment)
        self.nodes.append(node)
        self.wait(1 + len(self.nodes))
        return node

    def wait(self, number: int, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            code = "import ray,logging; ray.init(address='auto', logging_level=logging.ERROR, log_to_driver=False);"
            code += "print(sum(n['Alive'] for n in ray.nodes()))"
            found = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=False,
                env={**os.environ, **OPEN, "RAY_ADDRESS": self.address},
            )  # fmt: skip
            if found.returncode == 0 and int(found.stdout.split()[-1]) >= number:
                return
            time.sleep(0.5)
        pytest.fail(f"no cluster of {number} nodes within {seconds:.0f} s")

    def build(self, words: list[str], *module: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", *(module or ("pipeline",)), *words]
        environment = {**os.environ, **OPEN, "RAY_ADDRESS": self.address}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)

    def stop(self) -> None:
        for node in (*self.nodes, self.head):
            node.kill()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    yield made
    made.stop()


def test_three_nodes_and_one_killed_in_mid_build_make_the_same_corpus(cluster, tmp_path):
    source = dataset(tmp_path / "logs", 12, 200)
    alone = subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments(source, tmp_path / "alone")], capture_output=True, text=True,
        env={k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}, check=False, timeout=200,
    )  # fmt: skip
    assert alone.returncode == 0, alone.stdout + alone.stderr
    victim, _ = cluster.add(), cluster.add()

    whole = cluster.build(arguments(source, tmp_path / "whole"))
    output, _ = whole.communicate(timeout=300)
    assert whole.returncode == 0, output
    assert contents(tmp_path / "whole") == contents(tmp_path / "alone")

    broken = cluster.build(arguments(source, tmp_path / "broken"))
    end = time.monotonic() + 120
    while not list((tmp_path / "broken").glob("ledger/observe/*.json")) and time.monotonic() < end:
        time.sleep(0.02)
    assert broken.poll() is None
    assert victim.kill() >= 3  # ray start, raylet, workers
    output, _ = broken.communicate(timeout=300)
    assert broken.returncode == 0, output
    assert "quarantine empty" in output
    assert contents(tmp_path / "broken") == contents(tmp_path / "alone")
    assert verify(Corpus(str(tmp_path / "broken"))) == []


def test_a_stage_that_asks_for_a_gpu_gets_a_node_that_has_one(cluster, tmp_path):
    """(A pretended one: Ray counts what it is told.)"""
    source, notes = dataset(tmp_path / "logs", 4), tmp_path / "notes"
    words = [*arguments(source, tmp_path / "corpus"), "--set", "run.gpus={embed: 0.5}"]
    process = cluster.build(words)
    output, _ = process.communicate(timeout=200)
    assert (process.returncode, "a task of embed asks for 0.5 GPU, no node has more than 0" in output) == (2, True), (
        output
    )
    cluster.add("--num-gpus=1")
    process = cluster.build(words, "tests.cluster.where", str(notes))
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    given = {tuple(line.split()) for line in notes.read_text().splitlines()}
    assert ("embed", "1") in given
    assert {stage for stage, gpus in given if gpus != "0"} == {"embed"}


def test_a_node_that_does_not_see_the_corpus_is_named(cluster, tmp_path):
    """Its own empty disk at the path of the corpus: a mount namespace makes one."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no right to make a mount namespace here")
    source = dataset(tmp_path / "logs", 4)
    shared = tmp_path / "shared"
    shared.mkdir()
    blind = Node.__new__(Node)
    command = f"mount -t tmpfs tmpfs {shared} && exec {RAY} start --block --address={cluster.address} --num-cpus=1"
    blind.process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, env={**os.environ, **OPEN},
    )  # fmt: skip
    cluster.nodes.append(blind)
    cluster.wait(2)
    process = cluster.build(arguments(source, shared / "corpus"))
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 2, output
    assert "does not see this build's" in output
    assert "storage that all nodes share" in output
