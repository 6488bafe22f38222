"""A configuration is what was asked for, or an error that names the key."""

import pytest
import yaml

from pipeline import config
from pipeline.config import ConfigError
from pipeline.stages import STAGES


def test_defaults_then_file_then_overrides(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("shard: {alpha: 0.1, keep: 0.7}\n")
    loaded = config.load(str(path), ["shard.alpha=0.2", "embed.levels=[L0, L1]", "run.workers=null"])
    assert (loaded.shard.alpha, loaded.shard.keep, loaded.shard.seed) == (0.2, 0.7, 0)
    assert loaded.embed.levels == ("L0", "L1")
    assert loaded.run.workers is None


@pytest.mark.parametrize(
    ("text", "overrides", "complaint"),
    [
        ("shard: {alfa: 1}", [], "shard.alfa: Extra inputs"),
        ("sharde: {}", [], "sharde: Extra inputs"),
        ("shard: {alpha: 7}", [], "shard.alpha: Input should be less than or equal to 1"),
        ("[1, 2]", [], "expected a mapping"),
        ("a: [", [], "is not YAML"),
        ("", ["shard.alpha=x: y: z"], "the value is not YAML"),
        ("", ["shard.alpha"], "expected stage.key=value"),
        ("", ["shard.alpha.deep=1"], "shard.alpha"),
        ("", ["run.gpus={observe: 1}"], "run.gpus: observe can use no GPU; stages that can: caption, embed"),
        ("embed: {levels: [L0]}", [], "shard.level is L1, embed.levels are ['L0'] without it"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, text, overrides, complaint):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        config.load(str(path), overrides)
    assert complaint in str(error.value)


def test_a_missing_file_is_named():
    with pytest.raises(ConfigError, match=r"no configuration file nosuch\.yaml"):
        config.load("nosuch.yaml")


@pytest.mark.parametrize("key", ["ingest.profile", "cluster.centroids"])
def test_a_file_that_is_named_must_be_there(key):
    with pytest.raises(ConfigError, match=f"{key}=/nosuch.yaml: there is no such file"):
        config.load(None, [f"{key}=/nosuch.yaml"])


def test_the_printed_configuration_reads_back_as_itself():
    asked = config.load(None, ["shard.alpha=0.25", "cluster.vl_clusters=12"])
    printed = config.to_yaml(asked)
    assert config.config_for(STAGES).model_validate(yaml.safe_load(printed)) == asked
    assert "alpha: 0.25  # cluster shares go with size ** alpha" in printed


def test_every_key_says_what_it_means():
    for stage, model in config.CorpusConfig():
        for name, field in type(model).model_fields.items():
            assert field.description, f"{stage}.{name}"
