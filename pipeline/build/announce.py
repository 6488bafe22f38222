"""What a build says about its sources before it begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console

from schemas.episodes import Label
from schemas.ids import source_of
from stages.ingest.survey import Survey
from stages.sources.protocol import Dataset
from stages.text import printable

LINE = 1000  # characters of a line on the screen
SHOWN = 5  # notes on a source's metadata that are printed


class Announcer:
    """Lines on the screen; nothing that a source brought along may be more than text in them."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, words: str) -> None:
        self.console.print(printable(words[:LINE]), highlight=False, markup=False, emoji=False)

    def sources(self, found: Survey, before: set[str]) -> None:
        """Each source with how it is read; those of the last build that this one leaves out; those that are lost."""
        for name, dataset in found.datasets.items():
            self._source(found, name, dataset)
        for name in sorted(before - set(found.datasets) - {lost.source for lost in found.lost}):
            self.say(f"source   {name}: in the corpus before, not asked for now; it will no longer be in it")
        for lost in found.lost:
            self.say(f"source   {lost.source}: cannot be used: {lost.error.message.splitlines()[0]}")

    def _source(self, found: Survey, name: str, dataset: Dataset) -> None:
        layout, number = found.layouts[name], len(found.listed[name])
        how = f"read by profile {layout.profile}"
        if layout.inferred:
            how = "no robot profile fits, its columns are guessed"
        form = dataset.format.replace("lerobot/", "LeRobot ")
        gone = sum(source_of(episode) == name for episode in found.passed)
        less = f" ({gone} of them forgotten)" if gone else ""
        self.say(f"source   {name}: {number} episode{'s' * (number != 1)}{less}, {form}, robot {dataset.robot}, {how}")
        for note in found.notes.get(name, ()):
            self.say(f"         {note}")
        for note in dataset.notes[:SHOWN]:
            self.say(f"         {note}")
        if len(dataset.notes) > SHOWN:
            self.say(f"         and {len(dataset.notes) - SHOWN} other notes on its metadata")
        if dataset.lost_entries:
            self.say(f"         {len(dataset.lost_entries)} entries of its list of episodes cannot be read: quarantine")
        for finding in found.findings.get(name, ()):
            self.say(f"         {finding}")

    def labels_for_nobody(self, labels: Mapping[str, Sequence[Label]], found: Survey) -> None:
        """Say which labels are for episodes that are not there: they are kept in their file, and used by no one."""
        lost = sorted(labels.keys() - set(found.episodes["episode_id"])) if labels else []
        if lost:
            number = sum(len(labels[episode]) for episode in lost)
            self.say(f"labels: {number} spans of {len(lost)} episodes that no source has, such as {lost[0]}")
