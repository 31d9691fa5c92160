"""Settings of the observation-aware global learner, validated; the command line is generated from them."""

from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

from kofn.agents.observation_channel import Channel
from kofn.envs.arrays import integer, one_of, positive

AwareMethod = Literal["auto", "exact", "rollouts"]


class ObservationAwareOptions(TypedDict, total=False):
    """The fields of `ObservationAwareConfig` as keywords."""

    method: AwareMethod
    surrogate_size: int | None
    channel: Channel | None
    n_rollouts: int
    n_particles: int
    tolerance: float
    max_iterations: int
    n_samples: int
    resolution: int | None


@dataclass(frozen=True, kw_only=True)
class ObservationAwareConfig:
    """Settings of the observation-aware response.

    Args:
        method: exact (policy iteration on the m-agent game), rollouts (in the n-agent game), or auto: exact with m = n
            where the chain of n agents is small, or if surrogate_size is given; otherwise rollouts.
        surrogate_size: m <= n, agents of the game that is solved exactly (omitted: n where its chain is small, else as
            many as make a small chain). m = k without replacement is the paper's game, m = n the deployed one.
        channel: how k agents are seen among m: without_replacement, or multinomial, which stands for n >> m (omitted:
            without_replacement if m = n, otherwise multinomial).
        n_rollouts: rollouts by which a candidate is judged (rollouts).
        n_particles: states (s_g, crowd) at which action values are measured per step (rollouts).
        tolerance: gain at which to stop, as a fraction of r~/(1-gamma).
        max_iterations: accepted steps after which to give up.
        n_samples: draws per row of a game that is only sampled.
        resolution: j, agents to whose histograms the k agents seen are rounded (rollouts; omitted: k where the table
            has at most 50,000 histograms, else as many as that allows).

    Raises:
        TypeError, ValueError: a field out of range.
    """

    method: AwareMethod = "auto"
    surrogate_size: int | None = None
    channel: Channel | None = None
    n_rollouts: int = 2000
    n_particles: int = 2000
    tolerance: float = 2e-4
    max_iterations: int = 20
    n_samples: int = 1000
    resolution: int | None = None

    def __post_init__(self) -> None:
        """Validate, and turn numpy's numbers into Python's."""
        one_of("method", self.method, get_args(AwareMethod))
        if self.channel is not None:
            one_of("channel", self.channel, get_args(Channel))
        if self.surrogate_size is not None:
            object.__setattr__(self, "surrogate_size", integer("surrogate_size", self.surrogate_size, 1))
        for name, least in (("n_rollouts", 2), ("n_particles", 1), ("max_iterations", 1), ("n_samples", 1)):
            object.__setattr__(self, name, integer(name, getattr(self, name), least))
        if self.resolution is not None:
            object.__setattr__(self, "resolution", integer("resolution", self.resolution, 1))
        object.__setattr__(self, "tolerance", positive("tolerance", self.tolerance))
        if self.method == "rollouts" and (self.surrogate_size is not None or self.channel is not None):
            raise ValueError(
                "method='rollouts' plays the n-agent game itself: surrogate_size and channel must be omitted; got "
                f"surrogate_size={self.surrogate_size}, channel={self.channel!r}"
            )
