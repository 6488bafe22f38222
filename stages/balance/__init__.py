"""The joint balance over two clusterings, as functions of the table of cells: NumPy and SciPy are all it needs."""

from stages.balance.cells import Cells, Clustering, Wish, permanent, table
from stages.balance.corpora import Agreement, agree
from stages.balance.draw import draw
from stages.balance.feasibility import Cut, Group
from stages.balance.figures import Figures, explained
from stages.balance.plan import balance
from stages.balance.result import Balance, Margin

__all__ = [
    "Agreement",
    "Balance",
    "Cells",
    "Clustering",
    "Cut",
    "Figures",
    "Group",
    "Margin",
    "Wish",
    "agree",
    "balance",
    "draw",
    "explained",
    "permanent",
    "table",
]
