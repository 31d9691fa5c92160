"""Overwriting whatever an environment returns, for the files test_*copies.py."""

from typing import Any

import numpy as np


def spoil(value: Any) -> None:
    """Overwrite everything inside a returned object, depth first."""
    if isinstance(value, dict):
        for inner in value.values():
            spoil(inner)
        value.clear()
        value["__all__"] = True
    elif isinstance(value, tuple | list):
        for inner in value:
            spoil(inner)
    elif isinstance(value, np.ndarray):
        value.fill(7)
