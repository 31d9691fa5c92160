"""The examples in docstrings run as printed."""

import doctest
import importlib

import pytest

MODULES = [
    *("subsample", "samplers", "sampler_files", "replica_chain", "histogram_chain", "flatten"),
    *("best_response", "vector_views", "continuous_best_response", "continuous_vector", "continuous_vector_views"),
]
WITH_EXAMPLES = [f"kofn.wrappers.{name}" for name in MODULES]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_docstring_examples(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted >= 3
    assert outcome.failed == 0
