"""What a configuration may say, and what is said of one that cannot be meant."""

import json
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest
import yaml

from stages.train.config import Config, ConfigError, DataConfig, StageConfig, described, load, plain, read


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"data": {"sride": 2}}, "data.sride: there is no such key; the nearest is data.stride"),
        ({"optimizer": {}}, "optimizer: there is no such key; the nearest is optimiser"),
        ({"data": {"stride": "2"}}, "data.stride: a whole number, not '2'"),
        ({"data": {"stride": True}}, "data.stride: a whole number, not True"),
        ({"data": {"stride": 0}}, "data.stride: 0 is less than 1"),
        ({"data": {"cameras": "left"}}, "data.cameras: a list, not 'left'"),
        ({"data": {"cameras": ["left", 2]}}, "data.cameras[1]: a text, not 2"),
        ({"data": {"mode": "events"}}, "data.mode: 'events' is none of event, unified"),
        ({"data": {"mode": "unified", "pack": 8}}, "data.pack: whole events are packed: data.mode must be event"),
        ({"optimiser": {"lr": "fast"}}, "optimiser.lr: a number, not 'fast'"),
        ({"optimiser": {"betas": [0.9]}}, "optimiser.betas: a list of 2, not of 1"),
        ({"stages": [{"stage": "vidoe"}]}, "stages[0].stage: 'vidoe' is none of video, action, text, joint"),
        ({"stages": [{"step": 5}]}, "stages[0].step: there is no such key; the nearest is stages[0].steps"),
        ({"run": {"log_every": 0}}, "run.log_every: 0 is less than 1"),
        ({"run": {"checkpoint_every": 0}}, "run.checkpoint_every: 0 is less than 1"),
        ({"stages": []}, "stages: a run has one stage or more"),
        ({"run": None}, "run: a mapping of keys, not None"),
        ([1], "the configuration: a mapping of keys, not [1]"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(values, message):
    with pytest.raises(ConfigError) as error:
        read(Config, values)
    assert str(error.value) == message


@pytest.mark.parametrize(("name", "write"), [("a.yaml", yaml.safe_dump), ("a.json", json.dumps)])
def test_a_file_is_read(tmp_path, name, write):
    values = {
        "data": {"cameras": ["left"], "alpha": 0.5},
        "model": {"depth": 2},
        "stages": [{"stage": "action", "steps": 7}],
    }
    (tmp_path / name).write_text(write(values))
    found = load(tmp_path / name)
    assert found.data == DataConfig(cameras=("left",), alpha=0.5)
    assert found.stages == (StageConfig("action", 7),)
    assert found.model == {"depth": 2}
    assert read(Config, plain(found)) == found


def test_numbers_as_yaml_has_them(tmp_path):
    (tmp_path / "a.yaml").write_text("optimiser: {lr: 3e-4, clip: 1}\n")  # YAML 1.1 reads 3e-4 as a text
    assert load(tmp_path / "a.yaml").optimiser.lr == 3e-4
    (tmp_path / "b.yaml").write_text("data: [")
    with pytest.raises(ConfigError, match=r"b\.yaml is no YAML"):
        load(tmp_path / "b.yaml")


def test_every_key_has_its_sentence_and_what_is_described_is_the_default(tmp_path):
    waiting = [Config, StageConfig]
    while waiting:
        kind = waiting.pop()
        for own in fields(kind):
            hint = get_type_hints(kind)[own.name]
            assert own.metadata["about"], own.name
            waiting += [hint] if is_dataclass(hint) else []
    assert read(Config, yaml.safe_load(described())) == Config()
