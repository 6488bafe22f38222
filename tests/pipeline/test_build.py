"""Builds over small datasets: what comes out, what a rerun does, what a kill leaves."""

import glob
import io
import json
import os
import shutil
from pathlib import Path

import av
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset

from pipeline.build.driver import BuildFailedError
from pipeline.corpus.garbage import NotComplete, collect_garbage
from pipeline.corpus.view import Corpus
from stages.align import LAG
from stages.cluster.model import Clustering, Projection, to_bytes
from stages.sources.protocol import SourceError
from stages.work import Outcome
from tests.corpora import contents
from tests.datasets import Episode, number_in, write_dataset
from tests.failing import with_run

SMALL = ("shard.target_bytes=100000", "shard.keep=1.0")


def episodes(number: int, length: int = 60) -> list[Episode]:
    return [Episode(length + 3 * i, 100 * i) for i in range(number)]


def samples(corpus: Path) -> list[dict]:
    shards = sorted(glob.glob(f"{corpus}/shards/latest/*.tar"))
    return list(webdataset.WebDataset(shards, shardshuffle=False))


def pictures(clip: bytes) -> list[int]:
    with av.open(io.BytesIO(clip)) as container:
        frames = list(container.decode(video=0))
    assert frames[0].key_frame
    return [number_in(f.to_ndarray(format="rgb24")) for f in frames]


@pytest.fixture(scope="module")
def logs(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("build") / "logs", episodes(4))


@pytest.fixture(scope="module")
def built(build, logs, tmp_path_factory) -> Path:
    corpus = tmp_path_factory.mktemp("built") / "corpus"
    build([logs], corpus, *SMALL)
    return corpus


@pytest.fixture
def copy(built, tmp_path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "copy", symlinks=True))


FORMATS = [("v2.1", "h264"), ("v2.1", "av1"), ("v2.0", "mpeg4"), ("v3.0", "h264"), ("v3.0", "av1")]


def written(number: int) -> list[Episode]:
    """Four episodes of a source of that number: no other has a frame of these numbers."""
    return [Episode(60 + number + 3 * i, 400 * number + 100 * i) for i in range(4)]


@pytest.fixture(scope="module")
def formats(build, tmp_path_factory):
    """(what a build of a source of each format computed, its corpus)."""
    folder = tmp_path_factory.mktemp("formats")
    sources = [
        write_dataset(
            folder / f"s{number}", written(number), version=version, codec=codec, cameras=("front", "wrist.left")
        )
        for number, (version, codec) in enumerate(FORMATS)
    ]
    return build(sources, folder / "corpus", *SMALL), folder / "corpus"


@pytest.mark.parametrize("number", range(len(FORMATS)), ids=map(" ".join, FORMATS))
def test_frame_numbers_come_back_in_step_with_the_rows(formats, number):
    """Read by webdataset and PyAV alone: the number drawn into frame i is the row of `time` that it belongs to."""
    found = [s for s in samples(formats[1]) if json.loads(s["json"])["source"] == f"s{number}"]
    assert len(found) >= 12
    for sample in found:
        meta = json.loads(sample["json"])
        arrays = np.load(io.BytesIO(sample["lowdim.npz"]))
        row = np.rint(arrays["time"] * 20).astype(int)
        episode = written(number)[int(meta["episode_id"].split("/")[1])]
        assert len(row) == meta["n_frames"]
        for camera in ("front.mp4", "wrist_left.mp4"):
            assert pictures(sample[camera]) == (episode.first + row).tolist()
        state = episode.state[row]
        assert arrays["state"] == pytest.approx(state, abs=1e-5)
        assert arrays["gripper"][:, 0] == pytest.approx(state[:, 3])
        assert arrays["valid"].all()


def test_every_stage_works_and_every_frame_is_decoded_once(formats):
    result, corpus = formats
    assert Corpus(str(corpus)).quarantine().height == 0
    counts = Corpus(str(corpus)).counts("observe")
    assert counts["decoded_frames"] == counts["source_frames"] > 0
    assert set(result.computed) == {
        "ingest",
        "observe",
        "lag",
        "align",
        "segment",
        "caption",
        "embed",
        "fit",
        "cluster",
        "shard",
    }


def test_a_second_run_computes_nothing(build, logs, built):
    files = {p: os.stat(p).st_mtime_ns for p in glob.glob(f"{built}/*/**/*", recursive=True)}
    again = build([logs], built, *SMALL)
    assert sum(again.computed.values()) == 0
    assert {p: os.stat(p).st_mtime_ns for p in glob.glob(f"{built}/*/**/*", recursive=True)} == files


def test_one_episode_added_is_all_that_is_done(build, tmp_path):
    """Its own parts; then all is fitted and labelled anew, as asked. (min_score: the drawn videos tell no lag, so no
    vote may change it.)"""
    source = write_dataset(tmp_path / "logs", episodes(5))
    options = (*SMALL, "align.min_score=2", "cluster.refit_share=0")
    lines = (source / "meta/episodes.jsonl").read_text().splitlines()
    (source / "meta/episodes.jsonl").write_text("\n".join(lines[:4]))
    corpus = tmp_path / "corpus"
    build([source], corpus, *options)
    committed = {p: Path(p).read_bytes() for p in glob.glob(f"{corpus}/ledger/*/*.json")}
    (source / "meta/episodes.jsonl").write_text("\n".join(lines))
    result = build([source], corpus, *options)
    assert result.computed.pop("shard") >= 1
    assert result.computed == dict.fromkeys(
        ("ingest", "observe", "lag", "align", "segment", "caption", "embed", "fit", "cluster"), 1
    ) | {"cluster": 5}
    assert all(Path(p).read_bytes() == blob for p, blob in committed.items())
    build([source], tmp_path / "fresh", *options)
    assert contents(corpus) == contents(tmp_path / "fresh")


def test_a_value_of_segment_does_not_redo_observe_or_align(build, logs, copy):
    result = build([logs], copy, *SMALL, "segment.min_l1_s=2.0")
    done = {stage for stage, number in result.computed.items() if number}
    assert done == {"segment", "caption", "embed", "fit", "cluster", "shard"}


def test_one_worker_two_and_three_make_the_same_corpus(build, tmp_path):
    source = write_dataset(tmp_path / "logs", episodes(5), version="v3.0", per_file=2)
    build([source], tmp_path / "one", *SMALL, "run.workers=1")
    build([source], tmp_path / "two", *SMALL, "run.workers=2", "run.episodes_per_part=2")
    build([source], tmp_path / "three", *SMALL, "run.workers=3", "run.episodes_per_part=3")
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == contents(tmp_path / "three")


def test_frozen_centroids_label_new_events_without_relabelling(build, logs, copy, tmp_path):
    before = dict(Corpus(str(copy)).table("clusters").select("event_id", "vl_cluster").iter_rows())
    (model,) = glob.glob(f"{copy}/models/clusters-*.npz")
    more = write_dataset(tmp_path / "more", episodes(2, 70))
    build([logs, more], copy, *SMALL, f"cluster.centroids={model}")
    after = dict(Corpus(str(copy)).table("clusters").select("event_id", "vl_cluster").iter_rows())
    assert len(after) > len(before)
    assert {e: after[e] for e in before} == before


def test_bad_episodes_are_set_aside_and_the_rest_goes_on(build, tmp_path):
    source = write_dataset(tmp_path / "logs", episodes(5))
    videos = source / "videos/chunk-000/observation.images.front"
    whole = (videos / "episode_000001.mp4").read_bytes()
    (videos / "episode_000001.mp4").write_bytes(whole[: len(whole) // 2])  # truncated: its index is gone
    shutil.copy(videos / "episode_000004.mp4", videos / "episode_000002.mp4")  # six frames too many
    (videos / "episode_000003.mp4").unlink()
    build([source], tmp_path / "corpus", *SMALL, until="segment")
    corpus = Corpus(str(tmp_path / "corpus"))
    rows = {r["episode_id"]: (r["stage"], r["reason"]) for r in corpus.quarantine().to_dicts()}
    assert rows == {
        "logs/000001": ("observe", "video_unreadable"),
        "logs/000002": ("lag", "length_mismatch"),
        "logs/000003": ("ingest", "missing_camera"),
    }
    in_events = set(corpus.table("events")["episode_id"].unique())
    assert in_events == {"logs/000000", "logs/000004"}  # every episode is in events or in quarantine


def test_a_source_without_motion_is_lost_alone(build, tmp_path):
    good = write_dataset(tmp_path / "good", episodes(3))
    still = [Episode(60, 0, state=np.ones((60, 4))) for _ in range(2)]
    dead = write_dataset(tmp_path / "dead", still, robot="unheard_of")
    build([good, dead], tmp_path / "corpus", *SMALL, until="segment")
    corpus = Corpus(str(tmp_path / "corpus"))
    assert set(corpus.quarantine()["reason"]) == {"no_motion_signal"}
    assert corpus.quarantine()["episode_id"].to_list() == ["dead/000000", "dead/000001"]
    assert corpus.table("episodes")["source"].unique().to_list() == ["good"]


def test_a_source_without_cameras_is_legal(build, tmp_path):
    source = write_dataset(tmp_path / "logs", episodes(3), cameras=())
    build([source], tmp_path / "corpus", *SMALL)
    sample = samples(tmp_path / "corpus")[0]
    assert not [name for name in sample if name.endswith(".mp4")]
    assert Corpus(str(tmp_path / "corpus")).table("alignments")["pairing"].unique().to_list() == ["rows"]


def test_a_worker_that_dies_costs_only_its_episode(build, tmp_path):
    """A decoder that aborts the process on one file: quarantined as worker_died after two tries, the rest is built."""
    source = write_dataset(tmp_path / "logs", episodes(4), robot="metaworld_sawyer")
    build([source], tmp_path / "corpus", *SMALL, until="observe")

    def dying(unit, work, config):
        if any(name.endswith("000002") for name in unit.names):
            os.abort()
        return LAG.run(unit, work, config)

    build([source], tmp_path / "corpus", *SMALL, until="segment", stages=with_run("lag", dying))
    rows = Corpus(str(tmp_path / "corpus")).quarantine().to_dicts()
    assert [(r["episode_id"], r["reason"], r["retryable"]) for r in rows] == [("logs/000002", "worker_died", True)]
    build([source], tmp_path / "corpus", *SMALL, until="segment")  # the next build tries again
    assert Corpus(str(tmp_path / "corpus")).quarantine().height == 0


def test_a_unit_that_cannot_be_published_says_why(build, tmp_path):
    """Rows that do not fit their table, or a disk that refuses: not told as a dead worker."""
    source = write_dataset(tmp_path / "logs", episodes(3))
    build([source], tmp_path / "corpus", *SMALL, until="align")

    def unfit(unit, work, config):
        return Outcome(rows={"events": [{"event_id": "x"}]})

    build([source], tmp_path / "corpus", *SMALL, until="segment", stages=with_run("segment", unfit))
    rows = Corpus(str(tmp_path / "corpus")).quarantine().to_dicts()
    assert {(r["reason"], r["retryable"]) for r in rows} == {("internal_error", True)}
    assert "SchemaError: events: a row lacks columns" in rows[0]["message"]


@pytest.mark.parametrize("content", [b"hello", None])
def test_clusters_that_cannot_be_made_stop_the_build_with_a_reason(build, tmp_path, content):
    """Given centroids that are no such file, and a file of another width."""
    source, wrong = write_dataset(tmp_path / "logs", episodes(2)), tmp_path / "wrong.npz"
    if content is None:
        narrow = Projection(np.zeros(3, np.float32), np.zeros((2, 3), np.float32))
        two = np.zeros(2, np.int32)
        one = Clustering(narrow, np.zeros((2, 2), np.float32), two, two.astype(np.int64), two.astype(np.float32))
        spaces = [f"{s}/{level}" for s in ("vl", "action") for level in ("L0", "L1", "L2", "L3")]
        wrong.write_bytes(to_bytes(dict.fromkeys(spaces, one)))
    else:
        wrong.write_bytes(content)
    with pytest.raises(BuildFailedError, match="fit failed: corpus quarantine"):
        build([source], tmp_path / "corpus", *SMALL, f"cluster.centroids={wrong}")
    rows = Corpus(str(tmp_path / "corpus")).quarantine().to_dicts()
    assert [(r["item"], r["stage"], r["reason"]) for r in rows] == [("corpus", "fit", "internal_error")]


def test_tables_can_be_taken_out_as_parquet(built, tmp_path):
    from click.testing import CliRunner

    from pipeline.cli import main

    corpus = str(built)
    run = CliRunner().invoke(main, ["show", "events", "--corpus", corpus, "--to", str(tmp_path / "e.parquet")])
    assert run.exit_code == 0, run.output
    assert pl.read_parquet(tmp_path / "e.parquet").height == Corpus(corpus).table("events").height
    for arguments in (["status"], ["show", "episodes"], ["quarantine"]):
        run = CliRunner().invoke(main, [*arguments, "--corpus", corpus])
        assert run.exit_code == 0, run.output
    assert "0 in quarantine" in run.output


def test_a_build_that_stops_early_takes_nothing_away(build, logs, copy):
    before = contents(copy)
    build([logs], copy, *SMALL, until="ingest")
    assert contents(copy) == before
    with pytest.raises(NotComplete, match="did not reach its end"):
        collect_garbage(Corpus(str(copy)), releases=True)
    build([logs], copy, *SMALL)
    assert collect_garbage(Corpus(str(copy)), releases=True) == ([], 0)
    assert contents(copy) == before


def test_sources_of_one_robot_type_and_different_widths_have_statistics_of_their_own(build, tmp_path):
    narrow = write_dataset(tmp_path / "narrow", episodes(2), robot="unknown")
    wide = write_dataset(tmp_path / "wide", episodes(2), robot="unknown")
    info = json.loads((wide / "meta/info.json").read_text())
    info["features"]["action"] |= {"shape": [5], "names": ["dx", "dy", "dz", "gripper", "extra"]}
    (wide / "meta/info.json").write_text(json.dumps(info))
    for path in wide.glob("data/*/*.parquet"):
        table = pq.read_table(path)
        actions = [[*a, 0.0] for a in table["action"].to_pylist()]
        pq.write_table(table.set_column(table.column_names.index("action"), "action", pa.array(actions)), path)
    build([narrow, wide], tmp_path / "corpus", *SMALL, "ingest.val_share=0")
    robots = json.loads((tmp_path / "corpus/shards/latest/stats.json").read_text())["robots"]
    assert {name: len(fields["action"]["mean"]) for name, fields in robots.items()} == {
        "unknown@narrow": 4,
        "unknown@wide": 5,
    }


def test_an_episode_that_fails_again_has_one_row_and_figures_count_it_once(build, tmp_path):
    source = write_dataset(tmp_path / "logs", episodes(4))
    corpus = tmp_path / "corpus"
    options = (*SMALL, "run.episodes_per_part=32", "run.workers=1", "align.min_score=2")
    path = source / "data/chunk-000/episode_000001.parquet"
    good = path.read_bytes()
    for number in (float("nan"), float("inf")):  # two ways to be bad, one after the other
        table = pq.read_table(io.BytesIO(good))
        state = table["observation.state"].to_pylist()
        state[3][0] = number
        pq.write_table(table.set_column(0, "observation.state", pa.array(state)), path)
        build([source], corpus, *options, until="segment")
    rows = Corpus(str(corpus)).quarantine().to_dicts()
    assert [(r["episode_id"], "inf" in r["message"]) for r in rows] == [("logs/000001", True)]
    path.write_bytes(good)
    build([source], corpus, *options, until="segment")
    opened = Corpus(str(corpus))
    assert opened.quarantine().height == 0
    assert opened.counts("segment")["L3"] == 4
    assert opened.counts("ingest")["rows"] == sum(60 + 3 * i for i in range(4))


def test_when_no_source_can_be_used_the_quarantine_says_why(build, tmp_path):
    dead = write_dataset(tmp_path / "dead", [Episode(60, 0, state=np.ones((60, 4)))], robot="unheard_of")
    with pytest.raises(SourceError, match="no motion signal"):
        build([dead], tmp_path / "corpus")
    assert Corpus(str(tmp_path / "corpus")).quarantine()["reason"].to_list() == ["no_motion_signal"]


def test_episodes_that_claim_the_same_frames_are_refused(build, tmp_path):
    source = write_dataset(tmp_path / "logs", episodes(3), version="v3.0")
    path = source / "meta/episodes/chunk-000/file-000.parquet"
    rows = pq.read_table(path).to_pylist()
    key = "videos/observation.images.front"
    rows[1][f"{key}/from_timestamp"] -= 0.5
    rows[1][f"{key}/to_timestamp"] -= 0.5
    pq.write_table(pa.Table.from_pylist(rows), path)
    build([source], tmp_path / "corpus", *SMALL, until="segment")
    found = Corpus(str(tmp_path / "corpus")).quarantine().to_dicts()
    assert sorted((r["episode_id"], r["reason"]) for r in found) == [
        ("logs/000000", "overlapping_spans"),  # nobody knows which of the two claims is right
        ("logs/000001", "overlapping_spans"),
    ]
