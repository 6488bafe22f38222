"""What the README tells a trainer to type runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("number", range(2))
def test_a_block_of_the_readme_loads_the_samples_corpus(number: int, sample_corpus: Path, tmp_path: Path):
    (tmp_path / "corpus").symlink_to(sample_corpus)
    code = BLOCKS[number].replace("train-*.tar", "train-000000.tar")  # a tar will do
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 6
    assert "The arm" in done.stdout


def test_they_are_as_short_as_it_says():
    lines = [[line for line in block.splitlines() if line.strip()] for block in BLOCKS]
    assert len(lines) == 3  # the third is held by tests/train/test_rollout.py
    assert len(lines[0]) <= 5
    assert len(lines[1]) <= 10
