"""Tianshou: each side's own view as a Gymnasium environment, or all agents one after another.

The way to learn is one side at a time: Tianshou takes `kofn/GlobalBestResponse-v0` and `kofn/LocalBestResponse-v0` as
they are; `view_envs` makes a vector of them with seeds of their own.

    train = view_envs(4, seed=0, view="GlobalBestResponse", game="warehouse_dispatch", n_agents=1000, k=10)
    collector = Collector(algorithm, train, VectorReplayBuffer(20_000, 4))

`to_tianshou` is Tianshou's own multi-agent form (AEC, homogenized). Its limits, which are Tianshou's (2.0): one agent
acts per step, so that a step of the game costs n+1 of Tianshou's; and a transition ends at the NEXT AGENT's
observation, with the reward of that moment, which is 0 but for the last agent. Bootstrapped targets therefore mix the
agents up: use it to play and to compare, not to learn from one-step targets.
"""

from typing import Any

import gymnasium
import numpy as np
from pettingzoo import ParallelEnv

from kofn.envs.aec import to_aec
from kofn.envs.arrays import integer
from kofn.envs.observations import Observation
from kofn.envs.streams import Seed, seed_sequence
from kofn.experiments.integrations.requirements import not_installed
from kofn.wrappers import homogenize

try:
    from tianshou.env import DummyVectorEnv, PettingZooEnv
except ImportError:
    raise not_installed("tianshou") from None


def view_envs(num_envs: int, seed: Seed = None, *, view: str = "GlobalBestResponse", **options: Any) -> DummyVectorEnv:
    """A Tianshou vector environment of single-agent views, each seeded on its own.

    Args:
        num_envs: number of environments.
        seed: source of their seeds; None: fresh entropy.
        view: "GlobalBestResponse", "LocalBestResponse" or another view of `kofn.envs.registration.VIEWS`.
        options: arguments of the view: `game`, `n_agents`, `k`, `local_policy`, ..
    """
    identity = f"kofn.envs:kofn/{view}-v0"
    num_envs = integer("num_envs", num_envs, 1)
    envs = DummyVectorEnv([lambda: gymnasium.make(identity, **options) for _ in range(num_envs)])
    envs.seed([int(number) for number in seed_sequence(seed).generate_state(num_envs, np.uint64)])
    return envs


def to_tianshou(env: ParallelEnv[str, Observation, int]) -> PettingZooEnv:
    """All agents one after another in Tianshou's form; see the module for its limits."""
    return PettingZooEnv(to_aec(homogenize(env)))
