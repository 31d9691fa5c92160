"""Keeping what Stable-Baselines3 and PyTorch do to the process to themselves."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

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
