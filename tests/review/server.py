"""A review server over events that a test makes up, without a corpus: what it serves besides is in tests of builds."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import polars as pl
from starlette.testclient import TestClient

from pipeline.review.access import Access
from pipeline.review.app import Server, application
from pipeline.review.catalogue import COLUMNS, Catalogue
from pipeline.review.guard import WRITES
from pipeline.review.loop.gold import Gold
from pipeline.review.service import Review
from pipeline.review.store import Store
from stages.review.spans import Span
from tests.review.rows import EDGES, MACHINE

HOST, FIRST = "testserver", "lab/000001"
TEXT = {"episode": "", "source": "", "task": "stack the cups", "status": "ok", "said_by": "vlm", "origin": "machine"}


class Frames:
    """Frames of 100 ms, in every episode; one file of media."""

    def edges(self, episode: str) -> list[int]:
        return EDGES

    def is_media(self, path: str) -> bool:
        return path == "lab/000001/front.mp4"


def events(episodes: int = 2, spans: list[Span] = MACHINE) -> pl.DataFrame:
    rows = []
    for number in range(1, episodes + 1):
        name = f"lab/{number:06d}"
        for order, s in enumerate(spans):
            about = {"episode": name, "source": "lab", "level": "L1", "track": "all", "start_ms": s.start}
            about |= {"event_id": f"{name}/L1/{s.start:07d}", "end_ms": s.end, "primitive": s.primitive, "text": s.text}
            about |= {"confidence": 0.5 + order / 10, "sure": None, "doubt": 0, "recovery": None, "static": 0}
            rows.append({**TEXT, **about, "vl": order % 2, "action": 0, "rarity": 10 - order})
    kinds = {"TEXT": pl.String, "INTEGER": pl.Int64, "REAL": pl.Float64}
    return pl.DataFrame(rows, {name: kinds[kind] for name, kind in COLUMNS.items()})


def review(folder: Path, found: pl.DataFrame | None = None, gold: Gold | None = None) -> Review:
    store = Store(str(folder / "store" / "s.sqlite"))
    catalogue = Catalogue(events() if found is None else found)
    return Review(str(folder / "corpus"), store, catalogue, Frames(), gold=gold)


def client(own: Review, tokens: dict[str, bytes] | None = None, leads=None, **more) -> TestClient:
    server = Server(own, Access(own.store.secret(), tokens, "ada"), "L1", "corpus", leads)
    return TestClient(application(server, {HOST}), headers={WRITES: "1"}, **more)


def body(spans: list[dict], number: int, action: str, decision_id: str, touches: int = 0, **more) -> dict:
    """What the page sends about span `number`; touches: -1 the one before it, 1 the one after it as well."""
    own = spans[number]
    chosen = spans[min(number, number + touches) : max(number, number + touches) + 1]
    place = {"episode": own["episode"], "level": own["level"], "track": own["track"], "at_ms": own["start_ms"]}
    return {"decision_id": decision_id, **place, "action": action, "seen": [s["seen"] for s in chosen], **more}


numbers = count(1)


def drawn() -> str:
    """Id of a decision."""
    return f"{next(numbers):032x}"


def spans(web, episode=FIRST):
    return web.get("/api/queue", params={"episode": episode}).json()["events"]


def send(web, number, action, touches=0, **more):
    return web.post("/api/decide", json=body(spans(web), number, action, drawn(), touches, **more))


def written(tmp_path, text):
    """A file of tokens."""
    (tmp_path / "tokens").write_text(text)
    return str(tmp_path / "tokens")
