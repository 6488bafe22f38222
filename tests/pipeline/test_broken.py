"""One dataset, every way to be broken: each episode gets its own reason and a message that names the place; the rest is
built.
"""

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.corpus.view import Corpus
from tests.datasets import Episode, write_dataset

STATE, ACTION = "observation.state", "action"


def rows(root: Path, index: int, column: str, change) -> None:
    """Change a column of an episode's data file."""
    path = data(root, index)
    table = pq.read_table(path)
    values = change(table[column].to_pylist())
    pq.write_table(table.set_column(table.column_names.index(column), column, pa.array(values)), path)


def data(root: Path, index: int) -> Path:
    return root / f"data/chunk-000/episode_{index:06d}.parquet"


def video(root: Path, index: int) -> Path:
    return root / f"videos/chunk-000/observation.images.front/episode_{index:06d}.mp4"


def put(row: int, index: int, value: float):
    def change(values):
        values[row][index] = value
        return values

    return change


def keep(number: int):
    def cut(root: Path, index: int) -> None:
        pq.write_table(pq.read_table(data(root, index)).slice(0, number), data(root, index))
        listed(root, index, number)

    return cut


def listed(root: Path, index: int, length: int) -> None:
    path = root / "meta/episodes.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[index]["length"] = length
    path.write_text("\n".join(json.dumps(line) for line in lines))


def truncate(root: Path, index: int) -> None:
    video(root, index).write_bytes(video(root, index).read_bytes()[:-1500])


def longer_video(root: Path, index: int) -> None:
    shutil.copy(video(root, 0), video(root, index))


CASES = {  # how an episode is broken, its reason, what its message must say besides the file
    "truncated mp4": (truncate, "video_unreadable", "moov atom|Invalid data"),
    "video of another length": (longer_video, "length_mismatch", "camera front has 60 frames, the log 50 rows"),
    "NaN": (lambda r, i: rows(r, i, STATE, put(3, 1, float("nan"))), "not_finite", r"state\[1\] is nan at row 3"),
    "Inf": (lambda r, i: rows(r, i, ACTION, put(3, 0, float("inf"))), "not_finite", r"action\[0\] is inf at row 3"),
    "shuffled": (lambda r, i: rows(r, i, "timestamp", lambda t: t[::-1]), "time_not_increasing", "steps back"),
    "duplicated": (
        lambda r, i: rows(r, i, "timestamp", lambda t: [*t[:9], t[8], *t[10:]]), "time_repeats", "rows 8 and 9"
    ),
    "jumping": (
        lambda r, i: rows(r, i, "timestamp", lambda t: [*t[:30], *(x + 7 for x in t[30:])]), "time_gap",
        "7.05 s between rows 29 and 30",
    ),
    "missing camera file": (lambda r, i: video(r, i).unlink(), "missing_camera", "ingest.video=ignore"),
    "empty episode": (keep(0), "empty_episode", "no row of episode"),
    "one frame": (keep(1), "too_short", "1 rows, ingest.min_rows is 8"),
    "counts that lie": (lambda r, i: listed(r, i, 51), "row_count_mismatch", "50 rows of episode .*metadata says 51"),
    "state that jumps": (lambda r, i: rows(r, i, STATE, put(20, 2, 9.0)), "state_jump", "m/s into row 20"),
    "gripper stuck": (
        lambda r, i: rows(r, i, STATE, lambda s: [[*x[:3], 1.0] for x in s]), "gripper_stuck", "moves by 0.0000"
    ),
    "gripper out of range": (
        lambda r, i: rows(r, i, STATE, put(4, 3, 37.0)), "gripper_out_of_range", "is .37.0. at row 4"
    ),
    "zero-byte parquet": (lambda r, i: data(r, i).write_bytes(b""), "unreadable_file", "0 bytes"),
    "no parquet": (lambda r, i: data(r, i).unlink(), "missing_file", "is absent"),
    "wrong shape": (
        lambda r, i: rows(r, i, STATE, lambda s: [x[:3] for x in s]), "wrong_shape", r"width \[3\], metadata says 4"
    ),
    "unknown task": (lambda r, i: rows(r, i, "task_index", lambda t: [5] * len(t)), "unknown_task", "task_index 5"),
}  # fmt: skip


@pytest.fixture(scope="module")
def broken(build, tmp_path_factory) -> Corpus:
    folder = tmp_path_factory.mktemp("broken")
    episodes = [Episode(60, 0), *(Episode(50, 60) for _ in CASES), Episode(55, 120)]
    source = write_dataset(folder / "logs", episodes)
    for index, (break_it, _, _) in enumerate(CASES.values(), 1):
        break_it(source, index)
    info = source / "meta/info.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"total_episodes": len(episodes) + 1}))
    build([source], folder / "corpus", "shard.target_bytes=100000")
    return Corpus(str(folder / "corpus"))


@pytest.mark.parametrize(("number", "case"), list(enumerate(CASES, 1)))
def test_each_gets_its_reason_and_a_message_that_names_the_place(broken, number, case):
    _, reason, message = CASES[case]
    (row,) = broken.quarantine().filter(episode_id=f"logs/{number:06d}").to_dicts()
    assert row["reason"] == reason
    assert f"episode_{number:06d}." in row["message"] or "episodes" in row["message"]
    assert re.search(message, row["message"]), row["message"]


def test_an_episode_that_is_counted_and_not_listed_is_one_too(broken):
    (row,) = broken.quarantine().filter(episode_id=f"logs/{len(CASES) + 2:06d}").to_dicts()
    assert (row["reason"], "info.json counts episode" in row["message"]) == ("episode_not_listed", True)


def test_what_is_whole_is_built_and_nothing_is_lost(broken):
    built = set(broken.table("events")["episode_id"])
    assert built == {"logs/000000", f"logs/{len(CASES) + 1:06d}"}
    aside = set(broken.quarantine()["episode_id"])
    assert built | aside == set(broken.wanted("ingest")["item"])
    assert len(set(broken.quarantine()["reason"])) == len(CASES)  # NaN and Inf share one; not listed has its own
