"""Settings of L-LEARN, validated; `l_learn` takes them as keywords and the command line is generated from them."""

from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict, get_args

from kofn.agents.global_response.g_learn import OPERATORS, Operator
from kofn.agents.local_response.chain_response import Chain, ChainPlan, Projection, Ucfh
from kofn.agents.local_response.fleet_problem import FleetMethod
from kofn.agents.local_response.local_search import Exhaustive, SharedCoord
from kofn.agents.local_response.mean_field_response import MeanField
from kofn.agents.local_response.shared_policy import SharedCpi
from kofn.agents.local_response.tagged_response import Reward, Tagged
from kofn.agents.observation_channel import Channel
from kofn.envs.arrays import integer, one_of

Method = Literal["shared_cpi", "shared_coord", "exhaustive", "tagged", "mean_field", "chain_plan", "ucfh"]

METHODS: dict[str, type[FleetMethod]] = {
    "shared_cpi": SharedCpi,
    "shared_coord": SharedCoord,
    "exhaustive": Exhaustive,
    "tagged": Tagged,
    "mean_field": MeanField,
    "chain_plan": ChainPlan,
    "ucfh": Ucfh,
}


class LLearnOptions(TypedDict, total=False):
    """The fields of `LLearnConfig` as keywords."""

    method: Method
    n_agents: int | None
    channel: Channel | None
    operator: Operator
    n_samples: int
    tolerance: float | None
    max_iterations: int | None
    n_starts: int | None
    reward: Reward | None
    n_draws: int | None
    chain: Chain | None
    projection: Projection | None
    horizon: int | None
    epsilon: float | None
    max_episodes: int | None
    delta: float | None
    scale_m: float | None
    scale_log: float | None
    support_known: bool | None
    phase_growth: float | None


@dataclass(frozen=True, kw_only=True)
class LLearnConfig:
    """Settings of L-LEARN. An option that is omitted is the method's default; one that it does not have is refused.

    Args:
        method: shared_cpi (first-order, exact), shared_coord (row by row), exhaustive (all maps), tagged (one agent
            alone), mean_field (authors' heuristic), ucfh (the paper's, on the chain), chain_plan (its exact limit).
        n_agents: N, the population planned for (omitted: k, the paper's; not for mean_field).
        channel: how the k agents seen are drawn among the N: without_replacement, or multinomial, with which a small N
            stands for a large population (omitted: without_replacement; multinomial for shared_cpi and shared_coord).
        operator: kernels: exact, monte_carlo, or auto (exact if cheap); the first four methods only.
        n_samples: m, fixed samples per kernel row (monte_carlo), or draws per row of a game that is only sampled.
        tolerance: first-order gap at which to stop, as a fraction of r~/(1-gamma) (shared_cpi: 1e-5).
        max_iterations: accepted steps after which to give up (shared_cpi: 200; shared_coord, tagged: 10000 per start).
        n_starts: random maps to climb from, besides the current policy and stay (shared_coord, tagged: 2).
        reward: team, or own, which is r_g and the agent's own r_l (tagged: team).
        n_draws: histograms drawn per global state (mean_field: 200).
        chain: replica, histogram or tagged_histogram (ucfh, chain_plan: replica).
        projection: visits or occupancy_q (ucfh, chain_plan: visits).
        horizon: H, steps planned ahead (ucfh, chain_plan; omitted: as Lemma C.1 asks for).
        epsilon: error allowed in the plan, in units of value (ucfh, chain_plan; omitted: 1/sqrt k).
        max_episodes: episodes after which to give up (ucfh: 1000).
        delta: failure probability of the confidence sets (ucfh: 0.1).
        scale_m: factor on the paper's m (ucfh: so that counts double from the first visit).
        scale_log: factor on the paper's ln(6/delta_1) (ucfh: 0.1).
        support_known: whether the learner knows which states may follow (ucfh: False).
        phase_growth: share of all episodes before it that a plan is kept for (ucfh: 0, the paper's rule).

    Raises:
        TypeError, ValueError: a field out of range, or one that the method does not use.
    """

    method: Method = "shared_cpi"
    n_agents: int | None = None
    channel: Channel | None = None
    operator: Operator = "auto"
    n_samples: int = 30
    tolerance: float | None = None
    max_iterations: int | None = None
    n_starts: int | None = None
    reward: Reward | None = None
    n_draws: int | None = None
    chain: Chain | None = None
    projection: Projection | None = None
    horizon: int | None = None
    epsilon: float | None = None
    max_episodes: int | None = None
    delta: float | None = None
    scale_m: float | None = None
    scale_log: float | None = None
    support_known: bool | None = None
    phase_growth: float | None = None

    def __post_init__(self) -> None:
        """Validate, and turn numpy's numbers into Python's."""
        one_of("method", self.method, get_args(Method))
        one_of("operator", self.operator, OPERATORS)
        object.__setattr__(self, "n_samples", integer("n_samples", self.n_samples, 1))
        if self.n_agents is not None:
            object.__setattr__(self, "n_agents", integer("n_agents", self.n_agents, 1))
        chosen = self.build()
        if self.channel is not None:
            one_of("channel", self.channel, get_args(Channel))
        self._check_common(chosen)
        for name in self._given():
            object.__setattr__(self, name, getattr(chosen, name))

    def _check_common(self, chosen: FleetMethod) -> None:
        if self.operator != "auto" and not chosen.uses_kernels:
            raise ValueError(f"method={self.method!r} uses no kernels: operator must be 'auto'; got {self.operator!r}")
        if self.n_agents is not None and not chosen.uses_population:
            raise ValueError(f"method={self.method!r} has no population: n_agents must be omitted; got {self.n_agents}")

        if self.channel == "multinomial" and self.method not in ("shared_cpi", "shared_coord"):
            raise ValueError(
                f"channel='multinomial' is for methods shared_cpi and shared_coord; got method={self.method!r}"
            )

    def _given(self) -> dict[str, Any]:
        """The method's options that are not omitted."""
        common = ("method", "n_agents", "channel", "operator", "n_samples")
        values = {field.name: getattr(self, field.name) for field in fields(LLearnConfig) if field.name not in common}
        return {name: value for name, value in values.items() if value is not None}

    def build(self) -> FleetMethod:
        """The method with its options."""
        given, method = self._given(), METHODS[self.method]
        known = [field.name for field in fields(method)]  # type: ignore[arg-type]  # every method is a dataclass
        for name, value in given.items():
            if name not in known:
                raise ValueError(
                    f"{name} is no option of method={self.method!r} (its own are: {', '.join(known) or 'none'}); "
                    f"got {value!r}"
                )
        return method(**given)
