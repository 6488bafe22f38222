"""Which Python the packages of other projects run on, and what is said where there is none."""

import stat
import sys

import pytest

from tests.exports import environments
from tests.exports.environments import NoPython, interpreter


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine with nothing on the PATH and no version manager."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for variable in environments.MANAGED:
        monkeypatch.setenv(variable, str(tmp_path / variable))
    (tmp_path / "bin").mkdir()
    return tmp_path


def script(path, code: str):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{code}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_none(bare):
    with pytest.raises(NoPython, match=r"needs Python 3\.12 or 3\.13, and none starts here"):
        interpreter()


def test_a_stub_that_does_not_start_is_none_and_another_s_is_found(bare):
    script(bare / "bin/python3.12", "raise SystemExit(127)")
    (bare / "bin/python3.13").mkdir()
    managed = script(bare / "PYENV_ROOT/versions/3.13.1/bin/python", "raise SystemExit(0)")
    assert interpreter() == str(managed)


def test_3_12_comes_first(bare):
    script(bare / "bin/python3.13", "raise SystemExit(0)")
    older = script(bare / "UV_PYTHON_INSTALL_DIR/cpython-3.12.8-linux/bin/python", "raise SystemExit(0)")
    assert interpreter() == str(older)
