"""Boundaries and spans held against the truth: scores, baselines, and the table of `make bench-segment`."""
