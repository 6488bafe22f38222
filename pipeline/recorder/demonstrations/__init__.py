"""Demonstrations for the reference trainer: simulated as the sample is, many of few tasks, in one plain look."""
