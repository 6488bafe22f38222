"""Models with both towers in one space: tiny ones, made and saved here as their families save theirs."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

from pipeline import config
from stages import storage
from stages.embed import EMBED, EmbedConfig
from stages.embed.encoders import load_encoders
from stages.models.joint import EncoderError, JointEncoder
from stages.models.weights import model_hash

WORDS = ["<pad>", "<s>", "</s>", "<unk>", "pick", "up", "the", "red", "cup", "open", "drawer"]
TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
EYE = {**TOWER, "image_size": 32, "patch_size": 8}
EAR = {
    **TOWER, "vocab_size": len(WORDS), "max_position_embeddings": 16, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
SIZES = {"clip": {"shortest_edge": 32}, "siglip": {"height": 32, "width": 32}}


def save(folder, family: str) -> str:
    """A model of random weights with its processor and tokenizer."""
    torch.manual_seed(0)
    if family == "clip":
        of, made, look = transformers.CLIPConfig, transformers.CLIPModel, transformers.CLIPImageProcessor
        about = of(text_config=EAR, vision_config=EYE, projection_dim=24)
        processor = look(size=SIZES[family], crop_size={"height": 32, "width": 32})
    else:
        of, made, look = transformers.SiglipConfig, transformers.SiglipModel, transformers.SiglipImageProcessor
        about, processor = of(text_config=EAR, vision_config=EYE), look(size=SIZES[family])
    made(about).save_pretrained(folder)
    processor.save_pretrained(folder)
    tokens = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokens, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("models")
    return {family: save(root / family, family) for family in ("clip", "siglip")}


def pictures(number: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (number, 40, 60, 3), dtype=np.uint8))


def depends_on(encoder: str | None) -> str:
    """What embed's fingerprints hold of a model."""
    plan = SimpleNamespace(config=lambda _: EmbedConfig(encoder=encoder))
    return EMBED.also(plan)["also"].item()


@pytest.mark.parametrize(("family", "width"), [("clip", 24), ("siglip", 32)])
def test_both_towers_give_unit_vectors_of_one_width(folders, family, width):
    encoders = load_encoders(folders[family], "efficientnet-lite0", "use-multilingual-v3", "cpu")
    seen, said = encoders.image.encode(pictures(3)), encoders.text.encode(["pick up the red cup", "open the drawer"])
    assert (seen.shape, said.shape) == ((3, width), (2, width))
    assert np.linalg.norm(np.concatenate([seen, said]), axis=1) == pytest.approx(1, abs=1e-5)
    assert encoders.image.encode([]).shape == encoders.text.encode([]).shape == (0, width)
    name = f"{family}/{model_hash(folders[family])}"
    assert encoders.name == f"{name} {width} + {name} {width}"


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_a_vector_depends_on_its_own_input_alone(folders, family):
    one, other = JointEncoder(folders[family]), JointEncoder(folders[family])
    shown, told = pictures(3), ["open the drawer", "pick up the red cup up up"]
    assert (one.pictures(shown)[1:2] == other.pictures(shown[1:2])).all()
    assert (one.texts(told)[1:] == other.texts(told[1:])).all()


def test_a_picture_is_cut_and_scaled_as_the_processor_says(folders):
    """CLIP takes the middle square of a wide picture, SigLIP squeezes all of it."""
    wide = pictures(1)[0]
    edges = wide.copy()
    edges[:, :8] = edges[:, -8:] = 0
    clip, siglip = (JointEncoder(folders[family]) for family in ("clip", "siglip"))
    near = [float((e.pictures([wide]) @ e.pictures([edges]).T).item()) for e in (clip, siglip)]
    assert near[0] == pytest.approx(1, abs=1e-3)
    assert near[1] < near[0]


def test_other_weights_are_another_model_and_another_place_is_not(folders, tmp_path):
    copy = shutil.copytree(folders["clip"], tmp_path / "clip")
    assert model_hash(str(copy)) == model_hash(folders["clip"])
    (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:-1] + b"x")
    assert model_hash(str(copy)) != model_hash(folders["clip"])
    prints = [depends_on(name) for name in (folders["clip"], str(copy), "somebody/clip@main", None)]
    assert prints == [model_hash(folders["clip"]), model_hash(str(copy)), "somebody/clip@main", ""]
    assert EMBED.unhashed == {"encoder"}  # the place itself counts for nothing


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ("model.safetensors", "cannot be loaded"),
        ("preprocessor_config.json", "cannot be loaded"),
        ("*", "no directory"),
    ],
)
def test_what_is_missing_is_said(folders, tmp_path, lacking, words):
    copy = tmp_path / "clip"
    if lacking != "*":
        shutil.copytree(folders["clip"], copy)
        (copy / lacking).unlink()
    with pytest.raises(EncoderError, match=words):
        JointEncoder(str(copy))


def test_a_model_without_towers_ends_the_build(tmp_path):
    transformers.BertModel(transformers.BertConfig(**TOWER, vocab_size=9)).save_pretrained(tmp_path / "bert")
    with pytest.raises(storage.Unusable, match="is a bert, without a tower for pictures"):
        load_encoders(str(tmp_path / "bert"), "efficientnet-lite0", "use-multilingual-v3", "cpu")


def test_a_directory_that_is_not_there_is_refused_before_a_build(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("embed:\n  encoder: ./nowhere\n")
    with pytest.raises(config.ConfigError, match="there is no such directory"):
        config.load(str(file))
    (tmp_path / "nowhere").mkdir()
    assert config.load(str(file)).of(config.EMBED).encoder == str(tmp_path / "nowhere")
