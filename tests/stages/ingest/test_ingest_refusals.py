"""What must not be used is set aside, with a reason and the place where it is broken."""

import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.reasons import Quarantined, Reason
from stages.ingest import IngestConfig
from stages.ingest.extract import extract, needed_columns
from stages.ingest.layout import layout_of
from tests.datasets import Episode, write_dataset
from tests.logs import load

CONFIG = IngestConfig()


def one_episode(root, **options):
    """(dataset, reference, layout, file) of the first episode of a written dataset."""
    if not (root / "meta").exists():
        write_dataset(root, [Episode(20, 0), Episode(24, 20)], **options)
    dataset, references = load("d", str(root))
    layout = layout_of(dataset, references, CONFIG).layout
    return dataset, references[0], layout, dataset.reader(needed_columns(dataset, layout)).read(references[0])


def refusal_of(root, config=CONFIG) -> Quarantined:
    dataset, references = load("d", str(root))
    layout = layout_of(dataset, references[1:], config).layout
    with pytest.raises(Quarantined) as error:
        extract(
            dataset, references[0], layout, dataset.reader(needed_columns(dataset, layout)).read(references[0]), config
        )
    return error.value


def reason_of(root, config=CONFIG) -> tuple[Reason, str]:
    error = refusal_of(root, config)
    return error.reason, error.message


def rewrite(root, **columns):
    path = root / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(path)
    for name, change in columns.items():
        column = "observation.state" if name == "state" else name
        values = change(table[column].to_pylist())
        table = table.set_column(table.column_names.index(column), column, pa.array(values))
    pq.write_table(table, path)


def put(row, index, value):
    def change(rows):
        rows[row][index] = value
        return rows

    return change


def swap(rows):
    return [rows[1], rows[0], *rows[2:]]


def keep(root, rows):
    """The first rows alone, in the metadata too."""
    path = root / DATA
    pq.write_table(pq.read_table(path).slice(0, rows), path)
    listing = root / "meta/episodes.jsonl"
    listing.write_text(listing.read_text().replace('"length": 20', f'"length": {rows}', 1))


DATA = "data/chunk-000/episode_000000.parquet"
VIDEO = "videos/chunk-000/observation.images.front/episode_000000.mp4"
BROKEN = {  # how to break it, the reason it must get, what the message must say
    "nan": (lambda r: rewrite(r, state=put(3, 1, float("nan"))), Reason.NOT_FINITE, r"state\[1\] is nan at row 3"),
    "inf": (lambda r: rewrite(r, action=put(3, 0, float("inf"))), Reason.NOT_FINITE, r"action\[0\] is inf at row 3"),
    "shuffled": (
        lambda r: rewrite(r, timestamp=swap),
        Reason.TIME_NOT_INCREASING,
        r"is 0.0000 s at row 1 and 0.0500 s at the row",
    ),
    "duplicated": (
        lambda r: rewrite(r, timestamp=lambda t: [*t[:5], t[4], *t[6:]]),
        Reason.TIME_REPEATS,
        "at rows 4 and 5, 1 repeats",
    ),
    "clock set back": (
        lambda r: rewrite(r, timestamp=lambda t: [*t[:9], *(x - 3.0 for x in t[9:])]),
        Reason.TIME_NOT_INCREASING,
        "at row 9 and 0.4000 s at the row before",
    ),
    "no rows": (lambda r: keep(r, 0), Reason.EMPTY_EPISODE, "no row of episode 0"),
    "one row": (lambda r: keep(r, 1), Reason.TOO_SHORT, "1 rows, ingest.min_rows is 8"),
    "stuck": (
        lambda r: rewrite(
            r,
            state=lambda s: [[*x[:3], 1.0] for x in s],
            action=lambda a: [[*x[:3], float(i < 10)] for i, x in enumerate(a)],  # 0.5 s open, 0.5 s closed
        ),
        Reason.GRIPPER_STUCK,
        r"action\[3\] tells the gripper of arm single to move by 1.00 of its range, .+ moves by 0.0",
    ),
    "gap": (
        lambda r: rewrite(r, timestamp=lambda t: [*t[:-1], 9.0]),
        Reason.TIME_GAP,
        "jumps by 8.10 s between rows 18 and 19",
    ),
    "jump": (lambda r: rewrite(r, state=put(10, 2, 4.0)), Reason.STATE_JUMP, "m/s into row 10"),
    "gripper": (lambda r: rewrite(r, state=put(4, 3, 37.0)), Reason.GRIPPER_OUT_OF_RANGE, "is .37.0. at row 4"),
    "task": (lambda r: rewrite(r, task_index=lambda t: [5] * len(t)), Reason.UNKNOWN_TASK, "task_index 5"),
    "shape": (lambda r: rewrite(r, state=lambda s: [x[:3] for x in s]), Reason.WRONG_SHAPE, "metadata says 4"),
    "zero bytes": (lambda r: (r / DATA).write_bytes(b""), Reason.UNREADABLE_FILE, "episode_000000.parquet"),
    "no file": (lambda r: (r / DATA).unlink(), Reason.MISSING_FILE, "is absent"),
    "no camera": (lambda r: (r / VIDEO).unlink(), Reason.MISSING_CAMERA, "ingest.video=ignore"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_episode_is_refused_with_reason_and_place(tmp_path, case):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)])
    break_it, reason, message = BROKEN[case]
    break_it(tmp_path)
    found, text = reason_of(tmp_path)
    assert found is reason
    assert re.search(message, text), text


@pytest.mark.parametrize(
    ("case", "row", "lines"),
    [
        ("nan", 3, ["observation.state[1]"]),
        ("duplicated", 5, ["timestamp, s"]),
        (
            "jump",
            10,
            ["observation.state[2]", "observation.state[1]", "observation.state[0]"],
        ),  # z jumps, y moves on, x rests
        ("gripper", 4, ["opening of arm single, 0 to 1 by the profile"]),
        ("stuck", 10, ["commanded opening", "measured opening"]),
    ],
)
def test_a_refusal_carries_the_signal_that_shows_it(tmp_path, case, row, lines):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)])
    BROKEN[case][0](tmp_path)
    evidence = refusal_of(tmp_path).evidence
    assert (evidence.row, [name for name, _ in evidence.lines]) == (row, lines)
    assert {len(values) for _, values in evidence.lines} == {20}


def test_lengths_are_held_against_the_metadata(tmp_path):
    write_dataset(tmp_path, [Episode(20, 0), Episode(20, 20)])
    path = tmp_path / "meta/episodes.jsonl"
    path.write_text(path.read_text().replace('"length": 20', '"length": 21', 1))
    reason, message = reason_of(tmp_path)
    assert reason is Reason.ROW_COUNT_MISMATCH
    assert "20 rows of episode 0, metadata says 21" in message


def test_a_short_episode_is_refused(tmp_path):
    write_dataset(tmp_path, [Episode(5, 0), Episode(20, 20)])
    assert reason_of(tmp_path)[0] is Reason.TOO_SHORT


def test_without_video_wanted_a_missing_camera_does_not_matter(tmp_path):
    dataset, reference, layout, file = one_episode(tmp_path)
    row, _ = extract(dataset, reference, layout, file, IngestConfig(video="ignore"))
    assert (row["cameras"], row["flags"]) == ([], ["no_video"])
