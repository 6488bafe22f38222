"""Candidate boundaries: what hands do, what speeds and paths show."""
