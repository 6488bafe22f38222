"""Errors that a person can mend end a command in one line and exit code 2; Ctrl-C and SIGTERM in 130."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from pipeline import signals
from pipeline.build.nodes import NodeError
from pipeline.config import ConfigError
from pipeline.corpus.compact import DamagedPart
from pipeline.corpus.decisions import DamagedDecisions
from pipeline.corpus.garbage import NotComplete
from pipeline.corpus.lock import Locked
from pipeline.corpus.record import DamagedPlan, NoCorpus
from pipeline.corpus.tombstones import DamagedTombstone, NotThere
from pipeline.explain import UnknownEpisode
from pipeline.export import NotExportable
from pipeline.labels import LabelError
from schemas.reasons import Quarantined
from stages import storage
from stages.sources.protocol import SourceError
from stages.text import printable

MENDABLE = (
    ConfigError,
    SourceError,
    LabelError,
    UnknownEpisode,
    NotExportable,
    NoCorpus,
    DamagedPlan,
    Locked,
    NodeError,
    NotComplete,
    DamagedPart,
    DamagedTombstone,
    DamagedDecisions,
    NotThere,
    storage.Unusable,
    storage.UnknownStore,
    PermissionError,
    FileExistsError,
    NotADirectoryError,
    IsADirectoryError,
    Quarantined,
)


def mendable(command: Callable[..., Any]) -> Callable[..., Any]:
    """Errors that a person can mend become one line; Ctrl-C and a scheduler's SIGTERM end a command alike."""

    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with signals.heeded():
            try:
                return command(*args, **kwargs)
            except KeyboardInterrupt:
                signals.ignore()
                click.echo("\nStopped. What is done is kept: run the same command to go on.", err=True)
                sys.exit(signals.STOPPED)
            except MENDABLE as error:
                click.echo(f"corpus: {printable(str(error))}", err=True)
                sys.exit(2)

    return wrapper
