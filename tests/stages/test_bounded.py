"""What is read of a source has a bound, and the message says which."""

import io
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages import bounded, storage
from stages.bounded import Unreadable
from stages.sources.files import listing
from stages.text import file_name, plain, printable


@pytest.fixture
def small(monkeypatch):
    """The same bounds, smaller."""
    for name, value in {"JSON_BYTES": 1000, "LINE_BYTES": 1000, "EPISODES": 5, "MB": 100, "VALUES": 50}.items():
        monkeypatch.setattr(bounded, name, value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 70 + b"]" * 70, "at most 64 levels"),
        (b"[" + b"1," * 60 + b"1]", "and 50 values are read"),
        (b" " * 1001, "has 1001 bytes, at most 1000 are read"),
    ],
)
def test_json_within_bounds_or_not_at_all(tmp_path, small, content, words):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=words):
        bounded.json_file(str(path))


def test_json_that_is_nested_without_end_is_refused(tmp_path):
    (tmp_path / "x.json").write_text("[" * 1_000_000)
    with pytest.raises(Unreadable, match="nested too deep"):
        bounded.json_file(str(tmp_path / "x.json"))


def test_names_for_one_value_count_each_time_in_yaml(tmp_path):
    """A billion laughs: 9 lines, 10^9 values."""
    path = tmp_path / "x.yaml"
    lines = ["a0: &a0 [" + ", ".join(["x"] * 10) + "]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 10) + "]" for i in range(1, 9)]
    path.write_text("\n".join(lines))
    with pytest.raises(Unreadable, match="values are read"):
        bounded.yaml_file(str(path))


def test_yaml_that_is_nested_without_end_is_refused(tmp_path):
    (tmp_path / "x.yaml").write_text("[" * 10_000)
    with pytest.raises(Unreadable, match=r"nested too deep|is not YAML"):
        bounded.yaml_file(str(tmp_path / "x.yaml"))


def test_a_line_without_end_and_lines_without_end_are_refused(tmp_path, small):
    (tmp_path / "long").write_bytes(b"x" * 5000)
    with pytest.raises(Unreadable, match="a line of over 1000 bytes"):
        list(bounded.json_lines(str(tmp_path / "long")))
    (tmp_path / "many").write_bytes(b"1\n" * 6)
    with pytest.raises(Unreadable, match="more than 5 lines"):
        list(bounded.json_lines(str(tmp_path / "many")))


def test_a_sparse_file_of_ten_gigabytes_costs_nothing(tmp_path):
    path = tmp_path / "x.parquet"
    path.touch()
    os.truncate(path, 10 << 30)
    started = time.process_time()
    for read in (bounded.json_file, bounded.table, lambda uri: list(bounded.json_lines(uri))):
        with pytest.raises(Unreadable):
            read(str(path))
    assert time.process_time() - started < 2


def written(path, **columns) -> str:
    pq.write_table(pa.table(columns), path)
    return str(path)


def test_rows_are_counted_before_they_are_decoded(tmp_path):
    uri = written(tmp_path / "x.parquet", a=np.zeros(5_000_000, dtype=np.int8))
    assert os.path.getsize(uri) < 100_000  # 5 million equal rows
    with pytest.raises(Unreadable, match="5000000 rows; by its metadata at most 1000 are plausible"):
        bounded.table(uri, ["a"], most_rows=1000)


def test_what_a_dictionary_makes_of_a_few_kilobytes_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(bounded, "DECODED_BYTES", 20_000_000)
    uri = written(tmp_path / "x.parquet", a=pa.array(["x" * 100_000] * 1000))
    assert os.path.getsize(uri) < 20_000  # and 100 MB when decoded
    with pytest.raises(Unreadable, match="over 19 MB when decoded"):
        bounded.table(uri)


def test_a_damaged_footer_never_ends_the_process(tmp_path):
    """Single bits of it flipped, one after the other, in a process of its own: an error of C++ would end this one."""
    buffer = io.BytesIO()
    columns = {f"c{i}": [[float(i)] * 3] * 5 for i in range(4)} | {"tasks": [["x"]] * 5}
    pq.write_table(pa.table(columns), buffer)
    (tmp_path / "whole").write_bytes(buffer.getvalue())
    code = (
        "import sys; from stages import bounded\n"
        "data = open(sys.argv[1], 'rb').read()\n"
        "length = int.from_bytes(data[-8:-4], 'little')\n"
        "for bit in range(0, 8 * length, 11):\n"
        "    broken = bytearray(data)\n"
        "    broken[len(data) - 8 - length + bit // 8] ^= 1 << bit % 8\n"
        "    open(sys.argv[2], 'wb').write(broken)\n"
        "    try:\n"
        "        bounded.column_names(sys.argv[2]); bounded.table(sys.argv[2])\n"
        "    except bounded.Unreadable:\n"
        "        pass\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "whole"), str(tmp_path / "broken")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-800:]


def test_only_what_is_wanted_is_read_in_its_order(tmp_path):
    uri = written(tmp_path / "x.parquet", b=[1], a=[[1.0, 2.0]], c=["x"])
    assert bounded.table(uri, ["a", "nowhere", "b"]).to_pylist() == [{"a": [1.0, 2.0], "b": 1}]
    assert bounded.column_names(uri) == ["b", "a", "c"]


def test_a_column_that_is_there_twice_is_not_chosen_from(tmp_path):
    table = pa.table({"a": [1], "b": [2]}).append_column("a", pa.array([3]))
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(Unreadable, match="has column a more than once"):
        bounded.table(str(tmp_path / "x.parquet"), ["a"])
    assert bounded.table(str(tmp_path / "x.parquet"), ["b"]).to_pylist() == [{"b": 2}]


@pytest.mark.parametrize("cut", [0, 5, 11, -1, -8])
def test_half_a_parquet_file_is_told_as_such(tmp_path, cut):
    path = tmp_path / "x.parquet"
    written(path, a=[1, 2, 3])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(Unreadable, match=r"no Parquet file|does not end as"):
        bounded.table(str(path))


def test_a_footer_that_claims_too_much_is_not_believed(tmp_path):
    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), buffer)
    path = tmp_path / "x.parquet"
    path.write_bytes(buffer.getvalue()[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(Unreadable, match="a footer of 2147483647 bytes"):
        bounded.table(str(path))


# -- files


@pytest.fixture
def dataset(tmp_path):
    root = tmp_path / "set"
    (root / "data").mkdir(parents=True)
    (root / "data/one.parquet").write_text("one")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("secret")
    return root


def test_links_that_leave_a_dataset_are_refused_those_inside_it_are_followed(dataset, tmp_path):
    (dataset / "data/key").symlink_to(tmp_path / "secret/key")
    (dataset / "videos").symlink_to(tmp_path / "secret")
    (dataset / "data/two.parquet").symlink_to("one.parquet")
    (dataset / "again").symlink_to(".")
    (dataset / "gone").symlink_to("nowhere")
    found = listing(str(dataset))
    assert sorted(found.files) == ["data/one.parquet", "data/two.parquet"]
    assert sorted(found.refused) == ["data/key", "gone", "videos"]
    assert "leaves the dataset" in (found.why_refused("videos/key") or "")
    assert found.why_refused("data/one.parquet") is None
    followed = listing(str(dataset), follow=True)
    assert {"data/key", "videos/key"} <= set(followed.files)


def test_the_hub_caches_own_links_are_read(tmp_path):
    cache = tmp_path / "datasets--me--set"
    snapshot = cache / "snapshots/0123abc/data"
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    (cache / "blobs/f00").write_text("content")
    (snapshot / "one.parquet").symlink_to("../../../blobs/f00")
    (snapshot / "two.parquet").symlink_to("../../../../elsewhere")
    (tmp_path / "elsewhere").write_text("x")
    for root, folder in ((snapshot.parent, "data/"), (snapshot, "")):  # of one dataset, or of several in folders
        found = listing(str(root))
        assert (list(found.files), list(found.refused)) == ([f"{folder}one.parquet"], [f"{folder}two.parquet"])


def test_pipes_sockets_and_devices_are_never_opened(dataset):
    os.mkfifo(dataset / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(dataset / "socket"))
        found = listing(str(dataset))
    assert sorted(found.refused) == ["pipe", "socket"]
    for read in (storage.read_bytes, bounded.json_file, bounded.table):
        with pytest.raises((storage.NotAFile, Unreadable), match="pipe, socket or device"):
            read(str(dataset / "pipe"))
    with pytest.raises(storage.NotAFile), storage.local_copy("/dev/zero"):
        pass


# -- text


def test_text_of_a_source_is_one_line_of_what_can_be_printed():
    assert plain("a\x1b[2Jb\nc\td\u202ee\udc80") == "a\ufffd[2Jb c d\ufffde\ufffd"
    assert plain("put the 红 cup\u200c away") == "put the 红 cup\u200c away"
    assert plain("x" * 3000) == "x" * 1999 + "…"
    assert printable("two\n  lines\x00") == "two\n  lines\ufffd"


@pytest.mark.parametrize(
    ("camera", "name"),
    [("top", "top"), ("a/../../b", "a_.._.._b"), ("../x", "___x"), ("链接", "链接"), ("a b\x00", "a_b_"), (".", "_")],
)
def test_a_camera_name_is_a_file_name(camera, name):
    assert file_name(camera) == name
