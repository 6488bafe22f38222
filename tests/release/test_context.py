"""A sample may hold frames before and after its event, which a mask tells apart; tars of several kinds hold what they
are to hold, and say so."""

import io
import json
import tarfile
from collections import Counter
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest
import webdataset

from pipeline.corpus.verify import faults_of
from schemas.plan import from_bytes
from tests.datasets import Episode, write_dataset

OPTIONS = ("run.workers=2", "align.min_score=2", "shard.min_shards=2", "shard.history=5", "shard.future=3")
MORE = ("shard.repeats=index", "shard.reserve=tars", "shard.keep=0.6")


@pytest.fixture(scope="module")
def release(build, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("context")
    source = write_dataset(folder / "logs", [Episode(60 + 7 * i, 100 * i, f"task {i % 2}") for i in range(8)])
    build([source], folder / "corpus", *OPTIONS, *MORE)
    return folder / "corpus/shards/latest"


def samples(release: Path, kind: str) -> list[dict]:
    paths = sorted(str(p) for p in release.glob(f"{kind}-*.tar"))
    return list(webdataset.WebDataset(paths, shardshuffle=False))


def members(data: bytes) -> dict[str, bytes]:
    """{extension: bytes} of the one sample that these bytes of a tar are."""
    with tarfile.open(fileobj=io.BytesIO(data + bytes(2 * tarfile.BLOCKSIZE))) as tar:
        return {m.name.split(".", 1)[1]: tar.extractfile(m).read() for m in tar}


def test_history_and_future_are_there_as_far_as_the_episode_goes_and_marked(release):
    index = {r["event_id"]: r for r in pl.read_parquet(release / "index.parquet").to_dicts()}
    seen = set()
    for sample in samples(release, "train") + samples(release, "val"):
        meta, arrays = json.loads(sample["json"]), np.load(io.BytesIO(sample["lowdim.npz"]))
        before, after = meta["context"]["before"], meta["context"]["after"]
        own = index[meta["event_id"]]["n_frames"]
        assert meta["n_frames"] == before + own + after == len(arrays["time"]) == len(arrays["state"])
        assert arrays["event"].tolist() == [False] * before + [True] * own + [False] * after
        assert arrays["time"][before] == pytest.approx(meta["start_s"], abs=0.026)  # half a frame
        assert before == min(5, round(meta["start_s"] * meta["fps"]))
        with av.open(io.BytesIO(sample["front.mp4"])) as clip:
            assert sum(1 for _ in clip.decode(video=0)) == meta["n_frames"]
        for child in meta["children"]:
            assert before <= child["start"] < child["end"] <= before + own
        seen.add((before, after))
    assert {before for before, _ in seen} >= {0, 5}
    assert {after for _, after in seen} >= {0, 3}


def test_the_plan_says_where_each_sample_lies_and_how_often_it_is_taken(release):
    plan = from_bytes((release / "plan.npz").read_bytes())
    index = pl.read_parquet(release / "index.parquet").drop_nulls("shard")
    weights = {(r["shard"], r["key"]): r["weight"] for r in index.to_dicts()}
    found = {(plan.text("tar")[n], plan.key(n)): plan.numbers["weight"][n] for n in range(len(plan))}
    assert found == weights
    for n in range(len(plan)):
        tar = (release / plan.text("tar")[n]).read_bytes()
        offset, size = plan.numbers["offset"][n], plan.numbers["size"][n]
        sample = members(tar[offset : offset + size])
        meta = json.loads(sample["json"])
        assert meta["event_id"] == plan.event_id(n)
        own = {c: plan.numbers[c][n] for c in ("n_frames", "before", "after", "frame")}
        assert own["n_frames"] == meta["n_frames"]
        assert (own["before"], own["after"]) == (meta["context"]["before"], meta["context"]["after"])
        assert own["frame"] == round(meta["start_s"] * meta["fps"]) - own["before"]
        for member, column in (("json", "json"), ("lowdim.npz", "lowdim"), ("calib.json", "calib")):
            at, length = plan.numbers[column][n]
            assert tar[at : at + length] == sample[member]
        ((at, length),) = plan.numbers["clips"][n]
        assert tar[at : at + length] == sample["front.mp4"]
        with av.open(io.BytesIO(sample["front.mp4"])) as clip:
            video = clip.streams.video[0]
            assert plan.numbers["pictures"][n].tolist() == [[video.height, video.width]]


def test_with_an_index_each_event_lies_once_in_train_and_the_reserve_in_tars_of_its_own(release):
    rows = pl.read_parquet(release / "index.parquet")
    found = {
        kind: Counter(json.loads(s["json"])["event_id"] for s in samples(release, kind))
        for kind in ("train", "reserve")
    }
    for kind, status in (("train", "sampled"), ("reserve", "reserve")):
        wanted = rows.filter(pl.col("shard").str.starts_with(kind), status=status)["event_id"]
        assert found[kind] == dict.fromkeys(wanted, 1)
        assert found[kind]
    train = rows.filter(pl.col("shard").str.starts_with("train"))
    assert (train["weight"] == train["repeats"]).all()  # the loader repeats
    assert (rows.filter(pl.col("shard").str.starts_with("reserve"))["weight"] == 0).all()


def test_a_sample_says_where_it_comes_from(release):
    for sample in samples(release, "train"):
        meta = json.loads(sample["json"])
        (camera,) = meta["provenance"]["cameras"].values()
        assert camera["file"].startswith("videos/")
        assert camera["to_s"] - camera["from_s"] == pytest.approx(meta["end_s"] - meta["start_s"], abs=1e-5)
        assert len(camera["sha256"]) == 64
        assert meta["vl_path"][1] == meta["vl_cluster"]
        assert meta["review"] == "machine"


def test_it_is_whole(release):
    assert faults_of(str(release.parents[1])) == []
    manifest = json.loads((release / "manifest.json").read_text())
    assert manifest["shards"].keys() == {p.name for p in release.glob("*.tar")}
