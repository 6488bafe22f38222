"""A file server with ranges, on this machine alone, that can fail on purpose and counts what it is asked."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Served:
    """url; asked: paths in order, with their ranges; faults: what happens to the next requests for a tar (503: that
    status, short: half of the bytes, reset: none); ranges: whether it serves them."""

    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    faults: list[object] = field(default_factory=list)
    ranges: bool = True


@contextmanager
def serving(folder: Path, ranges: bool = True) -> Iterator[Served]:
    served = Served(ranges=ranges)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            served.asked.append((self.path, wanted))
            path = folder / self.path.lstrip("/")
            fault = served.faults.pop(0) if served.faults and path.suffix == ".tar" and self.command == "GET" else None
            if fault == 503 or not path.is_file():
                self.send_response(503 if fault else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data, status = path.read_bytes(), 200
            match = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted)
            if match and served.ranges:
                data, status = data[int(match[1]) : int(match[2]) + 1], 206
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "HEAD":
                return
            self.wfile.write(data[: len(data) // 2] if fault == "short" else b"" if fault == "reset" else data)
            if fault:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that has gone is no error."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(
        target=server.serve_forever, args=(0.01,), daemon=True
    )  # looks every 10 ms whether to stop
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
