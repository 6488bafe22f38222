"""Measurements, run by `make bench` and never by the tests: each against a floor or against itself in the same run."""
