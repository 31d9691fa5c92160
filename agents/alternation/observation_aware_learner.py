"""The observation-aware response as the driver's global learner, and the settings of its twin for the fleet."""

from dataclasses import asdict, dataclass, replace

from kofn.agents.alternation.learners import LLearner, Problem
from kofn.agents.global_response.observation_aware.coarse_policy import CoarseGlobalPolicy
from kofn.agents.global_response.observation_aware.config import ObservationAwareConfig
from kofn.agents.global_response.observation_aware.learner import ObservationAwareResult, observation_aware, small_size
from kofn.agents.observation_channel import Channel
from kofn.envs.model import Sizes

FLEET_TOLERANCE = 1e-4
"""First-order gap at which the fleet's climb stops, as a fraction of r~/(1-gamma): below what UPDATE accepts."""


FLEET_STEPS = 10
"""Accepted steps of the fleet's climb in one proposal: it goes on from there in the next, if UPDATE accepts."""


@dataclass(frozen=True, kw_only=True)
class ObservationAware(ObservationAwareConfig):
    """The observation-aware response as the driver's global learner; settings as in `ObservationAwareConfig`."""

    def __call__(self, problem: Problem) -> ObservationAwareResult:
        """The best response found to the current fleet.

        By its own judgement it is not below the current dispatcher, which by rollouts counts with its most likely
        actions (`observation_aware`).
        """
        response = observation_aware(
            problem.game,
            problem.local_policy,
            n_agents=problem.n_agents,
            k=problem.k,
            start=problem.global_policy,
            seed=problem.seed,
            **asdict(self),
        )
        coarse = isinstance(response.policy, CoarseGlobalPolicy)
        return replace(response, policy=response.policy.as_table()) if coarse else response


def aware_fleet(game: Sizes, n_agents: int) -> LLearner:
    """L-LEARN by shared_cpi on as many agents as make a small chain: all n, or a crowd that stands for them."""
    size = small_size(game, n_agents)
    channel: Channel = "without_replacement" if size == n_agents else "multinomial"
    return LLearner(
        method="shared_cpi", n_agents=size, channel=channel, tolerance=FLEET_TOLERANCE, max_iterations=FLEET_STEPS
    )
