"""How much of an event its cameras show nothing.

In: events and `alignments.pictures`. Out: for each event the share of its frames in which the worst of its cameras is
dead (schemas.alignments.DEAD).
"""

from __future__ import annotations

import polars as pl

from schemas.alignments import DEAD


def dead_shares(events: pl.DataFrame, alignments: pl.DataFrame) -> dict[str, float]:
    """{event_id: share, 0 to 1} of those of which it is not 0. events: event_id, episode_id, start_frame, end_frame;
    alignments: episode_id, pictures."""
    bad = alignments.filter(pl.col("pictures").list.len() > 0).explode("pictures").unnest("pictures")
    bad = bad.filter(pl.col("kind").is_in(DEAD)).rename({"start_frame": "from", "end_frame": "to"})
    if bad.is_empty():
        return {}
    own = events.select("event_id", "episode_id", "start_frame", "end_frame").join(bad, on="episode_id")
    overlap = pl.min_horizontal("to", "end_frame") - pl.max_horizontal("from", "start_frame")
    cameras = own.group_by("event_id", "camera").agg(
        share=(overlap.clip(lower_bound=0).sum() / (pl.col("end_frame") - pl.col("start_frame")).first())
    )
    worst = cameras.group_by("event_id").agg(pl.col("share").max()).filter(pl.col("share") > 0)
    return dict(worst.iter_rows())
