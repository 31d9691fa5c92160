"""Games for the tests of GenerativeGame: one of functions without chance, and random tables with lotteries."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from kofn.envs import Game, GenerativeGame, LumpedSimulator, RewardLaw, Streams, TabularGame
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.streams import Seed

RandomGame = Callable[..., TabularGame]


def next_global(rng: np.random.Generator, s_g: IntArray, a_g: IntArray) -> IntArray:
    """s_g' = s_g + a_g mod 3."""
    return (s_g + a_g) % 3


def next_local(rng: np.random.Generator, s_l: IntArray, s_g: IntArray, a_l: IntArray) -> IntArray:
    """Action 0 stays, action 1 goes to s_g."""
    return np.where(a_l == 0, s_l, s_g)


def paid_global(rng: np.random.Generator, s_g: IntArray, a_g: IntArray) -> FloatArray:
    """All different."""
    return np.asarray(10.0 * s_g + a_g)


def paid_local(rng: np.random.Generator, s_l: IntArray, s_g: IntArray, a_l: IntArray) -> FloatArray:
    """All different."""
    return np.asarray(100.0 * s_l + 10.0 * s_g + a_l)


def arguments(**changes: Any) -> dict[str, Any]:
    """Arguments of the game above, some replaced."""
    valid: dict[str, Any] = {
        "n_global_states": 3,
        "n_local_states": 4,
        "n_global_actions": 2,
        "n_local_actions": 5,
        "discount": 0.9,
        "sample_global": next_global,
        "sample_local": next_local,
        "pay_global": paid_global,
        "pay_local": paid_local,
        "global_reward_bounds": (0, 21),
        "local_reward_bounds": (0, 324),
    }
    return valid | changes


def clockwork(**changes: Any) -> GenerativeGame:
    return GenerativeGame(**arguments(**changes))


def started(make: Any, game: Game, n_agents: int, seed: Seed = 0, **options: Any) -> Any:
    simulator = make(game, n_agents, **options)
    simulator.reset(Streams.from_seed(seed))
    return simulator


def tables(random_game: RandomGame, seed: int = 0, **options: Any) -> TabularGame:
    """A random game whose local rewards are a lottery; states and actions of unequal numbers."""
    game = random_game(seed, n_local=3, **options)
    rng = np.random.default_rng(seed)
    law = RewardLaw(rng.integers(0, 4, (3, 2, 2, 2)) / 2, rng.dirichlet(np.ones(2), (3, 2, 2)))
    changes: dict[str, Any] = {"local_reward": None}
    return replace(game, **changes, local_reward_law=law)


def path(simulator: Any, policy: FloatArray) -> list[Any]:
    """States, counts and payments of some steps."""
    found = []
    for _ in range(5):
        crowd = isinstance(simulator, LumpedSimulator)
        acting = policy if crowd else np.ones(simulator.local_states.shape, dtype=np.int64)
        payment = simulator.step(np.zeros(simulator.n_populations, dtype=np.int64), acting)
        counts = simulator.counts if crowd else simulator.counts()
        found.append([simulator.global_states.tolist(), counts.tolist(), payment.team_reward.tolist()])
    return found
