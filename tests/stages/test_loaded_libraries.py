"""No library that we load takes over another's symbols: nobody opens NVIDIA's packages beside torch's CUDA build.

A stand-in library lies where those packages have theirs, on the path of a process of its own; whether it was opened is
read from the process's memory map.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHAT_WE_LOAD = (
    "av, faiss, matplotlib, numpy, onnxruntime, polars, pyarrow.dataset, ray, scipy.ndimage, sklearn.decomposition, "
    "torch, transformers, webdataset"
)
OWN = "pipeline.cli, pipeline.build.driver, pipeline.build.worker, pipeline.report, pipeline.corpus.verify"
STAGES = (
    "stages.observe.stage, stages.models.image, stages.models.quantised, stages.models.text, stages.cluster.kmeans, "
    "stages.shard.tar"
)


@pytest.fixture
def stand_in(tmp_path) -> Path:
    """A library that nothing links against, as nvidia/x/lib/libstandin.so."""
    if not Path("/proc/self/maps").exists():
        pytest.skip("no /proc/self/maps to read")
    library = importlib.util.find_spec("_ctypes")
    if library is None or library.origin is None:
        pytest.skip("this interpreter has its extensions built in")
    place = tmp_path / "path" / "nvidia" / "x" / "lib" / "libstandin.so"
    place.parent.mkdir(parents=True)
    shutil.copy(library.origin, place)
    return place


def run(stand_in: Path, code: str) -> str:
    """Standard output of a process with the stand-in on its path; its last line says whether it was opened."""
    code += "\nprint('opened' if 'libstandin' in open('/proc/self/maps').read() else 'not opened')"
    path = os.pathsep.join([str(stand_in.parents[3]), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


def test_imported_by_itself_decord_opens_it(stand_in):
    """What the others would show if the guard were gone."""
    assert run(stand_in, "import decord") == "opened"


def test_through_our_reader_decord_does_not(stand_in):
    assert run(stand_in, "from stages.video.decord_reader import load\nload().VideoReader") == "not opened"


def test_the_guard_leaves_nothing_behind(stand_in):
    code = (
        "import ctypes, nvidia\nfrom stages.video.decord_reader import load\nload()\n"
        "import sys\nassert sys.modules['nvidia'] is nvidia and nvidia.__path__\n"
        "assert ctypes.RTLD_GLOBAL != ctypes.RTLD_LOCAL"
    )
    assert run(stand_in, code) == "not opened"


def test_decords_own_libraries_are_opened_for_itself_alone(stand_in):
    """Its FFmpeg must not answer for PyAV's: after loading it, the process finds none of its symbols."""
    code = (
        "import ctypes\nfrom stages.video.decord_reader import load\nload()\n"
        "assert not hasattr(ctypes.CDLL(None), 'DECORDGetLastError')"
    )
    run(stand_in, code)


@pytest.mark.parametrize("modules", [WHAT_WE_LOAD, f"{OWN}, {STAGES}"])
def test_nothing_else_that_we_load_does_and_decord_is_not_loaded(stand_in, modules):
    assert run(stand_in, f"import sys, {modules}\nassert 'decord' not in sys.modules") == "not opened"
