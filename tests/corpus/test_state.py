"""States: what is wanted is found among what is committed, whatever the hashes and however it came in."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus import state
from pipeline.corpus.commit import OK, QUARANTINED, RETRY, Commit, Item
from pipeline.corpus.state import RANK, State

NAMES = st.sampled_from([f"s/{n}" for n in range(5)])
PAIRS = st.tuples(NAMES, st.sampled_from(["f", "g"]))
ITEMS = st.builds(lambda pair, status: Item(*pair, status), PAIRS, st.sampled_from([OK, QUARANTINED, RETRY]))
COMMITS = st.lists(st.lists(ITEMS, min_size=1, max_size=4, unique_by=lambda i: (i.name, i.fingerprint)), max_size=5)
HASHES = {
    "as they are": state._hashed,
    "all alike": lambda frame: frame.select(hash=pl.col("item").str.len_bytes() * 0),
    "of the fingerprint alone": lambda frame: frame.select(hash=pl.col("fingerprint").hash()),
    "of the name alone": lambda frame: frame.select(hash=pl.col("item").hash()),
}


def frame(pairs: list[tuple[str, str]]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema={"item": pl.String, "fingerprint": pl.String}, orient="row")


@pytest.mark.parametrize("hashed", HASHES)
@given(commits=COMMITS, wanted=st.lists(PAIRS, max_size=8))
def test_an_item_has_the_best_that_was_committed_of_it(hashed, commits, wanted):
    made = [Commit("s", f"{n}", tuple(items), {}) for n, items in enumerate(commits)]
    best: dict[tuple[str, str], str] = {}
    for item in (i for items in commits for i in items):
        before = best.get((item.name, item.fingerprint), item.status)
        best[item.name, item.fingerprint] = min(before, item.status, key=RANK.__getitem__)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "_hashed", HASHES[hashed])
        found = State("s", made).of(frame(wanted))
    assert found.select("item", "fingerprint").rows() == wanted
    assert found["status"].to_list() == [best.get(pair) for pair in wanted]
    by_unit = {(i.name, i.fingerprint, c.unit): i.status for c in made for i in c.items}
    for name, print_, status, unit in found.iter_rows():
        assert unit is None if status is None else by_unit[name, print_, unit] == status


@given(commits=COMMITS, held=st.integers(0, 12))
def test_commits_that_became_rows_say_what_they_said(commits, held):
    made = [Commit("s", f"{n % 3}", tuple(items), {}) for n, items in enumerate(commits)]  # some units again
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "AT_ONCE", held)
        piecemeal = State("s", made)
    assert {c.unit: c for c in piecemeal.commits()} == {c.unit: c for c in made}
    assert piecemeal.changes == len(made)
