"""Before a build on a Ray cluster: can every node do the work, and does it write to the same corpus?

In: the corpus's URI, its lock held by this build. Out: nothing, or a `NodeError` that names the node and what to do.
Without this a node that lacks the package, or has a disk of its own at the corpus's path, would show up as dead workers
and lost parts.
"""

from __future__ import annotations

import hashlib
import importlib
import platform
from importlib.metadata import version
from pathlib import Path

from pipeline.corpus.lock import NAME
from stages import storage

PATIENCE_S = 120.0


class NodeError(RuntimeError):
    """A node of the cluster cannot take part; the message names it."""


def check_nodes(root: str) -> int:
    """Number of nodes that can work. Raises NodeError."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    lock, versions = storage.read_bytes(storage.join(root, NAME)), code_versions()
    look = ray.remote(num_cpus=0, max_retries=0)(_look)
    nodes = [n for n in ray.nodes() if n["Alive"] and n["Resources"].get("CPU")]
    asked = {
        n["NodeManagerAddress"] + "/" + n["NodeID"][:6]: look.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(n["NodeID"], soft=False)
        ).remote(root)
        for n in nodes
    }
    for name, answer in asked.items():
        try:
            found, theirs = ray.get(answer, timeout=PATIENCE_S)
        except ray.exceptions.GetTimeoutError as error:
            raise NodeError(f"node {name} gives no answer within {PATIENCE_S:.0f} s") from error
        except ray.exceptions.RayError as error:
            last = str(error).strip().splitlines()[-1][:300]
            raise NodeError(
                f"node {name} cannot run the code ({last}): install event-corpus there, from the same lock, or give "
                f"the job a runtime environment (docs/cluster.md)"
            ) from error
        if theirs != versions:
            other = ", ".join(f"{k} {theirs.get(k)}, here {v}" for k, v in versions.items() if theirs.get(k) != v)
            raise NodeError(f"node {name} runs other code: {other}; install the same lock on all nodes")
        if found != lock:
            raise NodeError(
                f"node {name} does not see this build's {storage.join(root, NAME)}: the corpus must lie on storage "
                f"that all nodes share under one path, or on s3:// or gs://"
            )
    return len(nodes)


def code_versions() -> dict[str, str]:
    """What decides the bytes that this process writes: Python, the libraries, a hash over the project's own code."""
    from pipeline.release.finish import LIBRARIES

    digest = hashlib.sha256()
    for package in ("pipeline", "schemas", "stages"):
        folder = Path(importlib.import_module(package).__path__[0])
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    libraries = {name: version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), **libraries, "event-corpus": digest.hexdigest()[:12]}


def _look(root: str) -> tuple[bytes | None, dict[str, str]]:
    """On a node: what it sees of the lock, and the versions of its code."""
    try:
        return storage.read_bytes(storage.join(root, NAME)), code_versions()
    except FileNotFoundError:
        return None, code_versions()
