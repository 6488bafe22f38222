"""Clips inside the report: which, how large, and what becomes of one whose video is gone."""

import base64
import io
import re
import shutil

import av
import numpy as np
import polars as pl
import pytest

from pipeline.corpus.view import Corpus
from pipeline.report import write
from pipeline.report.clips import cutting
from pipeline.report.clips.choice import least_sure, typical
from tests.datasets import Episode, write_dataset


def events(*rows: tuple[str, str, float, float]) -> pl.DataFrame:
    """(event, primitive, length, confidence) each."""
    schema = ["event_id", "primitive", "length", "confidence"]
    found = pl.DataFrame(rows, schema=schema, orient="row")
    return found.with_columns(episode_id=pl.col("event_id").str.slice(0, 1))


def test_of_each_frequent_primitive_the_most_usual_one_is_shown():
    found = typical(
        events(
            ("a1", "reach", 1.0, 0.9), ("a2", "reach", 2.0, 0.2), ("b1", "reach", 2.2, 0.8), ("b2", "reach", 9.0, 0.9),
            ("a3", "grasp", 0.5, 0.5), ("b3", "grasp", 0.5, 0.5), ("c1", "lift", 1.0, 0.1),
        )
    )  # fmt: skip
    # reach: median length 2.1, confidence 0.85: a1 and b2 are left, 1.1 and 6.9 off; grasp: the first by name
    assert found["event_id"].to_list() == ["a1", "a3", "c1"]


def test_the_least_sure_are_of_an_episode_each():
    found = least_sure(events(("a1", "x", 1, 0.3), ("a2", "x", 1, 0.1), ("b1", "x", 1, 0.2), ("c1", "x", 1, 0.9)))
    assert found["event_id"].to_list() == ["a2", "b1", "c1"]


def test_of_a_long_event_the_middle_is_played():
    assert cutting.middle(10, 30, 20.0) == (10, 30)
    assert cutting.middle(0, 200, 20.0) == (60, 140)  # 4 s of 10
    assert cutting.middle(5, 6, 30.0) == (5, 6)


def test_what_does_not_become_small_is_left_out(monkeypatch):
    noise = np.random.default_rng(1).integers(0, 255, (20, 144, 192, 3), dtype=np.uint8)
    video = cutting.small(list(noise), 10, 10)
    assert video is None or len(video) <= cutting.CLIP_BYTES
    plain = cutting.small(list(np.full_like(noise, 90)), 10, 10)
    assert 500 < len(plain) < 5_000
    monkeypatch.setattr(cutting, "CLIP_BYTES", 500)
    assert cutting.small(list(np.full_like(noise, 90)), 10, 10) is None


@pytest.fixture(scope="module")
def filmed(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("filmed")
    source = write_dataset(folder / "logs", [Episode(90, 100 * i) for i in range(3)], cameras=("front",))
    build([source], folder / "corpus", until="caption")
    return folder / "corpus"


def played(page: str) -> dict[str, bytes]:
    """{event: its MP4}."""
    found = re.findall(r'<video[^>]*src="data:video/mp4;base64,([^"]*)".*?#event=([^"]*)"', page)
    return {event: base64.b64decode(video) for video, event in found}


def test_clips_are_of_their_events_and_the_same_each_time(filmed):
    corpus = Corpus(str(filmed))
    with open(write(corpus), encoding="utf-8") as file:
        page = file.read()
    found, spans = played(page), {e["event_id"]: e for e in corpus.table("events").to_dicts()}
    assert 1 < len(found) <= 8
    assert sum(map(len, found.values())) <= cutting.TOTAL_BYTES
    assert page.count(f"{len(found)} clips, {sum(map(len, found.values())) / 1000:.0f} kB") == 1
    for event, video in found.items():
        span = spans[event]
        assert (span["level"], span["track"], span["static"]) == ("L1", "all", False)
        seconds = span["end_s"] - span["start_s"]
        rate = (span["end_frame"] - span["start_frame"]) / seconds
        step = round(rate / cutting.FPS)
        first, end = cutting.middle(span["start_frame"], span["end_frame"], rate)
        with av.open(io.BytesIO(video)) as container:
            pictures = list(container.decode(video=0))
            length = float(container.streams.video[0].duration * container.streams.video[0].time_base)
        assert length == pytest.approx(min(seconds, cutting.SECONDS), abs=step / rate + 0.01)  # as quick as it was
        assert len(pictures) == len(range(first, end, step))
        whole = frames(filmed, corpus, span["episode_id"])
        mean = [p.to_ndarray(format="gray").mean() for p in pictures]
        assert mean == pytest.approx([whole[n] for n in range(first, end, step)], abs=3.0)
    assert page.count("<video muted loop playsinline controls preload=") == len(found)
    assert cutting.load(Corpus(str(filmed))) == cutting.load(corpus)


def frames(root, corpus: Corpus, episode: str) -> list[float]:
    """Mean brightness of the frames of an episode's proxy, by canonical frame."""
    (row,) = corpus.table("observations", [episode], ["episode_id", "camera", "proxy"]).to_dicts()
    with av.open(str(root / "media" / row["proxy"])) as container:
        means = [f.to_ndarray(format="gray").mean() for f in container.decode(video=0)]
    (alignment,) = corpus.table("alignments", [episode], ["episode_id", "cameras"]).to_dicts()
    return [means[i] for i in alignment["cameras"][0]["frame_index"]]


@pytest.mark.parametrize("wound", ["gone", "changed", "folder"])
def test_a_video_that_is_gone_or_damaged_is_a_clip_less(filmed, tmp_path, wound):
    root = tmp_path / "corpus"
    shutil.copytree(filmed, root, symlinks=True)
    whole = cutting.load(Corpus(str(root)))
    episode = whole.shown[0].event_id.rsplit("/", 2)[0]
    (path,) = (root / "media" / episode).glob("*.mp4")
    if wound == "changed":
        blob = bytearray(path.read_bytes())
        blob[len(blob) // 2] ^= 0xFF
        path.write_bytes(blob)
    else:
        path.unlink()
        if wound == "folder":
            path.mkdir()
    found = cutting.load(Corpus(str(root)))
    assert [c for c in whole.shown if not c.event_id.startswith(episode)] == found.shown
    assert found.missing == len(whole.shown) - len(found.shown) > 0
    with open(write(Corpus(str(root))), encoding="utf-8") as file:
        assert f"For {found.missing} more there is no clip" in file.read()


def test_there_is_room_for_so_many(filmed, monkeypatch):
    sizes = [c.size for c in cutting.load(Corpus(str(filmed))).shown]
    monkeypatch.setattr(cutting, "TOTAL_BYTES", sizes[0] + 1)
    found = cutting.load(Corpus(str(filmed)))
    assert [c.size for c in found.shown][:1] == sizes[:1]
    assert sum(c.size for c in found.shown) <= sizes[0] + 1
    assert found.missing == len(sizes) - len(found.shown) > 0
