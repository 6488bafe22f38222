"""What `corpus find` finds: words, meaning, labels and pictures; refusals; hostile text; any number of parts."""

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli import main
from pipeline.config import ConfigError
from pipeline.corpus.view import Corpus
from pipeline.find import OtherEncoder, find, nearness
from pipeline.find.page import render
from pipeline.find.ranking import best
from pipeline.find.words import bm25, terms
from stages.embed.encoders import load_text
from tests.benchmarks.finding.planted import Event, write_corpus


@pytest.fixture(scope="module")
def encode():
    model = load_text(None, "use-multilingual-v3")
    return lambda text: np.concatenate([[1.0, 0.0], model.encode([text])[0]])


def told(encode, primitive: str, caption: str, recovery: str | None = None, thing: str = "") -> Event:
    return Event(primitive, caption, encode(caption), recovery, thing)


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory, encode):
    """Two parts: a cup that is missed and then lifted, a drawer, a missed plate."""
    first = {
        "a/000000": (
            "put the cup away",
            [
                told(encode, "reach", "The arm reaches for the cup.", thing="cup"),
                told(encode, "grasp", "The arm closes its gripper on nothing.", "missed_grasp", "cup"),
                told(encode, "lift", "The arm lifts the cup.", thing="cup"),
            ],
        )
    }
    second = {
        "b/000000": ("open the drawer", [told(encode, "pull", "The arm pulls the drawer.", thing="drawer")]),
        "b/000001": (
            "plates",
            [told(encode, "grasp", "The arm closes its gripper on nothing.", "missed_grasp", "plate")],
        ),
    }
    return write_corpus(tmp_path_factory.mktemp("kitchen") / "c", [first, second])


def ids(found) -> list[str]:
    return [hit.event_id for hit in found.hits]


def run(*words: object):
    return CliRunner().invoke(main, ["find", *map(str, words)])


def test_a_missed_grasp_of_a_cup_is_one_whose_caption_names_neither(kitchen):
    found = find(Corpus(str(kitchen)), "missed grasp of a cup")
    assert ids(found)[0] == "a/000000/L1/0001000"
    assert (found.ways, found.searched, found.missing) == (("words", "caption", "label"), 5, ())
    assert (found.hits[0].recovery, found.hits[0].object, found.hits[0].start_s) == ("missed_grasp", "cup", 1)


@pytest.mark.parametrize("text", ["die Schublade aufziehen", "拉开抽屉", "引き出しを開ける"])
def test_a_text_in_another_language_finds_the_drawer(kitchen, text):
    found = find(Corpus(str(kitchen)), text)
    assert ids(found)[0] == "b/000000/L1/0000000"
    assert found.missing


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("source = 'b'", {"b/000000/L1/0000000", "b/000001/L1/0000000"}),
        ("object = 'cup' AND recovery IS NOT NULL", {"a/000000/L1/0001000"}),
        ("seconds > 5", set()),
        ("1 = 1", None),
    ],
)
def test_a_rule_says_which_events_are_searched(kitchen, rule, expected):
    found = find(Corpus(str(kitchen)), "cup", where=rule)
    assert found.searched == (5 if expected is None else len(expected))
    assert expected is None or set(ids(found)) == expected


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("colour = 'red'", "nothing is called 'colour'"),
        ("source = ", "no SQL expression"),
        ("seconds", "true or false"),
    ],
)
def test_a_rule_that_cannot_be_applied_is_one_line(kitchen, rule, complaint):
    result = run("cup", "--corpus", kitchen, "--where", rule)
    assert (result.exit_code, complaint in result.output, "Traceback" in result.output) == (2, True, False)


def test_the_order_is_the_same_however_many_parts_there_are(tmp_path, encode):
    episodes = [
        {f"a/{i:06d}": ("", [told(encode, "lift", f"The arm lifts thing {i % 7}.", thing=f"thing {i % 7}")])}
        for i in range(20)
    ]
    many = write_corpus(tmp_path / "many", episodes)
    one = write_corpus(tmp_path / "one", [{k: v for part in episodes for k, v in part.items()}])
    assert find(Corpus(str(many)), "thing 3", limit=20) == find(Corpus(str(one)), "thing 3", limit=20)


def test_where_no_vectors_are_the_words_are_searched_and_that_is_said(tmp_path, encode):
    said = [{"a/000000": ("", [told(encode, "lift", "The arm lifts the cup.")])}]
    corpus = write_corpus(tmp_path / "c", said, until="caption")
    result = run("lifted cups", "--corpus", corpus)
    assert result.exit_code == 0
    assert "no vectors of L1: found by words alone" in result.output
    assert "a/000000/L1/0000000" in result.output
    for by in ("caption", "label"):
        assert "no vectors of L1 yet" in run("cup", "--corpus", corpus, "--by", by).output
    assert "nothing says: xyzzy\nnothing found" in run("xyzzy", "--corpus", corpus).output
    assert find(Corpus(str(write_corpus(tmp_path / "cut", said, until="segment"))), "lift").hits[0].caption == ""


def test_an_empty_corpus_has_nothing(tmp_path):
    corpus = write_corpus(tmp_path / "c", [])
    assert "0 events of L1, by nothing\n" in run("cup", "--corpus", corpus).output
    assert run("  ", "--corpus", corpus).exit_code == 2
    assert "no corpus at" in run("cup", "--corpus", tmp_path / "none").output


def test_another_encoder_is_refused(tmp_path, encode):
    said = [{"a/000000": ("", [told(encode, "lift", "The arm lifts the cup.")])}]
    corpus = Corpus(str(write_corpus(tmp_path / "c", said, "eye 2 + all-minilm-l6-v2 384")))
    with pytest.raises(
        OtherEncoder, match="embedded with eye 2 \\+ all-minilm-l6-v2 384, the encoder at hand is use-mu"
    ):
        find(corpus, "cup")
    assert ids(find(corpus, "cup", by="words")) == ["a/000000/L1/0000000"]
    with pytest.raises(ConfigError, match="held against captions only"):
        find(corpus, "cup", by="picture")


class Sides:
    """A joint encoder: a text is `left` or it is not."""

    name, width = "sides", 2

    def encode(self, texts):
        return np.array([[1.0, 0.0] if "left" in t else [0.0, 1.0] for t in texts], dtype=np.float32)


def test_one_encoder_for_both_finds_by_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(nearness, "_model", lambda *_: Sides())
    events = [
        Event("lift", "", (1, 0, 0, 1)),  # shows it
        Event("lift", "", (0, 0, 0, 1)),  # has no video
        Event("lift", "", (0.6, 0.8, 0, 1)),
    ]
    corpus = Corpus(str(write_corpus(tmp_path / "c", [{"a/000000": ("", events)}], "sides 2 + sides 2")))
    found = find(corpus, "to the left", by="picture", encoder="sides")
    assert [(h.event_id[-7:], round(h.by["picture"], 2)) for h in found.hits] == [("0000000", 1.0), ("0002000", 0.6)]
    with pytest.raises(OtherEncoder):
        find(
            Corpus(str(write_corpus(tmp_path / "d", [{"a/000000": ("", events)}], "eye 2 + sides 2"))),
            "left",
            encoder="x",
        )


def test_hostile_captions_do_nothing_on_a_page_or_a_screen(tmp_path, encode):
    evil = "</p><script>alert(1)</script> \x1b[31m & \u202e \"'"
    corpus = write_corpus(tmp_path / "c", [{"a/000000": (evil, [Event("lift", evil, encode("x"), None, evil)])}])
    page = render(Corpus(str(corpus)), find(Corpus(str(corpus)), f"{evil} lift"))
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") >= 3
    assert "no video" in page
    assert page.count('href="http://localhost:8500/#event=') == page.count('<p class="said">') > 0
    screen = run("lift <script>", "--corpus", corpus, "--html", tmp_path / "p.html").output
    assert "\x1b" not in screen
    assert "\u202e" not in screen
    assert (tmp_path / "p.html").exists()


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        ("grasped cups", "The arm grasps the cup.", {"grasped", "cups"}),
        ("slipping", "it slipped", {"slipping"}),
        ("places", "placing it", {"places"}),
        ("missed", "a miss", {"missed"}),
        ("pressing", "it presses", {"pressing"}),
        ("reach", "beach", set()),
        ("a cup of tea", "a of", set()),
        ("the", "the", {"the"}),  # nothing else was asked
        ("方块", "把方块放下", {"方块"}),
        ("c++ (x", "(x c", {"c", "x"}),
        ("CUP", "cup", {"CUP".lower()}),
    ],
)
def test_words_are_found_in_other_forms(query, text, found):
    import re

    assert {t.word for t in terms(query) if re.search(t.pattern, text.lower())} == found


def test_bm25_is_as_its_formula_says():
    # two texts of 4 and 2 words, the term once in the second: idf = ln(1 + 1.5 / 1.5), length 2 of mean 3
    expected = np.log(2) * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 3))
    assert bm25(np.array([[0.0], [1.0]]), np.array([4.0, 2.0])) == pytest.approx([0, expected])


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(-1, 1)), min_size=1, max_size=12))
def test_an_event_that_is_better_in_every_way_comes_first(pairs):
    import polars as pl

    names = [f"e{i:02d}" for i in range(len(pairs))]
    frame = pl.DataFrame({"event_id": names, "a": [p[0] for p in pairs], "b": [p[1] for p in pairs]})
    order = best(frame, ["a", "b"], len(pairs))["event_id"].to_list()
    place = {name: order.index(name) for name in names}
    for i, one in enumerate(pairs):
        for j, other in enumerate(pairs):
            if one[0] > other[0] and one[1] > other[1]:
                assert place[names[i]] < place[names[j]]


def test_every_label_has_words():
    from pipeline.find.labels import PHRASES
    from schemas.events import PRIMITIVES, RECOVERIES

    assert set(PHRASES) == {*PRIMITIVES, *RECOVERIES} - {"unknown"}
