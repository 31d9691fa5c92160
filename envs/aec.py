"""The AEC form of an environment, in which agents act one after another: PettingZoo's, with a k that stays."""

from typing import cast

from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import parallel_to_aec
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from kofn.envs.limit import Limit
from kofn.envs.observations import Observation


class AecPopulation(OrderEnforcingWrapper[str, Observation, "int | None"]):
    """PettingZoo's guard of the order of calls, which refuses another k."""

    k = Limit(given=False)


def to_aec(env: ParallelEnv[str, Observation, int]) -> AECEnv[str, Observation, int | None]:
    """The environment in the AEC API."""
    guarded = parallel_to_aec(cast("ParallelEnv[str, Observation, int | None]", env))
    return AecPopulation(cast("OrderEnforcingWrapper[str, Observation, int | None]", guarded).env)
