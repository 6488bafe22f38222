"""The table of cells: what goes in, what is refused, and what needs to be installed for it."""

import subprocess
import sys

import numpy as np
import pytest

from stages.balance import Cells, Clustering, Wish, permanent, table
from tests.stages.balance.tables import cells_of


def test_a_table_from_labels():
    cells, of = table(
        np.array([1, 0, 1, 1]), np.array([0, 2, 0, 0]), np.array([True, False, True, False]), np.array([1, 1, 1, 0.5])
    )
    assert cells.vl.tolist() == [0, 1, 1]
    assert cells.action.tolist() == [2, 0, 0]
    assert cells.recovery.tolist() == [False, False, True]
    assert cells.weight.tolist() == [1, 0.5, 1]
    assert cells.n.tolist() == [1, 1, 2]
    assert of.tolist() == [2, 0, 2, 1]
    assert cells.u[1] == cells.u[2] != cells.u[0]  # it belongs to the pair


def test_permanent_numbers_hang_on_seed_and_labels_alone():
    one = permanent(0, np.arange(1000), np.arange(1000) * 7)
    assert permanent(0, np.array([999]), np.array([999 * 7]))[0] == one[999]
    assert (permanent(1, np.arange(1000), np.arange(1000) * 7) != one).all()
    assert one.min() >= 0
    assert one.max() < 1
    assert abs(one.mean() - 0.5) < 0.03  # 3 standard deviations of the mean of 1000 uniform numbers
    assert len(np.unique(one)) == 1000


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("vl", -1, "without a cluster"), ("n", -1, "negative"), ("weight", 0.0, "weights"), ("u", 1.0, "random numbers")],
)
def test_what_is_no_table_is_refused(column, value, words):
    columns = {name: getattr(cells_of([[2]]), name) for name in ("vl", "action", "recovery", "weight", "n", "u")}
    columns[column] = np.array([value])
    with pytest.raises(ValueError, match=words):
        Cells(**columns)


def test_wishes_out_of_range_are_refused():
    for wrong in ({"samples": -1}, {"max_repeats": 0}, {"alpha": 1.5}, {"recovery_share": -0.1}):
        with pytest.raises(ValueError, match=f"shard.{next(iter(wrong))}"):
            Wish(**{"samples": 1, **wrong})
    with pytest.raises(ValueError, match="clusters: 4 by their labels"):
        Clustering(names=("a", "b")).size(np.array([3]))


def test_numpy_and_scipy_are_all_it_needs():
    code = (
        "import sys, stages.balance; print([m for m in ('polars', 'pyarrow', 'ray', 'pydantic') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
