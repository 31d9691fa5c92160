"""Compilation of loops over tables, the machine code kept on disk where there is room for it.

It is kept in the user's cache folder (or in NUMBA_CACHE_DIR). Beside the source, where numba would put it, it would
stay behind when the package is uninstalled, and the folder left over would hide the package installed next.

Numba decides by a function's own file whether what it kept on disk is still up to date, and would not notice a change
in another file whose functions are compiled into it. So the folder is named after the contents of all these files.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from numba import config, njit
from numba.core.options import DefaultOptions

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


def compiled(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """`function` as machine code, compiled when it is first called; x / 0 is inf or nan there, as in numpy."""
    return _compile(function, nogil=True)


def compiled_inner(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """As `compiled`, for functions that compiled ones call often and that make no array and return none.

    Whoever calls them holds the arrays, so they count no references, which takes longer than a short function itself.
    """
    return _compile(function, nogil=True, **_known(_nrt=False))


def compiled_in_place(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """As `compiled_inner`, copied into its caller: handing over eight arrays takes as long as drawing twenty agents."""
    return _compile(function, nogil=True, **_known(_nrt=False, forceinline=True))


def compiled_for_threads(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """As `compiled`; a product and a sum may be rounded as one."""
    return _compile(function, nogil=True, fastmath={"contract"})


def _known(**switches: bool) -> dict[str, bool]:
    """Numba's switches, not all with a public name, that it has: where one is missing, loops take longer."""
    return {name: value for name, value in switches.items() if hasattr(DefaultOptions, name)}


def _compile(function: Callable[Arguments, Returned], **options: Any) -> Callable[Arguments, Returned]:
    options["error_model"] = "numpy"
    try:
        with _kept_outside_the_package():
            kept: Callable[Arguments, Returned] = njit(cache=True, **options)(function)
    except RuntimeError:  # neither the installed package nor the user's cache folder can be written to
        kept = njit(**options)(function)
    return kept


@contextmanager
def _kept_outside_the_package() -> Iterator[None]:
    """Functions declared meanwhile keep their machine code in the user's cache folder."""
    settings: Any = config  # numba fills this module in as it is imported
    before, root = settings.CACHE_DIR, os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(before) if before else (Path(root) if root else Path.home() / ".cache") / "kofn"
    settings.CACHE_DIR = str(folder / loops_digest(Path(__file__).parents[1]))
    try:
        yield
    finally:
        settings.CACHE_DIR = before


@cache
def loops_digest(package: Path) -> str:
    """Twelve hexadecimal digits that name the contents of a package's files with compiled functions."""
    digest = hashlib.sha256()
    for folder in ("envs", "agents"):
        for path in sorted((package / folder).rglob("*.py")):
            source = path.read_bytes()
            if b"compiled import" in source:
                digest.update(source)
    return digest.hexdigest()[:12]
