"""Clips of events inside the report: `choice` says which, `cutting` makes them small enough for a page."""
