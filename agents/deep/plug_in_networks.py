r"""What anybody's single-agent learner returned on a continuous game, as the network that the alternation plays.

A network of Stable-Baselines3's actor-critic algorithms with tanh between its layers (their default) is taken over
weight by weight. Any other policy, an object with `predict` or `act` or a function of the observation, is imitated
(`kofn.agents.deep.clone`): its actions are labels, in episodes that it plays as the global agent, or at places between
the bounds. UPDATE judges the network, so that whatever imitation loses counts.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kofn.agents.deep.clone import CLONING, clone_global, clone_local
from kofn.agents.deep.networks import layers_of
from kofn.agents.line_evaluation import acting_policy
from kofn.envs.arrays import IntArray
from kofn.envs.continuous import ContinuousGame
from kofn.envs.continuous_observations import ContinuousGlobalEncoding, ContinuousLocalEncoding
from kofn.envs.line_policies import Layers, MlpGlobalPolicy, MlpLocalPolicy
from kofn.envs.normals import Float32Array
from kofn.envs.streams import child
from kofn.wrappers.continuous_best_response import ContinuousGlobalBestResponse, ContinuousLocalBestResponse
from kofn.wrappers.continuous_vector import Deviation, RewardNotion, cell_of

if TYPE_CHECKING:
    from kofn.agents.alternation.learners import Problem

IMITATION_STREAM = 1
MAX_IMITATED_AGENTS = 200
"""Agents of the populations in which a global policy is imitated, or k."""

IMITATION = CLONING

N_SITUATIONS = 20_000
"""Places at which a local policy is imitated."""


def continuous_view(
    problem: "Problem", deviation: Deviation, reward: RewardNotion
) -> ContinuousGlobalBestResponse | ContinuousLocalBestResponse:
    """The player's problem; the other side takes its most likely actions, as UPDATE judges."""
    sizes: dict[str, Any] = {"n_agents": problem.n_agents, "k": problem.k, "max_cycles": problem.max_cycles}
    crew = acting_policy(problem.local_policy, problem.game)
    if problem.player == "global":
        return ContinuousGlobalBestResponse(problem.game, local_policy=crew, **sizes)
    notion: dict[str, Any] = {"deviation": deviation, "reward": reward}
    return ContinuousLocalBestResponse(
        problem.game, global_policy=problem.global_policy, local_policy=crew, **notion, **sizes
    )


def as_network(found: Any, problem: "Problem", deviation: Deviation) -> MlpGlobalPolicy | MlpLocalPolicy:
    """What a learner returned, as the player's network; TypeError for what is no policy."""
    game, seed = problem.game, child(problem.seed, IMITATION_STREAM)
    if isinstance(found, MlpGlobalPolicy | MlpLocalPolicy):
        return found
    if not (callable(found) or hasattr(found, "predict") or hasattr(found, "act")):
        raise TypeError(f"a policy of a continuous game must be a function or have predict or act; got {found!r}")
    layers = tanh_layers(found)
    if problem.player == "global":
        seen = game.observe_global_state
        if layers is not None:
            return MlpGlobalPolicy(layers=layers, k=problem.k, sees_global_state=seen)
        n_agents = max(problem.k, min(problem.n_agents, MAX_IMITATED_AGENTS))
        options: dict[str, Any] = {
            "sees_global_state": seen,
            "horizon": problem.max_cycles,
            "config": IMITATION,
            "seed": seed,
        }
        beacon = found if hasattr(found, "act") else _Dispatcher(found, game, problem.k)
        return clone_global(beacon, problem.local_policy, game, n_agents, **options)
    if layers is not None and deviation == "tagged":
        return MlpLocalPolicy(layers=layers)
    crew = found if hasattr(found, "act") else _Crew(found, game, deviation)
    return clone_local(crew, game, n_situations=N_SITUATIONS, config=IMITATION, seed=seed)


def tanh_layers(found: Any) -> Layers | None:
    """The layers of an actor-critic policy of Stable-Baselines3 that are tanh networks on raw observations."""
    policy: Any = getattr(found, "policy", None)
    inner, last = (getattr(policy, name, None) for name in ("mlp_extractor", "action_net"))
    hidden = getattr(inner, "policy_net", None)
    if hidden is None or last is None or type(policy.features_extractor).__name__ != "FlattenExtractor":
        return None
    names = [type(part).__name__ for part in (*hidden, last)]
    alternate = names[:-1:2] == ["Linear"] * len(names[:-1:2]) and names[1::2] == ["Tanh"] * len(names[1::2])
    return layers_of(hidden, last) if alternate and names[-1] == "Linear" and len(names) % 2 == 1 else None


def actions_of(found: Any, observations: Any) -> IntArray:
    """Actions at observations [row, ...], asked for all at once where the policy is of Stable-Baselines3's kind."""
    if hasattr(found, "predict"):
        return np.asarray(found.predict(observations, deterministic=True)[0], dtype=np.int64)
    return np.array([found(observation) for observation in observations], dtype=np.int64)


@dataclass(frozen=True)
class _Dispatcher:
    """What was found, as a global policy: most likely actions."""

    found: Any
    game: ContinuousGame
    k: int

    def act(self, global_states: Float32Array, counts: IntArray, rng: np.random.Generator | None = None) -> IntArray:
        """See `LineGlobalPolicy`."""
        del rng
        game = self.game
        seen = (self.k, "histogram", game.observe_global_state)
        encoding = ContinuousGlobalEncoding(game.global_bounds, game.bin_edges, *seen)  # type: ignore[arg-type]  # a literal
        return actions_of(self.found, encoding.observe_counts(global_states, counts))


@dataclass(frozen=True)
class _Crew:
    """What was found for a tagged agent, or for the fleet with one action per cell, as the policy of all."""

    found: Any
    game: ContinuousGame
    deviation: Deviation

    def act(
        self, local_states: Float32Array, global_states: Float32Array, rng: np.random.Generator | None = None
    ) -> IntArray:
        """See `LineLocalPolicy`; states [agent]."""
        del rng
        if self.deviation == "shared":
            per_cell = actions_of(self.found, np.asarray(global_states, dtype=np.float32)[:, None])
            return np.asarray(per_cell[np.arange(len(per_cell)), cell_of(self.game, local_states)])
        encoding = ContinuousLocalEncoding(self.game.global_bounds, self.game.local_bounds)
        return actions_of(self.found, encoding.encode(local_states, global_states))
