"""Compilation works where nothing can be written to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import pytest

from kofn.envs import compiled as module


def twice(x: int) -> int:
    return 2 * x


def test_compiled_code_computes_the_same() -> None:
    assert module.compiled(twice)(21) == 42


@pytest.mark.parametrize(
    ("make", "switches"),
    [(module.compiled_inner, {"_nrt"}), (module.compiled_in_place, {"_nrt", "forceinline"})],
)
def test_functions_of_compiled_ones_need_none_of_the_switches_they_ask_for(
    make: Callable[..., Any], switches: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def njit(**options: Any) -> Callable[..., Any]:
        asked.append({"_nrt", "forceinline"} & set(options))
        return numba.njit(**options)

    monkeypatch.setattr(module, "njit", njit)
    assert make(twice)(21) == 42
    monkeypatch.setattr(module, "DefaultOptions", object)
    assert make(twice)(21) == 42
    assert asked == [switches, set()]


def test_without_a_place_for_it_code_is_compiled_for_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def njit(*, cache: bool = False, **options: Any) -> Callable[..., Any]:
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function 'twice': no locator available")
        return numba.njit(**options)

    monkeypatch.setattr(module, "njit", njit)
    assert module.compiled(twice)(21) == 42
    assert asked == [True, False]


def test_machine_code_is_not_kept_in_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """There it would stay behind when the package is uninstalled, and hide the next installation."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    function: Any = module.compiled(twice)
    assert function(21) == 42
    assert Path(function.stats.cache_path).is_relative_to(tmp_path / "kofn")
    assert list((tmp_path / "kofn").rglob("*twice*.nbi"))
    assert not numba.config.CACHE_DIR


def test_the_folder_is_named_after_all_files_with_compiled_functions(tmp_path: Path) -> None:
    """A function compiled into another file's is not that file's: an old result must not survive its change."""
    for name, text in {
        "envs/loop.py": "from kofn.envs.compiled import compiled",
        "agents/part/inner.py": "from kofn.envs.compiled import compiled_inner",
        "envs/other.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    digest = module.loops_digest.__wrapped__
    before = digest(tmp_path)
    (tmp_path / "envs/other.py").write_text("# nothing compiled here")
    assert digest(tmp_path) == before
    (tmp_path / "agents/part/inner.py").write_text("from kofn.envs.compiled import compiled_inner  # changed")
    assert digest(tmp_path) != before
