"""A corpus exported as LeRobot v3.0, and read back by this project. What the lerobot package makes of it: `make
check-exports`."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cli import main
from pipeline.corpus.view import Corpus
from pipeline.export.statistics import Collected
from pipeline.export.videos import Joined
from pipeline.export.words import Words
from stages.video.encode import encode
from tests.datasets import Episode, number_in, numbered, write_dataset

LENGTHS = (61, 47, 60)  # the first one's proxies end with a keyframe: every tenth frame is one


def export(corpus: Path, target: Path, *options: str):
    return CliRunner().invoke(main, ["export", "lerobot", "--corpus", str(corpus), "--to", str(target), *options])


@pytest.fixture(scope="module")
def places(build, tmp_path_factory):
    """A corpus of three episodes with marks and calibration, its export, and a corpus built of that."""
    root = tmp_path_factory.mktemp("export")
    episodes = [Episode(n, 70 * i, task=f"task {i % 2}") for i, n in enumerate(LENGTHS)]
    source = write_dataset(root / "lab", episodes, version="v3.0", cameras=("front", "wrist"))
    listed = source / "meta/episodes/chunk-000/file-000.parquet"
    marked = pl.read_parquet(listed).with_columns(success=pl.Series([True, False, None]), operator=pl.lit("ann"))
    marked.write_parquet(listed)
    tasks = pl.DataFrame({"task_index": [0, 1], "task": ["task 0", "task 1"]})
    tasks.write_parquet(source / "meta/tasks.parquet")
    for data in source.glob("data/*/*.parquet"):
        pl.read_parquet(data).with_columns(task_index=pl.col("episode_index") % 2).write_parquet(data)
    matrix = [[100.0, 0.0, 95.5], [0.0, 100.0, 47.5], [0.0, 0.0, 1.0]]
    calibration = {"cameras": {"observation.images.front": {"K": matrix, "width": 192, "height": 96}}}
    (source / "meta/calibration.json").write_text(json.dumps(calibration))
    build([source], root / "corpus", "observe.short_side=48", until="caption")
    run = export(root / "corpus", root / "out")
    assert run.exit_code == 0, run.output
    build([root / "out"], root / "again", "ingest.labels=L1", "observe.short_side=48", until="segment")
    return root


def test_layout_on_disk(places):
    out = places / "out/lab"
    info = json.loads((out / "meta/info.json").read_text())
    assert {k: info[k] for k in ("codebase_version", "robot_type", "total_episodes", "total_frames", "fps")} == {
        "codebase_version": "v3.0",
        "robot_type": "metaworld_sawyer",
        "total_episodes": 3,
        "total_frames": sum(LENGTHS),
        "fps": 20,
    }
    assert info["features"]["observation.state"] == {
        "dtype": "float32",
        "shape": [4],
        "names": ["x", "y", "z", "gripper"],
    }
    assert info["features"]["observation.images.wrist"]["shape"] == [48, 96, 3]
    rows = pl.read_parquet(out / "data/chunk-000/file-000.parquet")
    assert rows["index"].to_list() == list(range(sum(LENGTHS)))
    assert rows.filter(episode_index=1)["frame_index"].to_list() == list(range(47))
    assert rows["timestamp"].to_list() == [np.float32(i / 20) for n in LENGTHS for i in range(n)]
    assert pq.ParquetFile(out / "data/chunk-000/file-000.parquet").num_row_groups == 3
    listed = pl.read_parquet(out / "meta/episodes/chunk-000/file-000.parquet")
    assert listed["dataset_from_index"].to_list() == [0, 61, 108]
    assert listed["tasks"].to_list() == [["task 0"], ["task 1"], ["task 0"]]
    assert listed["success"].to_list() == [True, False, None]
    assert listed["corpus/episode_id"].to_list() == [f"lab/00000{i}" for i in range(3)]
    assert rows["task_index"].to_list() == [0] * 61 + [1] * 47 + [0] * 60


def test_each_picture_is_its_row_s(places):
    out = places / "out/lab"
    for camera in ("front", "wrist"):
        key = f"videos/observation.images.{camera}"
        listed = pl.read_parquet(out / "meta/episodes/chunk-000/file-000.parquet").to_dicts()
        # the first episode ends with a keyframe, so the second begins a file
        assert [row[f"{key}/file_index"] for row in listed] == [0, 1, 1]
        for number, row in enumerate(listed):
            path = out / key / f"chunk-000/file-00{row[f'{key}/file_index']}.mp4"
            with av.open(str(path)) as container:
                times, seen = [], []
                for frame in container.decode(video=0):
                    times.append(float(frame.time))
                    seen.append(number_in(frame.to_ndarray(format="rgb24")))
            first = int(np.argmin(np.abs(np.array(times) - row[f"{key}/from_timestamp"])))
            assert seen[first : first + row["length"]] == list(range(70 * number, 70 * number + row["length"]))
            own = np.array(times[first : first + row["length"]]) - row[f"{key}/from_timestamp"]
            assert np.abs(own - np.arange(row["length"]) / 20).max() < 1e-6
            assert row[f"{key}/to_timestamp"] - row[f"{key}/from_timestamp"] == pytest.approx(row["length"] / 20)


def test_read_back_it_is_the_same_and_its_subtasks_are_the_events(places):
    first, again = Corpus(str(places / "corpus")), Corpus(str(places / "again"))
    assert again.quarantine().is_empty()
    columns = ["episode_id", "robot", "profile", "task", "n_rows", "layout", "marks", "flags"]
    assert first.table("episodes", columns=columns).equals(again.table("episodes", columns=columns))
    before, after = (c.table("signals").filter(pl.col("stream").is_in(["state", "action"])) for c in (first, again))
    for ours, theirs in zip(before.to_dicts(), after.to_dicts(), strict=True):
        assert ours["stream"] == theirs["stream"]
        np.testing.assert_array_equal(ours["values"], theirs["values"])
    wanted = first.table("events").filter(level="L1", track="all")
    found = again.table("events").filter(level="L1", track="all")
    spans = ["episode_id", "start_frame", "end_frame"]
    assert wanted.select(spans).equals(found.select(spans))
    words = first.table("captions", columns=["event_id", "text"]).join(wanted, on="event_id", how="semi")
    assert found["label"].to_list() == words.sort("event_id")["text"].to_list()
    assert set(found["origin"]) == {"source"}


def test_calibration_is_that_of_the_proxies(places):
    """192 x 96 became 96 x 48: (95.5 + 0.5) / 2 - 0.5 = 47.5."""
    value = json.loads((places / "out/lab/meta/calibration.json").read_text())["cameras"]
    assert list(value) == ["observation.images.front"]
    front = value["observation.images.front"]
    np.testing.assert_allclose(front["K"], [[50.0, 0.0, 47.5], [0.0, 50.0, 23.5], [0.0, 0.0, 1.0]])
    assert (front["width"], front["height"]) == (96, 48)


def test_subtasks_as_older_and_newer_packages_know_them(places):
    out = places / "out/lab"
    rows = pl.read_parquet(
        out / "data/chunk-000/file-000.parquet", columns=["episode_index", "subtask_index", "timestamp"]
    )
    texts = pl.read_parquet(out / "meta/subtasks.parquet").sort("subtask_index")["subtask"].to_list()
    events = Corpus(str(places / "corpus")).table("events").filter(level="L1", track="all")
    runs = rows.filter(
        (pl.col("subtask_index") != pl.col("subtask_index").shift(1)) | (pl.col("timestamp") == 0)
    ).height
    assert runs == events.height  # each event is a run of its own, also where the next one's words are the same
    assert rows["subtask_index"].min() == 0
    said = pq.read_table(out / "data/chunk-000/file-000.parquet", columns=["language_persistent"])[
        "language_persistent"
    ]
    for row in (0, 30, 61, 167):
        t, own = rows["timestamp"][row], said[row].as_py()
        assert {s["style"] for s in own} == {"subtask"}
        last = max((s for s in own if s["timestamp"] <= t), key=lambda s: s["timestamp"])
        assert last["content"] == texts[rows["subtask_index"][row]]
    index = pq.read_schema(out / "meta/subtasks.parquet").pandas_metadata["index_columns"]
    assert index == ["subtask"]


def test_statistics_are_those_of_the_rows(places):
    out = places / "out/lab"
    rows, stats = (
        pl.read_parquet(out / "data/chunk-000/file-000.parquet"),
        json.loads((out / "meta/stats.json").read_text()),
    )
    state = np.array(rows["observation.state"].to_list())
    for name, value in (("mean", state.mean(axis=0)), ("std", state.std(axis=0)), ("min", state.min(axis=0))):
        np.testing.assert_allclose(stats["observation.state"][name], value, atol=1e-6)
    assert stats["action"]["count"] == [sum(LENGTHS)]
    assert np.shape(stats["observation.images.front"]["mean"]) == (3, 1, 1)
    assert stats["observation.images.front"]["count"] == [7 + 5 + 6]  # keyframes
    listed = pl.read_parquet(out / "meta/episodes/chunk-000/file-000.parquet")
    own = state[61:108]
    np.testing.assert_allclose(listed["stats/observation.state/max"][1].to_list(), own.max(axis=0), atol=1e-6)
    np.testing.assert_allclose(listed["stats/observation.state/q50"][1].to_list(), np.median(own, axis=0), atol=1e-6)


def test_some_episodes_another_level_and_no_language(places, tmp_path):
    run = export(
        places / "corpus", tmp_path / "out", "--where", "success AND operator = 'ann'", "--level", "L2", "--no-language"
    )
    assert run.exit_code == 0, run.output
    info = json.loads((tmp_path / "out/lab/meta/info.json").read_text())
    assert info["total_episodes"] == 1
    assert "language_persistent" not in info["features"]
    events = Corpus(str(places / "corpus")).table("events").filter(level="L2", track="all", episode_id="lab/000000")
    assert f"1 episodes, 61 frames, 2 cameras, {events.height} events" in run.output


def test_the_same_corpus_gives_the_same_bytes(places, tmp_path):
    assert export(places / "corpus", tmp_path / "out").exit_code == 0
    files = sorted(p.relative_to(places / "out") for p in (places / "out").rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*") if p.is_file())
    for path in files:
        assert (places / "out" / path).read_bytes() == (tmp_path / "out" / path).read_bytes(), path


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        ("corpus", (), "is there and not empty"),
        ("s3://bucket/out", (), "a folder on a disk"),
        ("out", ("--where", "success ="), "is no SQL expression"),
        ("out", ("--where", "success AND n_rows > 1000"), "no episode of which success AND n_rows > 1000 is true"),
    ],
)
def test_what_cannot_be_done_is_said(places, tmp_path, target, options, said):
    goal = target if "://" in target else str(places / target if target == "corpus" else tmp_path / target)
    run = export(places / "corpus", goal, *options)
    assert run.exit_code == 2
    assert said in run.output
    assert not list(tmp_path.iterdir())


def test_a_damaged_proxy_ends_it_and_leaves_nothing(places, tmp_path):
    copy = tmp_path / "corpus"
    shutil.copytree(places / "corpus", copy, symlinks=True)
    proxy = next((copy / "media/lab/000001").glob("front-*.mp4"))
    proxy.write_bytes(proxy.read_bytes()[:-1] + b"x")
    run = export(copy, tmp_path / "out")
    assert run.exit_code == 2
    assert "sha256 is not the committed one; corpus verify, then corpus repair" in run.output
    assert [p.name for p in tmp_path.iterdir()] == ["corpus"]


# -- parts


def test_words_that_follow_themselves_have_a_second_number():
    words = Words()
    numbers, before = [], None
    for text in ("grasp", "lift", "lift", "lift", "grasp"):
        before = words.number(text, other_than=before)
        numbers.append(before)
    assert numbers == [0, 1, 2, 1, 0]
    assert words.texts == ["grasp", "lift", "lift"]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30))
def test_neighbours_never_share_a_number_and_each_number_is_its_text_s(texts):
    words, before, numbers = Words(), None, []
    for text in texts:
        before = words.number(text, other_than=before)
        numbers.append(before)
    assert [words.texts[n] for n in numbers] == texts
    assert all(a != b for a, b in pairwise(numbers))
    assert len(words.texts) <= 2 * len(set(texts))


@pytest.fixture(scope="module")
def proxy(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("proxy") / "proxy.mp4"
    frames = (av.VideoFrame.from_ndarray(numbered(n), format="rgb24").reformat(format="yuv420p") for n in range(40))
    encode(str(path), frames, 20.0, 10, 25)
    return str(path)


@settings(max_examples=15)
@given(st.lists(st.lists(st.integers(0, 39), min_size=1, max_size=30).map(sorted), min_size=1, max_size=4))
def test_clips_that_are_joined_hold_the_frames_asked_for(proxy, tmp_path_factory, clips):
    root = tmp_path_factory.mktemp("joined")
    joined = Joined(str(root), "front", 20.0)
    places = [joined.add(proxy, shown, 10, 25) for shown in clips]
    joined.close()
    held = {}
    for path in root.rglob("*.mp4"):
        with av.open(str(path)) as container:
            frames = list(container.decode(video=0))
        assert [round(float(f.time) * 20) for f in frames] == list(range(len(frames)))
        held[int(path.stem.split("-")[1])] = [number_in(f.to_ndarray(format="rgb24")) for f in frames]
    for place, shown in zip(places, clips, strict=True):
        assert held[place.file][place.start : place.start + place.frames] == shown


def test_statistics_of_two_episodes_by_hand():
    collected = Collected()
    first = collected.add("x", np.array([[0.0], [2.0]]))
    collected.add("x", np.array([[4.0], [6.0]]))
    assert (first["min"], first["max"], first["mean"], first["std"], first["count"]) == (
        [0.0],
        [2.0],
        [1.0],
        [1.0],
        [2],
    )
    assert first["q50"] == [1.0]
    whole = collected.whole()["x"]
    assert (whole["min"], whole["max"], whole["mean"], whole["count"]) == ([0.0], [6.0], [3.0], [4])
    assert whole["std"] == pytest.approx([np.sqrt(5.0)])
