"""SteadyInfos: infos with the same keys at every step, which TorchRL needs (and BenchMARL, which builds on it).

Our environments tell the global agent more at the end of an episode than at its start, and nothing to local agents.
TorchRL allocates what infos hold once, from those of the first reset. Here `infos["global_0"]` holds the numbers asked
for at every reset and step, NaN while there is nothing to tell, and all other infos are empty.

>>> from kofn.envs.warehouse_dispatch import parallel_env
>>> env = SteadyInfos(parallel_env(n_agents=3))
>>> env.reset(seed=0)[1]["global_0"]["team_return"]
nan
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pettingzoo import ParallelEnv
from pettingzoo.utils.wrappers import BaseParallelWrapper

from kofn.envs.limit import Limit
from kofn.envs.observations import Observation
from kofn.envs.parallel import GLOBAL_AGENT, Info

NUMBERS = ("reward_global", "reward_local_mean", "team_return", "team_discounted_return")


class SteadyInfos(BaseParallelWrapper[str, Observation, int]):
    """Limits `infos` to some numbers for the global agent; everything else passes through.

    Args:
        env: a parallel environment of ours, possibly wrapped.
        numbers: the entries of `infos["global_0"]` to be told at every step.
    """

    k = Limit(given=False)

    def __init__(self, env: ParallelEnv[str, Observation, int], numbers: Sequence[str] = NUMBERS) -> None:
        super().__init__(env)
        self.numbers = tuple(numbers)

    def reset(
        self, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, Info]]:
        """As the environment's, with steady infos."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return observations, self._steady(infos)

    def step(
        self, actions: Mapping[str, int]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Info]]:
        """As the environment's, with steady infos."""
        observations, rewards, terminations, truncations, infos = self.env.step(dict(actions))
        return observations, rewards, terminations, truncations, self._steady(infos)

    def _steady(self, infos: Mapping[str, Info]) -> dict[str, Info]:
        told: dict[str, Info] = {agent: {} for agent in infos}
        told[GLOBAL_AGENT] = {name: float(infos[GLOBAL_AGENT].get(name, math.nan)) for name in self.numbers}
        return told
