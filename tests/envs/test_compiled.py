"""Compilation works where nothing can be written to."""

from collections.abc import Callable
from typing import Any

import numba
import pytest

from kofn.envs import compiled as module


def twice(x: int) -> int:
    return 2 * x


def test_compiled_code_computes_the_same() -> None:
    assert module.compiled(twice)(21) == 42


def test_without_a_place_for_it_code_is_compiled_for_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def njit(*, cache: bool = False, error_model: str) -> Callable[..., Any]:
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function 'twice': no locator available")
        return numba.njit(error_model=error_model)

    monkeypatch.setattr(module, "njit", njit)
    assert module.compiled(twice)(21) == 42
    assert asked == [True, False]
