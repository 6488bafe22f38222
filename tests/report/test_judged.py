"""Figures of quality: worked out by hand, and the same on the server's page and in the report."""

from pathlib import Path

import pytest

from pipeline.corpus import decisions
from pipeline.corpus.view import Corpus
from pipeline.report import write
from pipeline.report.reviewed import quality
from pipeline.review import service
from pipeline.review.access import Access
from pipeline.review.app import application
from pipeline.review.guard import WRITES
from pipeline.review.serve import opened
from pipeline.review.store import Store
from stages.review.edit import Ask
from stages.review.figures import figures, people, shift_bins
from stages.review.spans import seen
from tests.datasets import Episode, write_dataset
from tests.report.test_report import words_of
from tests.review.rows import MACHINE, Reviewed, row

KNOWN = list(zip(MACHINE, (0.95, 0.55, 0.35, 0.35), strict=True))


def test_figures_of_one_person():
    review = Reviewed()
    review.do("accept", 0)
    review.do("end", 1000, to=1700)
    review.do("accept", 1000)
    review.do("reject", 3000)
    found = figures(review.rows, lambda _: KNOWN)
    assert (found.judged, found.unedited, found.rejected, list(found.shifts_s)) == (3, pytest.approx(1 / 3), 1, [0.2])
    # 1000 to 1700 shares 500 of 700 ms with the second (0.55), 200 of 2000 with the third: it was the second
    assert {n: (events, share) for n, events, share in found.reliability if events} == {
        0.9: (1, 1.0), 0.5: (1, 0.0), 0.3: (1, 0.0),
    }  # fmt: skip
    assert (found.agreement, found.agreed, found.twice) == (None, None, 0)


def test_a_place_that_the_corpus_does_not_hold_any_more_counts_nowhere_but_in_the_work():
    review = Reviewed()
    review.do("accept", 0)
    blind = row(MACHINE[:1], MACHINE[:1]) | {"blind": True, "actor": "bo"}
    found = figures([*review.rows, blind], lambda _: ())
    assert (found.judged, found.unedited, found.twice, found.agreement) == (0, 0.0, 0, None)
    assert found.people["ada"].decisions == 1


def test_a_second_pass_is_compared_with_what_stands():
    review, again = Reviewed(), Reviewed()
    review.do("end", 0, to=1300)
    again.do("accept", 0)
    for number in (0, 1300, 1500, 3000):
        review.do("accept", number)
    blind = [r | {"blind": True, "actor": "bo"} for r in again.rows]
    assert figures([*review.rows, *blind], lambda _: KNOWN).twice == 0  # three are not judged yet
    for number in (1000, 1500, 3000):
        again.do("accept", number)
    blind = [r | {"blind": True, "actor": "bo"} for r in again.rows]
    found = figures([*review.rows, *blind], lambda _: KNOWN)
    # IoU 1000/1300, 200/500, 1, 1; boundaries 1300 and 1000 are 300 ms apart, two others are the same
    assert (found.twice, found.agreement.spans) == (1, 4)
    assert found.agreed["iou"] == pytest.approx((1000 / 1300 + 0.4 + 2) / 4)
    assert found.agreed["boundary_f1_0.25_s"] == pytest.approx(2 / 3)
    assert found.agreed["boundary_f1_0.5_s"] == 1.0
    assert found.judged == 4  # the second pass judges nothing anew
    assert set(found.people) == {"ada"}
    gold = [r | {"gold": True} for r in blind]
    assert figures([*review.rows, *gold], lambda _: KNOWN).twice == 0  # that measures people, not the machine
    own = [r | {"actor": "ada"} for r in blind]
    assert figures([*review.rows, *own], lambda _: KNOWN).twice == 0  # nobody is compared with themselves


def test_seconds_an_event_are_all_of_a_persons_time_over_what_they_judged():
    spent = [("ada", "caption", 0, 9000), ("ada", "accept", 0, 1000), ("ada", "accept", 0, 2000),
             ("ada", "reject", 1000, 6000), ("bo", "skip", 0, 4000)]  # fmt: skip
    rows = [
        row(MACHINE[:1], MACHINE[:1], action, actor=who) | {"start_ms": start, "spent_ms": ms}
        for who, action, start, ms in spent
    ]
    found = people(rows)
    assert list(found) == ["ada", "bo"]
    assert (found["ada"].decisions, found["ada"].events, found["ada"].seconds_event) == (4, 2, 9.0)
    assert found["ada"].seconds_decision == 4.0  # between 2 and 6
    assert (found["bo"].decisions, found["bo"].events, found["bo"].seconds_event) == (1, 0, None)


def test_bins_of_shifts_are_open_below_and_closed_above():
    bins = shift_bins([-0.7, -0.5, -0.05, 0.0, 0.1, 0.11, 3.0])
    assert [n for *_, n in bins] == [2, 0, 0, 2, 1, 1, 0, 1]
    assert (bins[0][:2], bins[3][:2], bins[-1][:2]) == ((None, -0.5), (-0.1, 0.0), (0.5, None))
    assert sum(n for *_, n in shift_bins([])) == 0


# -- server and report


@pytest.fixture
def reviewed(build, tmp_path, monkeypatch):
    """(corpus, server) of two episodes: one judged by two people, in the other some decisions; published."""
    monkeypatch.setattr(service, "SECOND", 1.0)
    source = write_dataset(tmp_path / "logs", [Episode(80, 100 * i) for i in range(2)])
    build([source], tmp_path / "corpus", until="caption")
    corpus = Corpus(str(tmp_path / "corpus"))
    server = opened(corpus, Store(str(tmp_path / "s.sqlite")), Access(b"k", None, "ada"))
    first, second = (("logs/000000", "L1", "all"), ("logs/000001", "L1", "all"))
    one, two, *_ = server.review.spans(second)
    decide(server.review, "ada", second, "end", one, [one, two], to=one.end + 100, spent_ms=3000)
    decide(server.review, "ada", second, "caption", server.review.spans(second)[2], text="it does <b>so</b>")
    decide(server.review, "ada", second, "accept", server.review.spans(second)[2], spent_ms=1500)
    decide(server.review, "bo", second, "reject", server.review.spans(second)[-1], spent_ms=500)
    for span in server.review.spans(first):
        decide(server.review, "ada", first, "accept", span, spent_ms=1000)
    for number, span in enumerate(server.review.spans(first, "bo")):
        if not number:
            decide(server.review, "bo", first, "primitive", span, primitive="push", blind=True)
            span = server.review.spans(first, "bo")[0]
        decide(server.review, "bo", first, "accept", span, blind=True)
    server.review.publish()
    yield corpus, server
    server.review.store.close()


def decide(review, who, place, action, span, touched=(), spent_ms=0, blind=False, **more):
    review.leases.clear()
    number = f"{len(review.store.all()) + 1:032x}"
    ask = Ask(action, span.start, **more)
    review.decide(service.Request(number, place, ask, seen(touched or [span]), None, spent_ms, "", blind), who)


def test_page_and_report_say_the_same(reviewed):
    from starlette.testclient import TestClient

    corpus, server = reviewed
    found = quality.load(corpus)
    assert found.figures == server.review.quality()
    client = TestClient(application(server, {"testserver"}), headers={WRITES: "1"})
    said = client.get("/api/quality").json()
    assert said["twice"] == 1
    assert said["agreement"]["kappa"] < 1
    assert said["unedited"] > 0.5
    assert said["shifts_s"] == [0.1]
    assert sum(n for *_, n in said["shifts"]) == 1
    page = Path(write(corpus)).read_text()
    text = words_of(page)
    assert f"{said['judged']} events accepted or rejected" in text
    assert f"{100 * said['unedited']:.0f} % accepted as the machine left them" in text
    assert f"{said['rejected']} rejected" in text
    for name, seconds in said["seconds"].items():
        assert f"{said['seconds_event'][name]:.1f} {seconds:.1f}" in text.split(f" {name} ")[1], name
    agreement = said["agreement"]
    words = ("time shared (IoU)", "boundaries, F1 at 0.25 s", "boundaries, F1 at 0.5 s", "primitives, Cohen’s kappa")
    for key, name in zip(("iou", "boundary_f1_0.25_s", "boundary_f1_0.5_s", "kappa"), words, strict=True):
        assert f"{name} {agreement[key]:.2f}" in text
    assert f"likeness of captions {agreement['captions']:.2f}" in text
    for low, events, share in said["reliability"]:
        assert share is None or f"confidence {low:.1f} to {low + 0.1:.1f}: {share:.0%} of {events}" in page
    assert "Nobody has judged" not in text


def test_a_report_says_in_one_line_how_to_begin_and_that_decisions_are_damaged(reviewed, tmp_path):
    corpus, _ = reviewed
    name = decisions.parts(corpus.root)[0]
    path = tmp_path / "corpus/decisions" / name
    blob = path.read_bytes()
    path.write_bytes(blob[:-7])
    text = words_of(Path(write(corpus)).read_text())
    assert "It cannot be read:" in text
    assert name in text
    assert "accepted or rejected" not in text
    path.unlink()
    text = words_of(Path(write(corpus)).read_text())
    assert text.count("Nobody has judged an event yet.") == 1
    assert f"corpus review --corpus {corpus.root}" in text
    assert "accepted or rejected" not in text
