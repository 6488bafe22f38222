"""A review of six made-up episodes, and a browser's worth of it."""

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
