"""A corpus of which an episode is to be forgotten, built once for the tests that read or copy it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.corpus.ledger import Ledger
from tests.datasets import Episode, write_dataset

SMALL = (
    "shard.target_bytes=100000",
    "shard.keep=1.0",
    "run.episodes_per_part=4",
    "cluster.refit_share=1.0",
    "align.min_score=1.1",
)
OTHER = (*SMALL, "segment.min_l1_s=1.5", "observe.crf=30")
GONE = "logs/000001"


def run(command: str, corpus: Path, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, [command, "--corpus", str(corpus), *words])
    assert result.exit_code == code, result.output
    return result.output


def logs(root: Path, lengths: list[int]) -> Path:
    """An episode a length: those differ, so that no two logs are the same. Two share a file."""
    return write_dataset(root, [Episode(n, 150 * n) for n in lengths], version="v3.0", per_file=2)


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    return logs(tmp_path_factory.mktemp("forget") / "logs", [60, 63, 66, 69])


@pytest.fixture(scope="session")
def before(build, source, tmp_path_factory) -> Path:
    """Two nights: another configuration before, so that superseded work lies beside what counts, and two releases;
    some of the ledger is folded."""
    corpus = tmp_path_factory.mktemp("before") / "corpus"
    build([source], corpus, *OTHER)
    run("compact", corpus)
    for stage in ("ingest", "observe", "segment"):
        Ledger(str(corpus)).fold(stage, 0)
    build([source], corpus, *SMALL)
    run("compact", corpus)
    run("report", corpus)
    return corpus
