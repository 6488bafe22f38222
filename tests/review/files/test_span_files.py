"""Spans that people left go to LeRobot and Label Studio and come back as decisions about what differs."""

import io
import json
import shutil
import zipfile

import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given as drawn
from hypothesis import settings
from starlette.testclient import TestClient

from pipeline.cli import main
from pipeline.corpus import decisions
from pipeline.corpus.view import Corpus
from pipeline.review.access import Access
from pipeline.review.app import application
from pipeline.review.catalogue import Catalogue, events_of
from pipeline.review.episode import Episodes
from pipeline.review.files import spans
from pipeline.review.files.take import Standing, take_spans
from pipeline.review.serve import opened
from pipeline.review.store import Store
from stages.review.edit import Ask, Impossible, change
from tests.datasets import Episode, write_dataset
from tests.review.files.test_given import WORK
from tests.review.rows import row

FIRST = ("logs/000000", "L1", "all")
SECOND = ("logs/000001", "L1", "all")


@pytest.fixture(scope="module")
def built(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    source = write_dataset(folder / "logs", [Episode(80, 100 * i) for i in range(2)])
    build([source], folder / "corpus", until="caption")
    return folder / "corpus"


@pytest.fixture
def corpus(built, tmp_path):
    return shutil.copytree(built, tmp_path / "corpus")


def run(corpus, *words, code=0):
    """What `corpus decisions` says."""
    own = ["--corpus", str(corpus)]
    if words[0] == "import":
        own += ["--store", str(corpus.parent / "s.sqlite")]
    result = CliRunner().invoke(main, ["decisions", *map(str, words), *own])
    assert result.exit_code == code, result.output
    return result.output


def standing(corpus) -> Standing:
    view = Corpus(str(corpus))
    return Standing(Catalogue(events_of(view)), decisions.read(view.root))


def annotated(path):
    """As Label Studio gives a file back in which somebody has accepted the predictions: regions of its own ids."""
    tasks = json.loads(path.read_text())
    for number, task in enumerate(tasks):
        for said in task.pop("predictions", ()):
            result = [{**r, "id": f"r{number}{n}", "origin": "prediction"} for n, r in enumerate(said["result"])]
            task["annotations"] = [{"id": number, "completed_by": 1, "was_cancelled": False, "result": result}]
    return tasks


def region(tasks, place, number):
    task = next(t for t in tasks if tuple(t["data"][k] for k in ("episode_id", "level", "track")) == place)
    return task["annotations"][-1]["result"][number]


def test_label_studio_gives_back_what_was_changed_there(corpus, tmp_path):
    file = tmp_path / "ls.json"
    run(corpus, "export", file, "--level", "L1")
    before = standing(corpus).spans(FIRST)
    assert run(corpus, "import", file).startswith("0 decisions taken up")  # predictions are nobody's word
    tasks = annotated(file)
    file.write_text(json.dumps(tasks))
    assert run(corpus, "import", file).startswith("0 decisions taken up")  # nor is what was left as it was
    region(tasks, FIRST, 0)["meta"]["text"] = ["The arm sets off."]
    region(tasks, FIRST, 1)["value"]["timelinelabels"] = ["align"]
    region(tasks, SECOND, 0)["value"]["ranges"][0]["end"] += 3  # frames; its neighbour was not moved with it
    file.write_text(json.dumps(tasks))

    assert "3 decisions would be taken up" in run(corpus, "import", file, "--dry-run", "--actor", "grace")
    assert decisions.read(str(corpus)) == []
    assert "3 decisions taken up" in run(corpus, "import", file, "--actor", "grace")
    found = decisions.read(str(corpus))
    assert sorted((r["episode_id"], r["action"], r["actor"]) for r in found) == [
        (FIRST[0], "caption", "grace"), (FIRST[0], "primitive", "grace"), (SECOND[0], "end", "grace"),
    ]  # fmt: skip
    after = standing(corpus).spans(FIRST)
    assert (after[0].text, after[0].own, after[1].primitive) == ("The arm sets off.", ("text",), "align")
    assert after[2:] == before[2:]
    one, two = standing(corpus).spans(SECOND)[:2]
    frames = Episodes(Corpus(str(corpus))).edges(SECOND[0])
    machine = standing(corpus).catalogue.machine(SECOND)
    assert one.end == two.start == frames[frames.index(machine[0].end) + 3]

    assert "0 decisions taken up" in run(corpus, "import", file, "--actor", "grace")
    assert decisions.read(str(corpus)) == found


def test_what_was_imported_and_taken_back_does_not_come_again(corpus, tmp_path):
    file = tmp_path / "ls.json"
    run(corpus, "export", file, "--level", "L1")
    tasks = annotated(file)
    region(tasks, FIRST, 0)["meta"]["text"] = ["The arm sets off."]
    file.write_text(json.dumps(tasks))
    run(corpus, "import", file, "--actor", "grace")
    (made,) = decisions.read(str(corpus))
    back = {**made, "decision_id": "f" * 32, "action": "undo", "undoes": made["decision_id"]}
    decisions.publish(
        str(corpus), [{**back, "before": made["after"], "after": made["before"], "time_ms": made["time_ms"] + 1}]
    )
    assert "0 decisions taken up" in run(corpus, "import", file, "--actor", "grace")


def test_what_label_studio_has_that_cannot_be_is_told(corpus, tmp_path):
    file = tmp_path / "ls.json"
    run(corpus, "export", file, "--level", "L1")
    tasks = annotated(file)
    strange = json.loads(json.dumps(tasks[0]))
    strange["data"]["episode_id"] = "logs/000077"
    region(tasks, FIRST, 0)["value"]["ranges"] = [{"start": 5, "end": 9000}]
    region(tasks, FIRST, 1)["value"]["timelinelabels"] = ["dance"]
    file.write_text(json.dumps([*tasks, strange]))
    said = run(corpus, "import", file, code=1)
    assert "there is no logs/000077 L1 here" in said
    assert "it lies outside of the episode" in said
    assert "'dance' is no primitive" in said
    assert "0 decisions taken up" in said
    assert "3 not taken" in said


def changed(folder, change):
    """A folder of LeRobot's columns after another tool; change: frames of the first episode and the words to them."""
    index = pl.read_parquet(folder / "logs/subtask_index.parquet")
    names = pl.read_parquet(folder / "logs/meta/subtasks.parquet")
    frames = index["subtask_index"].to_list()
    words = names["subtask"].to_list()
    for (first, last), text in change.items():
        words += [text] * (text not in words)
        frames[first:last] = [words.index(text)] * (last - first)
    index.with_columns(subtask_index=pl.Series(frames)).write_parquet(folder / "logs/subtask_index.parquet")
    pl.DataFrame({"subtask_index": range(len(words)), "subtask": words}).write_parquet(
        folder / "logs/meta/subtasks.parquet"
    )


def test_subtask_columns_give_back_what_was_changed_in_them(corpus, tmp_path):
    folder = tmp_path / "out"
    run(corpus, "export", folder, "--format", "lerobot", "--level", "L1")
    assert run(corpus, "import", folder, "--level", "L1").startswith("0 decisions taken up, 2 known or as it stands")
    now = standing(corpus).spans(FIRST)
    frames = [Episodes(Corpus(str(corpus))).edges(FIRST[0]).index(s.end) for s in now]
    assert now[0].text != now[1].text
    changed(folder, {(frames[0], frames[0] + 2): now[0].text, (frames[-2], frames[-1]): "The arm goes home."})
    said = run(corpus, "import", folder, "--level", "L1", "--actor", "grace")
    assert "2 decisions taken up, 1 known or as it stands, 0 not taken" in said
    after = standing(corpus).spans(FIRST)
    edges = Episodes(Corpus(str(corpus))).edges(FIRST[0])
    assert (after[0].end, after[1].start) == (edges[frames[0] + 2], edges[frames[0] + 2])
    assert [s.text for s in after[:-1]] == [s.text for s in now[:-1]]
    assert (after[-1].text, after[-1].primitive) == ("The arm goes home.", now[-1].primitive)
    assert run(corpus, "import", folder, "--level", "L1", "--actor", "grace").startswith("0 decisions taken up")


def test_a_dataset_with_the_column_is_read_too(corpus, tmp_path):
    """As LeRobot keeps it: a column of its rows, words in the index of a table that pandas wrote."""
    folder = tmp_path / "out"
    run(corpus, "export", folder, "--format", "lerobot", "--level", "L1")
    changed(folder, {(0, 5): "The arm waits."})
    index = pl.read_parquet(folder / "logs/subtask_index.parquet")
    names = pl.read_parquet(folder / "logs/meta/subtasks.parquet")
    set_ = tmp_path / "set"
    (set_ / "data/chunk-000").mkdir(parents=True)
    (set_ / "meta").mkdir()
    index.with_columns(pl.col("frame_index") + 0, other=1.0).write_parquet(set_ / "data/chunk-000/file-000.parquet")
    names.select("subtask_index", __index_level_0__="subtask").write_parquet(set_ / "meta/subtasks.parquet")
    assert "there is no set/000000" in run(corpus, "import", set_, "--level", "L1", code=1)
    assert "1 decisions taken up" in run(corpus, "import", f"logs={set_}", "--level", "L1")
    one, two = standing(corpus).spans(FIRST)[:2]
    assert (one.text, one.own, two.start) == ("The arm waits.", ("span", "text"), one.end)


def test_spans_under_any_decisions_come_back_into_an_empty_copy(built, tmp_path):
    view = Corpus(str(built))
    placed, edges = spans.Placed(view), Episodes(view).edges(FIRST[0])
    catalogue = Catalogue(events_of(view))

    @settings(max_examples=15)
    @drawn(WORK)
    def holds(work):
        own, copy = Standing(catalogue, ()), Standing(catalogue, ())
        for action, which, to, until, primitive, text in work:
            now = own.spans(FIRST)
            ask = Ask(action, now[which % len(now)].start, 100 * to, 100 * until, primitive, text)
            try:
                made = row(*change(now, ask, edges), action)
            except Impossible:
                continue
            own.add(made | {"episode_id": FIRST[0]})
        (blob,) = spans.files(view, "labelstudio", ["L1"], "all", own.spans).values()
        path = tmp_path / "all.json"
        path.write_bytes(blob)
        assert take_spans(copy, placed, str(path), ("L1", "all"), "grace", 1).refused == []
        said = [[(s.start, s.end, s.primitive, s.text) for s in one.spans(FIRST)] for one in (own, copy)]
        assert said[0] == said[1]
        again = take_spans(copy, placed, str(path), ("L1", "all"), "grace", 2)
        assert (again.new, again.refused) == ([], [])

    holds()


def test_a_server_that_is_up_keeps_an_import_out(corpus, tmp_path):
    store = Store(str(tmp_path / "s.sqlite"))
    said = run(corpus, "import", tmp_path / "d.jsonl", code=2)
    store.close()
    assert "a review server of this corpus runs on this machine already; end it, import, start it again" in said


def test_files_that_are_none(corpus, tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}')
    (tmp_path / "b.json").write_text('[{"annotations": [{"result": []}], "data": {}}]')
    (tmp_path / "empty").mkdir()
    assert "expected a list of Label Studio's tasks" in run(corpus, "import", tmp_path / "a.json", code=2)
    assert "no task of ours" in run(corpus, "import", tmp_path / "b.json", code=2)
    assert "nor a folder with meta/subtasks.parquet" in run(corpus, "import", tmp_path / "empty", code=2)
    assert "give --format" in run(corpus, "export", tmp_path / "a.txt", code=2)


def test_the_server_gives_the_same_files(corpus, tmp_path):
    view = Corpus(str(corpus))
    store = Store(str(tmp_path / "own.sqlite"))
    server = opened(view, store, Access(b"k" * 32, None, "ada"))
    web = TestClient(application(server, {"testserver"}))
    run(corpus, "export", tmp_path / "ls.json", "--level", "L1")
    run(corpus, "export", tmp_path / "out", "--format", "lerobot", "--level", "L1")
    answer = web.get("/api/export", params={"format": "labelstudio", "level": "L1"})
    assert answer.content == (tmp_path / "ls.json").read_bytes()
    answer = web.get("/api/export", params={"format": "lerobot", "level": "L1"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = sorted(archive.namelist())
        assert names == ["logs/meta/subtasks.parquet", "logs/subtask_index.parquet"]
        for name in names:
            assert archive.read(name) == (tmp_path / "out" / name).read_bytes()
    assert web.get("/api/export", params={"format": "exe"}).status_code == 422
    store.close()


@pytest.mark.parametrize("end", ["Infinity", "NaN", "1e999"])
def test_ranges_that_are_no_numbers_are_told(end, corpus, tmp_path):
    run(corpus, "export", tmp_path / "ls.json", "--level", "L1")
    tasks = annotated(tmp_path / "ls.json")
    tasks[0]["annotations"][0]["result"][0]["value"]["ranges"][0]["end"] = "END"
    (tmp_path / "ls.json").write_text(json.dumps(tasks).replace('"END"', end))
    assert "cannot be read" in run(corpus, "import", tmp_path / "ls.json", code=2)


def test_who_is_no_text_does_not_spoil_the_store(corpus, tmp_path):
    run(corpus, "export", tmp_path / "ls.json", "--level", "L1")
    tasks = annotated(tmp_path / "ls.json")
    tasks[0]["annotations"][0] |= {"completed_by": {"email": 5}}
    tasks[0]["annotations"][0]["result"][0]["meta"]["text"] = ["Other words."]
    (tmp_path / "ls.json").write_text(json.dumps(tasks))
    run(corpus, "import", tmp_path / "ls.json")
    assert [r["actor"] for r in decisions.read(str(corpus))] == ["5"]


def test_an_import_publishes_nothing_of_what_was_forgotten(corpus, tmp_path):
    store = Store(str(tmp_path / "s.sqlite"))  # of a server that was killed before it had published
    store.add([row([s], [s.set(state="accepted")]) | {"episode_id": FIRST[0]} for s in standing(corpus).spans(FIRST)])
    store.close()
    assert CliRunner().invoke(main, ["forget", FIRST[0], "--corpus", str(corpus)]).exit_code == 0
    (tmp_path / "none.jsonl").write_text("")
    run(corpus, "import", tmp_path / "none.jsonl")
    assert decisions.read(str(corpus)) == []


@pytest.mark.parametrize("columns", [{"subtask_index": [0]}, {"subtask": ["reach"]}])
def test_a_folder_that_lacks_columns_is_told(columns, corpus, tmp_path):
    (tmp_path / "logs" / "meta").mkdir(parents=True)
    pl.DataFrame(columns).write_parquet(tmp_path / "logs" / "meta" / "subtasks.parquet")
    assert "has no column" in run(corpus, "import", tmp_path / "logs", code=2)
