"""Games that several tests play: small random ones, and the warehouse with three zones.

`random_game(seed, ...)` is a factory: `game = random_game(3, n_local=4, discount=0.8)`. In a signature it is
`random_game: Callable[..., TabularGame]`.
"""

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from kofn.envs import TabularGame
from kofn.envs.start_law import StartLaw
from kofn.envs.warehouse_dispatch import game as warehouse

OF_EXTRAS = {
    "torch": ["agents/deep", "experiments/test_train_continuous.py"],
    "stable_baselines3": ["agents/deep", "wrappers/test_sb3_vec_env.py"],
    "safetensors": ["envs/test_line_policies.py"],
}
collect_ignore = [path for name, paths in OF_EXTRAS.items() if importlib.util.find_spec(name) is None for path in paths]
"""Tests that cannot be imported without an extra of kofn."""


@pytest.fixture(scope="session", autouse=True)
def one_thread_per_worker(worker_id: str) -> Iterator[None]:
    """Tests that run side by side (pytest -n) leave each other the cores."""
    alone = worker_id == "master"
    if not alone and importlib.util.find_spec("torch") is not None:  # it makes its threads later
        importlib.import_module("torch").set_num_threads(1)
    with threadpool_limits(None if alone else 1):
        yield


def make_random_game(
    seed: int,
    n_global: int = 2,
    n_local: int = 2,
    n_global_actions: int = 2,
    n_local_actions: int = 2,
    discount: float = 0.9,
    initial_local: StartLaw | None = None,
) -> TabularGame:
    """Rows drawn uniformly from the simplex, rewards uniformly from [0, 1], starts uniform unless told otherwise."""
    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {} if initial_local is None else {"initial_local": initial_local}
    return TabularGame(
        global_transition=rng.dirichlet(np.ones(n_global), (n_global, n_global_actions)),
        local_transition=rng.dirichlet(np.ones(n_local), (n_local, n_global, n_local_actions)),
        global_reward=rng.random((n_global, n_global_actions)),
        local_reward=rng.random((n_local, n_global, n_local_actions)),
        discount=discount,
        **options,
    )


@pytest.fixture(scope="session")
def random_game() -> Callable[..., TabularGame]:
    """Factory of small random games; the same arguments give the same game."""
    return make_random_game


@pytest.fixture(scope="session")
def warehouse3() -> TabularGame:
    """Warehouse dispatch with three zones."""
    return warehouse(n_zones=3)
