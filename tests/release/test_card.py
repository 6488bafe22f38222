"""Whose samples are, from the sources into manifest, KEY.json and the dataset card; and what a card may not do."""

import glob
import hashlib
import html
import json
import re
from pathlib import Path

import pytest
import webdataset
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipeline.check import after
from pipeline.corpus.verify import faults_of
from pipeline.corpus.view import Corpus
from pipeline.release.card import front_licence
from pipeline.release.card.markdown import code, escaped
from stages.sources.rights import front_matter
from stages.text import plain
from tests.datasets import Episode, write_dataset

EVIL = "Ada <img src=x onerror=alert(1)> | [x](javascript:y) `z` & Co"
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


def sources(folder: Path) -> list[Path]:
    """One that says its licence, one that does not but for a file's name."""
    open_one = write_dataset(folder / "open", [Episode(60 + 5 * i, 100 * i, "put the block away") for i in range(3)])
    (open_one / "README.md").write_text(f"---\nlicense: cc-by-4.0\nauthors: {json.dumps(EVIL)}\n---\n")
    silent = write_dataset(folder / "silent", [Episode(70 + 5 * i, 900 + 100 * i, EVIL) for i in range(3)])
    (silent / "README.md").unlink()
    (silent / "LICENSE").write_text("whatever")
    return [open_one, silent]


@pytest.fixture(scope="module")
def released(build, tmp_path_factory):
    """(sources, corpus, verdicts) of a first build."""
    folder = tmp_path_factory.mktemp("card")
    given = sources(folder)
    built = build(given, folder / "corpus")
    verdicts = after.of_build(built.plan.survey, Corpus(str(folder / "corpus")), 0.9)
    return given, folder / "corpus", {v.source: v for v in verdicts}


def latest(corpus: Path, file: str) -> bytes:
    return (corpus / "shards/latest" / file).read_bytes()


def samples(corpus: Path) -> dict[str, dict]:
    """{source: provenance} of all samples."""
    tars = sorted(glob.glob(f"{corpus}/shards/latest/*.tar"))
    metas = [json.loads(s["json"]) for s in webdataset.WebDataset(tars, shardshuffle=False)]
    return {m["source"]: m["provenance"] for m in metas}


def test_a_sample_and_the_manifest_say_whose_it_is(released):
    _, corpus, _ = released
    about = json.loads(latest(corpus, "manifest.json"))
    first, second = about["sources"]["open"], about["sources"]["silent"]
    assert (first["licence"], first["said_by"], first["episodes"]) == ("cc-by-4.0", "README.md", 3)
    assert (second["licence"], second["attribution"], second["url"]) == ("", "", "")
    assert first["events"] + second["events"] == sum(about["events"].values())
    assert about["files"]["README.md"] == hashlib.sha256(latest(corpus, "README.md")).hexdigest()
    found = samples(corpus)
    assert (found["open"]["licence"], found["open"]["attribution"]) == ("cc-by-4.0", plain(EVIL))
    assert found["silent"]["licence"] == ""
    assert faults_of(str(corpus)) == []


def test_an_unknown_licence_is_yellow_and_names_the_file(released):
    _, _, verdicts = released
    assert (verdicts["open"].level, verdicts["silent"].level) == ("green", "yellow")
    (because,) = [b for b in verdicts["silent"].because if "licence" in b.what]
    assert "LICENSE lies beside it, and is not read" in because.what


def test_the_card_is_one_for_the_hub_and_holds_no_markup_of_a_source(released):
    _, corpus, _ = released
    text = latest(corpus, "README.md").decode()
    front = yaml.safe_load(front_matter(text))
    assert (front["license"], front["license_name"], front["size_categories"]) == ("other", "several", ["n<1K"])
    page = MARKDOWN.render(text.split("\n---\n", 1)[1])
    assert "The licence of 1 of 2 sources is unknown" in page
    assert set(re.findall(r"<(\w+)", page)) <= {
        "h1", "h2", "p", "ul", "li", "code", "pre", "table", "thead", "tbody", "tr", "th", "td", "strong",
    }  # fmt: skip
    assert html.escape(plain(EVIL), quote=False) in page.replace("&quot;", '"')


def test_another_licence_rewrites_tars_and_nothing_before(released, build):
    given, corpus, _ = released
    before = Corpus(str(corpus)).manifest["release"]
    again = build(given, corpus, "ingest.licences={silent: CC0-1.0}", "ingest.attributions=Bo")
    assert {stage for stage, made in again.computed.items() if made} == {"shard"}
    assert again.release != before
    assert {n: p["licence"] for n, p in samples(corpus).items()} == {"open": "cc-by-4.0", "silent": "CC0-1.0"}
    assert {p["attribution"] for p in samples(corpus).values()} == {"Bo"}
    same = build(given, corpus, "ingest.licences={silent: CC0-1.0}", "ingest.attributions=Bo")
    assert not any(same.computed.values())


@pytest.mark.parametrize(
    ("licences", "front"),
    [
        (["apache-2.0", "Apache-2.0"], {"license": "apache-2.0"}),
        (["", ""], {"license": "unknown"}),
        ([], {"license": "unknown"}),
        (["MIT", ""], {"license": "other", "license_name": "several", "license_link": "README.md"}),
        (["our own"], {"license": "other", "license_name": "our own", "license_link": "README.md"}),
    ],
)
def test_the_licence_of_the_front_matter(licences, front):
    assert front_licence(licences) == front


@given(st.text() | st.text(alphabet="\\`*_{}[]()#+-.!|<>&~:/@$^=\"' \n1ahtpsw"))
def test_an_escaped_text_renders_as_itself(text):
    shown = plain(text)
    for page, head in ((f"- {escaped(text, 2000)}\n", ""), (f"|x|\n|---|\n| {escaped(text, 2000)} |\n", "x")):
        rendered = MARKDOWN.render(page)
        assert set(re.findall(r"<(\w+)", rendered)) <= {"ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
        words = html.unescape(re.sub(r"</?\w+>", "", rendered)).strip().removeprefix(head).strip()
        assert words == (shown.strip() or "-")


@given(st.text(alphabet="`|\\ab< "))
def test_a_name_in_code_ends_where_it_ends(text):
    rendered = MARKDOWN.render(f"|x|\n|---|\n| {code(text)} |\n")
    assert rendered.count("<td>") == 1
    assert rendered.count("<code>") == bool(plain(text).strip())
