"""LeRobot v2.0, v2.1 and v3.0; formats after https://huggingface.co/docs/lerobot (v2: one file an episode; v3: several
episodes a file, placed by meta/episodes)."""

from __future__ import annotations

from stages import storage
from stages.sources.protocol import Dataset, Episodes


class LeRobot:
    """The format, as `stages.sources.protocol.Format` has it."""

    expects = "a folder with meta/info.json (LeRobot v2.0, v2.1, v3.0)"

    def is_dataset(self, uri: str) -> bool:
        return storage.exists(storage.join(uri, "meta/info.json"))

    def load(self, name: str, uri: str, follow: bool) -> tuple[Dataset, Episodes]:
        from stages.sources.lerobot.dataset import load

        return load(name, uri, follow)
