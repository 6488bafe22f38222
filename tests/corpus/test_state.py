"""States: what is wanted is found among what is committed, whatever the hashes and however it came in."""

from __future__ import annotations

import io
from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus import state
from pipeline.corpus.commit import OK, QUARANTINED, RETRY, Commit, Item, to_rows
from pipeline.corpus.state import RANK, State

NAMES = st.sampled_from([f"s/{n}" for n in range(5)])
PAIRS = st.tuples(NAMES, st.sampled_from(["f", "g"]))
COUNTS = st.dictionaries(st.sampled_from(["rows", "hours"]), st.integers(0, 9).map(float))
ITEMS = st.builds(lambda pair, *of: Item(*pair, *of), PAIRS, st.sampled_from([OK, QUARANTINED, RETRY]), COUNTS)
COMMITS = st.lists(st.lists(ITEMS, min_size=1, max_size=4, unique_by=lambda i: (i.name, i.fingerprint)), max_size=5)
HASHES = {
    "as they are": state._hashed,
    "all alike": lambda frame, on: frame.select(hash=pl.col("item").str.len_bytes() * 0),
    "of the fingerprint alone": lambda frame, on: frame.select(hash=pl.col("fingerprint").hash()),
    "of the name alone": lambda frame, on: frame.select(hash=pl.col("item").hash()),
}


def frame(pairs: list[tuple[str, str]]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema={"item": pl.String, "fingerprint": pl.String}, orient="row")


def state_of(commits: list[Commit], folded: int) -> State:
    """The first so many in a checkpoint."""
    blob = io.BytesIO()
    to_rows(commits[:folded]).sort("kind", "unit", maintain_order=True).write_parquet(blob, row_group_size=3)
    return State("s", commits[folded:], blob.getvalue() if folded else None)


def named(commits: list[list[Item]]) -> list[Commit]:
    return [Commit("s", f"{n}", tuple(items), {}) for n, items in enumerate(commits)]


@pytest.mark.parametrize("hashed", HASHES)
@given(commits=COMMITS, folded=st.integers(0, 5), wanted=st.lists(PAIRS, max_size=8))
def test_an_item_has_the_best_that_was_committed_of_it_last(hashed, commits, folded, wanted):
    made = named(commits)
    best: dict[tuple[str, str], tuple[str, str]] = {}
    for item, unit in ((i, c.unit) for c in made for i in c.items):
        before = best.get((item.name, item.fingerprint), (item.status, unit))
        if RANK[item.status] <= RANK[before[0]]:
            best[item.name, item.fingerprint] = (item.status, unit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "_hashed", HASHES[hashed])
        found = state_of(made, folded).of(frame(wanted))
    assert found.rows() == [(*pair, *best.get(pair, (None, None))) for pair in wanted]


@pytest.mark.parametrize("hashed", HASHES)
@given(commits=COMMITS, folded=st.integers(0, 5), wanted=st.lists(PAIRS, max_size=8))
def test_figures_of_items_add_up_once_each_over_those_that_count(hashed, commits, folded, wanted):
    made = named(commits)
    own = state_of(made, folded)
    live = own.of(frame(wanted)).drop_nulls("unit").select("item", "fingerprint", "unit")
    expected: Counter[str] = Counter()
    for name, digest, unit in live.unique().iter_rows():
        (item,) = (i for i in made[int(unit)].items if (i.name, i.fingerprint) == (name, digest))
        expected.update(dict(item.counts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "_hashed", HASHES[hashed])
        assert dict(own.totals(live).iter_rows()) == dict(expected)


@given(commits=COMMITS, held=st.integers(0, 12))
def test_commits_that_became_rows_say_what_they_said(commits, held):
    made = [Commit("s", f"{n % 3}", tuple(items), {}) for n, items in enumerate(commits)]  # some units again
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "AT_ONCE", held)
        piecemeal = State("s", made)
    assert len(piecemeal._new) <= held
    assert {c.unit: c for c in piecemeal.commits()} == {c.unit: c for c in made}
    every = frame([(i.name, i.fingerprint) for items in commits for i in items])
    assert piecemeal.of(every).equals(State("s", made).of(every))  # whenever they became rows
    assert piecemeal.changes == len(made)
