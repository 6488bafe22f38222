"""Pictures that are none: black, blank, over-exposed, frozen, blurred, repeated; and events that show them."""

import numpy as np
import polars as pl
import pytest

from stages.align.pictures import stretches
from stages.observe.quality import Quality, judge, sharpness
from stages.shard.pictures import dead_shares

FPS = 20.0
RANDOM = np.random.default_rng(0)
SCENE = RANDOM.integers(40, 200, (64, 96)).astype(np.uint8)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (SCENE, Quality.FINE),
        (np.full((64, 96), 16, np.uint8), Quality.BLACK),
        (np.full((64, 96), 18, np.uint8) + RANDOM.integers(0, 4, (64, 96)).astype(np.uint8), Quality.BLACK),  # noise
        (np.full((64, 96), 120, np.uint8), Quality.BLANK),
        (np.full((64, 96), 235, np.uint8), Quality.OVEREXPOSED),
        (np.where(np.arange(96) < 80, 235, SCENE).astype(np.uint8), Quality.OVEREXPOSED),
        (np.where(np.arange(96) < 80, 16, SCENE).astype(np.uint8), Quality.FINE),  # dark, with something in it
    ],
)
def test_a_picture_shows_something_or_not(picture, expected):
    assert judge(picture) == expected


def test_a_blurred_picture_is_less_sharp():
    blurred = np.repeat(SCENE[:, ::8], 8, axis=1)
    assert sharpness(blurred) < 0.3 * sharpness(SCENE)


def told(**changes: np.ndarray) -> list[tuple[str, int, int]]:
    """Of 200 frames (10 s) that are fine and move, but for the changes."""
    own = {
        "quality": np.zeros(200, np.uint8),
        "sharp": np.full(200, 9.0),
        "motion": np.full(200, 0.01),
        "speed": np.full(200, 0.6),
    } | changes
    found = stretches("front", own["quality"], own["sharp"], own["motion"], own["speed"], FPS)
    assert all(s.camera == "front" for s in found)
    return [(s.kind, s.start, s.end) for s in found]


def put(value: float, start: int, end: int, usual: float = 0.0, dtype=float) -> np.ndarray:
    values = np.full(200, usual, dtype=dtype)
    values[start:end] = value
    return values


def test_a_sound_camera_has_none():
    assert told() == []


@pytest.mark.parametrize(("bit", "kind"), [(1, "black"), (2, "blank"), (4, "overexposed")])
def test_stretches_of_half_a_second_count_and_a_blink_does_not(bit, kind):
    assert told(quality=put(bit, 50, 60, dtype=np.uint8)) == [(kind, 50, 60)]
    assert told(quality=put(bit, 50, 59, dtype=np.uint8)) == []


def test_a_stream_that_stands_still_while_the_arm_moves_is_frozen():
    assert told(motion=put(0.0, 80, 140, 0.01)) == [("frozen", 80, 140)]


def test_a_picture_that_stands_still_while_the_arm_rests_is_a_picture():
    assert told(motion=put(0.0, 80, 140, 0.01), speed=put(0.0, 75, 145, 0.6)) == []


def test_a_picture_that_hardly_changes_is_not_frozen():
    assert told(motion=put(1e-4, 80, 140, 0.01)) == []


def test_every_second_picture_again_is_a_slower_camera():
    motion = np.full(200, 0.01)
    motion[1::2] = 0.0
    assert told(motion=motion) == [("repeated", 0, 200)]


def test_blur_is_told_against_the_cameras_own_pictures():
    assert told(sharp=put(2.0, 30, 60, 9.0)) == [("blurred", 30, 60)]
    assert told(sharp=np.full(200, 2.0)) == []  # soft all through: its lens


def test_an_event_is_as_dead_as_the_worst_of_its_cameras():
    events = pl.DataFrame(
        {
            "event_id": ["a", "b", "c"],
            "episode_id": ["e", "e", "f"],
            "start_frame": [0, 100, 0],
            "end_frame": [100, 200, 50],
        }
    )
    rows = [
        ("left", "black", 0, 60),
        ("left", "frozen", 60, 70),
        ("right", "black", 0, 20),
        ("right", "blurred", 0, 200),
    ]
    bad = [dict(zip(("camera", "kind", "start_frame", "end_frame"), r, strict=True)) for r in rows]
    kind = pl.List(pl.Struct({"camera": pl.String, "kind": pl.String, "start_frame": pl.Int64, "end_frame": pl.Int64}))
    alignments = pl.DataFrame({"episode_id": ["e", "f"], "pictures": [bad, []]}, schema_overrides={"pictures": kind})
    assert dead_shares(events, alignments) == {"a": pytest.approx(0.7)}
    assert dead_shares(events, alignments.filter(episode_id="f")) == {}


def test_a_dead_camera_is_flagged_left_out_let_in_and_can_be_gone_without(build, tmp_path):
    """Real pictures through a whole build: the wrist serves one frame all through, so no event is in a shard, until
    the camera is ignored."""
    from pipeline.check import after
    from pipeline.corpus.view import Corpus
    from tests.datasets import Episode, write_dataset, write_video

    source = write_dataset(tmp_path / "logs", [Episode(60, 100 * i) for i in range(3)], cameras=("front", "wrist"))
    for i in range(3):
        path = source / f"videos/chunk-000/observation.images.wrist/episode_{i:06d}.mp4"
        write_video(path, [[5] * 60], "h264", 20)
    result = build([source], tmp_path / "corpus", "shard.keep=1.0")
    corpus = Corpus(str(tmp_path / "corpus"))
    assert all(
        "picture_frozen" in f
        for f in corpus.table("episodes").join(corpus.table("alignments"), on="episode_id")["flags_right"].to_list()
    )
    fates = corpus.table("samples")["status"].unique().to_list()
    assert "sampled" not in fates
    assert "bad_pictures" in fates
    (verdict,) = after.of_build(result.plan.survey, corpus, 0.9)
    assert verdict.level == "red"
    assert any("ingest.ignore_cameras=[wrist]" in b.then for b in verdict.because)
    build([source], tmp_path / "corpus", "shard.keep=1.0", "ingest.ignore_cameras=[wrist]")
    samples = Corpus(str(tmp_path / "corpus")).table("samples")
    assert "sampled" in samples["status"].to_list()
    build([source], tmp_path / "corpus", "shard.keep=1.0", "shard.pictures=weigh_down")
    assert "sampled" in Corpus(str(tmp_path / "corpus")).table("samples")["status"].to_list()
