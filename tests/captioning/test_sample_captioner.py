"""The one build of `make test` with a model: the sample's own captioner, through a worker, on one robot's episodes."""

import json
from pathlib import Path

import polars as pl
import pytest

from pipeline import scoring
from pipeline.corpus.verify import verify
from pipeline.corpus.view import Corpus
from tests.conftest import ROOT, SAMPLE

MOST_BYTES = 8_000_000
SHORT = "ingest.where=n_rows < 180"  # 8 of the robot's 17 episodes; the text of 5 does not name the object


@pytest.fixture(scope="module")
def captioned(build, tmp_path_factory) -> Corpus:
    root = tmp_path_factory.mktemp("captioned") / "corpus"
    build([SAMPLE / "cell_b"], root, SHORT, path=str(ROOT / "pipeline/configs/sample.yaml"), until="caption")
    return Corpus(str(root))


def test_its_captions_are_its_own_and_mostly_accepted(captioned):
    captions = captioned.table("captions").filter(level="L1")
    accepted = captions.filter(pl.col("status").is_in(["ok", "repaired"]))
    assert accepted.height >= 0.9 * captions.height
    own = captions.filter(source="vlm")
    assert own.height >= 0.5 * captions.height
    assert own["model"].unique().to_list()[0].startswith("captioner/")
    assert own["question_tokens"].min() > 100


def test_it_sees_what_the_text_does_not_say(captioned):
    """Objects and colours of episodes whose text names neither; a guess without pictures is right one in ten."""
    true = scoring.truth(str(SAMPLE / "truth.parquet"), captioned)
    found = scoring.pairs(captioned.table("captions"), captioned.table("events"), true, "L1")
    score = scoring.judged([p for p in found if not p.true.named])
    assert score["verb"].share >= 0.85
    assert score["object"].share >= 0.6
    assert score["colour"].share >= 0.6


def test_a_thing_has_one_name_in_an_episode(captioned):
    named = captioned.table("captions").filter(pl.col("object") != "", pl.col("source") == "vlm")
    assert named.group_by("episode_id").agg(pl.col("object").n_unique())["object"].max() == 1


def test_what_was_asked_is_kept_and_whole(captioned):
    assert list(Path(captioned.root, "answers").glob("*.jsonl"))
    assert [f for f in verify(captioned) if f.where.startswith("answers")] == []


def test_it_is_small_and_says_what_it_was_made_from():
    folder = SAMPLE / "captioner"
    assert sum(f.stat().st_size for f in folder.iterdir()) < MOST_BYTES
    assert json.loads((folder / "training.json").read_text())["seed"] != 0  # the sample's
