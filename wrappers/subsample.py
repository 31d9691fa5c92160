"""SubsampleObservation: the global agent sees k of the n local agents.

At each step a set D of k distinct agents is drawn afresh, uniformly (paper, Section 2) or by another sampler (Appendix
H, `kofn.wrappers.samplers`), from a random stream for samples alone, so that k never changes the dynamics' draws.

>>> from kofn.envs.warehouse_dispatch import parallel_env
>>> env = SubsampleObservation(parallel_env(n_agents=50), k=3)
>>> observations, infos = env.reset(seed=0)
>>> observations["global_0"].shape, len(infos["global_0"]["sampled_agents"])
((10,), 3)
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pettingzoo import ParallelEnv
from pettingzoo.utils.wrappers import BaseParallelWrapper

from kofn.envs.arrays import integer
from kofn.envs.limit import Limit
from kofn.envs.observations import Observation, Space, Summary
from kofn.envs.parallel import GLOBAL_AGENT, Info, PopulationEnv
from kofn.envs.streams import Seed
from kofn.wrappers.sampled_population import check_sampler
from kofn.wrappers.samplers import Sampler, as_sampler, draw_agents


class SubsampleObservation(BaseParallelWrapper[str, Observation, int]):
    """Limits `global_0` to k agents; everything else passes through.

    `infos["global_0"]` gains `sampled_agents` (int64 [k], the agents behind the observation returned with it) and,
    after a step, `reward_sampled`: the step's reward, were the agents behind the PREVIOUS observation all there are
    (r_g + the mean of their r_l), the surrogate reward r_D(s_t, a_t) that off-policy learners need.

    Args:
        env: a PopulationEnv, possibly wrapped.
        k: number of agents seen, 1 <= k <= n.
        summary: "histogram" of the k states (of their bins, where states are continuous), or the k "states" in the
            order drawn.
        sampler: who is seen: "uniform", a sampler, or a function (rng, local_states [n, ...], global_state, k) -> k
            different agents.

    Raises:
        TypeError: `env` holds no PopulationEnv, k is no integer, or the sampler no function or name.
        ValueError: k is below 1 or above the number of agents, an unknown summary, a sampler for another number of
            states, or an environment that is limited or homogenized already.
    """

    k = Limit()

    def __init__(
        self,
        env: ParallelEnv[str, Observation, int],
        k: int,
        *,
        summary: Summary = "histogram",
        sampler: Sampler | str = "uniform",
    ) -> None:
        population = env.unwrapped if isinstance(env, ParallelEnv) else env
        if not isinstance(population, PopulationEnv):
            raise TypeError(f"env must be a PopulationEnv, possibly wrapped; got {type(population).__name__}")
        limit = getattr(env, "k", None)
        if limit is not None:
            raise ValueError(f"env already limits the global agent to k={limit} agents; wrap the unlimited environment")
        if getattr(env, "no_op", None) is not None:
            raise ValueError("env is homogenized: limit the global agent first, homogenize last")
        super().__init__(env)
        self.k = _sample_size(k, population.n_agents)
        self.sampler = as_sampler(sampler)
        check_sampler(self.sampler, population.game)
        self.population = population
        self.global_encoding = population.global_observer(self.k, summary)
        self._space = self.global_encoding.space()
        self._sampling: np.random.Generator | None = None

    def observation_space(self, agent: str) -> Space:
        """The agent's own space object (always the same one)."""
        return self._space if agent == GLOBAL_AGENT else self.env.observation_space(agent)

    def reset(
        self, seed: Seed = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, Info]]:
        """Start an episode. A seed restarts the random streams, of samples too; without one they go on."""
        observations, infos = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]  # PettingZoo's types admit int seeds and dict options only
        self._sampling = self.population.streams.sampling
        self._draw(self._sampling)
        self._fill(observations, infos)
        return observations, infos

    def step(
        self, actions: Mapping[str, int]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Info]]:
        """As `PopulationEnv.step`, with a fresh sample behind the global agent's observation."""
        if self._sampling is None:
            raise RuntimeError("call reset() before step()")
        observations, rewards, terminations, truncations, infos = self.env.step(actions)  # type: ignore[arg-type]  # PettingZoo's types admit dict only
        infos[GLOBAL_AGENT]["reward_sampled"] = float(self.population.simulator.sampled_reward(self._sampled)[0])
        self._draw(self._sampling)
        self._fill(observations, infos)
        return observations, rewards, terminations, truncations, infos

    def _draw(self, rng: np.random.Generator) -> None:
        """Draw the agents behind the next observation."""
        simulator = self.population.simulator
        self._sampled = draw_agents(self.sampler, rng, simulator.local_states[0], simulator.global_states[0], self.k)

    def _fill(self, observations: dict[str, Observation], infos: dict[str, Info]) -> None:
        """Put the limited observation and its sample in place."""
        simulator = self.population.simulator
        seen = self.global_encoding.observe(simulator.global_states, simulator.local_states[:, self._sampled])
        observations[GLOBAL_AGENT] = seen[0]
        infos[GLOBAL_AGENT]["sampled_agents"] = self._sampled.copy()

    def render(self) -> Any:
        """As `PopulationEnv.render`, with the sampled agents marked."""
        sampled = self._sampled if self._sampling is not None else None
        return self.population.render_scene(self.population.scene(sampled))


def _sample_size(k: int, n_agents: int) -> int:
    """The sample size k, after checking 1 <= k <= n."""
    k = integer("k", k, 1)
    if k > n_agents:
        raise ValueError(f"k must be at most the number of agents, {n_agents}; got {k}")
    return k
