"""A release as Megatron Energon looks for it: offsets beside each tar, `.nv-meta` beside the index. What the package
itself makes of it: `make check-exports`."""

import json
import shutil
import sqlite3
import tarfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.corpus.garbage import collect_garbage
from pipeline.corpus.verify import faults_of
from pipeline.corpus.view import Corpus
from pipeline.release import energon
from schemas import plan as loading
from schemas.plan import NUMBERS, build
from tests.datasets import Episode, write_dataset

SETTINGS = ("shard.target_bytes=100000", "shard.min_shards=2", "shard.alpha=0", "shard.max_repeats=3")
TAR = "train-000000.tar.idx"


def row(tar: str, start_ms: int, offset: int, clips: dict) -> dict:
    """A sample at `offset`: json of 10 bytes, then its clips, then calib and lowdim."""
    texts = {"tar": tar, "episode": "lab/000001", "level": "L1", "source": "lab", "robot": "arm", "task": "tidy"}
    texts |= {"primitive": "reach", "recovery": "", "split": "train", "layout": "0" * 16}
    numbers = {name: 0 for name, (_, shape) in NUMBERS.items() if not shape}
    places = {"json": (offset + 512, 10), "calib": (offset + 5120, 7), "lowdim": (offset + 6144, 20)}
    more = {"start_ms": start_ms, "offset": offset, "size": 7168, "clips": clips, "pictures": {}}
    return texts | numbers | places | more


def index(data: bytes) -> tuple[list, list]:
    database = sqlite3.connect(":memory:")
    database.deserialize(data)
    samples = database.execute("SELECT * FROM samples ORDER BY 1, 3").fetchall()
    return samples, database.execute("SELECT * FROM sample_parts ORDER BY 1, 2, 4").fetchall()


def test_the_index_by_hand():
    rows = [
        row("train-000000.tar", 100, 0, {"front": (1536, 90)}),
        row("train-000001.tar", 100, 0, {"front": (1536, 90)}),  # the same event, drawn twice
        row("train-000001.tar", 250, 7168, {}),
    ]
    plan = build(rows, ["front"])
    tars = ["train-000000.tar", "train-000001.tar"]
    samples, parts = index(energon.index_of(plan, tars))
    assert samples == [
        (0, "lab-000001-L1-0000100", 0, 0, 7168),
        (1, "train-000001/lab-000001-L1-0000100", 0, 0, 7168),
        (1, "lab-000001-L1-0000250", 1, 7168, 7168),
    ]
    assert parts[:4] == [
        (0, 0, "json", 512, 10),
        (0, 0, "front.mp4", 1536, 90),
        (0, 0, "calib.json", 5120, 7),
        (0, 0, "lowdim.npz", 6144, 20),
    ]
    assert [p[2] for p in parts[8:]] == ["json", "calib.json", "lowdim.npz"]
    assert energon.index_of(plan, tars) == energon.index_of(plan, tars)


def test_splits_go_by_the_tars_names_and_a_tar_without_samples_is_none():
    counts = {"train-000000.tar": 1, "train-000001.tar": 0, "val-000000.tar": 2, "reserve-000000.tar": 3}
    made = energon.files(build([], []), counts, {tar: f"../tars/{tar}" for tar in counts})
    assert tuple(made) == energon.FILES
    assert json.loads(made[".nv-meta/split.yaml"])["split_parts"] == {
        "train": ["../tars/train-000000.tar"],
        "val": ["../tars/val-000000.tar"],
        "reserve": ["../tars/reserve-000000.tar"],
    }
    assert json.loads(made[".nv-meta/.info.json"])["shard_counts"] == {
        f"../tars/{tar}": count for tar, count in sorted(counts.items()) if count
    }
    none = energon.files(build([], []), {"train-000000.tar": 1}, {"train-000000.tar": "train-000000.tar"})
    assert json.loads(none[".nv-meta/split.yaml"])["split_parts"] == {"train": ["train-000000.tar"], "val": []}


@pytest.fixture(scope="module")
def corpus(build, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("energon")
    source = write_dataset(root / "lab", [Episode(60, 70 * i) for i in range(3)])
    build([source], root / "corpus", *SETTINGS)
    return root / "corpus"


def test_offsets_lie_beside_each_tar_and_are_those_of_its_headers(corpus):
    release = corpus / "shards/latest"
    counts = json.loads((release / ".nv-meta/.info.json").read_text())["shard_counts"]
    tars = sorted(release.glob("*.tar"))
    assert [tar.name for tar in tars] == list(counts)
    samples, parts = index((release / ".nv-meta/index.sqlite").read_bytes())
    for number, path in enumerate(tars):
        with tarfile.open(path) as tar:
            members = list(tar)
            end = tar.offset
        starts = {m.name.split(".", 1)[0]: m.offset for m in reversed(members)}
        offsets = np.fromfile(f"{path}.idx", dtype="<u8").tolist()
        assert offsets == [*sorted(starts.values()), end]
        assert len(offsets) == counts[path.name] + 1
        own = [s for s in samples if s[0] == number]
        assert [key.rpartition("/")[2] for _, key, *_ in own] == [
            m.name.split(".", 1)[0] for m in members[:: len(members) // len(own)]
        ]
        assert [(p[2], p[3], p[4]) for p in parts if p[0] == number] == [
            (m.name.split(".", 1)[1], m.offset_data, m.size) for m in members
        ]


def test_the_manifest_has_the_hash_of_each_file_and_verify_reads_them(corpus):
    manifest = json.loads((corpus / "shards/latest/manifest.json").read_text())
    assert set(energon.FILES) <= set(manifest["files"])
    assert all(len(about["index_sha256"]) == 64 for about in manifest["shards"].values())
    assert faults_of(str(corpus)) == []
    plan = loading.from_bytes((corpus / "shards/latest/plan.npz").read_bytes())
    assert len(plan) == sum(about["count"] for about in manifest["shards"].values())


def test_what_is_broken_is_told_and_mended(corpus, tmp_path):
    copy = tmp_path / "corpus"
    shutil.copytree(corpus, copy, symlinks=True)
    release = copy / "shards/latest"
    wounds = {".nv-meta/split.yaml": "missing", ".nv-meta/index.sqlite": "changed", TAR: "missing"}
    whole = {name: (release / name).read_bytes() for name in wounds}
    for name, kind in wounds.items():
        (release / name).unlink()
        if kind == "changed":
            (release / name).write_bytes(whole[name][:-1] + b"x")
    found = {fault.where.split("/", 2)[2]: fault.kind for fault in faults_of(str(copy))}
    assert found == {name: kind for name, kind in wounds.items() if name.startswith(".nv-meta")}  # files come first
    mended = CliRunner().invoke(main, ["repair", "--corpus", str(copy)])
    assert mended.exit_code == 0, mended.output
    assert faults_of(str(copy)) == []
    assert {name: (release / name).read_bytes() for name in wounds} == whole


@pytest.mark.parametrize("kind", ["missing", "changed"])
def test_offsets_without_which_energon_cannot_open_a_tar_are_missed(corpus, tmp_path, kind):
    copy = tmp_path / "corpus"
    shutil.copytree(corpus, copy, symlinks=True)
    (copy / "shards/latest" / TAR).unlink()
    if kind == "changed":
        (copy / "shards/latest" / TAR).write_bytes(b"another")
    assert {fault.where.split("/", 2)[2]: fault.kind for fault in faults_of(str(copy))} == {TAR: kind}


def test_gc_of_old_releases_takes_their_files_for_energon_too(build, corpus, tmp_path):
    copy = tmp_path / "corpus"
    shutil.copytree(corpus, copy, symlinks=True)
    old = Path(copy / "shards" / Corpus(str(copy)).manifest["release"])
    build([corpus.parent / "lab"], copy, *SETTINGS, "shard.history=2")
    removed, _ = collect_garbage(Corpus(str(copy)), releases=True)
    assert not [p for p in old.rglob("*") if not p.is_dir()]
    assert {Path(p).name for p in removed} >= {Path(f).name for f in energon.FILES}
    assert not [p for p in (copy / "shards/tars").glob("*.idx") if not p.with_suffix("").exists()]
    assert faults_of(str(copy)) == []
