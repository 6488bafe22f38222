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
from click.testing import CliRunner

from pipeline.cli.main import main
from pipeline.corpus.verify import faults_of
from schemas.plan import from_bytes
from stages.load import EventDataset
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


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, list(arguments))
    return done.exit_code, done.output


def test_a_plan_is_made_of_a_subset_or_of_other_clusters_without_a_tar_being_written(release, tmp_path):
    corpus, target = str(release.parent.parent), str(tmp_path / "own.npz")
    before = {p.name: p.stat().st_mtime_ns for p in release.iterdir()}
    code, said = run("plan", "--corpus", corpus, "--where", "task = 'task 1' AND caption <> ''", "--to", target)
    assert code == 0, said
    own = EventDataset(str(release), plan=target, frames=0)
    assert {own[n]["task"] for n in range(len(own))} == {"task 1"}
    rows = pl.read_parquet(release / "index.parquet").filter(split="train")
    labels = rows.select("event_id", vl_cluster=pl.col("event_id").str.slice(0, 11), action_cluster=pl.lit(0)).unique()
    labels.write_csv(tmp_path / "labels.csv")
    code, said = run(
        "plan", "--corpus", corpus, "--labels", str(tmp_path / "labels.csv"), "--alpha", "0", "--to", target
    )
    assert code == 0, said
    assert "have no label and are left out" in said  # those of val
    own = EventDataset(str(release), plan=target, frames=0)
    by_episode = Counter()
    for row, weight in enumerate(own.weight):
        by_episode[own.release.plan.event_id(row)[:11]] += weight
    fewest = min(Counter(e[:11] for e in labels["event_id"]).values())
    assert max(by_episode.values()) - min(by_episode.values()) < 1e-3 or fewest * 3 < len(labels) / len(by_episode)
    assert {p.name: p.stat().st_mtime_ns for p in release.iterdir()} == before
    assert own.digest != EventDataset(str(release), frames=0).digest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--where", "colour = 1"], "no such column: colour"),
        (["--where", "n_frames > 9999"], "no sample has"),
        (["--labels", "none.csv"], "wanted are event_id"),
        (["--labels", "other.csv"], "no label is of a sample of this release"),
        (["--samples", "100000"], "more than there can be"),
        (["--release", "0000000000000000"], "has no plan.npz"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_words(release, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none.csv").write_text("a,b\n1,2\n")
    (tmp_path / "other.csv").write_text("event_id,cluster\nx/000001/L1/0000000,3\n")
    code, said = run("plan", "--corpus", str(release.parent.parent), *arguments)
    assert code == 1
    assert words in said
    assert not (tmp_path / "plan.npz").exists()
