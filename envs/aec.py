"""The AEC form of an environment, in which agents act one after another.

PettingZoo's own conversion, with two guards: k stays, and an action is refused when its agent plays it rather than
when the last agent's turn comes.
"""

from typing import cast

from gymnasium.spaces import Discrete
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import parallel_to_aec
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from kofn.envs.arrays import integer
from kofn.envs.limit import Limit
from kofn.envs.observations import Observation


class AecPopulation(OrderEnforcingWrapper[str, Observation, "int | None"]):
    """PettingZoo's guard of the order of calls, with those of the module."""

    k = Limit(given=False)

    def step(self, action: int | None) -> None:
        """Play the selected agent's action; None once its episode is over.

        Raises:
            TypeError, ValueError: no integer, out of range, or an action after the end.
        """
        if self._has_reset and self.agents:
            agent = self.agent_selection
            if not (self.terminations[agent] or self.truncations[agent]):
                last = int(cast("Discrete", self.action_space(agent)).n) - 1
                integer(f"the action of {agent!r}", cast("int", action), 0, last)
            elif action is not None:
                raise ValueError(f"the episode is over for {agent!r}: step(None) takes it out, reset() starts the next")
        super().step(action)


def to_aec(env: ParallelEnv[str, Observation, int]) -> AECEnv[str, Observation, int | None]:
    """The environment in the AEC API."""
    guarded = parallel_to_aec(cast("ParallelEnv[str, Observation, int | None]", env))
    return AecPopulation(cast("OrderEnforcingWrapper[str, Observation, int | None]", guarded).env)
