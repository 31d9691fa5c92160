"""Keeping what Stable-Baselines3 and PyTorch do to the process to themselves, and stopping where they diverge."""

import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np


@contextmanager
def private_randomness() -> Iterator[None]:
    """Restore the global generators of Python, numpy and PyTorch, which Stable-Baselines3 seeds, and the threads.

    PyTorch is held to one thread meanwhile: these networks are too small to gain from more.
    """
    import torch  # noqa: PLC0415  # an optional library

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002  # what is to be restored
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
        torch.set_num_threads(n_threads)


def integer_seed(seed: np.random.SeedSequence) -> int:
    """A seed that these libraries take, below 2^31."""
    return int(seed.generate_state(1)[0] >> 1)


def check_finite(model: Any) -> None:
    """Stop a model of Stable-Baselines3 whose weights or losses are not finite.

    Raises:
        ValueError: names the algorithm, the update and the first such weight or loss.
    """
    import torch  # noqa: PLC0415  # an optional library

    said = f"{type(model).__name__} diverged by update {model._n_updates}"  # the only name it has
    advice = "lower its learning_rate, or scale the rewards"
    for name, values in model.policy.named_parameters():
        if not bool(torch.isfinite(values).all()):
            raise ValueError(f"{said}: weights {name} are not finite; {advice}")
    for name, value in model.logger.name_to_value.items():
        if "loss" in name and not np.isfinite(value):
            raise ValueError(f"{said}: {name} is {value}; {advice}")


@contextmanager
def naming_divergence(model: Any) -> Iterator[None]:
    """Check a model after its training, and where PyTorch refused what diverged, say that instead."""
    try:
        yield
    except ValueError:
        check_finite(model)
        raise
    check_finite(model)


def finite_updates() -> Any:
    """A callback that checks the model before every collection of samples."""
    return _finite_updates_class()()


@cache
def _finite_updates_class() -> Callable[[], Any]:
    from stable_baselines3.common.callbacks import BaseCallback  # noqa: PLC0415  # an optional library

    def on_rollout_start(self: Any) -> None:
        check_finite(self.model)

    def on_step(self: Any) -> bool:  # noqa: ARG001  # a callback's signature
        return True

    return type("FiniteUpdates", (BaseCallback,), {"_on_rollout_start": on_rollout_start, "_on_step": on_step})


def save_zip(model: Any, folder: str | Path, player: str) -> None:
    """Keep a model in Stable-Baselines3's own format, with a warning of what that is."""
    path = Path(folder) / f"{player}.zip"
    warnings.warn(
        f"{path} is Stable-Baselines3's own format, which holds pickled objects: loading such a file runs code, "
        "so load none from elsewhere. kofn never reads it",
        UserWarning,
        stacklevel=3,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
