"""A plan over some samples of a release, or with other clusters, without a tar being written.

In: a release's plan, a condition, labels of one's own, alpha. Out: a plan of the rows that are taken, with the weights
that balance both clusterings (`stages/balance`), and what there is to say about it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from pipeline.corpus.view import Corpus
from pipeline.release.finish import manifest
from schemas.captions import CAPTIONS
from schemas.ids import sample_key
from schemas.plan import NotAPlan, Plan, from_bytes
from stages import storage
from stages.balance import Wish, balance, table
from stages.load.ordering.weights import once
from stages.load.ordering.where import WORD, rows_where

SPACES = ("vl_cluster", "action_cluster")
# of `captions`, which `where` may name too
CAPTION = {"caption": "text", "verb": "verb", "object": "object", "status": "status", "said_by": "source"}


class NoSubset(ValueError):
    """A subset that cannot be made; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Subset:
    """plan: the rows; taken: of how many of the release; notes: what the balance has to say."""

    plan: Plan
    taken: tuple[int, int]
    notes: tuple[str, ...]


def held(corpus: Corpus, release: str | None) -> tuple[str, Plan]:
    """Name and plan of a release, the current one if none is named. Raises NoSubset."""
    name = release or corpus.manifest["release"]
    if not name:
        raise NoSubset(f"{corpus.root} has no release yet: build it to its end first")
    try:
        manifest(corpus.root, name)
        return name, from_bytes(storage.read_bytes(storage.join(corpus.root, "shards", name, "plan.npz")))
    except (FileNotFoundError, NotAPlan) as error:
        raise NoSubset(f"release {name} of {corpus.root} has no plan.npz that can be read: {error}") from error


def chosen(corpus: Corpus, plan: Plan, where: str | None) -> Plan:
    """Rows for which a condition in SQL holds, over the plan's columns and CAPTION. Raises NoSubset."""
    if where is None:
        return plan
    words = {word.lower() for word in WORD.findall(where)}
    more = {}
    if words & set(CAPTION):
        events = pl.DataFrame({"event_id": [plan.event_id(row) for row in range(len(plan))]})
        texts = corpus.table(CAPTIONS.name).select("event_id", **{k: pl.col(v) for k, v in CAPTION.items()})
        own = events.join(texts, on="event_id", how="left", maintain_order="left")
        more = {name: own[name].fill_null("").to_numpy() for name in CAPTION}
    try:
        rows = np.flatnonzero(rows_where(plan, where, more))
    except ValueError as error:
        raise NoSubset(f"{error}, {', '.join(CAPTION)}") from error
    if not len(rows):
        raise NoSubset(f"no sample has {where}")
    return plan.take(rows)


def read_labels(uri: str) -> pl.DataFrame:
    """Clusters of events: Parquet, CSV or JSON lines with event_id (or key) and vl_cluster, action_cluster, or both; a
    column `cluster` is vl_cluster. Raises NoSubset."""
    data = io.BytesIO(storage.read_bytes(uri))
    try:
        read = pl.read_parquet if uri.endswith(".parquet") else pl.read_csv if uri.endswith(".csv") else pl.read_ndjson
        found = read(data)
    except pl.exceptions.PolarsError as error:
        raise NoSubset(f"{uri} is no Parquet, CSV or JSON lines: {error}") from error
    found = found.rename({"cluster": "vl_cluster"} if "cluster" in found.columns else {})
    if "event_id" in found.columns:
        names = found["event_id"].cast(pl.String).fill_null("").to_list()
        found = found.with_columns(key=pl.Series([sample_key(name) for name in names], dtype=pl.String))
    spaces = [space for space in SPACES if space in found.columns]
    if "key" not in found.columns or not spaces:
        raise NoSubset(f"{uri} has the columns {', '.join(found.columns)}: wanted are event_id (or key) and {SPACES}")
    return found.select("key", *spaces).unique("key", keep="any", maintain_order=True)


def relabelled(plan: Plan, labels: pl.DataFrame) -> tuple[Plan, int]:
    """(the rows that have labels, with these as their clusters, how many have none). Labels may be any values."""
    keys = pl.DataFrame({"key": [plan.key(row) for row in range(len(plan))], "row": np.arange(len(plan))})
    own = keys.join(labels.drop_nulls(), on="key").sort("row")
    if own.is_empty():
        raise NoSubset("no label is of a sample of this release: are event_id or key those of this corpus?")
    found = plan.take(own["row"].to_numpy())
    for space in labels.columns[1:]:
        codes = np.unique(own[space].cast(pl.String).to_numpy().astype(str), return_inverse=True)[1]
        numbers = own[space].to_numpy() if own[space].dtype.is_integer() else codes
        found.numbers[space] = numbers.astype(np.int32)
        found.numbers[f"{space.removesuffix('_cluster')}_group"] = numbers.astype(np.int32)
    return found, len(plan) - own.height


def weighted(plan: Plan, alpha: float, samples: int | None, max_repeats: int) -> tuple[Plan, tuple[str, ...]]:
    """The plan with the weights of a balance: each train event once, in the first tar that has it. Val keeps its own.
    Raises NoSubset."""
    train = np.flatnonzero(plan.text("split") == "train")
    events = [plan.event_id(int(row)) for row in train]
    train = train[once(events)]
    vl, action = (plan.numbers[space][train].astype(np.int64) for space in SPACES)
    known = (vl >= 0) & (action >= 0)
    train, vl, action = train[known], vl[known], action[known]
    weight = np.where(plan.text("split") == "val", plan.numbers["weight"], 0.0)
    notes: Sequence[str] = ()
    if len(train):
        try:
            vl, action = (np.unique(labels, return_inverse=True)[1].astype(np.int64) for labels in (vl, action))
            cells, cell = table(vl, action)
            result = balance(cells, Wish(samples or len(train), alpha, max_repeats))
        except ValueError as error:
            raise NoSubset(str(error)) from error
        weight[train] = (result.wanted / cells.n)[cell]
        notes = result.notes
    numbers = {**plan.numbers, "weight": weight}
    return replace(plan, numbers=numbers).take(weight > 0), tuple(notes)


def subset(
    corpus: Corpus,
    release: str | None,
    where: str | None,
    labels: pl.DataFrame | None,
    alpha: float | None,
    samples: int | None,
    max_repeats: int,
) -> Subset:
    """alpha None: as the release was drawn, or 0.5 where labels or samples are given. Raises NoSubset."""
    _, whole = held(corpus, release)
    plan, notes = chosen(corpus, whole, where), []
    if labels is not None:
        plan, missing = relabelled(plan, labels)
        notes += [f"{missing} samples have no label and are left out"] if missing else []
    if alpha is None and (labels is not None or samples is not None):
        alpha = 0.5
    if alpha is None:
        plan = plan.take(plan.numbers["weight"] > 0)
    else:
        plan, said = weighted(plan, alpha, samples, max_repeats)
        notes += said
    return Subset(plan, (len(plan), len(whole)), tuple(notes))
