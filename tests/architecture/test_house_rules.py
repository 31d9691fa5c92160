"""What can be counted of the house style: lengths, module docstrings, no pickles, no hidden seeds, packages listed.

As in ``test_imports.py`` each rule is a function from source text to findings, and is shown to find what it looks for.
"""

import ast
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("envs", "wrappers", "agents", "experiments")
LIBRARY = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
PICKLERS = {"pickle", "cloudpickle", "dill", "marshal", "shelve"}
SEEDED = {"default_rng", "SeedSequence", "RandomState", "PCG64", "Philox", "MT19937", "SFC64"}


def long_files(source: str) -> list[str]:
    """Files over 300 lines."""
    n_lines = len(source.splitlines())
    return [f"{n_lines} lines, at most {MAX_FILE_LINES}"] if n_lines > MAX_FILE_LINES else []


def function_length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, the docstring not counted."""
    first = node.body[0]
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node, clean=False) is not None:
        length -= (first.end_lineno or first.lineno) - first.lineno + 1
    return length


def long_functions(source: str) -> list[str]:
    """Functions over 40 lines."""
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [
        f"line {node.lineno}: {node.name} has {function_length(node)} lines, at most {MAX_FUNCTION_LINES}"
        for node in functions
        if function_length(node) > MAX_FUNCTION_LINES
    ]


def missing_docstrings(source: str) -> list[str]:
    """Modules that do not say what they are for."""
    return [] if (ast.get_docstring(ast.parse(source)) or "").strip() else ["no module docstring"]


def pickles(source: str) -> list[str]:
    """Pickle, by import or by numpy's ``allow_pickle``: a file that runs code when it is read."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), level=0):
                modules = [module]
            case _:
                modules = []
        found += [f"line {node.lineno}: {name}" for name in modules if name.split(".")[0] in PICKLERS]  # type: ignore[attr-defined] # an import
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            found.append(f"line {node.lineno}: allow_pickle={ast.unparse(node.value)}")
    return found


def calls(source: str) -> Iterator[tuple[str, ast.Call]]:
    """(dotted name, node) of every call."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def is_literal(node: ast.expr) -> bool:
    """A number, or numbers in a list or tuple; None asks for fresh entropy and is not a seed."""
    try:
        return ast.literal_eval(node) is not None
    except ValueError:
        return False


def hidden_seeds(source: str) -> list[str]:
    """Seeds that the caller cannot set: the global generator's, and literal ones."""
    found = []
    for name, node in calls(source):
        seeds = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg in {"seed", "entropy"})]
        literal = name.split(".")[-1] in SEEDED and any(is_literal(seed) for seed in seeds)
        if literal or f".{name}".endswith(".random.seed"):
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


@pytest.mark.parametrize("rule", [long_files, long_functions, missing_docstrings, pickles, hidden_seeds])
def test_library_keeps_the_rule(rule: Callable[[str], list[str]]) -> None:
    found = [
        f"{path.relative_to(ROOT)} {finding}" for path in LIBRARY for finding in rule(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


BODY = "    x = 1\n"


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (long_files, "\n" * 301),
        (long_functions, "def f():\n" + BODY * 40),
        (long_functions, "class A:\n    async def f(self):\n" + ("    " + BODY) * 40),
        (missing_docstrings, ""),
        (missing_docstrings, "import json\n'''late'''"),
        (pickles, "import pickle"),
        (pickles, "def f():\n    from pickle import load"),
        (pickles, "np.load(path, allow_pickle=True)"),
        (hidden_seeds, "np.random.seed(3)"),
        (hidden_seeds, "random.seed(seed)"),
        (hidden_seeds, "rng = np.random.default_rng(0)"),
        (hidden_seeds, "rng = default_rng(seed=12)"),
        (hidden_seeds, "SeedSequence([1, 2])"),
    ],
)
def test_a_breach_is_found(rule: Callable[[str], list[str]], source: str) -> None:
    assert rule(source)


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (long_files, "\n" * 300),
        (long_functions, "def f():\n" + BODY * 39),
        (long_functions, "def f():\n    '''\n" + "    one line\n" * 50 + "    '''\n" + BODY * 39),
        (missing_docstrings, "'''What it is for.'''"),
        (pickles, "np.load(path, allow_pickle=False)"),
        (hidden_seeds, "np.random.default_rng(seed)"),
        (hidden_seeds, "np.random.default_rng()"),
        (hidden_seeds, "np.random.default_rng(None)"),
        (hidden_seeds, "'''>>> np.random.default_rng(0)'''"),
    ],
)
def test_no_breach_is_found_where_there_is_none(rule: Callable[[str], list[str]], source: str) -> None:
    assert not rule(source)


def listed_packages() -> list[str]:
    """The packages that pyproject.toml puts into the wheel."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages: list[str] = project["tool"]["setuptools"]["packages"]
    return packages


def test_every_folder_with_code_is_a_listed_package() -> None:
    folders = {path.parent.relative_to(ROOT).parts for path in LIBRARY}
    assert sorted(listed_packages()) == sorted(".".join(("kofn", *parts)) for parts in folders)


def test_every_listed_package_exists() -> None:
    folders = [ROOT.joinpath(*name.split(".")[1:]) for name in listed_packages()]
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


def test_every_top_level_package_is_marked_as_typed() -> None:
    assert not [package for package in PACKAGES if not (ROOT / package / "py.typed").is_file()]


def test_the_root_is_a_namespace() -> None:
    assert not (ROOT / "kofn").exists()
    assert not (ROOT / "__init__.py").exists()
