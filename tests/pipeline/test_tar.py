"""One tar of a release: made by several threads, in order, without what cannot be cut."""

import hashlib
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.build.worker import CorpusWorkspace
from pipeline.release import choice
from schemas.ids import episode_of
from schemas.reasons import Quarantined
from stages.observe import OBSERVE
from stages.shard.stage import in_order, shard
from stages.video.cut import cut
from tests.datasets import Episode, write_dataset


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order_and_the_threads_do_not_run_away(threads):
    """Every second thing waits for the one after it, or would, were there but one thread."""
    given, started = [], []
    later = [threading.Event() for _ in range(40)]

    def work(number: int) -> int:
        started.append(number)
        later[number].set()
        if threads > 1 and number % 2 == 0:
            assert later[number + 1].wait(10)
        return number * number

    for result in in_order(work, range(40), threads):
        given.append(result)
        assert len(started) <= len(given) + 2 * threads
    assert given == [n * n for n in range(40)]


def test_an_error_comes_out_where_its_thing_stands():
    def work(number: int) -> int:
        if number == 3:
            raise KeyError(number)
        return number

    results = in_order(work, range(9), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(results)


def made(root, unit, **changes):
    """What comes of a unit with another payload."""
    unit = replace(unit, payload=replace(unit.payload, **changes))
    with CorpusWorkspace(root, unit.payload) as work:
        return shard(unit, work)


@pytest.fixture(scope="module")
def tar(build, tmp_path_factory):
    """(corpus, unit, observe's configuration) of the one train tar of three episodes, which are built up to it."""
    folder = tmp_path_factory.mktemp("tar")
    source = write_dataset(folder / "logs", [Episode(60, 100 * i) for i in range(3)])
    result = build([source], folder / "corpus", "shard.keep=1.0", "shard.min_shards=1")
    chosen = choice.choose(result.plan, choice.inputs_of(result.plan), None)
    (unit,) = choice.units(result.plan, chosen, 2, {t.name for t in chosen.tars.values() if t.kind == "train"})
    return str(folder / "corpus"), unit, result.plan.config(OBSERVE)


def test_the_bytes_do_not_depend_on_the_threads(tar):
    root, unit, _ = tar
    assert len(unit.payload.rows) >= 6
    digests = set()
    for threads in (1, 2, 4):
        outcome = made(root, unit, threads=threads)
        digests.add((outcome.files["shard"].sha256, hashlib.sha256(outcome.blobs["stats"][1]).hexdigest()))
    assert len(digests) == 1


def test_a_clip_that_cannot_be_cut_costs_its_sample_and_a_damaged_proxy_the_tar(tar):
    root, unit, config = tar
    path = sorted(unit.payload.media)[0]
    proxy = Path(root, path)
    whole = proxy.read_bytes()
    short = cut(str(proxy), range(12), 20.0, config.gop(20.0), config.crf)
    try:
        proxy.write_bytes(short)
        with pytest.raises(Quarantined, match="sha256 is not the committed one"):
            made(root, unit)
        outcome = made(root, unit, media={**unit.payload.media, path: hashlib.sha256(short).hexdigest()})
    finally:
        proxy.write_bytes(whole)
    refused = [error.event_id for _, error in outcome.events_refused]
    assert refused
    assert {episode_of(e) for e in refused} == {"logs/" + proxy.parent.name}
    assert {error.reason.value for _, error in outcome.events_refused} == {"sample_failed"}
    (counts,) = outcome.counts.values()
    assert counts["samples"] == len(unit.payload.rows) - len(refused)
