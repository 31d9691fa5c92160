"""AgileRL: copies of an environment in its own processes, agents grouped by name.

AgileRL's multi-agent algorithms group agents by the prefix of their names, which are ours ("global", "local"): with
IPPO all local agents share one network. `to_agilerl` is its vector environment, `spaces_of` what algorithms ask for:

    env = to_agilerl(num_envs=4, game="warehouse_dispatch", n_agents=10, k=3)
    agent = IPPO(**spaces_of(game="warehouse_dispatch", n_agents=10, k=3), gamma=0.95)

AgileRL needs pettingzoo < 1.27, which has no registry: `pettingzoo.make` does not exist there, and environments are
made by `kofn.wrappers.factory.make_parallel`, as here. Processes send every agent's observation on its own: for n up to
hundreds.
"""

from functools import partial
from typing import Any

from kofn.envs.arrays import integer
from kofn.experiments.integrations.requirements import not_installed
from kofn.experiments.integrations.steady_infos import SteadyInfos
from kofn.wrappers.factory import make_parallel

try:
    from agilerl.vector.pz_async_vec_env import AsyncPettingZooVecEnv
except ImportError:
    raise not_installed("agilerl") from None


def _make(options: dict[str, Any]) -> SteadyInfos:
    """One environment; its infos hold numbers only, which AgileRL's shared memory can carry."""
    return SteadyInfos(make_parallel(**options))


def to_agilerl(num_envs: int, **options: Any) -> AsyncPettingZooVecEnv:
    """AgileRL's vector environment of a registered game.

    Args:
        num_envs: number of copies, each in a process of its own; `reset(seed=s)` gives copy i the seed s + i.
        options: arguments of `kofn.wrappers.factory.make_parallel`: `game`, `n_agents`, `k`, ..
    """
    return AsyncPettingZooVecEnv([partial(_make, options) for _ in range(integer("num_envs", num_envs, 1))])


def spaces_of(**options: Any) -> dict[str, Any]:
    """`observation_spaces`, `action_spaces` and `agent_ids`, as AgileRL's multi-agent algorithms take them."""
    env = make_parallel(**options)
    agents = list(env.possible_agents)
    return {
        "observation_spaces": {agent: env.observation_space(agent) for agent in agents},
        "action_spaces": {agent: env.action_space(agent) for agent in agents},
        "agent_ids": agents,
    }
