"""Ordering: which samples come, how often, in which order and batches. Pure functions of the plan."""
