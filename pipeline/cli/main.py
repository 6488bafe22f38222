"""The command line: `corpus build`, `check`, `status`, `show`, `quarantine`, `report`, `explain`, `sheet`,
`find`, `review`, `decisions`, `tune-segment`, `score-captions`, `tune-captioner`, `answers`, `budget`, `plan`,
`export`, `train`, `verify`, `repair`, `compact`, `gc`, `forget`, `config`.

A build above the quarantine limit, or a fault that `verify` finds, exits with 1.
"""

from __future__ import annotations

import click

from pipeline.cli import build, captions, check, export, find, forget, look, plan, review, train, tune, upkeep


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Turn robot teleoperation logs into a corpus of events in cluster-balanced WebDataset shards."""


for command in (
    build.build, check.check, look.status, look.show, look.quarantine, look.labels, look.report, look.explain,
    look.sheet, find.find, review.review, review.decisions,
    tune.tune_segment, captions.score_captions, captions.answers, captions.tune_captioner,
    plan.budget, plan.plan, export.export, train.train,
    upkeep.verify, upkeep.repair, upkeep.gc, upkeep.compact, forget.forget, build.config,
):  # fmt: skip
    main.add_command(command)
