"""When what a stage puts out changes, its VERSION must change too: rebuilt corpora would otherwise keep stale parts.

A digest of each stage's output (all its tables, as it declares them) on a small fixed input is kept in golden.json
beside the VERSION it belongs to. To accept a change: raise the stage's VERSION, then `python -m tests.test_golden`.
What rounds differently on another type of CPU is rounded; clusters and the draw, where a rounding may tip a label, are
of planted vectors and labels.
"""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import webdataset

from pipeline import config
from pipeline.corpus.view import Corpus
from pipeline.stages import STAGES
from stages.balance import Clustering
from stages.cluster import ClusterConfig
from stages.cluster.kmeans import fit, principal
from stages.shard import ShardConfig
from stages.shard.place import Made, place, weights
from stages.shard.select import drawn, fates
from tests.datasets import Episode, write_dataset

GOLDEN = Path(__file__).with_name("golden.json")
LEFT_OUT = {  # columns of tables: places on this disk, and what differs by CPU type
    "episodes": ("dataset_uri", "cameras"),
    "observations": ("proxy", "thumbnails", "proxy_bytes"),
    "embeddings": ("vl",),
    "fitted": ("embedded", "settings"),
    "clusters": ("vl_cluster", "vl_distance", "action_cluster", "action_distance"),
    "samples": ("vl_cluster", "action_cluster", "inclusion", "weight", "repeats", "status", "shards"),
    "tars": ("tar", "plan", "file", "events", "weights"),
}
OF_CLUSTERS = ("vl_cluster", "vl_path", "action_cluster", "action_path", "weight", "plan")  # of KEY.json


def rounded(value):
    """Floats to three decimals, so that the last bits of another CPU do not count."""
    if isinstance(value, float):
        return round(value, 3) + 0.0
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list | np.ndarray):
        return [rounded(v) for v in (value.tolist() if isinstance(value, np.ndarray) else value)]
    return value


def pictures(corpus: Corpus) -> list[float]:
    """VL vectors as 28 figures, the mean of all events over 64 neighbours each: a network's last bits do not count."""
    vectors = np.array(corpus.table("embeddings")["vl"].to_list())
    return (100 * vectors.mean(axis=0).reshape(28, 64).mean(axis=1)).round(1).tolist()


def planted_clusters() -> list[list[int]]:
    """Which of 300 vectors around 9 far points share a label, and the labels of new vectors by the same centroids."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(9, 40)) * 20
    which = np.arange(300) % 9
    vectors = (centres[which] + random.normal(size=(300, 40))).astype(np.float32)
    projection = principal(vectors[:250], ClusterConfig())
    clustering = fit(projection(vectors[:250]), projection, 9, ClusterConfig())
    return [clustering.assign(part)[0].tolist() for part in (vectors[:250], vectors[250:])]


def planted_draw() -> list[dict]:
    """Fate, repeats and tars of 300 events in unequal clusters, train and val."""
    number = pl.int_range(300)
    names = pl.format("s/{}/L1/{}", (number % 20).cast(pl.String).str.zfill(6), number.cast(pl.String).str.zfill(7))
    events = pl.select(
        event_id=names,
        episode_id=pl.format("s/{}", (number % 20).cast(pl.String).str.zfill(6)),
        level=pl.lit("L1"),
        start_frame=0 * number,
        end_frame=9 + number % 5,
        static=number < 0,
        recovery=pl.when(number % 50 == 7).then(pl.lit("regrasp")),
        dead=0.0 * number,
        rejected=number < 0,
        vl_cluster=(number > 180).cast(pl.Int32) + (number > 270).cast(pl.Int32),
        action_cluster=(number % 11 == 0).cast(pl.Int32),
    )
    episodes = pl.DataFrame(
        [
            {"episode_id": f"s/{i:06d}", "split": "val" if i % 6 == 5 else "train", "robot": "r", "source": "s"}
            for i in range(20)
        ]
    )
    shard_config = ShardConfig(alpha=0.0, keep=0.7, min_shards=4)
    rows = fates(events.drop("vl_cluster", "action_cluster"), events, episodes, shard_config)
    trees = {"vl": Clustering(tree=(np.array([0, 0, 1]),)), "action": Clustering()}
    rows, _ = drawn(rows, trees, shard_config)
    made = Made("model", dict.fromkeys(rows["event_id"], "print"), dict.fromkeys(rows["event_id"], 10_000))
    tars = place(rows, [], (), made, shard_config)
    return weights(rows, [(tar.name, tar) for tar in tars]).to_dicts()


def first_sample(corpus: Corpus) -> dict:
    """KEY.json and the arrays of a tar's first sample, without what hangs on clusters."""
    tar = min(Path(corpus.root, "shards", corpus.manifest["release"]).glob("*.tar"))
    sample = next(iter(webdataset.WebDataset(str(tar), shardshuffle=False)))
    meta = {k: v for k, v in json.loads(sample["json"]).items() if k not in OF_CLUSTERS}
    with np.load(io.BytesIO(sample["lowdim.npz"])) as arrays:
        numbers = {name: arrays[name].astype(float) for name in sorted(arrays.files)}
    return {"names": sorted(n for n in sample if not n.startswith("__")), "meta": meta, "arrays": numbers}


def digests(corpus: Corpus) -> dict[str, dict]:
    more = {
        "embed": [pictures(corpus)],
        "cluster": [planted_clusters()],
        "shard": [planted_draw(), first_sample(corpus)],
    }
    found = {}
    for stage in STAGES:
        tables = [corpus.table(t.name).drop(LEFT_OUT.get(t.name, ())).to_dicts() for t in stage.writes]
        digest = hashlib.sha256()
        for value in [*tables, *more.get(stage.name, ())]:
            digest.update(json.dumps(rounded(value), sort_keys=True).encode())
        found[stage.name] = {"version": stage.version, "digest": digest.hexdigest()[:16]}
    return found


@pytest.fixture
def small_corpus(build, tmp_path) -> Corpus:
    source = write_dataset(tmp_path / "golden", [Episode(60 + 5 * i, 100 * i) for i in range(3)])
    build([source], tmp_path / "corpus")
    return Corpus(str(tmp_path / "corpus"))


def test_no_output_changes_without_a_new_version(small_corpus):
    golden, now = json.loads(GOLDEN.read_text()), digests(small_corpus)
    for stage, entry in now.items():
        if entry["version"] == golden[stage]["version"]:
            assert entry["digest"] == golden[stage]["digest"], f"{stage}: output changed; raise its VERSION"
        else:
            assert entry["version"] > golden[stage]["version"], f"{stage}: VERSION went back"
            pytest.fail(f"{stage}: VERSION is new; accept the output with: python -m tests.test_golden")


def accept() -> None:
    import tempfile

    from rich.console import Console

    from pipeline.build.driver import Build

    with tempfile.TemporaryDirectory() as folder:
        source = write_dataset(Path(folder) / "golden", [Episode(60 + 5 * i, 100 * i) for i in range(3)])
        Build(f"{folder}/corpus", config.load(None), Console()).run([str(source)])
        GOLDEN.write_text(json.dumps(digests(Corpus(f"{folder}/corpus")), indent=1) + "\n")


if __name__ == "__main__":
    accept()
