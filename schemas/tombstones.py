"""What stays of an episode that was forgotten on request: enough to know it again, nothing of what it holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Of one episode. `identity`: a hash of its entry in the source and of its files, as the last survey had them
    (empty: the source was not at hand); `content`: a hash of the values of its log (empty: it was never read), the same
    under another name, number or format. `n_rows`, and `t0`, `t1` in s on the source's clock, are for people; null
    where it was never read. `at`: when, UTC; `by`: who asked; `releases`: that held it and were removed; `finished`:
    nothing of it is left."""

    episode_id: str
    recording_id: str
    dataset_uri: str
    identity: str
    content: str
    n_rows: int | None
    t0: float | None
    t1: float | None
    at: str
    by: str
    reason: str
    releases: tuple[str, ...] = ()
    finished: bool = False
