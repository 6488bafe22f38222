"""`corpus forget` killed: the same command again ends in the state of one that was left in peace."""

import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.corpus.verify import verify
from pipeline.corpus.view import Corpus
from pipeline.forget import run as forgetting
from stages import storage
from tests.corpora import contents
from tests.faults.builds import killed_at
from tests.faults.crash import Point
from tests.forget.conftest import GONE, SMALL
from tests.forget.scan import naming

SOME = (0.3, 0.8)  # shares of the writes and removals of a whole run


class Killed(BaseException):
    """Nothing of ours catches it."""


@pytest.fixture
def corpus(before, tmp_path, ray_session) -> Path:
    return Path(shutil.copytree(before, tmp_path / "corpus", symlinks=True))


@pytest.fixture(scope="module")
def peaceful(before, tmp_path_factory) -> tuple[dict[str, str], list[str], int]:
    """What a run without a kill leaves: contents, files, and how many writes and removals it takes."""
    corpus = Path(shutil.copytree(before, tmp_path_factory.mktemp("peaceful") / "corpus", symlinks=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forgetting, "_signed", lambda by: ("2026-01-01T00:00:00+00:00", "me"))
        done = dying(patch, 10**9)
        assert command("forget", corpus, GONE).exit_code == 0
    return contents(corpus), files(corpus), len(done)


def command(name: str, corpus: Path, *words: str):
    return CliRunner().invoke(main, [name, "--corpus", str(corpus), *words])


def files(corpus: Path) -> list[str]:
    """All of them; how often a ledger was folded, which a checkpoint's name counts, hangs on what was killed."""
    found = (str(p.relative_to(corpus)) for p in corpus.rglob("*") if not p.is_dir() and p.name != "ray.log")
    return sorted(re.sub(r"/checkpoint-\d{6}-", "/checkpoint-", name) for name in found)


def dying(patch: pytest.MonkeyPatch, at: int) -> list[str]:
    """From now on the `at`-th file that is put in place or removed is the last thing that this process does."""
    done: list[str] = []
    staged, remove, replace = storage.staged, storage.remove, os.replace

    def count(uri: str) -> None:
        done.append(uri)
        if len(done) == at:
            raise Killed

    def removing(uri: str) -> None:
        remove(uri)
        count(uri)

    @contextmanager
    def staging(uri: str):
        with staged(uri) as temporary:
            yield temporary
        count(uri)

    def replacing(source: str, target: str) -> None:
        replace(source, target)
        if target.endswith("/latest"):
            count(target)

    patch.setattr(storage, "staged", staging)
    patch.setattr(storage, "remove", removing)
    patch.setattr(os, "replace", replacing)
    return done


def ended(corpus: Path, peaceful: tuple[dict[str, str], list[str], int]) -> None:
    """The same command again, and all is as it should be."""
    result = command("forget", corpus, GONE)
    assert result.exit_code == 0, result.output
    assert contents(corpus) == peaceful[0]
    assert all(path.startswith("ledger/forgotten/") for path in naming(corpus, GONE))
    assert verify(Corpus(str(corpus))) == []


def killed_after(share: float, corpus: Path, peaceful: tuple[dict[str, str], list[str], int], monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(forgetting, "_signed", lambda by: ("2026-01-01T00:00:00+00:00", "me"))
        dying(patch, max(1, round(share * peaceful[2])))
        with pytest.raises(Killed):
            CliRunner().invoke(main, ["forget", "--corpus", str(corpus), GONE], catch_exceptions=False)
    if not list(corpus.glob("ledger/forgotten/*")):
        return  # nothing had begun
    with monkeypatch.context() as patch:
        patch.setattr(forgetting, "_signed", lambda by: ("2026-01-01T00:00:00+00:00", "me"))
        ended(corpus, peaceful)
    assert files(corpus) == peaceful[1]


@pytest.mark.parametrize("share", SOME)
def test_killed_between_two_files_the_rerun_ends_as_if_nothing_had_been(corpus, peaceful, share, monkeypatch):
    killed_after(share, corpus, peaceful, monkeypatch)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(1, 61))
def test_killed_at_each_instant(corpus, peaceful, number, monkeypatch):
    killed_after(number / 61, corpus, peaceful, monkeypatch)


POINTS = [
    Point("/ledger/forgotten/", "published"),
    Point("/plan.parquet", "written"),
    Point("/ledger/segment/", "begun"),
    Point("/ledger/samples/", "published"),
    Point("/shards/latest", "begun"),
]


@pytest.mark.parametrize("point", [POINTS[3], *(pytest.param(p, marks=pytest.mark.soak) for p in POINTS)], ids=str)
def test_killed_by_the_kernel_the_lock_is_taken_over(corpus, peaceful, point):
    assert killed_at(point, ["forget", "--corpus", str(corpus), GONE])
    ended(corpus, peaceful)


def test_a_build_meanwhile_does_not_read_it_and_says_what_is_left_to_do(build, corpus, peaceful, monkeypatch):
    with monkeypatch.context() as patch:
        dying(patch, round(0.3 * peaceful[2]))
        with pytest.raises(Killed):
            CliRunner().invoke(main, ["forget", "--corpus", str(corpus), GONE], catch_exceptions=False)
    (source,) = Corpus(str(corpus)).manifest["sources"].values()
    result = build([source], corpus, *SMALL)
    assert result.plan.survey.passed == [GONE]
    assert result.computed["ingest"] == 0
    assert command("forget", corpus, GONE).exit_code == 0
    assert all(path.startswith("ledger/forgotten/") for path in naming(corpus, GONE))
    assert verify(Corpus(str(corpus))) == []
