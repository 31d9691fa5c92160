"""TorchRL: an environment in which the sides are the groups "global" and "local".

`to_torchrl` is PettingZoo's wrapper of TorchRL around `SteadyInfos`, with one group per side, so that the local agents'
tensors are stacked [n_agents, ..] and pass through one network. "state" is the environment's `state()`, for centralised
critics. `torchrl_ppo` has MAPPO and IPPO on top.

    from torchrl.envs.utils import check_env_specs
    env = to_torchrl(pettingzoo.make("parallel", "kofn/warehouse_dispatch-v0", n_agents=100, k=10), seed=0)
    check_env_specs(env)

TorchRL copies every agent's observation in a Python loop: a step costs O(n), some tens of microseconds per agent.
"""

import warnings

from pettingzoo import ParallelEnv

from kofn.envs.arrays import integer
from kofn.envs.observations import Observation
from kofn.envs.parallel import GLOBAL_AGENT
from kofn.experiments.integrations.requirements import not_installed
from kofn.experiments.integrations.steady_infos import SteadyInfos

try:
    from torchrl.envs.libs.pettingzoo import PettingZooWrapper
except ImportError:
    raise not_installed("torchrl") from None


def group_map(env: ParallelEnv[str, Observation, int]) -> dict[str, list[str]]:
    """One group per side: "global" holds the global agent, "local" the n local agents."""
    return {"global": [GLOBAL_AGENT], "local": [agent for agent in env.possible_agents if agent != GLOBAL_AGENT]}


def to_torchrl(
    env: ParallelEnv[str, Observation, int], seed: int | None = None, *, return_state: bool = True
) -> PettingZooWrapper:
    """A TorchRL environment with groups "global" and "local"; see the module.

    Args:
        env: a PopulationEnv, possibly wrapped.
        seed: of the first reset; None: fresh entropy. `set_seed` restarts it.
        return_state: whether "state" is there.

    Raises:
        TypeError, ValueError: a seed that is no nonnegative integer.
    """
    seed = integer("seed", seed, 0) if seed is not None else None
    with warnings.catch_warnings():
        # TorchRL warns of every version but 1.24.3; ours are tested with the versions of constraints.txt.
        warnings.filterwarnings("ignore", message="PettingZoo in TorchRL is tested", category=UserWarning)
        return PettingZooWrapper(SteadyInfos(env), return_state=return_state, group_map=group_map(env), seed=seed)
