"""align: `lags` of an episode, then its source's vote over them, then its `alignments` row.

In: an `episodes` row, its signals, its `observations` rows, and for the last pass the source's decision. Out: rows.
The first and the last build the same clock; the last moves the log along it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from schemas.alignments import ALIGNMENTS, LAG_VOTES, LAGS, AlignmentRow, LagRow, LagVoteRow
from schemas.episodes import EPISODES, EpisodeRow
from schemas.observations import OBSERVATIONS, ObservationRow
from schemas.reasons import Flag, Quarantined
from schemas.signals import SIGNALS
from stages.align import AlignWork, Decision
from stages.align.clock import Clock, pair, pair_streams, shift
from stages.align.config import AlignConfig
from stages.align.lag import decide, estimate
from stages.align.pictures import Stretch, flags_of, stretches
from stages.episode import Signal, signals_of, speeds
from stages.work import Inputs, Outcome, Unit, Workspace

Float = npt.NDArray[np.float64]
VIDEO_CHECKS = ("frame_rate", "length_matches")
MOVING = ("position", "joints", "velocity")


def lags(unit: Unit[Inputs], work: Workspace, config: AlignConfig) -> Outcome:
    """Estimates of a unit's episodes."""
    outcome = Outcome()

    def one(name: str) -> None:
        (episode,), seen = work.rows(EPISODES, name), work.rows(OBSERVATIONS, name)
        outcome.add(LAGS, lag_rows(episode, signals_of(work.rows(SIGNALS, name)), seen, config))

    return outcome.each(unit.names, one)


def votes(unit: Unit[Inputs], work: Workspace, config: AlignConfig) -> Outcome:
    """What each source of a unit decides over the estimates of its episodes."""
    outcome = Outcome()
    estimates: dict[str, list[tuple[str, str, int, float]]] = {name: [] for name in unit.names}
    for batch in work.batches(LAGS, ["source", "episode_id", "camera", "lag_frames", "score"]):
        for source, *estimated in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            estimates[source].append(tuple(estimated))

    def one(name: str) -> None:
        found = decide([(e, lag, score) for e, _, lag, score in sorted(estimates[name])], config)
        row: LagVoteRow = {
            "source": name,
            "lag_frames": found.lag_frames,
            "voted_frames": found.voted_frames,
            "score": found.score,
            "votes": found.votes,
            "voters": found.voters,
            "estimates": len(estimates[name]),
            "weak": found.weak,
            "disagrees": found.disagrees,
        }
        outcome.add(LAG_VOTES, [row])

    return outcome.each(unit.names, one)


def alignments(unit: Unit[AlignWork], work: Workspace, config: AlignConfig) -> Outcome:
    """Canonical clocks of a unit's episodes."""
    outcome, decisions = Outcome(), unit.payload.decisions or {}

    def one(name: str) -> None:
        (episode,), signals = work.rows(EPISODES, name), signals_of(work.rows(SIGNALS, name))
        seen, own = work.rows(OBSERVATIONS, name), work.rows(LAGS, name)
        row = alignment_row(episode, signals, seen, own, decisions[episode["source"]], config)
        outcome.add(ALIGNMENTS, [row])
        outcome.count(name, frames=row["n_frames"])

    return outcome.each(unit.names, one)


def lag_rows(
    episode: EpisodeRow,
    signals: Mapping[str, Signal],
    observations: Sequence[ObservationRow],
    config: AlignConfig,
) -> list[LagRow]:
    """One `lags` row a camera. The speed of all arms is one signal: each scaled by its own 95th percentile, then
    added."""
    clock = _clock(episode, signals, observations, config)
    speed = _total_speed(signals, clock.signal_time_s)
    rows: list[LagRow] = []
    for observation in observations:
        frames = clock.frames[observation["camera"]]
        motion = _centred(np.asarray(observation["motion"], dtype=np.float64)[frames])
        found = estimate(motion, speed, clock.fps, config)
        rows.append(
            {
                "episode_id": episode["episode_id"],
                "camera": observation["camera"],
                "source": episode["source"],
                "lag_frames": found.lag_frames,
                "score": found.score,
                "curve": found.curve.astype(np.float32),
            }
        )
    return rows


def alignment_row(
    episode: EpisodeRow,
    signals: Mapping[str, Signal],
    observations: Sequence[ObservationRow],
    own: Sequence[LagRow],
    decision: Decision,
    config: AlignConfig,
) -> AlignmentRow:
    """The `alignments` row under the source's decision; `own` are the episode's `lags` rows."""
    before = _clock(episode, signals, observations, config)
    clock = shift(before, decision.lag_frames)
    bad = _bad_pictures(signals, observations, clock)
    flags = [*episode["flags"], *flags_of(bad)]
    if clock.pairing == "position":
        flags.append(Flag.PAIRED_BY_POSITION.value)
    if decision.weak:
        flags.append(Flag.LAG_WEAK.value)
    if decision.disagrees:
        flags.append(Flag.LAG_DISAGREES.value)
    return {
        "episode_id": episode["episode_id"],
        "fps": clock.fps,
        "n_frames": len(clock.time_s),
        "reference_camera": clock.reference,
        "pairing": clock.pairing,
        "lag_frames": decision.lag_frames,
        "lag_score": max((row["score"] for row in own), default=None),
        "time_s": clock.time_s,
        "signal_time_s": clock.signal_time_s,
        "cameras": [
            {"name": name, "frame_index": index.astype(np.int32).tolist(), "max_skew_s": clock.skew_s[name]}
            for name, index in clock.frames.items()
        ],
        "pictures": [{"camera": s.camera, "kind": s.kind, "start_frame": s.start, "end_frame": s.end} for s in bad],
        "checks": [*episode["checks"], *(VIDEO_CHECKS if observations else ())],
        "flags": flags,
    }


def _bad_pictures(signals: Mapping[str, Signal], observations: Sequence[ObservationRow], clock: Clock) -> list[Stretch]:
    speed, found = _total_speed(signals, clock.signal_time_s), []
    for seen in observations:
        shown = clock.frames[seen["camera"]]
        quality, sharp, motion = (np.asarray(seen[k])[shown] for k in ("quality", "sharpness", "motion"))
        found += stretches(seen["camera"], quality, sharp.astype(float), motion.astype(float), speed, clock.fps)
    return found


def _centred(motion: Float) -> Float:
    """Change into a frame becomes change around it: the mean of the steps before and after, as a speed is measured.

    Without this each estimate is half a frame early, which rounds to a lag of -1 at will.
    """
    return np.asarray((motion + np.append(motion[1:], motion[-1])) / 2)


def _row_times(signals: Mapping[str, Signal]) -> Float:
    """Timestamps of the log: of the fastest stream, where streams have rates of their own."""
    return max((s.time_s for s in signals.values()), key=len)


def _clock(
    episode: EpisodeRow,
    signals: Mapping[str, Signal],
    observations: Sequence[ObservationRow],
    config: AlignConfig,
) -> Clock:
    """Raises Quarantined; where a camera and the log do not fit, the message names the camera's file."""
    cameras = {o["camera"]: np.asarray(o["pts_s"], dtype=np.float64) for o in observations}
    fps = float(episode["fps"])
    try:
        if episode["rows_are_frames"]:
            return pair(_row_times(signals), cameras, fps, config)
        about = {c["name"]: c for c in episode["cameras"]}
        rates = {name: float(about[name]["fps"] or fps) for name in cameras}
        on_clock = {name: pts + about[name]["start_s"] for name, pts in cameras.items()}
        moving = {name: s.time_s for name, s in signals.items() if s.kind in MOVING}
        return pair_streams(float(episode["t0"]), moving, on_clock, rates, fps, config)
    except Quarantined as error:
        files = ", ".join(c["uri"] for c in episode["cameras"] if f"camera {c['name']}" in error.message)
        raise Quarantined(error.reason, f"{files}: {error.message}" if files else error.message) from error


def _total_speed(signals: Mapping[str, Signal], times: Float) -> Float:
    total = np.zeros(len(times))
    for speed in speeds(signals, times).values():
        scale = float(np.percentile(speed, 95))
        if scale > 0:
            total += speed / scale
    return total
