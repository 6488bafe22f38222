"""What ten labelled episodes teach: annotators who mark otherwise are learned, or that there is nothing to learn."""

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from pipeline.config import ConfigError, load
from stages.segment import SEGMENT, SegmentConfig
from stages.segment.agreement import Counts, boundaries
from stages.segment.model import SegmentModel
from stages.segment.tracks import tracks_of
from stages.segment.tuning import TOLERANCE_S, labelled, tune
from tests.motions import clock, pick_and_place, stream, times

CONFIG = SegmentConfig()


def untuned(signals, time, name="L1"):
    return time[tracks_of(signals, clock(time), CONFIG)[0].levels[name].frames[1:-1]]


def coarser(signals, time):
    return untuned(signals, time, "L2")


def later(signals, time):
    found = untuned(signals, time) + 0.7
    return found[found < time[-1]]


def hands(signals, time):
    """Where a hand closes or opens: its opening crosses the middle."""
    opening = signals["gripper/single"].values[:, 0]
    return time[1:][np.diff(opening > 0.65) != 0]


def episodes(annotator, seeds):
    found = []
    for seed in seeds:
        time = times(30.0, 20.0)
        signals = pick_and_place(time, seed, rounds=2)
        found.append(labelled(f"s/{seed:06d}", signals, clock(time), annotator(signals, time), CONFIG))
    return found


@pytest.mark.parametrize("annotator", [coarser, later, hands])
def test_an_annotator_who_marks_otherwise_is_learned_from_ten_episodes(annotator):
    model = tune(episodes(annotator, range(10)), "L1", CONFIG)
    assert model.kind == ("scale" if annotator is later else "weights")  # of the two that explain it the simpler one
    told = SegmentConfig(model=model)
    total = Counts()
    for episode in episodes(annotator, range(100, 110)):
        track = tracks_of(episode.signals, episode.clock, told)[0]
        total += boundaries(episode.clock.start[track.levels["L1"].frames[1:-1]], episode.true, TOLERANCE_S)
    assert total.f1 >= 0.9
    assert model.tried["weights"].f1 > model.tried["untuned"].f1
    assert model.says


def test_who_marks_as_the_segmenter_does_teaches_nothing():
    model = tune(episodes(untuned, range(5)), "L1", CONFIG)
    assert model.kind == "nothing"
    assert model.tried["untuned"].f1 == 1.0


def test_who_marks_at_random_teaches_nothing():
    rng = np.random.default_rng(0)
    model = tune(episodes(lambda _, time: np.sort(rng.uniform(0, time[-1], 12)), range(6)), "L1", CONFIG)
    assert model.kind == "nothing"


@pytest.mark.parametrize("level", ["L2", "L1", "L0"])
def test_levels_nest_whatever_level_was_learned(level):
    model = tune(episodes(hands, range(3)), level, CONFIG).model_copy(update={"kind": "weights"})
    for episode in episodes(hands, range(50, 53)):
        levels = tracks_of(episode.signals, episode.clock, SegmentConfig(model=model))[0].levels
        for coarse, fine in (("L2", "L1"), ("L1", "L0")):
            assert set(levels[coarse].frames.tolist()) <= set(levels[fine].frames.tolist())


def test_episodes_in_which_nothing_shows_teach_nothing():
    time = times(10.0, 20.0)
    still = stream("position", "single", "m", time, np.zeros((len(time), 3)))
    found = [labelled(f"s/{i}", still, clock(time), np.array([5.0]), CONFIG) for i in range(3)]
    assert tune(found, "L1", CONFIG).kind == "nothing"


def test_finer_levels_stay_where_a_coarse_one_was_learned():
    """One boundary an episode at L2: the actions below it are still cut and named."""
    model = tune(episodes(lambda s, t: hands(s, t)[:1], range(5)), "L2", CONFIG).model_copy(update={"kind": "weights"})
    for episode in episodes(hands, range(60, 63)):
        tuned, plain = (
            tracks_of(episode.signals, episode.clock, c)[0].levels for c in (SegmentConfig(model=model), CONFIG)
        )
        assert len(tuned["L2"].frames) < len(plain["L2"].frames)
        assert len(tuned["L1"].frames) >= 0.8 * len(plain["L1"].frames)


def test_a_delay_moves_boundaries_and_not_what_is_said_between_them():
    model = SegmentModel(kind="scale", shift_s={"all": 0.7})
    (episode,) = episodes(untuned, [7])
    before, after = (
        tracks_of(episode.signals, episode.clock, c)[0].levels["L1"] for c in (CONFIG, SegmentConfig(model=model))
    )
    step = episode.clock.start[1]
    assert np.abs((after.frames[1:-1] - before.frames[1 : len(after.frames) - 1]) * step - 0.7).max() <= step
    same = len(after.labels.primitive) - 1
    assert after.labels.primitive[:same].tolist() == before.labels.primitive[:same].tolist()


def test_a_model_is_given_as_a_file_and_becomes_part_of_the_configuration(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text(yaml.safe_dump(SegmentModel(kind="scale", scale=2.0).model_dump(mode="json")))
    config = load(None, [f"segment.model={path}"]).of(SEGMENT)
    assert config.granularity == 2.0
    assert config.asks("L1")[1] == pytest.approx(2 * CONFIG.asks("L1")[1])
    path.unlink()
    assert SegmentConfig.model_validate(config.model_dump(mode="json")).granularity == 2.0


@pytest.mark.parametrize("text", ["kind: [", "kind: magic", "- 1", "kind: weights\nweight: {}"])
def test_a_model_that_is_none_is_told(tmp_path, text):
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="model"):
        load(None, [f"segment.model={path}"])
    with pytest.raises(ConfigError, match="cannot be read"):
        load(None, [f"segment.model={tmp_path}/none.yaml"])


def test_a_scale_out_of_reach_is_refused():
    with pytest.raises(ValidationError):
        SegmentConfig(scale=0)
