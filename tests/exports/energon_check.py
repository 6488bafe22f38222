"""Opens a release with Megatron Energon, which nothing has prepared, and holds its files to those of `energon prepare`.

In: a release's folder. Out: a JSON object of figures. Run by `make check-exports` in an environment of its own, which
has no package of this project.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from megatron.energon import (
    Cooker,
    DefaultTaskEncoder,
    WorkerConfig,
    basic_sample_keys,
    get_loader,
    get_train_dataset,
    get_val_dataset,
    stateless,
)
from megatron.energon.task_encoder.base import CrudeSample

ROWS = {
    "samples": "SELECT sample_key, sample_index, byte_offset, byte_size FROM samples WHERE tar_file_id = ? ORDER BY 2",
    "sample_parts": "SELECT sample_index, part_name, content_byte_offset, content_byte_size FROM sample_parts "
    "WHERE tar_file_id = ? ORDER BY 1, 3",
}


@stateless
def cook(sample: dict) -> CrudeSample:
    """A sample as it is: what a training takes of it is its own choice."""
    return CrudeSample(**basic_sample_keys(sample), **{k: v for k, v in sample.items() if not k.startswith("__")})


class AsIs(DefaultTaskEncoder):
    cookers = (Cooker(cook),)

    @stateless
    def batch(self, samples):
        return list(samples)


def opened(release: Path, counts: dict[str, int]) -> dict[str, object]:
    """One pass over train and val, in both of two ranks; every key of every tar must come."""
    found: dict[str, object] = {}
    for split, get in (("train", get_train_dataset), ("val", get_val_dataset)):
        expected = sum(count for tar, count in counts.items() if tar.startswith(split))
        keys: list[tuple[str, object]] = []
        for rank in range(2):
            workers = WorkerConfig(rank=rank, world_size=2, num_workers=0)
            own = {"worker_config": workers, "batch_size": 1, "task_encoder": AsIs()}
            more = {"shuffle_buffer_size": None, "max_samples_per_sequence": None} if split == "train" else {}
            loader = get_loader(get(release, **own, **more))
            share = expected // 2 + 1 if split == "train" else expected
            for number, batch in enumerate(loader):
                if number == share:
                    break
                (sample,) = batch
                meta, parts = sample["json"], sorted(k for k in sample if not k.startswith("__"))
                assert meta["event_id"].replace("/", "-") == sample["__key__"], sample["__key__"]
                assert meta["n_frames"] == len(arrays(sample["lowdim.npz"])["time"]), sample["__key__"]
                if number == 0:  # its clips open too, a picture a row
                    clip = next(sample[k] for k in parts if k.endswith(".mp4"))
                    pictures = sum(len(part) for part in clip.get_video().video_clips)
                    assert pictures == meta["n_frames"], f"{pictures} pictures, {meta['n_frames']} rows"
                keys.append((sample["__key__"], sample["__sources__"][0].shard_name))
        different = len(set(keys))
        assert different == expected, f"{split}: {different} samples came, {expected} lie in the tars"
        found[split] = {"samples": expected, "events": len({key for key, _ in keys}), "parts": parts}
    return found


def arrays(value: object) -> dict[str, object]:
    """lowdim.npz, which Energon decodes or hands out as bytes."""
    import io

    import numpy as np

    return dict(np.load(io.BytesIO(value))) if isinstance(value, bytes) else dict(value)  # type: ignore[call-overload]


def prepared(release: Path, counts: dict[str, int]) -> dict[str, int]:
    """Each tar copied and prepared by the package itself, by itself: a key may stand in several tars, which `energon
    prepare` refuses. Its offsets must be ours, byte for byte, and so must be the rows of its index."""
    ours = sqlite3.connect(f"file:{release / '.nv-meta/index.sqlite'}?mode=ro", uri=True)
    compared = dict.fromkeys(("offsets", *ROWS), 0)
    for number, tar in enumerate(counts):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(release / tar, folder)
            command = [Path(sys.executable).with_name("energon"), "prepare", folder, "--non-interactive"]
            command += ["--num-workers", "1", "--no-progress", "--split-parts", "train:.*"]
            command += ["--sample-type", "CrudeWebdataset"]
            subprocess.run(command, check=True, capture_output=True)
            made = Path(folder, f"{tar}.idx").read_bytes()
            assert made == (release / f"{tar}.idx").read_bytes(), f"{tar}.idx is another"
            compared["offsets"] += len(made) // 8
            meta = Path(folder, ".nv-meta")
            assert (meta / "dataset.yaml").read_bytes() == (release / ".nv-meta/dataset.yaml").read_bytes()
            theirs = sqlite3.connect(meta / "index.sqlite")
            for table, query in ROWS.items():
                wanted = theirs.execute(query, (0,)).fetchall()
                found = ours.execute(query, (number,)).fetchall()
                if table == "samples":  # later copies of an event have their tar's name before the key
                    found = [(key.rpartition("/")[2], *rest) for key, *rest in found]
                assert found == wanted, f"{tar}: {table} of index.sqlite differ"
                compared[table] += len(wanted)
    return compared


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("release", type=Path)
    release = parser.parse_args().release
    info = json.loads((release / ".nv-meta/.info.json").read_text())
    figures = {
        "energon": version("megatron-energon"),
        "torch": version("torch"),
        "tars": len(info["shard_counts"]),
        "opened": opened(release, info["shard_counts"]),
        "prepared": prepared(release, info["shard_counts"]),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
