"""How items become units: worked out by hand."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import plan
from pipeline.plan import FILES_PER_UNIT, _by_group


def items(files: str) -> pl.DataFrame:
    return pl.DataFrame({"item": [f"{i}" for i in range(len(files))], "group": list(files)})


def split(files: str, units: int, most: int = FILES_PER_UNIT) -> list[str]:
    found = _by_group(items(files), units, most).partition_by("number", maintain_order=True)
    return ["".join(f["group"]) + ":" + ",".join(f["item"]) for f in found]


def test_items_of_a_file_stay_together_and_files_keep_their_order():
    assert split("babac", units=32) == ["bb:0,2", "aa:1,3", "c:4"]


def test_there_are_as_many_units_as_asked_for_where_there_are_files_enough():
    assert split("abcdef", units=3) == ["ab:0,1", "cd:2,3", "ef:4,5"]
    assert split("abcdef", units=4) == ["a:0", "b:1", "c:2", "d:3", "e:4", "f:5"]  # rather more than fewer


def test_a_unit_has_a_bounded_number_of_files():
    assert [u.split(":")[0] for u in split("abcdef", units=1, most=4)] == ["abcd", "ef"]
    assert len(split("abcdef", units=1, most=1)) == 6


@pytest.mark.parametrize("together", [1, 2, 3, 100])
@given(lengths=st.lists(st.integers(1, 5), max_size=6), apart=st.booleans())
def test_cameras_of_an_episode_are_not_parted(together, lengths, apart):
    episodes = [f"s/{n}" for n, length in enumerate(lengths) for _ in range(length)]
    episodes = [*episodes, *episodes] if apart else episodes
    rows = pl.DataFrame({"episode_id": episodes, "n": range(len(episodes))}, {"episode_id": pl.String, "n": pl.Int64})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "AT_ONCE", together)
        found = list(plan._by_episode(rows))
    assert pl.concat(found).equals(rows)
    held = [e for some in found for e in some["episode_id"].unique()]
    assert len(held) == len(set(held))
    if not apart:
        assert all(some.height < together + 5 for some in found)
