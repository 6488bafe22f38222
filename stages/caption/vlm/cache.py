"""Answers that were paid for: what a model has said to a question, kept in the corpus for good.

`answers/<segment>.jsonl`, a segment a worker's life: a line an answer, under the hash of its question, with a hash of
the line's own content. On a disk a line is flushed before its answer is used; on an object store a segment is an object
of up to 256 answers or 30 s, so that a kill loses those that were not put yet. A line says which episode it was asked
about: `corpus forget` removes those, and nothing else removes any. The last line of a killed worker may be torn, and
counts for nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
import threading
import time
from collections.abc import Mapping

from stages import storage
from stages.caption.vlm.requests import Answer

FOLDER = "answers"
HELD, HELD_S = 256, 30.0  # answers, and s, that may wait to be put on an object store


class Cache:
    """The answers of a corpus (`place`: URI of its folder of answers). Threads may share it."""

    def __init__(self, place: str) -> None:
        self.place, self._lock = place, threading.Lock()
        self._known: dict[str, Answer] = {}
        self._read: dict[str, int] = {}  # segment: bytes of it that are known
        self._name = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
        self._waiting: list[bytes] = []
        self._put_at, self._segments = time.monotonic(), 0

    def refresh(self) -> None:
        """Take up what other workers have written since."""
        with self._lock:
            for name, entry in sorted(storage.listing(self.place).items()):
                done = self._read.get(name, 0)
                if name.endswith(".jsonl") and entry.size > done and not name.startswith(self._name):
                    blob = storage.read_bytes(storage.join(self.place, name))
                    end = blob.rfind(b"\n") + 1
                    self._known |= segment(blob[done:end])
                    self._read[name] = end

    def all(self) -> Mapping[str, Answer]:
        return dict(self._known)

    def get(self, key: str) -> Answer | None:
        return self._known.get(key)

    def add(self, answers: Mapping[str, Answer]) -> None:
        """Keep answers; they may be used from then on. An error is none, nor is a question that was turned away."""
        kept = {k: a for k, a in answers.items() if a.status != "error" and not a.message}
        lines = [line(key, answer) for key, answer in kept.items()]
        with self._lock:
            self._known |= kept
            if storage.is_local(self.place):
                self._append(b"".join(lines))
                return
            self._waiting += lines
            if len(self._waiting) >= HELD or time.monotonic() - self._put_at > HELD_S:
                self._put()

    def flush(self) -> None:
        """Put what waits."""
        with self._lock:
            self._put()

    def _append(self, blob: bytes) -> None:
        if not blob:
            return
        path = storage.join(self.place, f"{self._name}.jsonl")
        with storage.writing(path):
            os.makedirs(self.place, exist_ok=True)
            with open(path, "ab") as file:
                file.write(blob)
                file.flush()
                os.fsync(file.fileno())

    def _put(self) -> None:
        self._put_at = time.monotonic()
        if self._waiting:
            storage.write_bytes(
                storage.join(self.place, f"{self._name}-{self._segments:05d}.jsonl"), b"".join(self._waiting)
            )
            self._segments, self._waiting = self._segments + 1, []


def line(key: str, answer: Answer) -> bytes:
    """An answer as a line of a segment."""
    sure = None if math.isnan(answer.confidence) else answer.confidence
    told = [key, answer.text, answer.status, sure, list(answer.tokens)]
    body = json.dumps([*told, answer.episode] if answer.episode else told, ensure_ascii=False)
    return f"{hashlib.sha256(body.encode()).hexdigest()[:16]} {body}\n".encode()


def parsed(raw: bytes) -> tuple[str, Answer] | None:
    """(key, answer) of a line; None where it is not as it was written."""
    digest, _, body = raw.partition(b" ")
    if digest.decode("latin-1") != hashlib.sha256(body).hexdigest()[:16]:
        return None
    try:
        key, text, status, sure, (asked, said), *episode = json.loads(body)
    except (ValueError, TypeError):  # a line of somebody else
        return None
    of = str(episode[0]) if episode else ""  # lines of an earlier version do not say
    return key, Answer(text, status, math.nan if sure is None else sure, (asked, said), episode=of)


def segment(blob: bytes) -> dict[str, Answer]:
    """{key: answer} of the lines that are as they were written."""
    return dict(found for found in map(parsed, blob.splitlines()) if found is not None)


def whole(blob: bytes) -> bytes:
    """A segment without the lines that are not as they were written."""
    return b"".join(raw + b"\n" for raw in blob.splitlines() if parsed(raw) is not None)


def damaged(blob: bytes) -> list[int]:
    """Numbers of the lines of a segment that are not as they were written, from 1; a torn last one is none."""
    return [n for n, raw in enumerate(blob[: blob.rfind(b"\n") + 1].splitlines(), 1) if parsed(raw) is None]
