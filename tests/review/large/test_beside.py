"""What takes long is done beside: the server answers before the corpus is read, and while another build is taken up."""

import threading

import pytest
from starlette.testclient import TestClient

from pipeline.review import serve
from pipeline.review.access import Access
from pipeline.review.app import Server, answers
from pipeline.review.catalogue import Catalogue
from pipeline.review.reading import Reading
from pipeline.review.service import Request
from stages.review.edit import Ask
from stages.review.spans import seen
from tests.review.server import Frames, events, review

PLACE = ("lab/000001", "L1", "all")


@pytest.fixture
def own(tmp_path):
    made = review(tmp_path)
    yield made
    made.store.close()


def decide(own, number: int, span: int, action: str) -> None:
    chosen = own.spans(PLACE)[span]
    own.decide(Request(f"{number:032x}", PLACE, Ask(action, chosen.start), seen([chosen])), "ada")


def states(own) -> list[str]:
    return [e["state"] for e in own.of(PLACE[0], "ada")[0]]


def test_until_the_corpus_is_read_a_page_says_so_and_asks_again(own):
    reading = Reading()
    web = TestClient(reading)
    page, program = web.get("/"), web.get("/api/queue")
    assert (page.status_code, page.headers["refresh"]) == (503, "1")
    assert "Reading the corpus" in page.text
    assert (program.status_code, program.headers["retry-after"]) == (503, "1")
    reading.app = answers(Server(own, Access(b"k", None, "ada"), "L1", "corpus"))
    assert web.get("/api/queue").json()["total"] == 8
    assert "refresh" not in web.get("/").headers


def test_a_corpus_that_cannot_be_read_ends_the_server():
    ended = threading.Event()

    def make():
        raise OSError("gone")

    beside = serve.Beside(make, "", 60, print)
    beside.end = ended.set
    beside.start()
    assert ended.wait(10)
    assert str(beside.failed) == "gone"


class Slow(Catalogue):
    """Of another build: laying a decision over it takes until `go`."""

    def __init__(self) -> None:
        super().__init__(events())
        self.began, self.go = threading.Event(), threading.Event()

    def lay(self, place, spans) -> None:
        self.began.set()
        assert self.go.wait(20)
        super().lay(place, spans)


def test_people_decide_while_another_build_is_taken_up(own):
    decide(own, 1, 0, "accept")
    new = Slow()
    taking = threading.Thread(target=own.take, args=(new, Frames()), daemon=True)
    taking.start()
    assert new.began.wait(20)
    before, found = own.catalogue, []
    working = threading.Thread(target=lambda: (decide(own, 2, 1, "reject"), found.append(states(own))), daemon=True)
    working.start()
    working.join(10)
    assert found == [["accepted", "rejected", "", ""]]  # nobody has waited
    assert own.catalogue is before
    new.go.set()
    taking.join(20)
    assert own.catalogue is new
    assert own.version == 2
    assert states(own) == ["accepted", "rejected", "", ""]  # and what came meanwhile lies over the new one


def test_spans_as_the_machine_had_them_are_kept_from_the_first_touch_on(own):
    machine = own.catalogue.machine(PLACE)
    decide(own, 1, 0, "accept")
    decide(own, 2, 2, "reject")
    assert own.catalogue.machine(PLACE) == machine
    assert len(own.catalogue) == 8
    assert own.catalogue.facets["primitive"] == [("grasp", 2), ("lift", 2), ("place", 2), ("reach", 2)]


def test_a_build_that_ends_while_the_corpus_is_read_is_taken_up(own, monkeypatch):
    """And a step that goes wrong, however it does, keeps no other."""
    taken, published = threading.Event(), threading.Event()
    built = ["one"]
    monkeypatch.setattr(serve, "_built", lambda root: built[0])
    monkeypatch.setattr(serve, "Corpus", lambda root: root)
    monkeypatch.setattr(serve, "read", lambda corpus: (Catalogue(events(3)), Frames()))
    monkeypatch.setattr(own, "take", lambda *read: taken.set())
    monkeypatch.setattr(own, "publish", lambda: published.set() or 1 / 0)

    def make():
        built[0] = "two"
        return Server(own, Access(b"k", None, "ada"), "L1", "corpus")

    beside = serve.Beside(make, "one", 60, lambda _: None)
    beside.start()
    assert taken.wait(10)
    assert published.is_set()
    beside.ended.set()
    beside.join(10)
    assert (beside.built, beside.failed) == ("two", None)
