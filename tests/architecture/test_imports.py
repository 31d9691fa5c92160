"""Imports point only leftwards, ``envs <- wrappers <- agents <- experiments``, and heavy libraries load only when used.

Every rule is a function from source text to a list of findings, so that the last tests can show that each one is able
to fail: it is given a few lines that break it.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("envs", "wrappers", "agents", "experiments")  # from left to right
LIBRARY = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
EVERYTHING = LIBRARY + [
    path for folder in ("tests", "examples", "benchmarks", "docs") for path in sorted((ROOT / folder).rglob("*.py"))
]
OPTIONAL = {
    *("torch", "stable_baselines3", "sb3_contrib", "safetensors", "tensorboard"),  # deep
    *("sklearn", "dask", "distributed", "pygame", "torchrl", "tensordict"),  # federated, cluster, render, torchrl
}


def imported_modules(node: ast.stmt, module: str, is_package: bool) -> list[str]:
    """Absolute names of what an import statement of ``module`` names; ``from a import b`` counts as ``a.b``."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = [node.module] if node.module else []
    if node.level:
        parents = module.split(".")
        base = parents[: len(parents) - node.level + is_package] + base
    return [".".join([*base, alias.name]) for alias in node.names]


def module_name(path: Path) -> str:
    """``envs/game.py`` is ``kofn.envs.game``; a package's ``__init__.py`` is the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("kofn", *(parts[:-1] if parts[-1] == "__init__" else parts)))


def all_imports(source: str, module: str, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """(line, absolute name) of every import, those inside functions included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in imported_modules(node, module, is_package):
                yield node.lineno, name


def eager_imports(body: list[ast.stmt]) -> Iterator[tuple[int, str]]:
    """(line, name) of the absolute imports that run when the module is loaded: not in functions, not for types only."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from eager_imports(node.orelse)
            continue
        for name in [] if isinstance(node, ast.ImportFrom) and node.level else imported_modules(node, "", False):
            yield node.lineno, name
        for child in ast.iter_child_nodes(node):
            inner = [child] if isinstance(child, ast.stmt) else getattr(child, "body", [])
            yield from eager_imports(inner if isinstance(inner, list) else [])


def rightward(source: str, module: str, is_package: bool = False) -> list[str]:
    """Imports of a package to the right of the one that ``module`` is in."""
    own = PACKAGES.index(module.split(".")[1])
    banned = {f"kofn.{package}" for package in PACKAGES[own + 1 :]}
    found = all_imports(source, module, is_package)
    return [f"line {line}: {name}" for line, name in found if ".".join(name.split(".")[:2]) in banned]


def plain(source: str) -> list[str]:
    """Imports of ``envs`` and its like, which exist only while the repository is the working directory."""
    return [f"line {line}: {name}" for line, name in all_imports(source, "a.b.c.d") if name.split(".")[0] in PACKAGES]


def eager_optional(source: str) -> list[str]:
    """Optional libraries that loading the module would load."""
    found = eager_imports(ast.parse(source).body)
    return [f"line {line}: {name}" for line, name in found if name.split(".")[0] in OPTIONAL]


def test_imports_point_leftwards() -> None:
    found = [
        f"{path.relative_to(ROOT)} {finding}"
        for path in LIBRARY
        for finding in rightward(path.read_text(encoding="utf-8"), module_name(path), path.name == "__init__.py")
    ]
    assert not found, "\n".join(found)


def test_nobody_imports_a_source_folder_by_its_own_name() -> None:
    found = [
        f"{path.relative_to(ROOT)} {finding}"
        for path in EVERYTHING
        for finding in plain(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_optional_libraries_are_imported_where_they_are_used() -> None:
    found = [
        f"{path.relative_to(ROOT)} {finding}"
        for path in LIBRARY
        if path.relative_to(ROOT).parts[0] != "experiments"
        for finding in eager_optional(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("package", ["envs", "wrappers", "agents"])
def test_importing_a_package_stays_light(package: str, tmp_path: Path) -> None:
    heavy = sorted(OPTIONAL | {"matplotlib.pyplot"})
    code = f"import sys, kofn.{package}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.mark.parametrize(
    ("source", "is_package"),
    [
        ("import kofn.agents", False),
        ("from kofn import agents", False),
        ("from kofn.experiments.cli import main", False),
        ("def late():\n    from kofn.agents.bounds import bound", False),
        ("from ..agents import bounds", False),
        ("from ..agents import bounds", True),
        ("from .. import agents", False),
    ],
)
def test_a_rightward_import_is_found(source: str, is_package: bool) -> None:
    assert rightward(source, "kofn.wrappers" if is_package else "kofn.wrappers.flatten", is_package)


@pytest.mark.parametrize("source", ["import kofn.envs", "from kofn.wrappers import flatten", "from . import flatten"])
def test_a_leftward_import_is_allowed(source: str) -> None:
    assert not rightward(source, "kofn.wrappers.subsample")


@pytest.mark.parametrize("source", ["import envs", "from agents.bounds import bound", "def f():\n    import wrappers"])
def test_a_plain_import_is_found(source: str) -> None:
    assert plain(source)


@pytest.mark.parametrize(
    "source",
    [
        "import torch",
        "from stable_baselines3.common import policies",
        "try:\n    import pygame\nexcept ImportError:\n    pygame = None",
        "try:\n    import json\nexcept ImportError:\n    import sklearn",
        "class A:\n    import dask",
        "if TYPE_CHECKING:\n    import json\nelse:\n    import torch",
    ],
)
def test_an_eager_optional_import_is_found(source: str) -> None:
    assert eager_optional(source)


@pytest.mark.parametrize(
    "source", ["def f():\n    import torch", "if TYPE_CHECKING:\n    import torch", "from .torch import tensor"]
)
def test_a_lazy_optional_import_is_allowed(source: str) -> None:
    assert not eager_optional(source)
