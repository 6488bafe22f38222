"""The choice of a release: how often each event is drawn, and which tar holds it.

In: the plan after cluster. Out: a `Release`, and one unit of shard a tar that is not there yet. A release is immutable:
its name is the fingerprint of all that went into it, and of the release before it where it goes on using its tars.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import polars as pl

from pipeline.corpus.commit import OK
from pipeline.plan import CORPUS, Plan
from pipeline.release.clusters import Described, described
from schemas.alignments import ALIGNMENTS
from schemas.episodes import EPISODES
from schemas.events import EVENTS
from schemas.ids import SOURCE_OF
from schemas.observations import OBSERVATIONS
from schemas.samples import TARS, SampleRow
from stages import shard, storage
from stages.balance import Balance
from stages.cluster import CLUSTER, model_of
from stages.fingerprint import fingerprint
from stages.observe import OBSERVE
from stages.review.overlay import accepted, rejected
from stages.review.spans import ms
from stages.shard import SAMPLES, SHARD, ShardWork
from stages.shard.pictures import dead_shares
from stages.shard.place import KINDS, LOWDIM_BYTES, Made, Tar, place, weights
from stages.shard.select import drawn, fates
from stages.work import Inputs, Unit

HALF = 8  # hex digits of a release's name that are those of its inputs
FOLDER = "shards/tars"  # folder of all tars, by what is in them; releases link to them
# settings that what a sample holds, or how samples lie in tars, depends on
OF_TARS = ("level", "history", "future", "seed", "repeats", "target_bytes", "min_shards")


class UnfitBudget(ValueError):
    """A budget that cannot be followed."""


@dataclass(slots=True)
class Release:
    """The choice of one build: its name, a hash of its inputs, all rows of the shard level, the tars by file name, the
    balance behind them (None: no train event), and the clusters."""

    name: str
    inputs: str
    rows: pl.DataFrame
    tars: dict[str, Tar]
    balance: Balance | None
    clusters: Described
    accepted: frozenset[str] = frozenset()  # events that people have found right

    def folder(self, root: str) -> str:
        return storage.join(root, "shards", self.name)


def inputs_of(plan: Plan) -> str:
    """Fingerprint of what a release depends on besides the one before it: configuration, every labelled episode, and
    whose its sources are."""
    alive = plan.alive(CLUSTER)
    config, episodes = plan.config(SHARD), alive["fingerprint"].sort().to_list()
    whose = {s: r.carried for s, r in plan.survey.rights.items() if s in set(alive["source"])}
    budget = hashlib.sha256(storage.read_bytes(config.budget)).hexdigest() if config.budget else ""
    verdicts = {e: o.verdicts for e, o in sorted(plan.review.items()) if o.verdicts}
    said = [verdicts] if verdicts else []  # by people, of whole events
    return fingerprint("shard", shard.VERSION, config.model_copy(update={"budget": budget}), episodes, whose, *said)


def last_release(plan: Plan) -> str | None:
    """The release of the last build."""
    found = plan.last(SAMPLES)["fingerprint"].to_list()
    return str(found[0]) if found else None


def is_of(release: str | None, inputs: str) -> bool:
    """Whether a release was made from these inputs, which the first half of its name tells."""
    return release is not None and release[:HALF] == inputs[:HALF]


def _name(inputs: str, last: str | None, reused: bool) -> str:
    """Inputs alone where no tar is used again: then a release is the same whatever was there before."""
    if last is None or not reused:
        return inputs
    return last if is_of(last, inputs) else inputs[:HALF] + fingerprint(inputs, last)[HALF:]


def choose(plan: Plan, inputs: str, last: str | None) -> Release:
    """Draw the events of `shard.level` and place them. Holds one narrow row an event of that level."""
    config, alive = plan.config(SHARD), plan.alive(CLUSTER).select("episode_id", "fingerprint")
    narrow = ["event_id", "episode_id", "level", "track", "start_frame", "end_frame", "static", "recovery"]
    narrow += ["start_s", "end_s"]
    events = plan.rows(EVENTS, narrow).filter(level=config.level, track="all").join(alive, on="episode_id", how="semi")
    judged = _judged(plan, events, config.level)
    dead = dead_shares(events, plan.rows(ALIGNMENTS, ["episode_id", "pictures"]))
    share = pl.col("event_id").replace_strict(dead, default=0.0, return_dtype=pl.Float64) if dead else pl.lit(0.0)
    about = described(plan)
    rows = fates(
        events.with_columns(dead=share, rejected=pl.col("event_id").is_in(judged["rejected"])),
        about.labels,
        plan.rows(EPISODES, ["episode_id", "split", "robot", "source"]),
        config,
    )
    agreed = _agreed(plan) if config.budget else None
    rows, balance = drawn(rows, about.trees, config, agreed)
    made, last_tars = _made(plan, rows, alive, inputs, judged["accepted"]), _tars_of(plan, last)
    written = {tar.name for tar in last_tars}
    if last is None or not is_of(last, inputs):  # of a release that is mended all tars stay
        written &= set(plan.states[SHARD.name].items.filter(status=OK)["item"])
    named = _named(place(rows, last_tars, written, made, config))
    reused = any(tar.name in written for tar in named.values())
    name = _name(inputs, last, reused)
    drawn_rows = weights(rows, list(named.items()))
    return Release(name, inputs, drawn_rows, named, balance, about, frozenset(judged["accepted"]))


def _agreed(plan: Plan) -> pl.DataFrame:
    """The budget that the configuration names. Raises UnfitBudget."""
    config, model = plan.config(SHARD), model_of(plan)
    try:
        found = pl.read_parquet(storage.read_bytes(config.budget or ""))
        ours = found.filter(model=model and model[1], level=config.level)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UnfitBudget(f"shard.budget={config.budget} is no budget: {error}") from error
    if ours.height < found.height or found.is_empty():
        raise UnfitBudget(
            f"shard.budget={config.budget} was agreed on with other clusters than those in force: agree anew (corpus "
            "budget), or keep the centroids (cluster.centroids, cluster.refit_share=1)"
        )
    return ours.drop("model", "level")


def _judged(plan: Plan, events: pl.DataFrame, level: str) -> dict[str, list[str]]:
    """Events (event_id, episode_id, start_s, end_s) that people have rejected, and those they have accepted as they
    are."""
    found: dict[str, list[str]] = {"rejected": [], "accepted": []}
    verdicts = {e: o.verdicts for e, o in plan.review.items() if o.verdicts}
    own = events.filter(pl.col("episode_id").is_in(list(verdicts)))
    for event, episode, start_s, end_s in own.select("event_id", "episode_id", "start_s", "end_s").iter_rows():
        if rejected(verdicts[episode], level, ms(start_s), ms(end_s)):
            found["rejected"].append(event)
        elif accepted(verdicts[episode], level, ms(start_s), ms(end_s)):
            found["accepted"].append(event)
    return found


def _made(plan: Plan, rows: pl.DataFrame, alive: pl.DataFrame, inputs: str, right: Sequence[str]) -> Made:
    config, model = plan.config(SHARD), model_of(plan)
    shared = fingerprint(shard.VERSION, [getattr(config, key) for key in OF_TARS], model and model[1])
    usable = rows.filter(pl.col("status").is_in(["sampled", "reserve"])).join(alive, on="episode_id", how="left")
    # licence and attribution are in KEY.json, and in no table
    whose = {source: fingerprint(rights.carried) for source, rights in plan.survey.rights.items()}
    source = pl.col("episode_id").str.extract(SOURCE_OF, 1)
    said = pl.when(pl.col("event_id").is_in(list(right))).then(pl.lit("accepted")).otherwise(pl.lit(""))
    made_from = pl.col("fingerprint") + source.replace_strict(whose, default="", return_dtype=pl.String) + said
    rates = _bytes_per_frame(plan)
    sizes = usable.select("event_id", "episode_id", pl.col("n_frames") + config.history + config.future).iter_rows()
    return Made(
        shared,
        dict(usable.select("event_id", made_from).iter_rows()),
        {event: int(frames * rates.get(episode, 0.0)) + LOWDIM_BYTES for event, episode, frames in sizes},
        inputs,
    )


def _tars_of(plan: Plan, release: str | None) -> list[Tar]:
    """The tars of a release, in order of their file names; none of one that an older version wrote."""
    if release is None:
        return []
    columns = ["file", "kind", "tar", "events", "weights", "plan"]
    rows = plan.rows(TARS, columns, pl.DataFrame({"item": [CORPUS], "fingerprint": [release]}))
    return [Tar(kind, tar, tuple(e), tuple(w), inputs) for _, kind, tar, e, w, inputs in rows.sort("file").iter_rows()]


def _named(tars: Sequence[Tar]) -> dict[str, Tar]:
    """{file name: tar}: kind and a running number, those kept from the last release first."""
    numbers = {kind: itertools.count() for kind in KINDS}
    return {f"{tar.kind}-{next(numbers[tar.kind]):06d}.tar": tar for tar in tars}


def units(plan: Plan, release: Release, workers: int, missing: set[str]) -> list[Unit[ShardWork]]:
    """One unit a missing tar, with as many threads as its share of their samples is of the workers; the largest comes
    first."""
    own_tars = {t.name: t for t in release.tars.values() if t.name in missing}  # two files may be alike
    tars = sorted(own_tars.values(), key=lambda t: (-len(t.events), t.name))
    number, crf, config = sum(len(t.events) for t in tars), plan.config(OBSERVE).crf, plan.config(SHARD)
    inside = {event for tar in tars for event in tar.events}
    rows = {row["event_id"]: row for row in release.rows.filter(pl.col("event_id").is_in(inside)).to_dicts()}
    pairs = [(e, n) for n, tar in enumerate(tars) for e in sorted({rows[x]["episode_id"] for x in tar.events})]
    split = pl.DataFrame(pairs, schema={"episode_id": pl.String, "number": pl.Int64}, orient="row")
    sources = dict(plan.alive(CLUSTER).select("episode_id", "source").iter_rows())
    inputs = plan.inputs(SHARD, split.with_columns(source=pl.lit(None, pl.String)))
    trees = {space: one.tree[0].tolist() for space, one in release.clusters.trees.items()}
    result, rights = [], plan.survey.rights
    for n, tar in enumerate(tars):
        own, weighted = inputs.get(n, Inputs()), zip(tar.events, tar.weights, strict=True)
        held = [{**rows[event], "weight": weight} for event, weight in weighted]
        work = ShardWork(
            own.parts,
            own.media,
            path=f"{FOLDER}/{tar.name}.tar",
            rows=cast("list[SampleRow]", held),
            plan=tar.plan,
            threads=-(-workers * len(held) // number),
            crf=crf,
            context=(config.history, config.future),
            groups=(trees["vl"], trees["action"]),
            accepted=release.accepted & set(tar.events),
            rights={s: r for s in sorted({sources[row["episode_id"]] for row in held}) if (r := rights.get(s))},
        )
        result.append(
            Unit(SHARD.name, ((tar.name, tar.name),), work, {r["episode_id"]: sources[r["episode_id"]] for r in held})
        )
    return result


def _bytes_per_frame(plan: Plan) -> dict[str, float]:
    """{episode: bytes of all its proxies per frame}."""
    table = plan.rows(OBSERVATIONS, ["episode_id", "camera", "proxy_bytes", "motion"])
    grouped = table.group_by("episode_id").agg(
        (pl.col("proxy_bytes") / pl.col("motion").list.len()).sum().alias("bytes")
    )
    return dict(grouped.iter_rows())
