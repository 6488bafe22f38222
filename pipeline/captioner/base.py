"""A small vision-language model from nothing: Idefics3 (a ViT, a pixel-shuffle connector, a Llama) with a tokenizer
of its own.

In: the texts it will read and write. Out: processor and model, in the format of transformers. Lines of the prompts and
the fixed parts of an answer are one token each: a model of some million weights has no room to spell them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

SIDE, PATCH, SHUFFLE = 128, 16, 4  # px of a picture and of a patch; patches a side that become one token
VISION = {"hidden_size": 96, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 4}
TEXT = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 4}
VOCABULARY, LONGEST = 1200, 4096  # tokens; positions
PER_PICTURE = (SIDE // PATCH // SHUFFLE) ** 2
SPECIAL = {
    "pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<end_of_utterance>", "unk_token": "<unk>",
}  # fmt: skip
IMAGE = ("<fake_token_around_image>", "<image>", "<global-img>")
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | capitalize }}: "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] in ('image', 'image_url') %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant: {% endif %}"
)


def tokenizer(texts: Iterable[str], whole: Sequence[str]) -> Any:
    """A byte-level BPE tokenizer. whole: pieces that are one token wherever they stand."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(models.BPE(unk_token=SPECIAL["unk_token"]))
    plain.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    plain.decoder = decoders.ByteLevel()
    special = [*SPECIAL.values(), *IMAGE]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet)
    plain.train_from_iterator(texts, trainer)
    plain.add_tokens([AddedToken(piece, normalized=False) for piece in whole])
    made = PreTrainedTokenizerFast(tokenizer_object=plain, **SPECIAL)
    made.add_special_tokens({"additional_special_tokens": list(IMAGE)})
    made.padding_side = "left"
    made.model_max_length = LONGEST
    for name, token in zip(("fake_image_token", "image_token", "global_image_tag"), IMAGE, strict=True):
        setattr(made, name, token)
    return made


def processor(tokens: Any) -> Any:
    from transformers import Idefics3Processor
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    pictures = Idefics3ImageProcessorPil(
        size={"longest_edge": SIDE}, max_image_size={"longest_edge": SIDE}, do_image_splitting=False
    )
    return Idefics3Processor(pictures, tokens, image_seq_len=PER_PICTURE, chat_template=TEMPLATE)


def model(tokens: Any, seed: int) -> Any:
    """Untrained."""
    import torch
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration

    torch.manual_seed(seed)
    ids = {name: tokens.convert_tokens_to_ids(SPECIAL[name]) for name in SPECIAL}
    text = {
        **TEXT, "model_type": "llama", "vocab_size": len(tokens), "max_position_embeddings": LONGEST,
        "num_key_value_heads": TEXT["num_attention_heads"], "pad_token_id": ids["pad_token"],
        "bos_token_id": ids["bos_token"], "eos_token_id": ids["eos_token"], "tie_word_embeddings": True,
    }  # fmt: skip
    config = Idefics3Config(
        vision_config={**VISION, "image_size": SIDE, "patch_size": PATCH},
        text_config=text,
        scale_factor=SHUFFLE,
        image_token_id=tokens.convert_tokens_to_ids("<image>"),
        pad_token_id=ids["pad_token"],
        tie_word_embeddings=True,
    )
    made = Idefics3ForConditionalGeneration(config)
    made.generation_config.eos_token_id = ids["eos_token"]
    made.generation_config.pad_token_id = ids["pad_token"]
    made.generation_config.bos_token_id = ids["bos_token"]
    return made
