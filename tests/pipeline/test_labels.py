"""Label files go in and come out: every format, every mistake in one, and what a build does with them."""

import csv
import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.corpus.compact import compact as merge
from pipeline.corpus.view import Corpus
from pipeline.labels import LabelError, read, write
from pipeline.labels.write import lerobot_of
from schemas.episodes import Label
from tests.datasets import Episode, write_dataset

UNTIL = {"until": "caption"}


def saved(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


# -- reading


def test_csv_by_seconds_or_frames(tmp_path):
    path = saved(
        tmp_path,
        "a.csv",
        "episode_id,level,track,start_s,end_s,start_frame,end_frame,caption,primitive\n"
        "lab/000001,L1,,0.5,2.25,,,take the cup,grasp\n"
        "lab/000001,L2,left,,,10,40,,\n",
    )
    assert read([path]) == {
        "lab/000001": (
            Label("L1", 0.5, 2.25, "take the cup", primitive="grasp", said_by="a.csv"),
            Label("L2", 10, 40, "", "frames", "left", said_by="a.csv"),
        )
    }


def test_json_by_episode_and_level(tmp_path):
    path = saved(tmp_path, "a.json", {"lab/000001": {"L1": [{"start": 0, "end": 1, "caption": "reach"}]}})
    assert read([path]) == {"lab/000001": (Label("L1", 0, 1, "reach", said_by="a.json"),)}


@pytest.mark.parametrize("key", ["label_info", "lable_info"])
def test_agibot_task_info(tmp_path, key):
    actions = [{"start_frame": 0, "end_frame": 90, "action_text": "Pick up the cup.", "skill": "Pick"}]
    path = saved(tmp_path, "task_327.json", [{"episode_id": 12, key: {"action_config": actions}}])
    found = read([f"lab={path}"])
    assert read([f"lab={saved(tmp_path, 'odd=name.json', json.loads((tmp_path / 'task_327.json').read_text()))}"])
    assert found == {"lab/000012": (Label("L2", 0, 90, "Pick up the cup.", "frames", said_by="task_327.json"),)}


HEAD = "episode_id,level,start_s,end_s,caption\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", HEAD + "lab/000001,L9,0,1,x\n", "line 2: level is 'L9', expected one of L0, L1, L2, L3"),
        ("a.csv", HEAD + "lab/000001,L1,1,1,x\n", "line 2: start_s is 1 and end_s is 1: a span ends after its start"),
        ("a.csv", HEAD + "lab/000001,L1,zero,1,x\n", "line 2: start_s and end_s are 'zero', '1': no numbers"),
        ("a.csv", HEAD + "lab/000001,L1,nan,1,x\n", "a span ends after its start"),
        ("a.csv", HEAD + "12,L1,0,1,x\n", "line 2: episode_id is '12'; give the file as source=FILE"),
        ("a.csv", HEAD + ",L1,0,1,x\n", "line 2: no episode_id"),
        ("a.csv", "episode_id,level,caption\nlab/000001,L1,x\n", "neither start_s and end_s nor start_frame"),
        ("a.csv", "", "no column episode_id, level, found nothing"),
        ("a.csv", HEAD + 'lab/000001,L1,0,1,"x\ny"\n\nlab/000001,L9,0,1,x\n', "line 5: level is 'L9'"),
        ("a.csv", HEAD + "lab,L1,0,1,x\n", "give the file as source=FILE"),
        ("a.json", "{", "is not JSON"),
        ("a.json", {"lab/000001": {"L1": None}}, "not where it should be"),
        ("a.json", [{"episode_id": 1, "label_info": [1]}], "not where it should be"),
        ("a.json", "3", "expected a mapping of episodes or a list, found int"),
        ("a.json", {"lab/000001": {"L1": [{"start": 0, "end": 1, "primitive": "wave"}]}}, "primitive is 'wave'"),
        ("a.json", {"lab/000001": {"L1": [{"start": 0, "end": 1, "track": "third"}]}}, "track is 'third'"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path, name, content, said):
    with pytest.raises(LabelError, match=r"a\.(csv|json)") as error:
        read([saved(tmp_path, name, content)])
    assert said in str(error.value)


def test_a_file_that_is_not_there_ends_a_build_in_one_line(tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(60, 0)], cameras=())
    words = [
        "build",
        "--source",
        str(source),
        "--corpus",
        str(tmp_path / "c"),
        "--set",
        f"segment.labels=[{tmp_path}/no.csv]",
    ]
    run = CliRunner().invoke(main, words)
    assert run.exit_code == 2
    assert "there is no such file" in run.output


# -- builds


def human(corpus, origin="human"):
    events = Corpus(str(corpus)).table("events").filter(origin=origin)
    return [(r["episode_id"], r["level"], r["label"], r["start_frame"], r["end_frame"]) for r in events.to_dicts()]


def test_labels_win_are_captions_and_redo_their_episode_alone(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(80, 0), Episode(80, 100)], cameras=())
    corpus = tmp_path / "corpus"
    build([source], corpus, **UNTIL)
    assert human(corpus) == []
    path = saved(tmp_path, "a.csv", HEAD + "logs/000001,L1,1.0,2.5,fetch the cup\nelsewhere/000000,L1,0,1,x\n")
    result = build([source], corpus, f"segment.labels=[{path}]", **UNTIL)
    assert human(corpus) == [("logs/000001", "L1", "fetch the cup", 20, 50)]
    captions = Corpus(str(corpus)).table("captions").filter(source="human")
    assert captions["text"].to_list() == ["fetch the cup"]
    assert {stage: n for stage, n in result.computed.items() if n} == {"segment": 1, "caption": 1}
    assert not any(build([source], corpus, f"segment.labels=[{path}]", **UNTIL).computed.values())


def test_a_label_that_fits_nowhere_is_in_quarantine_and_the_episode_is_not(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(80, 0)], cameras=())
    rows = "logs/000000,L1,1.0,2.5,a\nlogs/000000,L1,2.0,3.0,b\nlogs/000000,L1,2.2,3.0,c\n"
    path = saved(tmp_path, "a.csv", HEAD + rows)
    build([source], tmp_path / "corpus", f"segment.labels=[{path}]", **UNTIL)
    corpus = Corpus(str(tmp_path / "corpus"))
    aside = corpus.quarantine().to_dicts()
    assert [r["reason"] for r in aside] == ["label_refused"] * 2
    assert "a.csv: L1 2 to 3 seconds ('b'): it overlaps L1 1 to 2.5 seconds of a.csv" in aside[0]["message"]
    assert corpus.table("events").filter(origin="human").height == 1


def test_a_label_that_is_mended_is_no_longer_in_quarantine(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(80, 0), Episode(80, 100)], cameras=())
    rows = "logs/000001,L1,1.0,2.5,a\nlogs/000001,L1,2.0,3.0,b\n"
    path = saved(tmp_path, "a.csv", HEAD + rows)
    corpus = tmp_path / "corpus"
    build([source], corpus, f"segment.labels=[{path}]")
    merge(Corpus(str(corpus)), 8)  # both episodes in one part: the old one then still counts for the other
    assert Corpus(str(corpus)).quarantine().height == 1
    saved(tmp_path, "a.csv", HEAD + rows.replace("2.0,3.0", "2.5,3.0"))
    build([source], corpus, f"segment.labels=[{path}]")
    assert Corpus(str(corpus)).quarantine().height == 0
    assert len(human(corpus)) == 2


def test_an_entry_of_action_config_that_cannot_be_read_costs_nothing_but_itself(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(80, 0)], cameras=())
    path = source / "meta/episodes.jsonl"
    actions = [{"start_frame": None, "end_frame": 9}, {"start_frame": 0, "end_frame": 30, "action_text": "Pick."}]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"action_config": actions}))
    build([source], tmp_path / "corpus", **UNTIL)
    assert human(tmp_path / "corpus", "source") == [("logs/000000", "L2", "Pick.", 0, 30)]
    assert "unreadable: {'start_frame': None" in Corpus(str(tmp_path / "corpus")).quarantine()["message"][0]


def test_action_config_of_a_source_is_its_subtasks(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(80, 0)], cameras=("front",))
    path = source / "meta/episodes.jsonl"
    row = json.loads(path.read_text())
    row["action_config"] = [{"start_frame": 0, "end_frame": 30, "action_text": "Pick.", "skill": "Pick"}]
    path.write_text(json.dumps(row))
    build([source], tmp_path / "corpus", **UNTIL)
    assert human(tmp_path / "corpus", "source") == [("logs/000000", "L2", "Pick.", 0, 30)]
    build([source], tmp_path / "other", "ingest.labels=null", **UNTIL)
    assert human(tmp_path / "other") == []


def with_subtasks(root, index, words):
    path = next(root.glob("data/chunk-000/*.parquet"))
    pq.write_table(pq.read_table(path).append_column("subtask_index", pa.array(index)), path)
    pq.write_table(
        pa.table({"subtask_index": list(range(len(words))), "subtask": words}), root / "meta/subtasks.parquet"
    )


def test_subtask_columns_of_a_source_are_its_subtasks(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(80, 0)], cameras=(), version="v3.0")
    with_subtasks(source, [0] * 30 + [-1] * 10 + [1] * 40, ["pick", "place"])
    build([source], tmp_path / "corpus", **UNTIL)
    assert human(tmp_path / "corpus", "source") == [
        ("logs/000000", "L2", "pick", 0, 30),
        ("logs/000000", "L2", "place", 40, 80),
    ]


def test_subtask_columns_without_words_or_in_lists_are_legal(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(80, 0)], cameras=(), version="v3.0")
    with_subtasks(source, [[0]] * 80, ["pick"])
    build([source], tmp_path / "corpus", **UNTIL)
    assert human(tmp_path / "corpus", "source") == [("logs/000000", "L2", "pick", 0, 80)]
    (source / "meta/subtasks.parquet").unlink()
    build([source], tmp_path / "other", **UNTIL)
    assert human(tmp_path / "other") == []
    assert Corpus(str(tmp_path / "other")).quarantine().height == 0


def test_a_subtask_that_does_not_exist_sets_its_episode_aside(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(80, 0)], cameras=(), version="v3.0")
    with_subtasks(source, [7] * 80, ["pick"])
    build([source], tmp_path / "corpus", **UNTIL)
    row = Corpus(str(tmp_path / "corpus")).quarantine().to_dicts()[0]
    assert row["reason"] == "unknown_task"
    assert "subtask_index is 7 at row 0" in row["message"]


# -- writing


@pytest.fixture(scope="module")
def cut(build, tmp_path_factory):
    """(sources, corpus) of two episodes, cut by the machine."""
    tmp_path = tmp_path_factory.mktemp("labels")
    source = write_dataset(tmp_path / "logs", [Episode(80, 0), Episode(100, 100)], cameras=("front",))
    build([source], tmp_path / "corpus", **UNTIL)
    return source, tmp_path / "corpus"


def spans(corpus, level):
    events = Corpus(str(corpus)).table("events").filter(level=level, track="all").sort("episode_id", "start_frame")
    return events.select("episode_id", "start_frame", "end_frame", "primitive")


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "parquet"])
def test_written_and_read_again_the_spans_are_the_same(build, cut, tmp_path, form):
    source, corpus = cut
    path = tmp_path / f"out.{form}"
    run = CliRunner().invoke(main, ["labels", "--corpus", str(corpus), "--to", str(path)])
    assert run.exit_code == 0, run.output
    build([source], tmp_path / "again", f"segment.labels=[{path}]", **UNTIL)
    for level in ("L2", "L1"):
        assert spans(tmp_path / "again", level).equals(spans(corpus, level))
    again = Corpus(str(tmp_path / "again"))
    assert set(again.table("events").filter(pl.col("level").is_in(["L2", "L1"]))["origin"]) == {"machine"}
    texts = Corpus(str(corpus)).table("captions").filter(level="L1")["text"].to_list()
    assert again.table("captions").filter(level="L1")["text"].to_list() == texts


def test_label_studio_comes_back_as_its_annotations(build, cut, tmp_path):
    path = tmp_path / "tasks.json"
    number = write(Corpus(str(cut[1])), str(path), "labelstudio", ("L2", "L1"), "all", None)
    tasks = json.loads(path.read_text())
    assert sum(len(t["predictions"][0]["result"]) for t in tasks) == number
    first = tasks[0]["predictions"][0]["result"][0]
    assert first["value"]["ranges"][0]["start"] == 1  # it counts from one
    for task in tasks:  # as a person has submitted them
        task["annotations"] = task.pop("predictions")
    path.write_text(json.dumps(tasks))
    found = read([str(path)])
    for episode, own in found.items():
        for level in ("L2", "L1"):
            expected = spans(cut[1], level).filter(episode_id=episode)
            given = [(x.start, x.end, x.primitive) for x in own if x.level == level]
            assert given == expected.select("start_frame", "end_frame", "primitive").rows()
    assert {x.unit for own in found.values() for x in own} == {"frames"}
    path.write_text(json.dumps([{"annotations": [{}], "data": {}}]))
    with pytest.raises(LabelError, match="not where it should be"):
        read([str(path)])


def test_agibot_and_lerobot_come_back_too(build, cut, tmp_path):
    corpus = cut[1]
    write(Corpus(str(corpus)), str(tmp_path / "task.json"), "agibot", ("L1",), "all", None)
    entries = json.loads((tmp_path / "task.json").read_text())
    assert [e["episode_id"] for e in entries] == ["logs/000000", "logs/000001"]
    found = read([str(tmp_path / "task.json")])
    expected = spans(corpus, "L1").filter(episode_id="logs/000000")
    assert [(x.start, x.end) for x in found["logs/000000"]] == expected.select("start_frame", "end_frame").rows()

    write(Corpus(str(corpus)), str(tmp_path / "lerobot"), "lerobot", ("L1",), "all", None)
    index = pl.read_parquet(tmp_path / "lerobot/logs/subtask_index.parquet")
    assert index.height == 180
    assert index.filter(episode_index=1)["frame_index"].to_list() == list(range(100))
    names = pl.read_parquet(tmp_path / "lerobot/logs/meta/subtasks.parquet")
    assert set(index["subtask_index"]) <= set(names["subtask_index"])
    assert index.filter(episode_index=0)["subtask_index"].rle().len() == expected.height


def test_lerobots_columns_have_no_place_for_an_episode_that_is_named_by_words(monkeypatch):
    row = {"episode_id": "lab/first_try", "start_frame": 0, "end_frame": 2, "caption": "reach"}
    frames = {"lab/first_try": [0, 1, 2]}
    monkeypatch.setitem(lerobot_of.__globals__, "source_frames", lambda corpus, episodes: frames)
    with pytest.raises(LabelError, match="lab/first_try: LeRobot's columns number episodes"):
        lerobot_of(None, [row])


def test_only_what_people_marked_can_be_asked_for(cut, tmp_path):
    path = tmp_path / "out.csv"
    run = CliRunner().invoke(main, ["labels", "--corpus", str(cut[1]), "--to", str(path), "--origin", "human"])
    assert run.output == f"0 spans written to {path}\n"
    assert list(csv.DictReader(path.open())) == []


def test_a_file_name_without_a_format_is_asked_for_one(cut, tmp_path):
    run = CliRunner().invoke(main, ["labels", "--corpus", str(cut[1]), "--to", str(tmp_path / "out")])
    assert run.exit_code == 2
    assert "give --format" in run.output
