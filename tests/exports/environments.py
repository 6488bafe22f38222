"""Environments for packages that this project's own cannot hold: which Python they run on, and what is in them.

In: the folder for them. Out: {name: its interpreter}, and that of the base install. lerobot 0.6 wants Python 3.12; both
want another torch than the lock. Made once, by pip; made anew where the pins have changed.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NAMES = ("lerobot", "energon")
MINORS = (12, 13)  # of Python 3: the pins were chosen on the first
MANAGED = {  # where version managers keep interpreters: their folder, and where in it
    "PYENV_ROOT": ("~/.pyenv", "versions/3.{minor}*/bin/python"),
    "ASDF_DATA_DIR": ("~/.asdf", "installs/python/3.{minor}*/bin/python"),
    "UV_PYTHON_INSTALL_DIR": ("~/.local/share/uv/python", "cpython-3.{minor}*/bin/python"),
}


class NoPython(RuntimeError):
    """No interpreter that these packages run on."""


def interpreter() -> str:
    """A Python that starts and is new enough: what lies on the PATH may be a version manager's stub, so what those have
    installed is looked at too. Raises NoPython."""
    for minor in MINORS:
        for candidate in _candidates(minor):
            ask = f"import sys, venv; sys.exit(sys.version_info[:2] != (3, {minor}))"
            try:
                if subprocess.run([candidate, "-c", ask], capture_output=True, check=False).returncode == 0:
                    return candidate
            except OSError:
                continue
    versions = " or ".join(f"3.{minor}" for minor in MINORS)
    raise NoPython(
        f"lerobot 0.6 needs Python {versions}, and none starts here: not as python3.x on the PATH, nor one of pyenv, "
        f"asdf or uv. Install one, or put it on the PATH."
    )


def _candidates(minor: int) -> Iterator[str]:
    found = shutil.which(f"python3.{minor}")
    if found:
        yield found
    for variable, (folder, pattern) in MANAGED.items():
        root = os.path.expanduser(os.environ.get(variable) or folder)
        yield from sorted(glob.glob(os.path.join(root, pattern.format(minor=minor))), reverse=True)


def environments(folder: Path) -> dict[str, Path]:
    """Make what is missing in `folder`; what pip says is kept beside, and shown where it fails."""
    made = {}
    for name in NAMES:
        root, pins = folder / f"exports-{name}", (HERE / f"requirements-{name}.txt").read_text()
        done, python = root / "installed.txt", root / "bin/python"
        if not (done.is_file() and done.read_text() == pins):
            print(
                f"Installing {name} into {root}, once: some minutes, 5.5 GB with the CUDA build of torch",
                flush=True,
            )
            shutil.rmtree(root, ignore_errors=True)
            subprocess.run([interpreter(), "-m", "venv", str(root)], check=True)
            _pip(root, python, "-r", str(HERE / f"requirements-{name}.txt"))
            done.write_text(pins)
        made[name] = python
    return made


def base(folder: Path) -> Path:
    """The interpreter of an environment that has this project's base install, as a wheel of today, and torchdata."""
    root, pins = folder / "exports-base", (ROOT / "requirements.lock").read_text()
    done, python = root / "installed.txt", root / "bin/python"
    if not (done.is_file() and done.read_text() == pins):
        print(
            f"Installing the base install into {root}, once: a minute, 1 or 5 GB (torch's CPU or CUDA build)",
            flush=True,
        )
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(root)], check=True)
        _pip(root, python, "-c", str(ROOT / "requirements.lock"), str(ROOT), "torchdata==0.11.0")
        done.write_text(pins)
    _pip(root, python, "--no-deps", "--force-reinstall", str(ROOT))
    return python


def _pip(root: Path, python: Path, *wanted: str) -> None:
    """Raises SystemExit with what pip said last."""
    log = root / "install.log"
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
        *wanted,
    ]
    with open(log, "w") as file:
        failed = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    if failed:
        raise SystemExit(f"{log.read_text()[-3000:]}\npip could not install {wanted[-1]}: {log}")
