"""A review server in a process of its own, to be killed, and programs that talk to it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

from pipeline.review.guard import WRITES

ROOT = Path(__file__).parents[2]


class Running:
    """`corpus review` of a corpus, on a port of its own."""

    def __init__(self, corpus: Path, store: Path, *more: str, port: int = 0) -> None:
        words = [sys.executable, "-m", "pipeline", "review", "--corpus", str(corpus), "--store", str(store)]
        words += ["--port", str(port), "--no-browser", *more]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self.log = open(f"{store}.log", "ab")  # noqa: SIM115
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment, cwd=ROOT
        )
        weakref.finalize(self, self.process.kill)  # of a test that failed
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("review at "):
                self.url = line.split()[2].rstrip("/")
                self.port = int(self.url.rsplit(":", 1)[1])
            elif " events, read in " in line:
                return
        raise AssertionError(f"it did not start: {Path(self.log.name).read_text()[-2000:]}")

    def kill(self) -> None:
        """As a machine that loses its power."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> str:
        """As Ctrl-C does; what it said on the way out."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=30)[0]


class Client:
    """One connection; what cannot be sent is tried again, for as long as a server takes to start."""

    def __init__(self, port: int, name: str = "", token: str = "") -> None:
        self.port, self.headers = port, {WRITES: "1", "content-type": "application/json", "host": f"localhost:{port}"}
        if token:
            self.headers["authorization"] = f"Bearer {name}:{token}"
        self.connection: http.client.HTTPConnection | None = None

    def ask(self, path: str, body: Any = None, patience_s: float = 60.0) -> tuple[int, Any]:
        until = time.monotonic() + patience_s
        while True:
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                data = None if body is None else json.dumps(body)
                self.connection.request("GET" if body is None else "POST", path, data, self.headers)
                answer = self.connection.getresponse()
                text = answer.read()
                if answer.status == 503 and time.monotonic() < until:  # it has just started, and reads the corpus
                    time.sleep(0.1)
                    continue
                return answer.status, json.loads(text) if text else {}
            except (OSError, http.client.HTTPException):
                self.connection = None
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
