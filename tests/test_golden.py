"""When what a stage puts out changes, its VERSION must change too: rebuilt corpora would otherwise keep stale parts.

A digest of each stage's output on a small fixed input is kept in golden.json beside the VERSION it belongs to. To
accept a change: raise the stage's VERSION, then `python -m tests.test_golden`.
"""

import hashlib
import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline import config
from pipeline.corpus import Corpus
from tests.datasets import Episode, write_dataset

GOLDEN = Path(__file__).with_name("golden.json")
TABLES = {  # stage, tables, columns left out: places on this disk, and what differs by CPU type
    "ingest": (("episodes", ("dataset_uri", "cameras")), ("signals", ())),
    "observe": (("observations", ("proxy", "thumbnails", "proxy_bytes")),),
    "align": (("lags", ()), ("lag_votes", ()), ("alignments", ())),
    "segment": (("events", ()),),
    "caption": (("captions", ()),),
    "embed": (("embeddings", ("vl",)),),
    "shard": (("samples", ("vl_cluster", "action_cluster", "inclusion", "weight", "status", "shard")),),
}


def rounded(value):
    """Floats to three decimals, so that the last bits of another CPU do not count."""
    if isinstance(value, float):
        return round(value, 3) + 0.0
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list | np.ndarray):
        return [rounded(v) for v in (value.tolist() if isinstance(value, np.ndarray) else value)]
    return value


def digests(corpus: Corpus) -> dict[str, dict]:
    found = {}
    for stage, tables in TABLES.items():
        digest = hashlib.sha256()
        for table, left_out in tables:
            rows = corpus.table(table).drop(left_out).to_dicts()
            digest.update(json.dumps(rounded(rows), sort_keys=True).encode())
        found[stage] = {
            "version": importlib.import_module(f"stages.{stage}").VERSION,
            "digest": digest.hexdigest()[:16],
        }
    return found


@pytest.fixture
def small_corpus(build, tmp_path) -> Corpus:
    source = write_dataset(tmp_path / "golden", [Episode(60 + 5 * i, 100 * i) for i in range(3)])
    build([source], tmp_path / "corpus")
    return Corpus(str(tmp_path / "corpus"))


def test_no_output_changes_without_a_new_version(small_corpus):
    golden, now = json.loads(GOLDEN.read_text()), digests(small_corpus)
    for stage, entry in now.items():
        if entry["version"] == golden[stage]["version"]:
            assert entry["digest"] == golden[stage]["digest"], f"{stage}: output changed; raise stages.{stage}.VERSION"
        else:
            assert entry["version"] > golden[stage]["version"], f"{stage}: VERSION went back"
            pytest.fail(f"{stage}: VERSION is new; accept the output with: python -m tests.test_golden")


def accept() -> None:
    import tempfile

    from rich.console import Console

    from pipeline.build import Build

    with tempfile.TemporaryDirectory() as folder:
        source = write_dataset(Path(folder) / "golden", [Episode(60 + 5 * i, 100 * i) for i in range(3)])
        Build(f"{folder}/corpus", config.load(None), Console()).run([str(source)])
        GOLDEN.write_text(json.dumps(digests(Corpus(f"{folder}/corpus")), indent=1) + "\n")


if __name__ == "__main__":
    accept()
