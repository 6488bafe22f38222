"""The notebooks run from top to bottom on the sample's corpus, and show something."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[p.stem for p in NOTEBOOKS])
def test_a_notebook_runs(path: Path, sample_corpus: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CORPUS", str(sample_corpus))
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # kept without output, so that a change can be read
    NotebookClient(notebook, timeout=180, kernel_name="python3", resources={"metadata": {"path": ROOT}}).execute()
    pictures = [o for cell in notebook.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    assert len(pictures) >= 3
