"""A build that notes how many GPUs Ray gave each task: `python -m tests.cluster.where NOTES build --source ...`."""

from __future__ import annotations

import sys
from typing import Any


def noting(notes: str) -> Any:
    """`pipeline.build.runner._execute`, with a line in `notes` a task; made here so that Ray takes it along by
    value."""

    def run(unit: Any, context: Any) -> Any:
        import ray

        from pipeline.build.runner import _execute

        with open(notes, "a") as file:
            file.write(f"{unit.stage} {len(ray.get_gpu_ids())}\n")
        return _execute(unit, context)

    return run


def main() -> None:
    import pipeline.build.runner
    from pipeline.cli import main as corpus

    pipeline.build.runner._execute = noting(sys.argv[1])
    corpus(sys.argv[2:])


if __name__ == "__main__":
    main()
