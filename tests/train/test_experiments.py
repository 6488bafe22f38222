"""Cells are run once and survive kills; intervals are those of a table; sentences go by the intervals."""

from functools import partial
from pathlib import Path

import pytest

from stages.train.experiments.__main__ import NONE, told_balance, told_windows
from stages.train.experiments.cells import Cell, done, run
from stages.train.experiments.statistics import difference, mean


def work(note: Path, cell: Cell) -> dict[str, object]:
    with note.open("a") as file:
        file.write(f"{cell.draw}{cell.condition}\n")
    return {"share": cell.draw / 10, "told": "done"}


def test_a_stopped_run_goes_on(tmp_path: Path):
    cells = [Cell(draw, condition) for draw in (0, 1) for condition in "ab"]
    path, note = tmp_path / "out.jsonl", tmp_path / "note"
    first = run(cells[:2], partial(work, note), path)
    assert sorted(first) == cells[:2]
    with path.open("a") as file:  # a kill in mid-line
        file.write('{"draw": 1, "condi')
    found = run(cells, partial(work, note), path)
    assert sorted(found) == cells
    assert found[cells[3]]["share"] == 0.1
    assert sorted(note.read_text().split()) == ["0a", "0b", "1a", "1b"]
    assert sorted(done([path, tmp_path / "none"])) == cells


def test_no_cell_is_begun_after_the_time(tmp_path: Path):
    assert run([Cell(0, "a")], partial(work, tmp_path / "note"), tmp_path / "out.jsonl", until=0.0) == {}


def test_intervals_are_students():
    # t of 3 degrees of freedom at 97.5 %: 3.182; deviation of 1, 2, 3, 4: 1.291
    own = mean([1.0, 2.0, 3.0, 4.0])
    assert own.value == 2.5
    assert own.half == pytest.approx(3.182 * 1.291 / 2, rel=1e-3)
    assert own.resolved
    assert not mean([-1.0, 2.0, 0.5]).resolved
    assert difference([0.5, 0.7], [0.4, 0.6]).value == pytest.approx(0.1)
    assert not mean([1.0]).resolved  # one draw says nothing of its spread


def test_draws_without_all_conditions_say_nothing_yet():
    row = {"share": 0.5, "success": {"a": [1, 0]}}
    assert told_windows({Cell(0, "fixed, task"): row, Cell(1, "event, task"): row}) == [NONE]
    assert told_balance({Cell(0, "alpha 1"): row, Cell(1, "alpha 0"): row}) == [NONE]
