"""Another log format, whose streams have clocks of their own, goes through the whole walk: 500 Hz joints, cameras of 30
and of 60 frames/s out of phase, a gripper that is published only when it changes. Expected values are those of the
functions that were recorded."""

import ast
import io
import json
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image

from pipeline.corpus.verify import verify
from pipeline.corpus.view import Corpus
from tests.datasets import number_in, numbered, write_video
from tests.plain_source import Plain

ROOT = Path(__file__).parents[2]
SECONDS, CLOCK = 6.0, 1000.0  # the recording starts at 1000 s of its own clock
LATE = {"front": 0.004, "side": 0.011}  # s by which a camera's first picture comes after that
CLOSES, OPENS = 2.4, 4.2  # s, when the gripper is told to
PROFILE = """
name: plain_arm
match: {robot_types: [plain_arm]}
frame: table
action_mode: absolute
arms:
  single:
    position: [{column: tip, names: [x, y, z], unit: m}]
    joints: [{column: joints, names: [j0, j1], unit: rad}]
    gripper: [{column: hand, names: [opening], open: 1, closed: 0}]
"""


def tip(time: np.ndarray) -> np.ndarray:
    """float[N, 3], m: down to the object, up with it, and to the other side."""
    keys = np.array([[0, 0, 0.3], [0.2, 0, 0.05], [0.2, 0, 0.05], [0.2, 0.3, 0.2], [0.2, 0.3, 0.2], [0, 0.3, 0.3]])
    at = [0.0, 2.1, 2.6, 4.0, 4.5, SECONDS]
    return np.stack([np.interp(time, at, keys[:, axis]) for axis in range(3)], axis=1)


def joints(time: np.ndarray) -> np.ndarray:
    return np.stack([np.sin(time), 0.1 * time], axis=1)


def stream(path: Path, time: np.ndarray, names: list[str], values: np.ndarray) -> None:
    pq.write_table(pa.table({"time_s": CLOCK + time, **dict(zip(names, values.T, strict=True))}), path)


def record(folder: Path, stills: bool = False, **more) -> None:
    folder.mkdir(parents=True)
    rows = np.arange(int(SECONDS * 500)) / 500
    slow = np.arange(int(SECONDS * 100)) / 100 + 0.003
    stream(folder / "joints.parquet", rows, ["j0", "j1"], joints(rows))
    stream(folder / "tip.parquet", slow, ["x", "y", "z"], tip(slow))
    stream(folder / "force.parquet", slow[50:], ["fx"], slow[50:, None])  # its sensor woke up half a second late
    said = np.array([0.3, CLOSES, OPENS])
    stream(folder / "hand.parquet", said, ["opening"], np.array([[1.0], [0.0], [1.0]]))
    about = {
        "task": "move the block",
        "success": True,
        "streams": {
            "joints": {"names": ["j0", "j1"], "unit": "rad"},
            "tip": {"names": ["x", "y", "z"], "unit": "m"},
            "force": {"names": ["fx"], "unit": "N"},
            "hand": {"names": ["opening"], "unit": "1", "held": True},
        },
        "cameras": {
            "front": {"fps": 30.0, "start_s": CLOCK + LATE["front"]},
            "side": {"fps": 60.0, "start_s": CLOCK + LATE["side"]},
        },
        **more,
    }
    write_video(folder / "front.mp4", [range(int(SECONDS * 30))], "h264", 30)
    if stills:
        (folder / "side").mkdir()
        for number in range(int(SECONDS * 60)):
            Image.fromarray(numbered(number)).save(folder / "side" / f"{round(number * 1000 / 60)}.png")
    else:
        write_video(folder / "side.mp4", [range(int(SECONDS * 60))], "h264", 60)
    (folder / "recording.json").write_text(json.dumps(about))


@pytest.fixture(scope="module")
def plain(build, tmp_path_factory):
    """(corpus, its folder): an episode with videos, one whose side camera is stills and which holds two tasks."""
    folder = tmp_path_factory.mktemp("plain")
    record(folder / "lab" / "first_try")
    said = [{"start": 0.0, "end": 3.0, "text": "take the block"}, {"start": 3.0, "end": 6.0, "text": "put it down"}]
    record(folder / "lab" / "second_try", stills=True, said=said)
    (folder / "lab" / "recordings.json").write_text(json.dumps({"robot": "plain_arm", "fps": 30.0}))
    (folder / "arm.yaml").write_text(PROFILE)
    overrides = (f"ingest.profile={folder}/arm.yaml", "ingest.labels=L3", "shard.keep=1.0", "observe.short_side=96")
    build([folder / "lab"], folder / "corpus", *overrides, formats=(Plain(),))
    return Corpus(str(folder / "corpus")), folder / "corpus"


def test_keys_are_the_sources_own_and_nothing_is_set_aside(plain):
    corpus, _ = plain
    assert corpus.quarantine().to_dicts() == []
    episodes = corpus.table("episodes")
    assert episodes["episode_id"].to_list() == ["lab/first_try", "lab/second_try"]
    assert episodes["episode_index"].to_list() == [None, None]
    assert episodes["marks"].to_list() == ['{"success": true}'] * 2
    assert verify(corpus) == []


def test_the_clock_is_the_reference_cameras_and_others_give_their_nearest_frame(plain):
    for row in plain[0].table("alignments").to_dicts():
        assert (row["fps"], row["reference_camera"], row["pairing"]) == (30.0, "front", "time")
        frames = np.arange(int(SECONDS * 30))
        time = np.array(row["signal_time_s"])
        shown = {c["name"]: np.array(c["frame_index"]) for c in row["cameras"]}
        expected = CLOCK + LATE["front"] + shown["front"] / 30
        assert time == pytest.approx(expected, abs=1e-6)
        # the streams that move begin at 0 and 0.003 s, the side camera at 0.011 s: its frame 0 is nearest to frame 0
        assert shown["front"].tolist() == frames[: len(time)].tolist()
        assert len(time) >= len(frames) - 1
        nearest = np.rint((time - CLOCK - LATE["side"]) * 60).astype(int)
        assert np.abs(shown["side"] - np.clip(nearest, 0, None)).max() == 0
        assert max(c["max_skew_s"] for c in row["cameras"]) <= 0.5 / 60 + 1e-3


def samples(folder: Path):
    tars = sorted(str(p) for p in folder.glob("shards/latest/*.tar"))
    return [s for tar in tars for s in webdataset.WebDataset(tar, shardshuffle=False)]


def test_arrays_are_the_streams_at_each_frame_and_clips_show_it(plain):
    corpus, folder = plain
    layouts = json.loads((folder / "shards/latest/manifest.json").read_text())["layouts"]
    found = samples(folder)
    assert found
    starts = {r["episode_id"]: r for r in corpus.table("alignments").to_dicts()}
    for sample in found:
        meta = json.loads(sample["json"])
        arrays = np.load(io.BytesIO(sample["lowdim.npz"]))
        row = starts[meta["episode_id"]]
        first = int(np.argmin(np.abs(np.array(row["time_s"]) - meta["start_s"])))
        time = np.array(row["signal_time_s"])[first : first + meta["n_frames"]] - CLOCK
        assert arrays["joints.single"] == pytest.approx(joints(time), abs=1e-4)
        assert arrays["position.single"] == pytest.approx(tip(time), abs=1e-4)
        opening = arrays["gripper"][:, 0]
        near = np.minimum(np.abs(time - CLOSES), np.abs(time - OPENS)) < 2e-3
        assert (opening == ((time < CLOSES) | (time >= OPENS)))[~near].all()
        assert (arrays["valid.gripper"] == (time >= 0.3 - 0.5 / 30)).all()  # nobody knows what it was before
        assert (arrays["valid.extra.force"] == (time >= slow_start() - 0.5 / 30 - 1e-9)).all()
        assert arrays["valid.joints.single"].all()
        layout = layouts[meta["layout"]]
        assert [v["name"] for v in layout["position.single"]["values"]] == ["x", "y", "z"]
        assert layout["position.single"]["frame"] == "table"
        assert layout["extra.force"]["values"] == [{"name": "fx", "arm": "", "kind": "", "unit": "N"}]
        for camera in ("front", "side"):
            shown = next(c["frame_index"] for c in row["cameras"] if c["name"] == camera)
            with av.open(io.BytesIO(sample[f"{camera}.mp4"])) as clip:
                numbers = [number_in(f.to_ndarray(format="rgb24")) for f in clip.decode(video=0)]
            assert numbers == shown[first : first + meta["n_frames"]]


def slow_start() -> float:
    return 50 / 100 + 0.003


def test_instructions_over_time_are_tasks_of_their_own(plain):
    events = plain[0].table("events").filter(level="L3", episode_id="lab/second_try").sort("start_frame")
    assert events["label"].to_list() == ["take the block", "put it down"]


def test_statistics_are_by_layout(plain):
    _, folder = plain
    stats = json.loads((folder / "shards/latest/stats.json").read_text())
    (layout,) = stats["layouts"].values()
    assert {"joints.single", "position.single", "extra.force", "gripper"} <= set(layout)
    assert stats["robots"]["plain_arm"] == layout


def test_nothing_outside_an_adapter_imports_its_types():
    for path in [*ROOT.glob("stages/**/*.py"), *ROOT.glob("pipeline/**/*.py")]:
        if "sources/lerobot" in str(path) or "recorder" in str(path):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stages.sources.lerobot"):
                assert path == ROOT / "stages/sources/find.py", f"{path} imports {node.module}"
