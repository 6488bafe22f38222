"""The sample's captioner behind `transformers serve`: another way to the same model, and the same captions."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.corpus.view import Corpus
from tests.conftest import ROOT, SAMPLE

pytestmark = pytest.mark.serve
MODEL = SAMPLE / "captioner"


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [Path(sys.executable).with_name("transformers"), "serve", "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        [*command, "--dtype", "float32", str(MODEL)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            assert process.poll() is None, process.communicate()[0].decode()[-2000:]
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5)
                break
            except OSError:
                time.sleep(0.5)
        yield f"{url}/v1"
    finally:
        process.terminate()
        process.wait(30)


def test_the_same_captions_through_a_server(build, served, tmp_path):
    """Of one robot's episodes; both are given the same pictures, byte by byte."""
    config = str(ROOT / "pipeline/configs/sample.yaml")
    corpora = {}
    for name, more in {
        "transformers": (),
        "openai": ("caption.captioner=openai", f"caption.model={MODEL}", f"caption.base_urls=[{served}]"),
    }.items():
        build([SAMPLE / "cell_b"], tmp_path / name, *more, path=config, until="caption")
        corpora[name] = Corpus(str(tmp_path / name)).table("captions").sort("event_id")
    one, other = corpora["transformers"], corpora["openai"]
    differ = [pair for pair in zip(one["event_id"], one["text"], other["text"], strict=True) if pair[1] != pair[2]]
    print(f"{len(differ)} of {one.height} captions differ: {differ}")
    assert set(one["status"]) <= {"ok", "repaired", "fallback"}
    assert len(differ) <= 0.01 * one.height
