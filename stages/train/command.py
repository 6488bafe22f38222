"""The command: `corpus train`, or `python -m stages.train` where only the loader is installed.

In: URLs of releases, a configuration file, a folder. Out: an exit code: 0 where the run ended, 2 where a person can
mend what is wrong, 130 where it was stopped and saved.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from stages.load import DamagedSample, NotARelease, OtherPlan, Unreadable
from stages.train.config import ConfigError, described, load
from stages.train.data import NoBatch
from stages.train.run.checkpoint import NoCheckpoint
from stages.train.run.loop import Diverged, Outcome, train

MENDABLE = (
    ConfigError, NoCheckpoint, NoBatch, Diverged, NotARelease, Unreadable, OtherPlan, DamagedSample, OSError,
    ModuleNotFoundError,
)  # fmt: skip
STOPPED = 130
OUT = "training"


def command(
    shards: Sequence[str], config: str | None, out: str, resume: bool, overrides: Sequence[str], name: str = "train"
) -> int:
    """name: with which an error begins."""
    try:
        print(summary(train(list(shards), load(config, overrides), out, resume=resume)))
    except KeyboardInterrupt:
        return STOPPED
    except MENDABLE as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    return 0


def summary(outcome: Outcome) -> str:
    """What a run came to, whether or not it is better than what needs no model."""
    if not outcome.scores:
        return "The release has no val split: nothing says what the model is worth on events it has not seen."
    worse = [what for what, score in outcome.scores.items() if not score.beats]
    if worse:
        return f"On the val split the model does NOT beat the baseline of {' and '.join(worse)}."
    return f"On the val split the model beats the baseline{'s' * (len(outcome.scores) > 1)}."


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m stages.train", description="Train the two towers on shards.")
    parser.add_argument("--shards", nargs="+", action="extend", metavar="URL", help="releases, or corpora")
    parser.add_argument("--config", metavar="FILE", help="YAML or JSON; without: the defaults")
    parser.add_argument("--out", default=OUT, metavar="DIR", help=f"where the run lies ({OUT})")
    parser.add_argument("--resume", action="store_true", help="go on with the run that lies there, if one does")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="over the file's")
    parser.add_argument("--show-config", action="store_true", help="print all keys with their defaults, and end")
    given = parser.parse_args(arguments)
    if given.show_config:
        print(described())
        return 0
    if not given.shards:
        parser.error("--shards: where does the release lie?")
    return command(given.shards, given.config, given.out, given.resume, given.set)
