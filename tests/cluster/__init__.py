"""Builds on a Ray cluster of several raylets on this machine: `make cluster-test`."""
