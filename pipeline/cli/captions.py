"""Commands about captions: `corpus score-captions`, `corpus tune-captioner`, `corpus answers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipeline.cli.errors import mendable
from pipeline.corpus.view import Corpus
from pipeline.labels import LabelError
from stages import storage
from stages.text import printable

if TYPE_CHECKING:
    from pipeline import scoring


@click.command("score-captions")
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option(
    "--truth",
    "file",
    required=True,
    metavar="FILE",
    help="The recorder's truth.parquet, or CSV of events marked by eye.",
)
@click.option(
    "--level", "levels", multiple=True, default=("L1", "L0"), show_default=True, type=click.Choice(["L2", "L1", "L0"])
)
@click.option("--beside", "others", multiple=True, metavar="DIR", help="Another corpus of the same logs; repeats.")
@click.option("--worst", "number", default=5, show_default=True, help="Worst captions to print.")
@click.option("--sheet", "target", metavar="FILE.png", help="Draw the worst with what the cameras saw.")
@mendable
def score_captions(
    root: str, file: str, levels: tuple[str, ...], others: tuple[str, ...], number: int, target: str | None
) -> None:
    """Hold captions against true events: verb, object, colour, destination, arm."""
    from pipeline import scoring

    corpus = Corpus(root)
    captions, events = corpus.table("captions"), corpus.table("events")
    true, drawn = scoring.truth(file, corpus), list[str]()
    for level in levels:
        found = scoring.pairs(captions, events, true, level)
        unnamed = [p for p in found if not p.true.named]
        scored = {"captions": scoring.judged(found), "shuffled": scoring.judged(scoring.shuffled(found))}
        if unnamed:
            scored["text names no object"] = scoring.judged(unnamed)
        for other in others:
            theirs = _pairs(other, file, level)
            scored[other] = scoring.judged(theirs)
            if unnamed:
                scored[f"{other}, text names no object"] = scoring.judged([p for p in theirs if not p.true.named])
        click.echo(f"{level}: {len(found)} events whose span agrees with a true one; 95 % intervals")
        for line in scoring.table(scored):
            click.echo(line)
        own = captions.filter(level=level)
        asked = own.filter(source="vlm")
        click.echo(f"distinct sentences per 100 events: {scoring.distinct(own):.0f}")
        click.echo(
            f"contradictions with signals before checks: {int((asked['contradictions'] > 0).sum())} of {asked.height}"
        )
        worst = scoring.worst(found, number)
        drawn += [pair.caption["event_id"] for pair in worst]
        for pair in worst:
            click.echo(printable(f"  {pair.caption['event_id']}: {pair.caption['text']}"))
            click.echo(f"    true: {pair.true.verb} {pair.true.colour} {pair.true.noun}")
        click.echo()
    click.echo(
        "right of all, by the caption's own words; one that names no object is not right, nor false (contradicted)"
    )
    click.echo(
        "shuffled: the same captions dealt out anew among events of one verb; invented: a thing where none is handled"
    )
    if target and drawn:
        from pipeline.explain.sheet import sheet

        storage.write_bytes(storage.normalise(target), sheet(corpus, drawn))
        click.echo(f"{target}: {len(drawn)} events")


def _pairs(root: str, file: str, level: str) -> list[scoring.Pair]:
    from pipeline import scoring

    corpus = Corpus(root)
    return scoring.pairs(corpus.table("captions"), corpus.table("events"), scoring.truth(file, corpus), level)


@click.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--export", "target", metavar="FILE", help="Write all answers into one file, a line an answer.")
@click.option("--take", "given", multiple=True, metavar="FILE", help="Take up answers that were exported; repeats.")
@mendable
def answers(root: str, target: str | None, given: tuple[str, ...]) -> None:
    """What models have said and was paid for: count it, export it, take up another corpus' answers."""
    from stages.caption.vlm.cache import FOLDER, Cache, line, segment

    cache = Cache(Corpus(root).ledger.path(FOLDER))
    cache.refresh()
    for file in given:
        try:
            found = segment(storage.read_bytes(storage.normalise(file)))
        except OSError as error:
            raise LabelError(f"--take {file} cannot be read: {error}") from error
        if not found:
            raise LabelError(f"--take {file} holds no answer; give a file that corpus answers --export has written")
        new = {key: answer for key, answer in found.items() if cache.get(key) is None}
        cache.add(new)
        click.echo(f"{file}: {len(found)} answers, {len(new)} of them new")
    cache.flush()
    known = cache.all()
    if target:
        blob = b"".join(line(key, known[key]) for key in sorted(known))
        storage.write_bytes(storage.normalise(target), blob)
    asked, said = (sum(a.tokens[k] for a in known.values()) for k in (0, 1))
    click.echo(f"{len(known)} answers, of {asked} tokens of questions and {said} of answers")


@click.command("tune-captioner")
@click.option("--corpus", "root", required=True, metavar="DIR", help="With captions of people.")
@click.option("--base", required=True, metavar="MODEL", help="Folder or Hub name of an image-text-to-text model.")
@click.option("--out", required=True, metavar="DIR", help="Folder for the tuned model.")
@click.option("--steps", default=300, show_default=True)
@click.option("--batch", default=8, show_default=True)
@click.option("--rate", default=2e-4, show_default=True, help="Highest learning rate.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@mendable
def tune_captioner(root: str, base: str, out: str, steps: int, batch: int, rate: float, device: str) -> None:
    """Fine-tune a vision-language model on captions that people have written or corrected."""
    from pipeline.captioner import train
    from pipeline.captioner.lesson import examples
    from stages.caption.backends.transformers import loaded

    found = examples(Corpus(root))
    click.echo(f"{len(found)} questions with people's answers")
    processor, model = loaded(base, device)
    model = train.train(processor, model, found, train.Schedule(steps, batch, rate), device, click.echo)
    train.save(out, processor, model, {"base": base, "corpus": root, "examples": len(found), "steps": steps})
    click.echo(f"use it: --set caption.captioner=transformers --set caption.model={out}")
