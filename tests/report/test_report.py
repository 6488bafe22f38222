"""The report is one page that stands on its own and says what is so."""

import base64
import json
import re
import shutil
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.corpus.view import Corpus
from pipeline.report import write
from pipeline.report.drawing import COLOURS, clusters
from pipeline.report.episodes import shared_ending, timelines
from pipeline.report.evenness import evenness, load, masses
from pipeline.report.facts import lag_words
from pipeline.report.refusals import WORDS, Line, Proof
from pipeline.report.reviewed import links
from pipeline.report.signal_drawing import signals
from schemas.events import PRIMITIVES
from schemas.quarantine import QUARANTINE
from schemas.reasons import Reason
from tests.datasets import Episode, write_dataset

NAN, INF = float("nan"), float("inf")
MOST = 5_000_000  # bytes of a page


def page_of(corpus: Path) -> str:
    return Path(write(Corpus(str(corpus)))).read_text()


def words_of(page: str) -> str:
    """What is read without pointing at anything."""
    visible = re.sub(r"<(style|title)>.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", visible))


def rewrite(path: Path, column: str, change) -> None:
    table = pq.read_table(path)
    values = pa.array(change(table[column].to_pylist()))
    pq.write_table(table.set_column(table.column_names.index(column), column, values), path)


# -- the page


@pytest.fixture(scope="module")
def sample_page(sample_corpus) -> str:
    return page_of(sample_corpus)


def test_the_samples_report_stands_on_its_own(sample_corpus, sample_page):
    corpus, page = Corpus(str(sample_corpus)), sample_page
    assert len(page.encode()) < MOST
    led = re.findall(r'(?:src|poster|href)="(?!data:|#)[^"]*"', page)
    assert set(led) == {link for link in led if link.startswith(links.BEGINS)}  # nothing is fetched
    events = set(corpus.table("events", columns=["event_id"])["event_id"])
    named = {link.removeprefix(f"{links.BEGINS}event=").rstrip('"') for link in led if "#event=" in link}
    assert len(named) > 100
    assert named <= events
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(re.findall(r'id="([^"]*)"', page))
    assert "<script" not in page
    text = words_of(page)
    events = corpus.table("events").height
    assert re.search(rf"44 episodes \([\d.]+ min\) of 2 sources became {events:,} events on four levels\.", text)
    sampled, shards = corpus.table("samples")["repeats"].sum(), len(corpus.wanted("shard"))
    assert f"{sampled} samples of level L1 in {shards} shards" in text
    assert f"{corpus.table('events').filter(level='L1').height} actions (L1)" in text
    assert "1.00 decodes a source frame (27648)" in text
    assert "+2 frames" in text
    assert "Nothing: every episode is in the corpus." in text
    assert "has not reached" not in text


def test_timelines_show_captions_and_thumbnails_at_their_times(sample_corpus, sample_page):
    corpus, page = Corpus(str(sample_corpus)), sample_page
    drawings = re.findall(r'aria-label="timeline of ([^"]*)".*?</svg>(.*?)</ol>', page, flags=re.DOTALL)
    assert len(drawings) == 4
    for episode, below in drawings:
        texts = dict(corpus.table("captions", [episode], ["event_id", "text"]).iter_rows())
        events = corpus.table("events", [episode], ["event_id", "level", "start_s"]).filter(level="L1").sort("start_s")
        listed = re.findall(r"<li><b>\d+</b><a class.*?</a> (.*)</li>", below)
        assert len(listed) == events.height
        for event, caption in zip(events["event_id"], listed, strict=True):
            assert texts[event].startswith(caption.replace("&#34;", '"'))
    strips = re.findall(r'<image x="([\d.]+)"', page)
    assert len(strips) == (4 * 3 + 10) * 8  # every second of 16 thumbnails; of three cameras, of one where least sure
    assert {float(x) for x in strips[::8]} == {74.0}  # the first frame is at 0 s


def test_each_source_is_told_by_level_and_primitive(sample_corpus, sample_page):
    corpus, text = Corpus(str(sample_corpus)), words_of(sample_page)
    events = corpus.table("events")
    for source in ("cell_a", "cell_b"):
        own = events.filter(pl.col("episode_id").str.starts_with(source), level="L0")
        moving = own.filter(~pl.col("static"))
        median = (moving["end_s"] - moving["start_s"]).median()
        recovery = 100 * own["recovery"].is_not_null().mean()
        most, number = own["primitive"].value_counts().sort("count", "primitive", descending=[True, False]).rows()[0]
        assert recovery > 0
        assert re.search(rf"L0 {own.height} {median:.1f} s {number} {most}, .*? {recovery:.0f} % 0 %", text), source


def test_the_least_confident_episodes_are_drawn_the_least_first(sample_corpus, sample_page):
    corpus = Corpus(str(sample_corpus))
    listed = re.findall(r"<summary><b>([^<]*)</b> <span class=\"soft\">confidence ([\d.]+)", sample_page)
    actions = corpus.table("events").filter(level="L1").with_columns(length=pl.col("end_s") - pl.col("start_s"))
    means = actions.group_by("episode_id").agg(
        mean=(pl.col("confidence") * pl.col("length")).sum() / pl.col("length").sum()
    )
    drawn = [item.episode_id for item in timelines(corpus)]
    expected = means.filter(~pl.col("episode_id").is_in(drawn)).sort("mean").head(10)
    assert not {name for name, _ in listed} & set(drawn)  # no episode is drawn twice
    assert [name for name, _ in listed] == expected["episode_id"].to_list()
    assert [float(c) for _, c in listed] == pytest.approx(expected["mean"].to_list(), abs=0.006)


def test_time_and_memory_of_every_stage_are_there(sample_corpus, sample_page):
    text = words_of(sample_page)
    for row in Corpus(str(sample_corpus)).status().to_dicts():
        pattern = rf"{row['stage']} {row['items']} {row['work_s']:.1f} s \d+ % {row['peak_mb']:,} MB"
        assert row["peak_mb"] > 0
        assert re.search(pattern, text), pattern


def test_a_build_that_stops_early_has_a_report_too(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(60, 0), Episode(70, 100)], cameras=("front",))
    for until in ("ingest", "observe", "segment", "cluster"):  # each goes on where the one before stopped
        build([source], tmp_path / "corpus", until=until)
        text = words_of(page_of(tmp_path / "corpus"))
        assert "2 episodes" in text, until
        assert re.search(r"The build has not reached [a-z, ]*shard", text), until
        assert ("Not cut yet." in text) == (until in ("ingest", "observe")), until
        assert "No shards yet." in text, until


def test_a_corpus_without_samples_and_a_source_without_video(build, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(60, 0), Episode(70, 100)], cameras=())
    build([source], tmp_path / "corpus", "shard.min_frames=10000")
    text = words_of(page_of(tmp_path / "corpus"))
    assert "0 samples of level L1 in 0 shards" in text
    assert "too short" in text
    assert "No train event could be drawn" in text
    assert text.count("No video.") == 2
    assert "The arm reaches" in text


# -- what was set aside


@pytest.fixture(scope="module")
def broken(build, tmp_path_factory) -> Path:
    """A corpus of nine episodes, seven of them broken in different ways."""
    root = tmp_path_factory.mktemp("broken")
    source = write_dataset(root / "logs", [Episode(80 + 4 * i, 100 * i, "<b>mark & me</b>") for i in range(9)])
    rows = [source / f"data/chunk-000/episode_{i:06d}.parquet" for i in range(9)]
    films = [source / f"videos/chunk-000/observation.images.front/episode_{i:06d}.mp4" for i in range(9)]
    bad = {40: NAN, 41: NAN, 50: INF}
    put = lambda s: [[x[0], bad.get(i, x[1]), *x[2:]] for i, x in enumerate(s)]  # noqa: E731
    rewrite(rows[1], "observation.state", put)
    rewrite(rows[2], "timestamp", lambda t: [*t[:30], t[29], *t[31:]])
    rewrite(rows[3], "task_index", lambda t: [5] * len(t))
    films[4].write_bytes(b"")
    shutil.copy(films[8], films[5])  # of another length
    blob = bytearray(films[6].read_bytes())
    start = blob.find(b"mdat") + 4
    length = int.from_bytes(blob[start - 8 : start - 4], "big") - 8
    for i in range(start + length * 6 // 10, start + length * 7 // 10):
        blob[i] ^= 0xFF
    films[6].write_bytes(blob)
    rows[7].unlink()
    build([source], root / "corpus")
    return root / "corpus"


def panel(page: str, reason: str) -> str:
    return re.search(rf'id="why-{reason}">(.*?)</ul>', page, flags=re.DOTALL).group(1)


def test_what_was_set_aside_comes_with_its_message(broken):
    page = page_of(broken)
    assert "7 episodes were set aside." in words_of(page)
    assert "logs/000004@front" in panel(page, "video_unreadable")
    assert "data/chunk-000/episode_000007.parquet is absent" in panel(page, "missing_file")
    assert "The file is absent." in panel(page, "missing_file")
    assert "the next build tries again" in panel(page, "unknown_task")
    assert "the next build tries again" not in panel(page, "not_finite")
    assert "&lt;b&gt;mark &amp; me&lt;/b&gt;" in page  # the operator's text is text, not markup
    assert "<b>mark" not in page


def test_a_bad_signal_is_drawn_with_its_row_and_its_gaps(broken):
    page = page_of(broken)
    bad = panel(page, "not_finite")
    assert 'aria-label="observation.state[1] around row 40"' in bad
    assert bad.count('class="nan"') == 2
    assert bad.count('class="inf"') == 1
    assert bad.count("<polyline") == 3  # before the NaNs, between them and the Inf, after it
    assert ">row 40</text>" in bad
    repeated = panel(page, "time_repeats")
    assert "timestamp, s, step from the row before, s around row 30" in repeated
    assert repeated.count("<polyline") == 2


def test_a_bad_video_is_shown_by_its_last_frame_or_its_thumbnails(broken):
    page = page_of(broken)
    rows = Corpus(str(broken)).quarantine()
    (picture,) = [e["picture"] for e in rows.filter(reason="video_unreadable")["evidence"].to_list() if e]
    unreadable = panel(page, "video_unreadable")
    assert base64.b64encode(picture).decode() in unreadable
    assert unreadable.index("logs/000006@front") < unreadable.index("logs/000004@front")  # shown ones first
    assert panel(page, "length_mismatch").count('<img alt="front" src="data:image/jpeg') == 6
    assert "6 of 112 frames" in panel(page, "length_mismatch")


def test_ten_thousand_refusals_and_hundreds_of_sources_fit_on_a_page(broken, monkeypatch):
    shown = {"lines": [{"name": "x" * 300, "values": [0.1] * 121}] * 9, "first_row": 0, "row": 60, "picture": None}
    photo = next(e["picture"] for e in Corpus(str(broken)).quarantine()["evidence"].to_list() if e and e["picture"])
    reasons = [r.value for r in Reason]
    rows = [
        {
            "item": f"logs/{i:06d}", "episode_id": f"logs/{i:06d}", "event_id": None, "source": f"s{i % 300}",
            "stage": "ingest", "reason": reasons[i % len(reasons)], "message": f"{i} " + "long " * 1000,
            "retryable": i % 3 == 0, "evidence": shown | {"picture": photo if i % 2 else None},
        }
        for i in range(10_000)
    ]  # fmt: skip
    table = pl.from_arrow(QUARANTINE.build(rows))
    monkeypatch.setattr(Corpus, "quarantine", lambda self: table)
    corpus = Corpus(str(broken))
    corpus.manifest["sources"] |= {f"s{i:03d}": f"/s{i}" for i in range(300)}
    corpus.manifest["lost"] |= {f"l{i:03d}": "long " * 1000 for i in range(300)}
    page = Path(write(corpus)).read_text()
    assert len(page.encode()) < 1_500_000
    text = words_of(page)
    assert "and 261 more sources" in text  # 40 of 301 are shown
    assert "and 290 more sources that cannot be used" in text
    assert f"and {-(-10_000 // len(reasons)) - 3} more" in text  # rows of the first reason, of which three are shown


def test_every_reason_has_words_and_every_primitive_a_colour():
    assert set(WORDS) == set(Reason)
    assert set(COLOURS) == set(PRIMITIVES)


def test_a_signal_of_nothing_but_nan_is_drawn_too():
    svg = signals(Proof("", [Line("a <b>", 7, [NAN, NAN, -INF])], 8))
    assert (svg.count('class="nan"'), svg.count('class="inf"'), svg.count("<polyline")) == (2, 1, 0)
    assert "a &lt;b&gt;" in svg


# -- balance


def nested() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Episode `a` (train) and `v` (val). a: one task of 100 frames, L1 events of 20, 30, 50; the last is static."""
    rows = [
        ("a3", "L3", None, 0, 100), ("a2", "L2", "a3", 0, 50), ("b2", "L2", "a3", 50, 100),
        ("a1", "L1", "a2", 0, 20), ("b1", "L1", "a2", 20, 50), ("c1", "L1", "b2", 50, 100),
        ("a0", "L0", "a1", 0, 5), ("b0", "L0", "a1", 5, 20), ("c0", "L0", "b1", 20, 50), ("d0", "L0", "c1", 50, 100),
        ("v3", "L3", None, 0, 10), ("v2", "L2", "v3", 0, 10), ("v1", "L1", "v2", 0, 10), ("v0", "L0", "v1", 0, 10),
    ]  # fmt: skip
    names = ["event_id", "level", "parent_id", "start_frame", "end_frame"]
    events = pl.DataFrame(rows, schema=names, orient="row")
    fates = [
        ("a1", "train", "sampled", 2), ("b1", "train", "reserve", 0), ("c1", "train", "static", 0),
        ("v1", "val", "sampled", 1),
    ]  # fmt: skip
    samples = pl.DataFrame(fates, schema=["event_id", "split", "status", "repeats"], orient="row")
    clusters = events.select("event_id", "level").with_columns(
        vl_cluster=pl.col("event_id").replace_strict({"a0": 0, "b0": 0}, default=1, return_dtype=pl.Int32),
        action_cluster=pl.lit(0, pl.Int32),
    )
    return events, samples, clusters


def test_an_event_counts_by_the_share_of_its_frames_that_is_drawn_and_how_often():
    events, samples, _ = nested()
    found = {row[0]: row[1:] for row in masses(events, samples, "L1").select(
        "event_id", "before", "sampled").iter_rows()}  # fmt: skip
    assert found == {
        "a1": (1.0, 2.0),
        "b1": (1.0, 0.0),
        "a2": (1.0, pytest.approx(40 / 50)),
        "a3": (1.0, pytest.approx(40 / 100)),
        "a0": (1.0, 2.0),
        "b0": (1.0, 2.0),
        "c0": (1.0, 0.0),
    }  # c1 is no part of the pool, so b2 and d0 are not; v is val


def test_gini_and_entropy_of_a_level_are_those_of_its_summed_masses():
    found = evenness(*nested(), "L1")
    assert list(found) == ["L3", "L2", "L1", "L0"]
    assert [found[level]["events"] for level in found] == [1, 1, 2, 3]
    segments = found["L0"]["vl"]
    assert [segments[kind]["sizes"] for kind in ("before", "sampled")] == [[2, 1], [4, 0]]
    assert segments["before"]["gini"] == pytest.approx(1 / 6)  # (1*1 + 2*2) * 2 / 3 = 10/3; minus 3; over 2
    assert segments["before"]["entropy"] == pytest.approx(0.9183, abs=1e-4)  # of 2/3 and 1/3, in bits
    assert (segments["sampled"]["gini"], segments["sampled"]["entropy"]) == (0.5, 0.0)
    assert segments["before"]["tail_share"] == pytest.approx(1 / 3)
    assert found["L0"]["action"]["sampled"] == {"sizes": [4.0], "gini": 0.0, "entropy": 1.0, "tail_share": 0.0}


def test_the_shard_levels_figures_are_the_releases_own(sample_corpus, sample_page):
    corpus = Corpus(str(sample_corpus))
    stats = json.loads((sample_corpus / "shards/latest/stats.json").read_text())["balance"]
    found = load(corpus)
    assert found["L1"] == stats
    events = corpus.table("events", columns=["event_id", "level", "parent_id", "start_frame", "end_frame"])
    own = evenness(events, corpus.table("samples"), corpus.table("clusters"), "L1")["L1"]
    for space in ("vl", "action"):
        for kind in ("before", "sampled"):  # clusters in which all is at rest have no size of their own there
            assert own[space][kind]["sizes"] == pytest.approx(
                [n for n, e in zip(stats[space][kind]["sizes"], stats[space]["before"]["sizes"], strict=True) if e]
            )
    text = words_of(sample_page)
    for level in ("L3", "L2", "L1", "L0"):
        for space in ("vl", "action"):
            kinds = [found[level][space][k] for k in ("before", "sampled")]
            figures = [f"{k[m]:.3f}" for m in ("gini", "entropy", "tail_share") for k in kinds]
            assert " ".join([str(len(kinds[0]["sizes"])), *figures]) in text
    assert sample_page.count('aria-label="cluster sizes"') == 8
    assert "counts by the share of its frames that lies in drawn L1 events" in text


def test_a_chart_of_a_thousand_clusters_stays_small():
    sizes = {"sizes": [float(i) for i in range(1000)], "gini": 0.3, "entropy": 0.9}
    assert len(clusters({"before": sizes, "sampled": sizes, "target": sizes})) < 30_000


# -- words


def test_what_all_captions_end_with_is_said_once():
    assert shared_ending(['The arm rests, with the task "a".', 'The arm moves, with the task "a".']) == (
        ', with the task "a".'
    )
    assert shared_ending(["The arm rests.", "The arm moves."]) == ""
    assert shared_ending(["Alone, of course."]) == ""


def test_a_lag_is_told_with_why_it_is_not_applied():
    vote = {
        "lag_frames": 0, "voted_frames": -1, "score": 0.69, "votes": 11, "voters": 12, "estimates": 12,
        "weak": False, "disagrees": False,
    }  # fmt: skip
    assert lag_words("s", 1, {"s": vote}) == "not applied: -1 is too small to tell (11 of 12 votes, score 0.69)"
    assert lag_words("s", 1, {"s": vote | {"disagrees": True}}) == "not applied: -1 has only 11 of 12 votes"
    applied = lag_words("s", 1, {"s": vote | {"lag_frames": 2, "voted_frames": 2}})
    assert applied == "+2 frames (11 of 12 votes, score 0.69)"
    assert lag_words("s", 0, {"s": vote}) == "no video"
    assert lag_words("s", 1, None) == "not estimated"
