"""Corpora that share centroids agree on what each draws, and draw it."""

from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from pipeline.cli.main import main
from pipeline.corpus.view import Corpus
from pipeline.release.budget import NotComparable, budgets, cells_of
from stages.shard import ShardConfig
from tests.datasets import Episode, write_dataset

OPTIONS = ("run.workers=2", "align.min_score=2", "shard.min_shards=1")


@pytest.fixture(scope="module")
def pair(build, tmp_path_factory) -> tuple[Path, Path, Path]:
    """(folder, two corpora of other logs, the second labelled by the first one's centroids)."""
    folder = tmp_path_factory.mktemp("budget")
    for name, number in (("one", 6), ("two", 3)):
        write_dataset(folder / name, [Episode(60 + 7 * i, 100 * i, f"task {i % 2}") for i in range(number)])
    build([folder / "one"], folder / "a", *OPTIONS)
    (model,) = Corpus(str(folder / "a")).files("fit").filter(name="model")["path"].to_list()
    build([folder / "two"], folder / "b", *OPTIONS, f"cluster.centroids={folder}/a/{model}")
    return folder, folder / "a", folder / "b"


def test_budgets_add_up_to_what_was_asked_in_proportion_to_what_each_has(pair):
    _, a, b = pair
    both = [cells_of(str(a)), cells_of(str(b))]
    found, agreed = budgets(both, 20, ShardConfig(alpha=1.0, recovery_share=0.0))
    assert sum(int(own["copies"].sum()) for own in found) == 20
    events = [int(one.cells["n"].sum()) for one in both]
    for own, number in zip(found, events, strict=True):
        assert abs(own["copies"].sum() - 20 * number / sum(events)) <= 1.5
    assert int(agreed.union.vl.recorded.sum()) == sum(events)


def test_the_command_writes_what_the_next_build_draws(pair, build):
    folder, a, b = pair
    out = folder / "out"
    run = CliRunner().invoke(main, ["budget", str(a), str(b), "--samples", "20", "--out", str(out)])
    assert run.exit_code == 0, run.output
    asked = pl.read_parquet(out / "0-a.parquet")
    build([folder / "one"], a, *OPTIONS, f"shard.budget={out}/0-a.parquet")
    rows = Corpus(str(a)).table("samples").filter(split="train")
    drawn = rows.group_by(vl=pl.col("vl_cluster").cast(pl.Int64), action=pl.col("action_cluster").cast(pl.Int64)).agg(
        pl.col("repeats").sum()
    )
    wanted = asked.group_by("vl", "action").agg(pl.col("copies").sum()).filter(pl.col("copies") > 0)
    held = drawn.filter(pl.col("repeats") > 0, pl.col("vl") >= 0)
    assert sorted(held.rows()) == sorted(wanted.rows())


def test_corpora_with_other_clusters_cannot_agree(pair, build):
    folder, a, _ = pair
    build([folder / "two"], folder / "c", *OPTIONS)
    with pytest.raises(NotComparable, match=r"has other clusters than .*cluster\.centroids"):
        budgets([cells_of(str(a)), cells_of(str(folder / "c"))], 20, ShardConfig())
    run = CliRunner().invoke(main, ["budget", str(a), str(folder / "c"), "--samples", "20"])
    assert run.exit_code != 0
    assert "has other clusters" in run.output


def test_more_samples_than_there_can_be_are_an_error_that_says_so(pair):
    _, a, b = pair
    run = CliRunner().invoke(main, ["budget", str(a), str(b), "--samples", "100000"])
    assert run.exit_code != 0
    assert "shard.max_repeats" in run.output
