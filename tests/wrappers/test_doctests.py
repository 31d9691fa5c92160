"""The examples in docstrings run as printed."""

import doctest
import importlib

import pytest

MODULES = ["subsample", "samplers", "sampler_files", "best_response", "replica_chain", "histogram_chain", "flatten"]
WITH_EXAMPLES = [f"kofn.wrappers.{name}" for name in MODULES]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_docstring_examples(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted >= 3
    assert outcome.failed == 0
