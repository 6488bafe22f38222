"""What people decide on the page, in the next build: only what it touches is done again, and nothing of it is lost."""

import json
import tarfile

import polars as pl
import pytest

from pipeline import reviewed
from pipeline.corpus import decisions
from pipeline.corpus.view import Corpus
from pipeline.review.access import Access
from pipeline.review.serve import opened
from pipeline.review.service import Request
from pipeline.review.store import Store
from stages.review.edit import Ask
from stages.review.spans import seen
from tests.datasets import Episode, write_dataset

FIRST, SECOND, THIRD = "logs/000000", "logs/000001", "logs/000002"
SET = ("shard.keep=1", "shard.alpha=1", "shard.min_frames=1")


class Page:
    """The review server of a corpus as it is now, without HTTP."""

    def __init__(self, corpus, folder) -> None:
        self.root = str(corpus)
        self.review = opened(Corpus(self.root), Store(str(folder / "s.sqlite")), Access(b"k", None, "ada")).review
        self.number = len(self.review.store.all())

    def spans(self, episode=FIRST, level="L1"):
        return self.review.spans((episode, level, "all"))

    def do(self, action, span, *touched, episode=FIRST, undoes=None, **more):
        self.number += 1
        ask = Ask(action, span.start, **more)
        asked = Request(f"{self.number:032x}", (episode, "L1", "all"), ask, seen(touched or [span]), undoes)
        return self.review.decide(asked, "ada")

    def close(self) -> None:
        self.review.publish()
        self.review.store.close()


@pytest.fixture(scope="module")
def built(build, tmp_path_factory):
    """(source, corpus, what its first release is called)."""
    folder = tmp_path_factory.mktemp("reviewed")
    source = write_dataset(folder / "logs", [Episode(80, 100 * i) for i in range(3)])
    return source, folder / "corpus", build([source], folder / "corpus", *SET).release


def done(result):
    return {stage: n for stage, n in result.computed.items() if n}


def samples(corpus):
    """{event: KEY.json} of the current release."""
    found = {}
    for path in sorted((corpus / "shards/latest").glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar.getmembers():
                if member.name.endswith(".json") and "calib" not in member.name:
                    meta = json.load(tar.extractfile(member))
                    found[meta["event_id"]] = meta
    return found


def test_decisions_go_where_they_belong_and_come_back_when_undone(build, built, tmp_path):
    source, corpus, first = built
    page = Page(corpus, tmp_path)
    one, two, three, *_ = page.spans()
    taken = [page.do("accept", one), page.do("reject", three)]
    page.close()

    # verdicts redo tars alone
    result = build([source], corpus, *SET)
    assert set(done(result)) == {"shard"}
    index = pl.read_parquet(corpus / "shards/latest/index.parquet")
    gone, kept = f"{FIRST}/L1/{three.start:07d}", f"{FIRST}/L1/{one.start:07d}"
    assert gone not in samples(corpus)
    assert gone not in index["event_id"].to_list()
    assert dict(Corpus(str(corpus)).table("samples")["event_id", "status"].iter_rows())[gone] == "rejected"
    assert [(m["accepted"], m["review"]) for e, m in samples(corpus).items() if e == kept] == [(True, "machine")]
    assert not any(done(build([source], corpus, *SET)).values())

    # an edge and a caption redo their episode, and no other
    page = Page(corpus, tmp_path)
    one, two, *_ = page.spans()
    moved = page.do("end", one, one, two, to=one.end + 200)
    words = page.do("caption", page.spans(SECOND)[0], episode=SECOND, text="reach for the <block>")
    page.close()
    result = build([source], corpus, *SET)
    assert {s: n for s, n in done(result).items() if s in ("segment", "caption", "embed")} == {
        "segment": 1, "caption": 2, "embed": 2,
    }  # fmt: skip
    view = Corpus(str(corpus))
    human = view.table("events").filter(origin="human", level="L1")
    found = human.select((pl.col("start_s", "end_s") * 1000).round().cast(int), "said_by").rows()
    assert found == [(one.start, one.end + 200, "ada"), (one.end + 200, two.end, "ada")]
    said = view.table("captions").filter(source="human")
    assert said["event_id", "text"].rows() == [  # a local event that is the whole action has the action's words
        (f"{SECOND}/{level}/0000000", "reach for the <block>") for level in ("L0", "L1")
    ]

    # taken back, all of it: the first release again
    page = Page(corpus, tmp_path)
    for row in (words, moved, *reversed(taken)):
        span = page.spans(row["episode_id"])[0]
        page.do("undo", span, episode=row["episode_id"], undoes=row["decision_id"])
    page.close()
    assert decisions.overlays_of(str(corpus)) == {}
    assert build([source], corpus, *SET).release[:8] == first[:8]
    assert Corpus(str(corpus)).table("events").filter(origin="human").is_empty()


def test_other_settings_keep_what_people_have_set_and_mark_what_has_moved(build, built, tmp_path):
    source, _, _ = built
    corpus = tmp_path / "corpus"
    build([source], corpus, *SET)
    page = Page(corpus, tmp_path)
    spans = page.spans()
    page.do("end", spans[0], *spans[:2], to=spans[0].end + 100)
    for span in page.spans(SECOND):
        page.do("accept", span, episode=SECOND)
    page.close()
    whole = reviewed.labels_of(Corpus(str(corpus)))
    assert {e: [(x.start, x.end) for x in own] for e, own in whole.items()} == {
        SECOND: [(s.start / 1000, s.end / 1000) for s in spans]
    }
    assert reviewed.captions(Corpus(str(corpus))).right == {f"{SECOND}/L1/{s.start:07d}" for s in spans}
    build([source], corpus, *SET, "segment.scale=3", "segment.min_l1_s=1")
    page = Page(corpus, tmp_path)
    edges = {s.start for s in page.spans()}
    assert {spans[0].end + 100, spans[1].end} <= edges
    now, stale = page.spans(SECOND), page.review.of(SECOND, "ada")[1]
    judged = [s for s in now if s.state == "accepted"]
    assert len(stale) + len(judged) == len(spans)  # both episodes are cut alike at first
    assert stale
    assert all((s["start_ms"], s["end_ms"]) not in {(n.start, n.end) for n in now} for s in stale)
    page.close()


def test_what_is_learned_from_is_what_people_stand_by(build, built, tmp_path):
    """Before any build has taken it up: words as they were given, nothing of what was rejected or only changed."""
    source, _, _ = built
    corpus = tmp_path / "corpus"
    build([source], corpus, *SET, until="caption")
    page = Page(corpus, tmp_path)
    spans = page.spans()
    page.do("accept", spans[0])
    page.do("caption", spans[1], text="grab the red block")
    page.do("accept", page.spans()[1])
    page.do("caption", spans[2], text="nonsense")
    page.do("reject", page.spans()[2])
    page.do("primitive", page.spans(THIRD)[0], episode=THIRD, primitive="push")
    page.do("accept", page.spans(THIRD)[0], episode=THIRD)
    for span, action in zip(page.spans(SECOND), ("accept", "reject", "reject"), strict=True):
        page.do(action, span, episode=SECOND)
    page.review.publish()
    view, ids = Corpus(str(corpus)), [f"{FIRST}/L1/{s.start:07d}" for s in spans]
    own = reviewed.captions(view)
    assert own.right == {ids[0], f"{SECOND}/L1/{spans[0].start:07d}"}  # all episodes are cut alike
    assert own.words == {ids[1]: "grab the red block"}
    assert {e for e in own.rejected if "/L1/" in e} == {ids[2]} | {f"{SECOND}/L1/{s.start:07d}" for s in spans[1:]}
    edges = [(s.start / 1000, s.end / 1000) for s in spans]
    found = {e: [(x.start, x.end) for x in labels] for e, labels in reviewed.labels_of(view).items()}
    assert found == {FIRST: edges[:2]}  # of the second episode nobody has vouched for the last border

    page.do("accept", page.spans(SECOND)[2], episode=SECOND)
    page.close()
    found = {e: [(x.start, x.end) for x in labels] for e, labels in reviewed.labels_of(view).items()}
    assert found == {FIRST: edges[:2], SECOND: [edges[0], edges[2]]}


def test_a_decision_over_a_span_of_a_label_file_wins_without_a_word(build, built, tmp_path):
    source, _, _ = built
    corpus, file = tmp_path / "corpus", tmp_path / "labels.csv"
    file.write_text(f"episode_id,level,start_s,end_s,caption\n{FIRST},L1,0.5,1.5,it reaches for the cup\n")
    build([source], corpus, *SET, f"segment.labels=[{file}]", until="caption")
    page = Page(corpus, tmp_path)
    (span,) = [s for s in page.spans() if s.text == "it reaches for the cup"]
    page.do("split", span, to=1000)
    page.close()
    build([source], corpus, *SET, f"segment.labels=[{file}]", until="caption")
    view = Corpus(str(corpus))
    assert view.quarantine().is_empty()
    events = view.table("events").filter(episode_id=FIRST, level="L1", origin="human").sort("start_s")
    assert [round(s, 3) for s in events["start_s"]] == [0.5, 1.0]
    texts = dict(view.table("captions")["event_id", "text"].iter_rows())
    assert [texts[e] for e in events["event_id"]] == ["it reaches for the cup"] * 2
