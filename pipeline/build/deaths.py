"""Why a worker died, in one line, from what it left behind.

In: the error that Ray gives for its task, and the session's log folder. Out: words such as `SIGSEGV in torch
(torch/nn/modules/conv.py, line 560), called from stages/embed/image.py, line 47`. A process that crashes leaves the
name of its signal and its Python stack in its own log (Ray turns faulthandler on); one that is killed leaves nothing,
and a worker on another node leaves it there: then Ray's own account counts.
"""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path

SIGNAL = re.compile(r"\*\*\* (SIG[A-Z]+) received|Fatal Python error: ([^\n]+)")
FRAME = re.compile(r'File "([^"]+)", line (\d+)')
PACKAGES = re.compile(r".*/(?:site|dist)-packages/")
OURS = re.compile(r".*/((?:pipeline|stages|schemas)/.*)")
TAIL = 200_000  # bytes of a log that are read: a stack and what was said before it


class LastWords:
    """Reads what workers that die from now on write, each once."""

    def __init__(self, folder: Path | None) -> None:
        """folder: the session's logs on this machine; None where there is none."""
        self.folder = folder
        self._read = {log: log.stat().st_size for log in self._logs()}

    def of(self, error: Exception) -> tuple[str, str]:
        """(one line: why the latest worker died, all that is known of it)."""
        for log in sorted(self._logs(), key=lambda p: p.stat().st_mtime, reverse=True):
            text = _tail(log, self._read.get(log, 0))
            words = told_by(text)
            if words:
                self._read[log] = log.stat().st_size
                return words, f"{log}\n{text}"
        return _by_ray(error), str(error)

    def _logs(self) -> list[Path]:
        return [] if self.folder is None else list(self.folder.glob("worker-*.err"))


def told_by(text: str) -> str | None:
    """The signal that ended a process and where it was, from its standard error; None where it says nothing of it."""
    signals = SIGNAL.findall(text)
    if not signals:
        return None
    names: list[str] = [name or words for name, words in signals]
    signal = next((n for n in names if n.startswith("SIG")), names[0])
    stack = FRAME.findall(text[text.rfind("most recent call first") :]) if "most recent call first" in text else []
    paths = sysconfig.get_paths()
    place, ours = "", ""
    for path, line in stack:
        inside = OURS.fullmatch(path)
        if PACKAGES.match(path):
            name = PACKAGES.sub("", path)
            place = place or f" in {name.split('/')[0]} ({name}, line {line})"
        elif path.startswith(paths["stdlib"]):
            continue
        elif inside:
            ours = f"{inside[1]}, line {line}"
            break
    if not ours:
        return signal + place
    return f"{signal}{place}, called from {ours}" if place else f"{signal} in {ours}"


def _by_ray(error: Exception) -> str:
    words = " ".join(str(error).split())
    if "memory" in words.lower() and "threshold" in words.lower():
        return f"out of memory: {words[:300]}"
    return "it was killed, or ended without a word (out of memory?)"


def _tail(path: Path, start: int) -> str:
    """What a log holds from a place on, TAIL bytes of it at most."""
    try:
        with path.open("rb") as file:
            file.seek(max(start, path.stat().st_size - TAIL))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
