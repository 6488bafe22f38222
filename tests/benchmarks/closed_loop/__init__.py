"""Policies in closed loop: `python -m tests.benchmarks.closed_loop` from the state, `.pixels` from pictures."""
