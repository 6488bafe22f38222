"""The bundled sample end to end: what `make corpus` promises, checked against what was recorded (truth.parquet)."""

import glob
import io
import json
import subprocess
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest
import webdataset

from pipeline.corpus.view import Corpus
from pipeline.report.summary import Summary
from tests.conftest import SAMPLE


@pytest.fixture(scope="module")
def truth() -> pl.DataFrame:
    return pl.read_parquet(SAMPLE / "truth.parquet")


@pytest.fixture(scope="module")
def corpus(sample_corpus: Path) -> Corpus:
    return Corpus(str(sample_corpus))


@pytest.fixture(scope="module")
def samples(sample_corpus: Path) -> list[dict]:
    shards = sorted(glob.glob(f"{sample_corpus}/shards/latest/*.tar"))
    return list(webdataset.WebDataset(shards, shardshuffle=False))


def test_the_sample_is_small_and_as_described(truth):
    size = sum(p.stat().st_size for p in SAMPLE.rglob("*") if p.is_file() and p.parent.name != "captioner")
    assert size <= 12_000_000
    episodes = truth.filter(pl.col("kind") == "episode")
    tasks = episodes["task"].value_counts()["count"]
    assert episodes.height >= 40
    assert (tasks.len() >= 12, tasks.max(), tasks.min()) == (True, 8, 1)
    assert 0.25 <= 1 - episodes["named_in_text"].mean() <= 0.4
    assert (episodes["n_missed_grasps"] > 0).sum() >= 3
    assert episodes["success"].all()


def test_every_episode_is_in_events(corpus, truth):
    wanted = {f"{d}/{i:06d}" for d, i in truth.filter(kind="episode").select("dataset", "episode_index").iter_rows()}
    assert set(corpus.table("events")["episode_id"].unique()) == wanted
    assert corpus.quarantine().height == 0
    assert Summary(corpus).failed_shares() == {"cell_a": 0.0, "cell_b": 0.0}


def test_every_source_frame_is_decoded_once(corpus):
    counts = corpus.counts("observe")
    assert counts["decoded_frames"] == counts["source_frames"] == 3 * corpus.counts("ingest")["rows"]
    assert any("each decoded 1.00 times" in line for line in Summary(corpus).lines(1.0))


def test_the_lag_of_both_cells_is_found(corpus, truth):
    injected = dict(truth.filter(kind="episode").select("dataset", "lag_frames").unique().iter_rows())
    assert injected == {"cell_a": 0, "cell_b": 2}
    assert dict(corpus.table("lag_votes").select("source", "lag_frames").iter_rows()) == injected


def test_shards_load_with_plain_webdataset_and_tar(sample_corpus, samples):
    manifest = json.loads((sample_corpus / "shards/latest/manifest.json").read_text())
    assert len(manifest["shards"]) >= 3
    assert {name.split("-")[0] for name in manifest["shards"]} == {"train", "val"}
    assert sum(s["count"] for s in manifest["shards"].values()) == len(samples) > 100
    for name, entry in manifest["shards"].items():
        path = sample_corpus / "shards/latest" / name
        assert (
            subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]
            == entry["sha256"]
        )
        listed = subprocess.run(["tar", "tf", path], capture_output=True, text=True, check=True).stdout.split()
        assert len(listed) == 6 * entry["count"]  # json, lowdim, calib and three cameras


def test_a_sample_holds_what_is_promised(samples, sample_corpus):
    layouts = json.loads((sample_corpus / "shards/latest/manifest.json").read_text())["layouts"]
    assert all(v["unit"] for layout in layouts.values() for v in layout["position.single"]["values"])
    for sample in samples:
        meta = json.loads(sample["json"])
        arrays = np.load(io.BytesIO(sample["lowdim.npz"]))
        length = meta["n_frames"]
        assert {"L1", "L2", "L3"} <= set(meta["captions"])
        assert (meta["robot"], meta["level"], meta["static"]) == ("metaworld_sawyer", "L1", False)
        assert {name: (a.shape, a.dtype.name) for name, a in arrays.items()} == {
            "state": ((length, 11), "float32"),
            "action": ((length, 4), "float32"),
            "gripper": ((length, 1), "float32"),
            "time": ((length,), "float64"),
            "position.single": ((length, 3), "float32"),
            "orientation.single": ((length, 4), "float32"),
            "gripper_command.single": ((length, 1), "float32"),
            **{
                name: ((length,), "bool")
                for name in ("event", "valid", *(f"valid.{a}" for a in (*layouts[meta["layout"]], "state", "action")))
            },
        }
        assert set(layouts[meta["layout"]]) == {
            n for n in arrays.files if n not in ("time", "event") and not n.startswith("valid")
        }
        for camera in ("left", "right", "wrist"):
            with av.open(io.BytesIO(sample[f"{camera}.mp4"])) as container:
                frames = list(container.decode(video=0))
            assert len(frames) == length
            assert frames[0].key_frame


def test_statistics_are_those_of_the_arrays(sample_corpus, samples):
    stats = json.loads((sample_corpus / "shards/latest/stats.json").read_text())["robots"]["metaworld_sawyer"]["state"]
    train = [s for s in samples if json.loads(s["json"])["split"] == "train"]
    rows = np.concatenate([np.load(io.BytesIO(s["lowdim.npz"]))["state"] for s in train])
    assert stats["count"] == len(rows)
    assert stats["mean"] == pytest.approx(rows.mean(axis=0, dtype=np.float64), abs=1e-5)
    assert stats["min"] == pytest.approx(rows.min(axis=0))
    low, high = np.quantile(rows, [0.988, 0.992], axis=0)  # within 0.2 % of rank
    assert (np.asarray(stats["q99"]) >= low - 1e-6).all()
    assert (np.asarray(stats["q99"]) <= high + 1e-6).all()


def test_both_clusterings_are_flatter_in_the_shards(sample_corpus):
    balance = json.loads((sample_corpus / "shards/latest/stats.json").read_text())["balance"]
    for space in ("vl", "action"):
        recorded, drawn, random = (balance[space][step] for step in ("before", "sampled", "random"))
        assert drawn["gini"] < 0.9 * min(recorded["gini"], random["gini"])
        assert drawn["tail_share"] > 1.1 * max(recorded["tail_share"], random["tail_share"])


def test_known_points_project_to_where_they_are_seen(samples, corpus, truth):
    """Landmarks were measured in rendered segmentation images, without the calibration's numbers."""
    landmarks = truth.filter(pl.col("kind") == "landmark")
    events = corpus.table("events").filter(pl.col("level") == "L1")
    spans = {e["event_id"]: (e["start_frame"], e["end_frame"]) for e in events.to_dicts()}
    first = dict(
        corpus.table("alignments")
        .select("episode_id", pl.col("cameras").list.first().struct.field("frame_index").list.first())
        .iter_rows()
    )
    errors: dict[str, list[float]] = {}
    for sample in samples:
        meta, calibration = json.loads(sample["json"]), json.loads(sample["calib.json"])
        state = np.load(io.BytesIO(sample["lowdim.npz"]))["state"].astype(np.float64)
        source, index = meta["episode_id"].split("/")
        start, end = (frame + first[meta["episode_id"]] for frame in spans[meta["event_id"]])
        here = landmarks.filter(dataset=source, episode_index=int(index)).filter(
            pl.col("frame").is_between(start, end, "left")
        )
        for mark in here.to_dicts():
            camera = mark["camera"].split(".")[-1]
            seen = project(
                calibration[camera], np.array([mark["x"], mark["y"], mark["z"]]), state[mark["frame"] - start]
            )
            errors.setdefault(camera, []).append(float(np.hypot(seen[0] - mark["u"], seen[1] - mark["v"])))
    assert set(errors) == {"left", "right", "wrist"}
    assert max(max(e) for e in errors.values()) < 1.0
    assert min(len(e) for e in errors.values()) >= 20


def project(calibration: dict, point: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Pixel of a point of the robot's base frame, in OpenCV axes."""
    if calibration["mount"] == "base":
        base_camera = np.array(calibration["T_base_camera"])
    else:
        base_camera = pose(state) @ np.array(calibration["T_ee_camera"])
    x, y, z, _ = np.linalg.inv(base_camera) @ [*point, 1.0]
    u, v, w = np.array(calibration["K"]) @ [x, y, z]
    return np.array([u / w, v / w])


def pose(state: np.ndarray) -> np.ndarray:
    """4x4 of a state's position and quaternion (x, y, z, w)."""
    x, y, z, w = state[3:7]
    rotation = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, state[:3]
    return matrix
