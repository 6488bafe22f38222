"""A release that lies elsewhere: the same samples, through faults; as an object store lays it out; with the base
install alone."""

import gc
import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from schemas import plan as plans
from stages.load import EventDataset, NotARelease, Unreadable
from stages.load.reading import files
from stages.load.reading.files import together
from tests.load.releases import Event, write_release
from tests.load.server import serving

ROOT = Path(__file__).parents[2]
EVENTS = [Event(n, 4 + n % 3, cameras={"top": (32, 32)}, clusters=(n % 2, n % 3)) for n in range(12)]


@pytest.fixture
def corpus(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(files, "FIRST_PAUSE", 0.01)
    write_release(tmp_path / "corpus", [EVENTS[:6], EVENTS[6:]])
    return tmp_path / "corpus"


def same(one, two) -> bool:
    return all(
        torch.equal(value, two[name]) if isinstance(value, torch.Tensor) else value == two[name]
        for name, value in one.items()
    )


def test_samples_are_those_of_the_disk_whatever_fails_for_a_while(corpus):
    local = [EventDataset(str(corpus))[n] for n in range(12)]
    with serving(corpus) as served:
        dataset = EventDataset(f"{served.url}/shards/latest")
        for faults in ([503, "short", "reset"], [503, "short"]):
            served.faults += faults
            assert all(same(dataset[n], local[n]) for n in range(12))
        assert not served.faults
        ranges = [wanted for path, wanted in served.asked if path.endswith(".tar") and wanted]
        assert len(ranges) <= 24 + 5  # one range a sample: its members lie side by side
        for workers in (0, 2):
            found = [own for batch in dataset.loader(4, workers) for own in batch["key"]]
            assert sorted(found) == sorted(event.key for event in EVENTS)


def test_what_stays_away_is_told_with_what_was_tried(corpus):
    with serving(corpus) as served:
        dataset = EventDataset(served.url + "/shards/latest")
        served.faults += [503] * 99
        with pytest.raises(Unreadable, match=r"train-000000.tar.*tried 5 times"):
            dataset[0]
        (corpus / "shards/0123456789abcdef/train-000000.tar").unlink()
        served.faults.clear()
        with pytest.raises((FileNotFoundError, Unreadable), match=r"train-000000.tar"):
            dataset[0]
        before = len(served.asked)
        with pytest.raises(NotARelease, match="no release lies there"):
            EventDataset(served.url + "/shards/nothing")
        assert len(served.asked) - before < 4


def test_a_server_without_ranges_is_refused_unless_there_is_a_cache(corpus, tmp_path):
    with serving(corpus, ranges=False) as served:
        url = served.url + "/shards/latest"
        with pytest.raises(Unreadable, match="give cache="):
            EventDataset(url)[0]
        cached = EventDataset(url, cache=str(tmp_path / "cache"))
        local = EventDataset(str(corpus))
        assert all(same(cached[n], local[n]) for n in range(12))
        served.asked.clear()
        again = EventDataset(url, cache=str(tmp_path / "cache"))
        assert same(again[11], local[11])
        assert not [path for path, _ in served.asked if path.endswith(".tar") and "Range" in path]
        assert len([1 for path, wanted in served.asked if path.endswith("1.tar") and wanted]) == 0


def test_a_cache_keeps_stores_apart_that_hold_the_same_path(tmp_path):
    folders = [
        files.Folder("s3://lab/corpus", str(tmp_path), {"endpoint_url": "http://a"}),
        files.Folder("s3://lab/corpus", str(tmp_path), {"endpoint_url": "http://b"}),
        files.Folder("gs://lab/corpus", str(tmp_path)),
    ]
    for number, folder in enumerate(folders):
        folder._copy = lambda name, target, number=number: Path(target).write_text(str(number))  # type: ignore
    assert [folder.ranges([("x.tar", 0, 1)]) for folder in folders] == [[b"0"], [b"1"], [b"2"]]
    assert folders[0].ranges([("x.tar", 0, 1)]) == [b"0"]


def test_an_object_store_has_no_links(corpus):
    """Tars lie in shards/tars, and `latest` is an object that holds a name."""
    shards = corpus / "shards"
    (shards / "tars").mkdir()
    for tar in (shards / "0123456789abcdef").glob("*.tar"):
        tar.rename(shards / "tars" / tar.name)
    (shards / "latest").unlink()
    (shards / "latest").write_text("0123456789abcdef")
    with serving(corpus) as served:
        dataset = EventDataset(served.url + "/shards/latest")
        assert dataset[0]["key"].startswith("lab-")
    assert len(EventDataset(str(shards / "0123456789abcdef"))) == 12


def test_a_corpus_stands_for_its_current_release_and_latest_for_where_it_points_now(corpus):
    assert len(EventDataset(str(corpus))) == 12
    dataset = EventDataset(str(corpus / "shards/latest"))
    (corpus / "shards/latest").unlink()
    assert dataset[3]["key"]


def test_several_releases_are_one_dataset(corpus, tmp_path):
    other = write_release(tmp_path / "other", [[Event(n, 3, width=3) for n in range(20, 25)]])
    dataset = EventDataset([str(corpus / "shards/latest"), str(other)], frames=0)
    assert len(dataset) == 17
    assert {dataset[n]["key"][4:10] for n in range(17)} == {f"{n:06d}" for n in [*range(12), *range(20, 25)]}
    assert dataset.vectors[0].width == 3


def test_threads_read_more_files_than_are_open_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "FILES", 4)
    for number in range(40):
        (tmp_path / f"{number}").write_bytes(bytes([number]) * 64)
    folder = files.Folder(str(tmp_path))

    def right(seed: int) -> bool:
        draw = random.Random(seed)
        return all(folder.ranges([(f"{n}", 0, 64)]) == [bytes([n]) * 64] for n in draw.choices(range(40), k=3000))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert all(threads.map(right, range(4)))
    finally:
        sys.setswitchinterval(interval)


def test_a_process_that_is_forked_while_a_thread_reads_reads_too(corpus):
    dataset = EventDataset(str(corpus))
    with dataset.release.folders[0]._lock:  # as a thread that reads holds it
        child = multiprocessing.get_context("fork").Process(target=dataset.__getitem__, args=(0,))
        child.start()
        child.join(20)
    exitcode = child.exitcode
    child.kill()
    assert exitcode == 0


def test_ranges_that_lie_near_are_one_request():
    near = files.TOGETHER
    wanted = [("a", 0, 10), ("a", 20, 5), ("b", 3, 4), ("a", 25 + near, 7), ("a", 40 + 2 * near, 1)]
    assert together(wanted) == [("a", 0, 32 + near), ("a", 40 + 2 * near, 1), ("b", 3, 4)]


TRAIN = """
import sys
from importlib.machinery import PathFinder
class BaseAlone:
    def find_spec(name, path=None, target=None):
        return None if name.split(".")[0] in {blocked!r} else PathFinder.find_spec(name, path, target)
sys.meta_path = [finder for finder in sys.meta_path if finder is not PathFinder] + [BaseAlone]
import torch
from stages.load import EventDataset
data = EventDataset({url!r}, mode="chunk", horizon=4, frames=1, size=(16, 16), alpha=0.5, where="n_frames > 3")
torch.manual_seed(0)
policy = torch.nn.Sequential(torch.nn.Linear(2 + 3 * 256, 32), torch.nn.ReLU(), torch.nn.Linear(32, 8))
optimiser = torch.optim.AdamW(policy.parameters(), lr=3e-3)
losses = []
loader = data.loader(16, workers=1)
for epoch in range(12):
    for batch in loader:
        seen = torch.cat([batch["state"][:, -1] / 10, batch["video.top"].flatten(1).float() / 255], 1)
        error = (policy(seen).view(-1, 4, 2) - batch["action"] / 10) ** 2
        loss = error[~batch["action_is_pad"]].mean()
        optimiser.zero_grad(); loss.backward(); optimiser.step()
        losses.append(loss.item())
assert sum(losses[-4:]) < sum(losses[:4]) / 2, losses
print(len(losses), "steps")
"""
BLOCKED = (
    "ray", "pyarrow", "polars", "pandas", "decord", "transformers", "sklearn", "scipy", "faiss", "pydantic", "click",
    "jinja2", "matplotlib", "PIL", "onnxruntime", "openai", "datasketches", "rich", "psutil", "pipeline",
)  # fmt: skip


def test_a_small_policy_trains_over_http_with_the_base_install_alone(corpus):
    """In a process that refuses all else; make check-exports does it in an environment that has nothing else."""
    with serving(corpus) as served:
        code = TRAIN.format(blocked=set(BLOCKED), url=f"{served.url}/shards/latest")
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("steps")


@pytest.fixture
def threads_take_turns():
    """Whenever memory is collected, which is often, so that what goes wrong between two threads does."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()

    def turn(*_: object) -> None:
        time.sleep(0)

    gc.callbacks.append(turn)
    gc.set_threshold(5)
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)
    gc.callbacks.remove(turn)


def test_threads_that_read_at_once_get_what_one_would(corpus, threads_take_turns):
    dataset = EventDataset(str(corpus), frames=0)
    wanted = [dataset[n]["state"] for n in range(12)]

    def reads(thread: int) -> bool:
        return all(torch.equal(dataset[n % 12]["state"], wanted[n % 12]) for n in range(thread, thread + 12))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(reads, range(4)))


def test_a_plan_of_another_release_or_other_clusters_is_refused(corpus, tmp_path):
    release = corpus / "shards/0123456789abcdef"
    plan = plans.from_bytes((release / "plan.npz").read_bytes())
    (tmp_path / "own.npz").write_bytes(plans.to_bytes(replace(plan, release="f" * 16)))
    with pytest.raises(NotARelease, match="a plan of release ffffffffffffffff, not of 0123456789abcdef"):
        EventDataset(release, plan=str(tmp_path / "own.npz"))
    other = write_release(tmp_path / "other", [[Event(n, 3) for n in range(20, 25)]])
    for folder, model in ((release, "a"), (other, "b")):
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({**manifest, "clusters_sha256": model}))
    assert len(EventDataset([release, other], frames=0)) == 17
    with pytest.raises(ValueError, match="clustered by other centroids"):
        EventDataset([release, other], frames=0, alpha=0.5)
