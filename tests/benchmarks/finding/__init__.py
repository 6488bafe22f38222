"""How well and how fast `corpus find` finds: `python -m tests.benchmarks.finding --corpus DIR`."""
