"""What a corpus can teach a captioner: the captions that people have written or corrected.

In: a corpus with captions of people (`segment.labels` with texts, the review page), or that they have accepted; what
they have rejected teaches nothing. Out: examples: the very questions that its build would ask about those events, with
the people's answers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import polars as pl

from pipeline.captioner.examples import Example
from pipeline.corpus.view import Corpus
from pipeline.labels import LabelError
from pipeline.reviewed import captions
from schemas.alignments import ALIGNMENTS
from schemas.captions import CAPTIONS, CaptionRow
from schemas.episodes import EPISODES
from schemas.events import EVENTS, EventRow
from schemas.ids import OF_ONE_ARM
from schemas.observations import OBSERVATIONS
from schemas.signals import SIGNALS
from stages import storage
from stages.caption import CaptionConfig
from stages.caption.signals.task import ENDS
from stages.caption.stage import pictures
from stages.caption.vlm.asking import ASKED, Asking, asking
from stages.episode import both_arms, signals_of

ACTORS = {"arm", "arms", "gripper", "grippers", "hand", "hands", "robot"}
FEWEST = 10  # captions of people


class NothingToLearn(LabelError):
    """A corpus without captions of people."""


def examples(corpus: Corpus) -> list[Example]:
    """Examples of a corpus. Raises NothingToLearn, DamagedDecisions."""
    reviewed = captions(corpus)
    columns = ["event_id", "episode_id", "level", "source"]
    found = corpus.table("captions", columns=columns).filter(pl.col("level").is_in(ASKED))
    settled = (pl.col("source") == "human") | pl.col("event_id").is_in([*reviewed.right, *reviewed.words])
    found = found.filter(settled & ~pl.col("event_id").is_in(list(reviewed.rejected)))
    found = found.filter(~pl.col("event_id").str.contains(OF_ONE_ARM))
    if found.height < FEWEST:
        raise NothingToLearn(
            f"{found.height} captions of L1 and L0 are by people, or were accepted by them; at least {FEWEST} "
            "are needed: give them as segment.labels, or review some"
        )
    config = CaptionConfig.model_validate(corpus.manifest["config"]["caption"])
    made: list[Example] = []
    for (name,), own in found.sort("episode_id").group_by("episode_id", maintain_order=True):
        made += _of_episode(corpus, str(name), config, set(own["event_id"]), reviewed.words)
    return made


def _of_episode(
    corpus: Corpus, name: str, config: CaptionConfig, settled: Collection[str], words: Mapping[str, str]
) -> Iterator[Example]:
    """settled: its events to learn from; words: what people call some of them, which no build has taken up yet."""
    (episode,), (alignment,) = corpus.rows(EPISODES, [name]), corpus.rows(ALIGNMENTS, [name])
    events = both_arms(corpus.rows(EVENTS, [name]))
    clips = corpus.rows(OBSERVATIONS, [name])
    signals = signals_of(corpus.rows(SIGNALS, [name]))
    asked = asking(episode, signals, alignment, events, [c["camera"] for c in clips], config.moments)
    said = {c["event_id"]: _in_words(c, words) for c in corpus.rows(CAPTIONS, [name])}
    mine = [e for e in events if e["event_id"] in settled]
    frames = asked.frames(asked.handlings(), mine)
    seen = pictures(
        lambda path: storage.local_copy(corpus.ledger.path(path)), clips, alignment, frames, config.picture_side
    )
    things = [_thing(asked, n, mine, said) for n in range(len(asked.handlings()))]
    for handling, thing in zip(asked.handlings(), things, strict=True):
        if thing:
            yield Example(asked.name(handling, seen), {"object": thing, "from": "", "to": ""})
    for event in mine:
        thing = things[asked.handling_of(event)] if things else ""
        yield Example(asked.event(event, thing, seen), answer(event, said[event["event_id"]], thing))


def _in_words(said: CaptionRow, words: Mapping[str, str]) -> CaptionRow:
    """A caption as a build would take a person's words up: nobody has said where from and where to."""
    text = words.get(said["event_id"])
    return said if text in (None, said["text"]) else {**said, "text": str(text), "from_place": "", "to_place": ""}


def answer(event: EventRow, said: CaptionRow, thing: str) -> dict[str, str]:
    """The fields of an answer that a person's sentence makes."""
    arms = event["holds"] or event["arms"]
    return {
        "verb": event["primitive"], "object": thing if thing and thing in said["text"] else named(said["text"]),
        "from": said["from_place"], "to": said["to_place"],
        "arm": "both" if len(arms) > 1 else arms[0] if arms else "single",
        "outcome": "not grasped" if event["recovery"] == "missed_grasp" else "success", "caption": said["text"],
    }  # fmt: skip


def named(text: str) -> str:
    """The first thing that a sentence names with an article, up to a word that ends it; "" for none."""
    for found in re.finditer(r"\b(?:the|a|an) (?=((?:[\w-]+ ?){1,5}))", text.casefold()):
        words: list[str] = []
        for word in found[1].split():
            if word in ENDS or word in ("and", "the", "a"):
                break
            words.append(word)
        if words and not ACTORS & set(words):
            return " ".join(words)
    return ""


def _thing(asked: Asking, number: int, mine: Sequence[EventRow], said: Mapping[str, CaptionRow]) -> str:
    """What people call the thing of a handling most often."""
    names = [named(said[e["event_id"]]["text"]) for e in mine if asked.handling_of(e) == number]
    names = [n for n in names if n]
    return max(sorted(set(names)), key=names.count) if names else ""
