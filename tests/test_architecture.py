"""The house as ARCHITECTURE.md says it is: dependencies point one way, folders and files stay small."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_FILES, MOST_LINES = 15, 400
ORDER = {  # a package may import those on its own row and above it
    "schemas": 0, "stages": 1, "pipeline.stages": 2, "pipeline.config": 3, "pipeline.signals": 3, "pipeline.corpus": 4,
    "pipeline.labels": 5, "pipeline.reviewed": 5,
    "pipeline.plan": 5, "pipeline.tuning": 6, "pipeline.scoring": 6, "pipeline.captioner": 6,
    "pipeline.release": 6, "pipeline.check": 6, "pipeline.build": 7, "pipeline.report": 7, "pipeline.export": 7,
    "pipeline.explain": 8, "pipeline.find": 8, "pipeline.forget": 8, "pipeline.review": 8,
    "pipeline.cli": 9, "pipeline.__main__": 10,
    "pipeline.recorder": 10,
}  # fmt: skip


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def package_of(module: str) -> str:
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "pipeline" and len(parts) > 1 else parts[0]


def imports(path: Path) -> Iterator[str]:
    """Modules of ours that a file imports, those for types alone left out."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{a.name}" for a in node.names] if node.module == "pipeline" else [node.module]
            yield from (n for n in names if n.split(".")[0] in ("schemas", "stages", "pipeline"))


def test_dependencies_point_one_way():
    for path in (
        p for p in tracked() if p.suffix == ".py" and p.parts[len(ROOT.parts)] in ("schemas", "stages", "pipeline")
    ):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if module == "pipeline":
            continue
        own = ORDER[package_of(module)]
        for imported in imports(path):
            package = package_of(imported)
            assert package == package_of(module) or ORDER[package] < own, f"{module} imports {imported}"


def test_no_stage_imports_ray_and_models_need_a_bare_machine():
    for path in ROOT.glob("stages/**/*.py"):
        assert not any(n.startswith("ray") for n in _names(path)), path
    for path in (*ROOT.glob("stages/models/*.py"), *ROOT.glob("stages/train/model/*.py")):
        found = {n.split(".")[0] for n in _names(path)} & {
            "av",
            "decord",
            "faiss",
            "polars",
            "pyarrow",
            "ray",
            "sklearn",
        }
        assert not found, f"{path}: {found}"


def test_what_key_json_holds_is_read_without_anything_installed():
    words = "import sys, schemas.sample; print(*{'numpy', 'polars', 'pyarrow', 'torch'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.split() == []


def _names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_folders_and_files_are_small():
    files = tracked()
    code = {".py", ".js", ".j2", ".css"}
    for folder in {p.parent for p in files if p.suffix in code}:
        own = [p for p in files if p.parent == folder]
        assert folder == ROOT or len(own) <= MOST_FILES, f"{folder.relative_to(ROOT)}: {len(own)} files"
    for path in (p for p in files if p.suffix in code):
        lines = len(path.read_text().splitlines())
        assert lines <= MOST_LINES, f"{path.relative_to(ROOT)}: {lines} lines"
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) < 250


BASE = {"av", "fsspec", "aiohttp", "numpy", "torch", "webdataset", "stages", "schemas"}  # what trainers install


def test_the_loader_imports_the_base_install_alone():
    """Whatever `stages.load` imports, by way of modules of ours too."""
    seen: set[str] = set()
    waiting = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ROOT.glob("stages/load/*.py")]
    while waiting:
        module = waiting.pop().removesuffix(".__init__")
        path = next(
            (p for p in (ROOT / f"{module.replace('.', '/')}{end}" for end in (".py", "/__init__.py")) if p.is_file()),
            None,
        )
        if module in seen or path is None:
            continue
        seen.add(module)
        for name in _names(path):
            assert name.split(".")[0] in BASE | sys.stdlib_module_names, f"{module} imports {name}"
        waiting += list(imports(path))
        waiting += [".".join(module.split(".")[:n]) for n in range(1, module.count(".") + 1)]
    assert "schemas.plan" in seen
    assert not {name for name in seen if name.startswith("stages.") and not name.startswith("stages.load")}


def test_the_base_install_is_the_loaders():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {re.split(r"[\[><=~]", line)[0] for line in project["dependencies"]}
    assert named | {"aiohttp"} == BASE - {"stages", "schemas"}
