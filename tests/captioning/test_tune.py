"""`corpus tune-captioner`: what a corpus can teach, and that a model learns it, on a network of a few weights."""

import shutil
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from pipeline.captioner import base, train
from pipeline.captioner.lesson import NothingToLearn, answer, examples, named
from pipeline.cli import main
from pipeline.corpus.view import Corpus
from stages.caption.backends.transformers import Transformers, loaded
from tests.faults.builds import SMALL, dataset
from tests.review.rebuilt.test_builds import Page

SAID = "The arm {verb} the green bottle."


@pytest.fixture(scope="module")
def taught(build, tmp_path_factory) -> Path:
    """A corpus in which people have named the actions of four episodes."""
    root = tmp_path_factory.mktemp("taught")
    source, corpus = dataset(root / "logs", 4), root / "corpus"
    build([source], corpus, *SMALL, until="segment")
    events = Corpus(str(corpus)).table("events").filter(pl.col("level") == "L1", pl.col("track") == "all")
    lines = [
        f"{e['episode_id']},L1,{e['start_s']},{e['end_s']},{SAID.format(verb=e['primitive'] + 's')},{e['primitive']}"
        for e in events.to_dicts()
    ]
    (root / "labels.csv").write_text("\n".join(["episode_id,level,start_s,end_s,caption,primitive", *lines]) + "\n")
    build([source], corpus, *SMALL, f"segment.labels=[{root / 'labels.csv'}]", until="caption")
    return corpus


@pytest.fixture(scope="module")
def small(taught, tmp_path_factory, module_patch) -> Path:
    """An untrained model in the format of transformers."""
    module_patch.setattr(
        base, "VISION", {**base.VISION, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    )
    module_patch.setattr(
        base, "TEXT", {**base.TEXT, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    )
    found = examples(Corpus(str(taught)))
    tokens = base.tokenizer([e.request.facts + e.text for e in found], [])
    folder = tmp_path_factory.mktemp("small") / "model"
    folder.mkdir()
    train.save(str(folder), base.processor(tokens), base.model(tokens, 0), {})
    return folder


@pytest.fixture(scope="module")
def module_patch():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_the_lesson_is_the_questions_of_a_build_with_peoples_answers(taught):
    found = examples(Corpus(str(taught)))
    named_ones = [e for e in found if e.request.fields == ("object", "from", "to")]
    others = [e for e in found if e not in named_ones]
    assert {e.answer["object"] for e in named_ones} == {"green bottle"}
    assert all("object: green bottle" in e.request.facts for e in others)
    assert {(e.answer["verb"] + "s" in e.answer["caption"], e.answer["object"]) for e in others} == {
        (True, "green bottle")
    }
    assert all(p.jpeg.startswith(b"\xff\xd8") for e in found for p in e.request.pictures)


def test_what_was_rejected_teaches_nothing_and_new_words_count_at_once(taught, tmp_path):
    corpus = tmp_path / "corpus"
    shutil.copytree(taught, corpus, symlinks=True)
    before = [e for e in examples(Corpus(str(corpus))) if "caption" in e.request.fields]
    page = Page(corpus, tmp_path)
    name = page.review.catalogue.events["episode"][0]
    spans = page.spans(name)
    page.do("reject", spans[0], episode=name)
    page.do("caption", spans[1], episode=name, text="The arm takes the blue crate.")
    page.close()
    after = [e for e in examples(Corpus(str(corpus))) if "caption" in e.request.fields]
    assert len(after) == len(before) - 1  # its local events have no words of people
    assert [e.answer["object"] for e in after if e.answer["caption"] == "The arm takes the blue crate."] == [
        "blue crate"
    ]


def test_a_corpus_without_captions_of_people_teaches_nothing(build, taught, tmp_path):
    build([taught.parent / "logs"], tmp_path / "corpus", *SMALL, until="caption")
    with pytest.raises(NothingToLearn, match="0 captions"):
        examples(Corpus(str(tmp_path / "corpus")))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The arm lifts the red cup from the table.", "red cup"),
        ("The left arm puts a big box on the shelf.", "big box"),
        ("The gripper opens.", ""),
        ("Both arms rest.", ""),
        ("The robot hand takes the cup and the plate.", "cup"),
    ],
)
def test_the_thing_of_a_sentence(text, name):
    assert named(text) == name


def test_a_persons_sentence_becomes_the_fields_of_an_answer():
    event = {"holds": [], "arms": ["left", "right"], "primitive": "lift", "recovery": None}
    said = {"text": "Both arms lift the box.", "from_place": "", "to_place": ""}
    found = answer(event, said, "box")
    assert (found["verb"], found["object"], found["arm"], found["outcome"]) == ("lift", "box", "both", "success")


def test_the_command_learns_and_what_it_writes_can_be_used(taught, small, tmp_path):
    words = ["tune-captioner", "--corpus", str(taught), "--base", str(small), "--out", str(tmp_path / "mine")]
    done = CliRunner().invoke(main, [*words, "--steps", "50", "--batch", "4", "--rate", "0.01"])
    assert done.exit_code == 0, done.output
    loss = float(done.output.split("loss ")[1].split(",")[0])
    assert loss < 5.0  # the mean of all steps; about 6 untrained: log of the vocabulary
    question = examples(Corpus(str(taught)))[0].request
    (found,) = Transformers(str(tmp_path / "mine"), "cpu", 2).ask([question])
    assert found.tokens[0] > 100
    assert 0 <= found.confidence <= 1


def test_answers_do_not_hang_on_what_they_are_asked_with(taught, small):
    asked = [e.request for e in examples(Corpus(str(taught)))[:6]]
    one, many = Transformers(str(small), "cpu", 1), Transformers(str(small), "cpu", 8)
    assert [a.text for a in one.ask(asked)] == [a.text for a in many.ask(asked)]


def test_a_large_model_is_tuned_by_adapters(taught, small, monkeypatch):
    pytest.importorskip("peft", reason="an extra: pip install 'event-corpus[tune]'")
    monkeypatch.setattr(train, "LORA_FROM", 0)
    processor, model = loaded(str(small), "cpu")
    before = sum(p.numel() for p in model.parameters())
    adapted = train.adapted(model)
    learned = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert 0 < learned < before
    tuned = train.train(
        processor, model, examples(Corpus(str(taught))), train.Schedule(2, 2, 1e-3), told=lambda _: None
    )
    assert sum(p.numel() for p in tuned.parameters()) == before  # folded in again
