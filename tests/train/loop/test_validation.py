"""Errors beside baselines, by hand; and what the page and its curves show."""

import io
import json
from dataclasses import replace

import av
import pytest
import torch

from stages.train.model import ModelConfig
from stages.train.run import clips, curves, page
from stages.train.run.progress import Metrics, Progress, clock, read
from stages.train.run.validation import Score, copied, predicted_pixels, psnr, scored
from tests.train.model.batches import make_batch, pack


class Exact(torch.nn.Module):
    """Predicts the truth, and `off` more where it is to be scored."""

    def __init__(self, off: float) -> None:
        super().__init__()
        self.off = off

    def predict_video(self, batch, steps, generator):
        return batch.pictures + self.off * predicted_pixels(batch)[..., None, None, None]

    def predict_action(self, batch, steps, generator):
        return batch.action + self.off


def test_errors_are_of_valid_tokens_alone():
    config = ModelConfig.tiny()
    batch = pack([make_batch(config, 1, 4, 2, 7), make_batch(config, 1, 3, 2, 5, seed=1)], (2, 3))
    video = scored(Exact(0.5), [batch], "video", 1, [])
    seen = predicted_pixels(batch)
    assert video.values == int(seen.sum()) * batch.pictures[0, 0, 0].numel()
    assert video.error == pytest.approx(0.25, rel=1e-5)
    copy = (copied(batch) - batch.pictures).square()[seen].mean()
    assert video.baseline == pytest.approx(float(copy), rel=1e-5)
    mean = torch.linspace(-1, 1, batch.action.shape[-1])
    action = scored(Exact(0.1), [batch, batch], "action", 1, mean.tolist())
    valid = batch.action_segment > 0
    lacking = replace(batch, action_mask=batch.action_mask.clone())
    lacking.action_mask[..., 1:] = False
    one = scored(Exact(0.1), [lacking], "action", 1, mean.tolist())
    assert one.values == int(valid.sum())
    assert one.baseline == pytest.approx(float((batch.action - mean).square()[valid][:, 0].mean()), rel=1e-5)
    assert action.values == 2 * int(valid.sum()) * batch.action.shape[-1]
    assert action.error == pytest.approx(0.01, rel=1e-4)
    assert action.baseline == pytest.approx(float((batch.action - mean).square()[valid].mean()), rel=1e-5)


def test_a_score_says_whether_it_is_better():
    assert Score("action", 0.5, 1.0, 9).summary() == "action: squared error 0.5, the mean action 1: 50% less"
    told = Score("video", 0.1, 0.01, 9).summary()
    assert told == "video: squared error 0.1, copying the last picture 0.01: NOT better (10.0 dB against 20.0)"
    assert Score("video", 0.0, 0.0, 0).summary() == "video: the val split has nothing to hold it to"
    assert psnr(0.001) == pytest.approx(30)


def test_ticks_are_round():
    assert curves.ticks(0.0, 1.04, False) == [0.0, 0.5, 1.0]
    assert curves.ticks(-2.0, 0.0, True) == [0.01, 0.03, 0.1, 0.3, 1.0]
    assert curves.thinned([(float(n), 1.0) for n in range(700)])[0] == (1.0, 1.0)


def test_a_clip_holds_its_pictures_and_the_last_one_for_a_while():
    pictures = clips.beside([torch.rand(3, 3, 16, 16), torch.rand(3, 3, 16, 16)], side=32)
    assert pictures.shape == (3, 32, 68, 3)
    clip = clips.mp4(pictures, 5.0)
    with av.open(io.BytesIO(clip)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 3 + 3
    assert clips.uri(clip).startswith("data:video/mp4;base64,")


def test_the_page_shows_scores_curves_and_rollouts_as_far_as_there_is_room(tmp_path):
    scores = {"video": {"what": "video", "error": 0.02, "baseline": 0.01, "values": 5},
              "action": {"what": "action", "error": 0.5, "baseline": 1.0, "values": 5}}  # fmt: skip
    facts = {"cameras": ["left"], "side": 16, "stride": 2, "fps": [10.0], "state": ["state"], "action": ["action"],
             "state_width": 2, "action_width": 2, "captions": ["<b>"]}  # fmt: skip
    config = {"stages": [{"stage": "video", "steps": 10}], "note": "<script>"}
    (tmp_path / "run.json").write_text(
        json.dumps({"scores": scores, "facts": facts, "config": config, "parameters": 5, "seconds": 65.0})
    )
    metrics = Metrics(tmp_path, 0, False)
    for step in range(1, 11):
        metrics.write(step, "video", {"loss": 1 / step, "samples_per_s": 5.0})
    (tmp_path / "rollouts").mkdir()
    (tmp_path / "rollouts" / "a.mp4").write_bytes(b"x" * 300)
    (tmp_path / "rollouts" / "b.mp4").write_bytes(b"x" * page.MOST_BYTES)
    listed = [{"file": name, "title": "assembly", "note": "<success>"} for name in ("a.mp4", "b.mp4")]
    (tmp_path / "rollouts" / "rollouts.json").write_text(json.dumps(listed))
    text = page.write(tmp_path).read_text()
    assert "2.00 times the error" in text
    assert "50% less error" in text
    assert text.count("<video") == 1
    assert text.count("<svg") == 2
    assert "&lt;success&gt;" in text
    assert "<script>" not in text
    assert "1:05 of training" in text


def test_metrics_of_steps_that_are_done_again_are_dropped(tmp_path):
    metrics = Metrics(tmp_path, 0, False)
    for step in (5, 10, 15):
        metrics.write(step, "video", {"loss": float(step)})
    with open(tmp_path / "metrics.jsonl", "a") as sink:
        sink.write('{"step": 20, "lo')  # the machine went away
    assert [line["step"] for line in read(tmp_path)] == [5, 10, 15]
    Metrics(tmp_path, 10, False)
    assert [line["step"] for line in read(tmp_path)] == [5, 10]


def test_progress_says_how_far_it_is():
    said = []
    progress = Progress(4, 1, said.append)
    for number in (2, 3):
        progress.step(number, "video", 8)
    assert said == []  # half a minute has not passed
    progress.step(4, "video", 8, 0.25)
    assert said[0].startswith("step 4 of 4  video  loss 0.2500  ")
    assert said[0].endswith(" samples/s  0:00 left")
    assert [clock(s) for s in (42, 725, 12000)] == ["0:42", "12:05", "3:20:00"]
