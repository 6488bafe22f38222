"""A small chat server with the interface of OpenAI that answers as it is told to, and counts what it is asked.

Tests make a `FakeServer` in their process. It answers with what the facts of
a question say, or with one of the faults that servers have.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

THING = "red cup"


def text_of(body: dict[str, Any]) -> str:
    return "".join(p["text"] for p in body["messages"][0]["content"] if p["type"] == "text")


def good(body: dict[str, Any]) -> str:
    """What an honest model would say: the verb that signals read, of the thing that it is told of."""
    text = text_of(body)
    said = re.search(r"^signals: (\w+)", text, re.M)
    if said is None:
        called = re.search(r"the operator calls it (.*)", text)
        return json.dumps({"object": called[1] if called else THING, "from": "table", "to": "shelf"})
    told = re.findall(r"^object: (.*)", text, re.M)[-1]  # the prompt has such a line too
    thing = THING if told == "not known" else told
    verb = {"approach": "reach", "transport": "move", "unknown": "idle"}.get(said[1], said[1])
    arm = re.search(r"^arms that move: (\w+)", text, re.M)
    arm_name = arm[1] if arm and arm[1] != "none" else "single"
    return json.dumps(
        {"verb": verb, "object": thing, "from": "", "to": "", "arm": arm_name, "outcome": "success",
         "caption": f"The arm does a {verb} with the {thing}."}
    )  # fmt: skip


class FakeServer:
    """A server on a free port. `answer(body)` gives the text of an answer, or (code, text), or raises to break the
    connection; `asked` counts the requests that were answered with 200, by their content."""

    def __init__(self, answer: Callable[[dict[str, Any]], Any] = good, seconds: float = 0.0) -> None:
        self.answer, self.seconds = answer, seconds
        self.asked: dict[str, int] = {}
        self.requests, self.now, self.most = 0, 0, 0
        self.keys: set[str] = set()
        self.raw, self.drip, self.headers = False, 0.0, dict[str, str]()  # bodies as they are; s a blank; of refusals
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                with outer._lock:
                    outer.requests += 1
                    outer.now += 1
                    outer.most = max(outer.most, outer.now)
                    outer.keys.add(self.headers.get("authorization", ""))
                time.sleep(outer.seconds)
                with outer._lock:  # before the answer goes out, upon which the next question may come
                    outer.now -= 1
                with suppress(BrokenPipeError, ConnectionResetError):
                    self._reply(raw)

            def _reply(self, raw: bytes) -> None:
                body = json.loads(raw)
                found = outer.answer(body)
                code, text = found if isinstance(found, tuple) else (200, found)
                if code == 200:
                    with outer._lock:
                        outer.asked[key(body)] = outer.asked.get(key(body), 0) + 1
                said: Any = {
                    "id": "x", "object": "chat.completion", "created": 0, "model": body["model"],
                    "choices": [
                        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
                    ],
                    "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
                }  # fmt: skip
                said = text if outer.raw else said
                blob = json.dumps(said if code == 200 else {"error": {"message": text}}).encode()
                self.send_response(code)
                self.send_header("content-type", "application/json")
                for name, value in outer.headers.items() if code != 200 else ():
                    self.send_header(name, value)
                spaces = 20 if outer.drip else 0
                self.send_header("content-length", str(spaces + len(blob)))
                self.end_headers()
                for _ in range(spaces):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(outer.drip)
                self.wfile.write(blob)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        # how often it looks whether it is to stop: every half second if not given
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def key(body: dict[str, Any]) -> str:
    """What makes a request that request: not how it is formatted."""
    return json.dumps(body["messages"], sort_keys=True)
