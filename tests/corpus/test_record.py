"""Plan and manifest as somebody's disk left them: damage is told, and never an error that nobody has named."""

import json
from pathlib import Path

import polars as pl
import pytest

from pipeline.corpus import record

MADE = {"complete": True, "sources": {}}


@pytest.fixture
def root(tmp_path) -> Path:
    plan = pl.DataFrame({"stage": ["ingest"] * 300, "item": [f"lab/{n:06d}" for n in range(300)], "fingerprint": "0"})
    record.write(str(tmp_path), plan, MADE)
    return tmp_path


@pytest.mark.parametrize("copy", [b"", b"[]", b"null", b"\xff", b"[" * 200_000])
def test_a_damaged_copy_of_the_manifest_is_none(copy, root):
    (root / record.MANIFEST).write_bytes(copy)
    assert record.copy(str(root)) is None
    assert record.manifest(str(root)) == MADE


@pytest.mark.parametrize("hashes", [5, None, [5], {}])
def test_hashes_that_are_none_are_not_used(hashes, root):
    value = {**MADE, "plan_sha256": hashes}
    (root / record.MANIFEST).write_text(json.dumps(value | {"sha256": record.own_hash(value)}))
    assert record.manifest(str(root)) == MADE


def test_a_plan_whose_text_is_none_is_damaged(root, monkeypatch):
    """As polars says it of a damaged part, beside a damaged copy of the manifest: with no `Exception`."""

    def group(*_):
        raise pl.exceptions.PanicException("Utf8Error")

    (root / record.MANIFEST).unlink()
    monkeypatch.setattr(record, "_group", group)
    with pytest.raises(record.DamagedPlan, match="Utf8Error"):
        record.manifest(str(root))
