"""A review of made-up episodes and a client of it; a corpus for a browser to look at."""

import os
import shutil

import pytest

from tests.review.server import client, review


@pytest.fixture
def own(tmp_path):
    made = review(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def web(own):
    return client(own)


@pytest.fixture(scope="module")
def corpus(request, tmp_path_factory):
    """A copy of the sample's corpus that nobody has decided about; REVIEW_CORPUS names one that is built already."""
    built = os.environ.get("REVIEW_CORPUS") or request.getfixturevalue("sample_corpus")
    place = tmp_path_factory.mktemp("reviewed") / "corpus"
    shutil.copytree(built, place, symlinks=True, ignore=shutil.ignore_patterns("shards", "decisions"))
    return place
