"""Clients that are slow, on purpose or not: they are let go, and nobody waits for them."""

from __future__ import annotations

import socket
import time

import pytest

from pipeline.review.guard import BODY_S
from tests.datasets import Episode, write_dataset
from tests.review.running import Client, Running

pytestmark = pytest.mark.review


def test_the_others_are_served(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(80, 0)], cameras=())
    build([source], tmp_path / "corpus", until="caption")
    server = Running(tmp_path / "corpus", tmp_path / "s.sqlite")
    host = f"host: localhost:{server.port}\r\n"
    head = f"POST /api/decide HTTP/1.1\r\n{host}x-corpus-review: 1\r\ncontent-type: application/json\r\n"
    slow = []
    for number in range(50):
        one = socket.create_connection(("127.0.0.1", server.port))
        one.sendall((f"GET / HTTP/1.1\r\n{host}" if number % 2 else f"{head}content-length: 500\r\n\r\n{{").encode())
        slow.append(one)
    client = Client(server.port)
    began = time.monotonic()
    for _ in range(20):
        assert client.ask("/api/queue?level=L1")[0] == 200
    assert time.monotonic() - began < BODY_S / 2
    time.sleep(BODY_S + 1)
    one = slow[0]
    one.settimeout(5)
    assert b" 408 " in one.recv(100)
    for one in slow:
        one.close()
    assert client.ask("/api/progress")[0] == 200
    server.stop()
