"""The command line; nothing else prints."""

from pipeline.cli.main import main

__all__ = ["main"]
