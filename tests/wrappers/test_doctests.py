"""The examples in docstrings run as printed."""

import doctest
import importlib

import pytest

WITH_EXAMPLES = ["kofn.wrappers.subsample", "kofn.wrappers.best_response"]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_docstring_examples(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted >= 3
    assert outcome.failed == 0
