"""Sources made to do harm, all in one build: each is lost alone and said, the good one is built, exit code 1."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.corpus.view import Corpus
from tests.datasets import Episode, write_dataset

SMALL = ("--set", "shard.target_bytes=100000", "--set", "run.workers=2")
CAMERA = "observation.images.front"


def info(root: Path, **changes) -> None:
    path = root / "meta/info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def features(root: Path, **changes) -> None:
    info(root, features={**json.loads((root / "meta/info.json").read_text())["features"], **changes})


def pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def link_out(root: Path, path: Path) -> None:
    moved = shutil.move(path, root.parent / f"outside-{root.name}")
    path.symlink_to(moved)


def data(root: Path) -> Path:
    return root / "data/chunk-000/episode_000000.parquet"


def video(root: Path) -> Path:
    return root / f"videos/chunk-000/{CAMERA}/episode_000000.mp4"


def state(root: Path, values) -> None:
    table = pq.read_table(data(root))
    at = table.column_names.index("observation.state")
    pq.write_table(table.set_column(at, "observation.state", values(table.num_rows)), data(root))


def many_rows(root: Path) -> None:
    rows = 5_000_000  # as many as fit in a few kB
    columns = {"timestamp": np.zeros(rows, np.float32), "episode_index": np.zeros(rows, np.int64)}
    pq.write_table(pa.table(columns), data(root))


def truncated_to(path: Path, size: int) -> None:
    path.write_bytes(b"")
    os.truncate(path, size)


SOURCE_LOST = {  # how a source is made bad, what is said of it
    "markup": (lambda r: info(r, robot_type="cr5[/red]", fps=-1), "fps is -1"),
    "deep": (lambda r: (r / "meta/info.json").write_text("[" * 200_000), "nested too deep"),
    "nan_fps": (lambda r: info(r, fps=float("nan")), "fps is nan"),
    "wide_template": (lambda r: info(r, data_path="{episode_index:06000000000d}"), "a path is expected"),
    "reaching_template": (lambda r: info(r, data_path="{episode_index.real}"), "a path is expected"),
    "case": (
        lambda r: features(r, **{"observation.images.Front": {"dtype": "video", "shape": [9, 9, 3]}}),
        "same name in a",
    ),
    "wide": (
        lambda r: features(r, **{c: {"dtype": "float32", "shape": [10**9]} for c in ("observation.state", "action")}),
        "neither state nor action can be told",
    ),
    "pipe_meta": (lambda r: pipe(r / "meta/info.json"), "is a pipe, a socket or a device"),
    "pipe_list": (lambda r: pipe(r / "meta/episodes.jsonl"), "is a pipe, a socket or a device"),
    "link_meta": (lambda r: link_out(r, r / "meta/episodes.jsonl"), "leaves the dataset"),
    "long_line": (lambda r: truncated_to(r / "meta/episodes.jsonl", 10 << 30), "a line of over"),
    "no_list": (lambda r: (r / "meta/episodes.jsonl").unlink(), "is missing"),
}
EPISODE_LOST = {  # how its one episode is made bad, the reason, what is said
    "pipe_data": (lambda r: pipe(data(r)), "missing_file", "is a pipe, a socket or a device"),
    "pipe_video": (lambda r: pipe(video(r)), "missing_camera", "is a pipe, a socket or a device"),
    "link_data": (lambda r: link_out(r, data(r)), "missing_file", "leaves the dataset"),
    "link_video": (lambda r: link_out(r, video(r)), "missing_camera", "leaves the dataset"),
    "sparse": (lambda r: truncated_to(data(r), 10 << 30), "unreadable_file", "does not end as a Parquet file"),
    "rows": (many_rows, "unreadable_file", "5000000 rows; by its metadata at most"),
    "text": (lambda r: state(r, lambda n: pa.array([["x"] * 4] * n)), "wrong_type", "is of type string, numbers"),
    "mapping": (lambda r: state(r, lambda n: pa.array([{"x": 1}] * n)), "wrong_shape|wrong_type", "metadata says 4"),
    "values": (
        lambda r: state(r, lambda n: pa.array([np.zeros(20_000)] * n)), "wrong_shape",
        "rows of width [20000], metadata says 4",
    ),
}  # fmt: skip
EPISODE_LOST["huge"] = (
    lambda r: state(r, lambda n: pa.array([[1e20 * (-1) ** i] * 4 for i in range(n)])), "not_finite", "at most 1e+15"
)  # fmt: skip
USED = {  # what is odd and can be used all the same
    "robot": lambda r: info(r, robot_type="cr5[/red]\x1b[2J\x00{0}%s<b>"),
    "task": lambda r: (r / "meta/episodes.jsonl").write_text(
        json.dumps({"episode_index": 0, "tasks": ["[bold]$x^2$ \x1b[31m</script> \udc00" + "y" * 9000], "length": 40})
    ),
    "calibrated": lambda r: (r / "meta/calibration.json").write_text(json.dumps({"cameras": {CAMERA: {"K": [1]}}})),
    "counted": lambda r: info(r, total_episodes=2),
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> tuple[subprocess.CompletedProcess[str], Corpus]:
    """One build, in a process of its own with less than 3 GB of data, started where its paths are odd."""
    folder = tmp_path_factory.mktemp("hostile")
    sources = [
        "good=" + str(write_dataset(folder / "go od#{a,b}%$x$", [Episode(40, 0), Episode(40, 40)])),
        "absent=/no/such",
    ]
    for name, how in {**SOURCE_LOST, **EPISODE_LOST, **USED}.items():
        root = write_dataset(folder / name, [Episode(40, 0)], robot="metaworld_sawyer")
        (how if callable(how) else how[0])(root)
        sources.append(str(root))
    (folder / "file").write_text("no folder")
    sources += [
        str(folder / "file"),
        "absent=/no/such",
        "/no/such",
        f"/no/{'good'}",
        b"/no/\xff".decode(errors="surrogateescape"),
    ]
    corpus = folder / "cor pus#1 {x} 100%"
    words = [w for s in sources for w in ("--source", s)]
    done = corpus_command("build", *words, "--corpus", str(corpus), *SMALL)
    return done, Corpus(str(corpus))


def corpus_command(*words: str, seconds: int = 240) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, 3 << 30))

    return subprocess.run(
        [sys.executable, "-m", "pipeline", *words], capture_output=True, text=True, timeout=seconds, check=False,
        preexec_fn=limit,
    )  # fmt: skip


def test_the_build_ends_with_exit_code_1_and_without_a_traceback(hostile):
    done, _ = hostile
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", done.stdout + done.stderr)
    worst = done.stderr.strip().splitlines()[-1]
    assert "100% of absent" in worst
    assert "of good," not in worst


@pytest.mark.parametrize("name", SOURCE_LOST)
def test_a_bad_source_is_lost_alone_and_said(hostile, name):
    done, corpus = hostile
    words = SOURCE_LOST[name][1]
    assert words in corpus.manifest["lost"][name]
    (line,) = [x for x in done.stdout.splitlines() if x.startswith(f"source   {name}: cannot be used")]
    assert words in line
    assert corpus.quarantine().filter(source=name).height == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent", "there is no such folder"),
        ("such", "there is no such folder"),
        ("good_lost", "there is no such folder"),  # another of that name is there
        ("file", "it is a file"),
    ],
)
def test_so_is_one_that_is_not_there(hostile, name, words):
    assert words in hostile[1].manifest["lost"][name]


def test_a_path_that_is_no_text_is_lost_alone_too(hostile):
    assert sum("is not UTF-8" in why for why in hostile[1].manifest["lost"].values()) == 1


@pytest.mark.parametrize("name", EPISODE_LOST)
def test_a_bad_episode_has_its_reason_and_no_traceback(hostile, name):
    _, reason, words = EPISODE_LOST[name]
    (row,) = hostile[1].quarantine().filter(source=name).to_dicts()
    assert re.fullmatch(reason, row["reason"]), row
    assert words in row["message"]
    assert not row["retryable"]


def test_the_good_one_and_the_odd_ones_are_built(hostile):
    corpus = hostile[1]
    assert set(corpus.table("events")["episode_id"]) == {
        "good/000000", "good/000001", *(f"{name}/000000" for name in USED)
    }  # fmt: skip
    robots = dict(corpus.table("episodes").select("source", "robot").iter_rows())
    assert robots["robot"] == "cr5[/red]\ufffd[2J\ufffd{0}%s<b>"
    tasks = {r["source"]: (r["task"], r["flags"]) for r in corpus.table("episodes").to_dicts()}
    assert tasks["task"][0].startswith("[bold]$x^2$ \ufffd[31m</script> \ufffdyyy")
    assert len(tasks["task"][0]) == 2000
    assert "task_shortened" in tasks["task"][1]
    assert "calibration_refused" in tasks["calibrated"][1]


def test_its_memory_stayed_small(hostile):
    assert hostile[1].status()["peak_mb"].max() < 2000


@pytest.mark.soak
def test_every_command_works_on_odd_paths_and_odd_text(hostile, tmp_path):
    folder = tmp_path / "o ut#{1,2}$"
    folder.mkdir()
    root = str(shutil.copytree(hostile[1].root, folder / "cor pus#1 {x} 100%", symlinks=True))
    commands = [
        ["status"], ["quarantine"], ["quarantine", "--to", f"{folder}/q.parquet"], ["show", "episodes"],
        ["show", "events", "--to", f"{folder}/e.parquet"], ["report"], ["verify"], ["compact"], ["gc", "--dry-run"],
        ["gc"], ["explain", "task/000000", "--to", str(folder)], ["labels", "--to", f"{folder}/l.csv"],
        ["labels", "--to", f"{folder}/agibot", "--format", "agibot"],
        ["labels", "--to", f"{folder}/lerobot", "--format", "lerobot"],
    ]  # fmt: skip
    for words in commands:
        done = corpus_command(*words, "--corpus", root)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", done.stdout), words
    page = Path(root, "report.html").read_text()
    assert "</script> " not in page.replace("</script>\n", "")
    assert "<b>" not in re.sub(r"<b[ >][^<]*</b>", "", page) or "%s<b>" not in page


INTO_SURVEY, INTO_RAY = 0.9, 1.6  # s after the start


@pytest.mark.parametrize(
    ("number", "wait"),
    [
        (signal.SIGINT, INTO_RAY),
        (signal.SIGTERM, INTO_SURVEY),
        pytest.param(signal.SIGINT, INTO_SURVEY, marks=pytest.mark.soak),
        pytest.param(signal.SIGTERM, INTO_RAY, marks=pytest.mark.soak),
    ],
)
def test_a_signal_ends_a_command_also_twice_and_while_ray_starts(tmp_path, number, wait):
    source = write_dataset(tmp_path / "logs", [Episode(40, 0)])
    words = ["build", "--source", str(source), "--corpus", str(tmp_path / "corpus")]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        process.wait(wait)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode in (130, -number), output
    assert "Traceback" not in output
