"""The server's own store: one SQLite file with a write-ahead log, one writer.

In: decisions. Out: the same, after any death of the process or the machine: `add` returns when the log is on the disk
(`synchronous=FULL`), and only then is anybody told. A decision's id is its key, so that one sent twice is one. Rows
that are not in the corpus yet are marked; a server that starts takes up where the last one was killed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import sqlite3
import statistics
from collections.abc import Sequence
from typing import cast

from schemas.review.decisions import LATER, DecisionRow
from stages import storage

SCHEMA = """
CREATE TABLE IF NOT EXISTS decisions (
    decision_id TEXT PRIMARY KEY, time_ms INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    spent_ms INTEGER NOT NULL, body TEXT NOT NULL, published INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS by_time ON decisions (time_ms);
CREATE INDEX IF NOT EXISTS by_actor ON decisions (actor, time_ms);
CREATE INDEX IF NOT EXISTS unpublished ON decisions (published) WHERE published = 0;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

LAST, FEWEST = 100, 10  # decisions of a person that their pace is told from; events judged by them, at least


def default_store(root: str) -> str:
    """On this machine's own disk, whatever storage the corpus lies on: SQLite's log needs a file system that locks."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    own = hashlib.sha256(root.encode()).hexdigest()[:12]
    return os.path.join(state, "event-corpus", f"review-{storage.name_of(root)}-{own}.sqlite")


class StoreInUse(RuntimeError):
    """Another server writes to this store."""


class Store:
    """Raises StoreInUse. Not safe for several threads at a time: the service holds a lock around it."""

    def __init__(self, path: str) -> None:
        os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
        self._lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise StoreInUse(
                f"{path} is in use: a review server of this corpus runs on this machine already"
            ) from error
        self.path = path
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        os.chmod(path, 0o600)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(SCHEMA)
        found = self._db.execute("SELECT max(time_ms) FROM decisions").fetchone()
        self.last_ms = int(found[0] or 0)

    def add(self, rows: Sequence[DecisionRow], published: bool = False) -> None:
        """On disk when it returns; rows that are there already stay as they are."""
        values = [
            (r["decision_id"], r["time_ms"], r["actor"], r["action"], r["spent_ms"], json.dumps(r), int(published))
            for r in rows
        ]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany("INSERT OR IGNORE INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self.last_ms = max([self.last_ms, *(r["time_ms"] for r in rows)])

    def get(self, decision_id: str) -> DecisionRow | None:
        found = self._rows("WHERE decision_id = ?", decision_id)
        return found[0] if found else None

    def all(self) -> list[DecisionRow]:
        """In order of time."""
        return self._rows("ORDER BY time_ms, decision_id")

    def of(self, actor: str, most: int) -> list[DecisionRow]:
        """Somebody's last decisions, newest first."""
        return self._rows("WHERE actor = ? ORDER BY time_ms DESC LIMIT ?", actor, most)

    def unpublished(self) -> list[DecisionRow]:
        return self._rows("WHERE published = 0 ORDER BY time_ms")

    def note_published(self, rows: Sequence[DecisionRow]) -> None:
        ids = [(r["decision_id"],) for r in rows]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("UPDATE decisions SET published = 1 WHERE decision_id = ?", ids)
        self._db.execute("COMMIT")

    def forget(self, episode: str, until_ms: int) -> int:
        """Take out what was decided about an episode up to then; how many rows."""
        self._db.execute("PRAGMA secure_delete=ON")
        where = "json_extract(body, '$.episode_id') = ? AND time_ms <= ?"
        gone = self._db.execute(f"DELETE FROM decisions WHERE {where}", (episode, until_ms)).rowcount
        if gone:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def pace(self) -> list[tuple[str, int, int]]:
        """(actor, decisions, ms spent) of each person."""
        query = "SELECT actor, count(*), sum(spent_ms) FROM decisions GROUP BY actor ORDER BY 2 DESC"
        return [(str(a), int(n), int(s)) for a, n, s in self._db.execute(query)]

    def active(self, since_ms: int) -> list[str]:
        """Who has decided anything since."""
        query = "SELECT DISTINCT actor FROM decisions WHERE time_ms >= ? ORDER BY actor"
        return [str(actor) for (actor,) in self._db.execute(query, (since_ms,))]

    def seconds(self, actor: str) -> float | None:
        """Seconds of work that an event takes somebody: all decisions of their last LAST over those that judged one,
        each cut to eight times the median (a phone rang); None where they have judged under FEWEST of late."""
        query = "SELECT action, spent_ms FROM decisions WHERE actor = ? ORDER BY time_ms DESC LIMIT ?"
        rows = self._db.execute(query, (actor, LAST)).fetchall()
        judged = sum(action in ("accept", "reject", "skip") for action, _ in rows)
        if judged < FEWEST:
            return None
        most = 8 * statistics.median(spent for _, spent in rows)
        return sum(min(spent, most) for _, spent in rows) / judged / 1000 or None

    def secret(self) -> bytes:
        """The key that cookies are signed with; drawn once."""
        self._db.execute("INSERT OR IGNORE INTO facts VALUES ('secret', ?)", (secrets.token_hex(32),))
        (value,) = self._db.execute("SELECT value FROM facts WHERE name = 'secret'").fetchone()
        return bytes.fromhex(value)

    def close(self) -> None:
        self._db.close()
        os.close(self._lock)

    def _rows(self, where: str, *values: object) -> list[DecisionRow]:
        found = self._db.execute(f"SELECT body FROM decisions {where}", values)
        return [cast("DecisionRow", {**LATER, **json.loads(body)}) for (body,) in found]
