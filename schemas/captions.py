"""`captions`: what people and models say of an event. Written by caption."""

from typing import TypedDict

import pyarrow as pa

from schemas.table import Column, Table, one_of, within

SOURCES = ("signals", "vlm", "composed", "source", "human")
STATUSES = ("ok", "repaired", "fallback", "blocked", "truncated", "error", "human")
PHRASING = pa.struct([pa.field("style", pa.string(), nullable=False), pa.field("text", pa.string(), nullable=False)])


class PhrasingRow(TypedDict):
    style: str
    text: str


class CaptionRow(TypedDict):
    """A row of `captions`."""

    event_id: str
    episode_id: str
    level: str
    text: str
    source: str
    status: str
    verb: str
    object: str
    from_place: str
    to_place: str
    arm: str
    outcome: str
    confidence: float | None
    phrasings: list[PhrasingRow]
    next_text: str
    remaining_s: float
    contradictions: int
    complaint: str
    model: str
    prompt_hash: str
    question_tokens: int
    answer_tokens: int


CAPTIONS: Table[CaptionRow] = Table(
    name="captions",
    key=("event_id",),
    columns=(
        Column("event_id", pa.string(), "event it describes"),
        Column("episode_id", pa.string(), "source/000003"),
        Column("level", pa.string(), "L0 to L3"),
        Column("text", pa.string(), "one English sentence"),
        Column(
            "source",
            pa.string(),
            "who wrote it: signals, vlm, composed (of its children and the task), source (with the log) or human",
        ),
        Column(
            "status",
            pa.string(),
            "ok; repaired: the answer could be mended; human; else why the text is the signals' own: fallback (the "
            "answer was refused twice), blocked, truncated, error (nobody answered)",
        ),
        Column("verb", pa.string(), "what is done, a primitive; of a vlm's caption its own word for it"),
        Column("object", pa.string(), "what is handled, by the one name that it has in its episode; empty: no name"),
        Column("from_place", pa.string(), "where that comes from; empty: not said"),
        Column("to_place", pa.string(), "where it goes; empty: not said"),
        Column("arm", pa.string(), "left, right, both, single; empty: none"),
        Column("outcome", pa.string(), "success, not grasped, dropped, wrong object, ...; empty: not said"),
        Column(
            "confidence",
            pa.float32(),
            "0 to 1: by the model's token probabilities, else by whether its verb agrees with signals; null: no model",
            nullable=True,
        ),
        Column("phrasings", pa.list_(PHRASING), "the same said otherwise, by caption.phrasings"),
        Column("next_text", pa.string(), "caption of the next event of its level; empty: it is the last"),
        Column("remaining_s", pa.float64(), "s from the event's start to the end of the task that holds it"),
        Column("contradictions", pa.int32(), "of the first answer with the signals, before anything was mended"),
        Column("complaint", pa.string(), "what was wrong with the last answer that was refused; empty: none was"),
        Column("model", pa.string(), "name and version of the captioner"),
        Column("prompt_hash", pa.string(), "hash of the prompts or of the templates"),
        Column("question_tokens", pa.int32(), "tokens of all questions about the event"),
        Column("answer_tokens", pa.int32(), "tokens of all answers"),
    ),
    laws=(one_of("source", SOURCES), one_of("status", STATUSES), within("confidence", 0.0, 1.0)),
)
