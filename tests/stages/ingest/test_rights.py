"""Whose a source is: what it says itself, what the configuration says, what is not believed or not read."""

import json
import os

import pytest

from stages.fingerprint import fingerprint
from stages.ingest import IngestConfig
from stages.ingest.survey import survey
from stages.sources import rights
from stages.sources.rights import Rights, declared, front_matter, rights_of
from tests.datasets import Episode, write_dataset


def card(tmp_path, text: str, info: dict | None = None) -> Rights:
    (tmp_path / "README.md").write_text(text)
    if info is not None:
        (tmp_path / "meta").mkdir(exist_ok=True)
        (tmp_path / "meta/info.json").write_text(json.dumps(info))
    found, notes = declared(str(tmp_path))
    assert notes == []
    return found


@pytest.mark.parametrize(
    ("front", "licence"),
    [
        ("license: apache-2.0", "apache-2.0"),
        ("licence: CC-BY-4.0", "CC-BY-4.0"),
        ("license: [mit, cc-by-4.0]", "mit, cc-by-4.0"),
        ("license: other\nlicense_name: robots-only\nlicense_link: https://a.org/l", "robots-only (https://a.org/l)"),
        ("license: other\nlicense_link: javascript:alert(1)", ""),
        ("license: other", ""),
        ("license: unknown", ""),
        ("license: 4", ""),
        ("license: {a: b}", ""),
        ("license:", ""),
        ("tags: [x]", ""),
        ("- a\n- b", ""),
        ('license: "a\\u202e\\u0007b"', "a\ufffd\ufffdb"),
    ],
)
def test_a_card_says_the_licence(tmp_path, front, licence):
    found = card(tmp_path, f"---\n{front}\n---\n# words\nlicense: gpl-3.0\n")
    assert (found.licence, found.said_by) == (licence, "README.md" if licence else "")


def test_authors_are_named_and_an_address_is_one(tmp_path):
    front = "license: mit\nauthors:\n- name: Ada\n- Bo\n- 7\nhomepage: https://x.org/set\n"
    found = card(tmp_path, f"---\n{front}---\n")
    assert (found.attribution, found.url) == ("Ada, Bo", "https://x.org/set")
    assert card(tmp_path, "---\nurl: 'https://x.org/<script>'\n---\n").url == ""


def test_a_card_comes_before_info_json(tmp_path):
    assert card(tmp_path, "no front matter", {"license": "mit"}) == Rights("mit", said_by="meta/info.json")
    assert card(tmp_path, "---\nlicense: isc\n---\n", {"license": "mit", "author": "Ada"}) == Rights(
        "isc", "Ada", said_by="README.md"
    )


def test_what_the_configuration_says_wins(tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: mit\nauthors: Ada\n---\n")
    given = {"a": "CC-BY-4.0"}
    assert rights_of("a", str(tmp_path), given, None)[0] == Rights("CC-BY-4.0", "Ada", said_by="configuration")
    assert rights_of("b", str(tmp_path), given, "Bo")[0] == Rights("mit", "Bo", said_by="README.md")
    assert rights_of("b", str(tmp_path), "isc", None)[0].licence == "isc"


def test_a_licence_file_is_known_by_its_name_alone(tmp_path):
    (tmp_path / "LICENSE").write_text("MIT License")
    assert declared(str(tmp_path))[0] == Rights(file="LICENSE")


def test_a_snapshot_of_the_hubs_cache_says_where_it_is_published(tmp_path):
    root = tmp_path / "datasets--org--my_set" / "snapshots" / "0123"
    root.mkdir(parents=True)
    assert declared(str(root))[0].url == "https://huggingface.co/datasets/org/my_set"


@pytest.mark.parametrize(
    "text",
    [
        "---\nlicense: [\n---\n",
        "---\na: &a [x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
        + "".join(
            f"{n}: &{n} [{', '.join(f'*{m}' for _ in range(10))}]\n" for m, n in zip("bcdefg", "cdefgh", strict=True)
        )
        + "---\n",
        "---\n" + "[" * 3000 + "\n---\n",
        "---\nx: " + "y" * rights.FRONT_BYTES,
        "---\nwhen: !!python/object/apply:os.system ['x']\n---\n",
    ],
)
def test_a_card_that_cannot_be_read_costs_a_note(tmp_path, text):
    (tmp_path / "README.md").write_text(text)
    found, notes = declared(str(tmp_path))
    assert (found, len(notes)) == (Rights(), 1)
    assert "README.md" in notes[0]


def test_only_what_is_the_datasets_own_is_read(tmp_path):
    outside, inside = tmp_path / "secret", tmp_path / "set"
    outside.write_text("---\nlicense: mit\n---\n")
    inside.mkdir()
    (inside / "README.md").symlink_to(outside)
    found, notes = declared(str(inside))
    assert (found.licence, "leaves the dataset" in notes[0]) == ("", True)
    assert declared(str(inside), follow=True)[0].licence == "mit"
    (inside / "README.md").unlink()
    os.mkfifo(inside / "README.md")
    assert "is a pipe" in declared(str(inside))[1][0]


@pytest.mark.parametrize("text", ["", "--", "---", "---\nno end", "text\n---\na: b\n---\n"])
def test_no_front_matter(text):
    assert front_matter(text) is None


def test_a_licence_changes_no_fingerprint_of_ingest(tmp_path):
    plain, other = IngestConfig(), IngestConfig(licences="mit", attributions={"a": "Ada"})
    assert fingerprint(plain) == fingerprint(other)
    assert fingerprint(plain) != fingerprint(IngestConfig(min_rows=9))
    source = write_dataset(tmp_path / "logs", [Episode(20, 0)])
    found = survey([str(source)], other)
    assert found.rights["logs"].licence == "mit"
    assert found.notes["logs"] == []
