"""Shared fixtures: one Ray session, the bundled sample built once, the real recordings where they are at hand."""

from __future__ import annotations

import logging
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings

# `make test` draws the same examples every time and keeps no database, so that it says the same on every machine;
# `make soak` draws others each time, more of them. The machines are shared: a slow example is not a failure.
settings.register_profile("test", deadline=None, derandomize=True, database=None)
settings.register_profile("soak", deadline=None, derandomize=False, database=None, print_blob=True)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "test")
settings.load_profile(PROFILE)
TIMES = 20  # as many examples as in `make test`


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A soak draws more examples, also where a test says how many it draws."""
    tests = {getattr(item, "obj", None) for item in items if PROFILE == "soak"}  # of several parameters once
    for test in tests:
        if getattr(test, "is_hypothesis_test", False):
            own = getattr(test, "_hypothesis_internal_use_settings", settings.default)
            test._hypothesis_internal_use_settings = settings(own, max_examples=TIMES * own.max_examples)


if "PYTEST_XDIST_WORKER" in os.environ:  # a process a core: threads that wait for each other by turning would cost all
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """What a test draws without a seed of its own does not depend on which tests ran before it in its process."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "pipeline" / "sample"
REAL = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """One Ray for all in-process builds: starting it takes seconds."""
    import ray

    from pipeline.build.session import SETTINGS

    os.environ.update(SETTINGS)

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def build(ray_session: None):  # type: ignore[no-untyped-def]
    """build(sources, corpus, *overrides) -> Result, with what it printed in `result.printed`."""
    import io

    from rich.console import Console

    from pipeline import config
    from pipeline.build.driver import Build
    from pipeline.stages import STAGES
    from stages.sources.find import FORMATS

    def run(  # type: ignore[no-untyped-def]
        sources, corpus: Path, *overrides: str, path: str | None = None, until=None, stages=STAGES, formats=FORMATS
    ):
        screen = Console(file=io.StringIO(), soft_wrap=True)
        built = Build(str(corpus), config.load(path, overrides, stages), screen, stages, formats)
        return built.run([str(s) for s in sources], until)

    return run


@pytest.fixture(scope="session")
def sample_corpus(build, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:  # type: ignore[no-untyped-def]
    """The corpus of the bundled sample, as `make corpus` builds it but for its captioner; one for all processes of a
    run, built by the first that asks."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent  # of pytest-xdist: a folder for all of its workers
    corpus, built = shared / "sample" / "corpus", shared / "sample" / "built"
    with FileLock(shared / "sample.lock"):
        if not built.exists():
            build([SAMPLE], corpus, "caption.captioner=signals", path=str(ROOT / "pipeline/configs/sample.yaml"))
            built.touch()
    return corpus


@pytest.fixture(scope="session")
def real() -> Path:
    """Folder of real recordings; they are not part of the project."""
    if not REAL.is_dir():
        pytest.skip(f"no real recordings beside the checkout ({REAL.name} is absent)")
    return REAL
