"""Setting: what a pair of policies is trained and played in, read off an environment."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pettingzoo import ParallelEnv

from kofn.envs.arrays import integer, one_of
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame
from kofn.envs.observations import OBS_MODES, SUMMARIES, GlobalEncoding, LocalEncoding, Observation, ObsMode, Summary
from kofn.envs.parallel import GLOBAL_AGENT, PopulationEnv
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.wrappers.sampled_population import check_sampler
from kofn.wrappers.samplers import UNIFORM, Sampler, as_sampler

FiniteGame = TabularGame | GenerativeGame
"""Games with finitely many states and actions: policies are tables."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Setting:
    """A game with n agents of which the global agent sees k, and the format of its observations.

    Args:
        game: the game.
        n_agents: n.
        k: agents seen, 1 <= k <= n.
        max_cycles: horizon of an episode.
        obs_mode: observation mode of the environment.
        summary: what the global agent sees of the k agents.
        sampler: which k agents it sees.

    Raises:
        TypeError, ValueError: a size of the wrong type or out of range, or a sampler that does not fit the game.
    """

    game: FiniteGame
    n_agents: int
    k: int
    max_cycles: int = 100
    obs_mode: ObsMode = "box"
    summary: Summary = "histogram"
    sampler: Sampler = UNIFORM

    def __post_init__(self) -> None:
        """Validate."""
        if not isinstance(self.game, FiniteGame):
            raise TypeError(f"game must be a TabularGame or a GenerativeGame; got {type(self.game).__name__}")
        one_of("obs_mode", self.obs_mode, OBS_MODES)
        one_of("summary", self.summary, SUMMARIES)
        for size in ("n_agents", "k", "max_cycles"):
            object.__setattr__(self, size, integer(size, getattr(self, size), 1))
        integer("k", self.k, 1, self.n_agents)
        check_sampler(as_sampler(self.sampler), self.game)

    @classmethod
    def of(cls, env: ParallelEnv[str, Observation, int]) -> "Setting":
        """The setting of a PopulationEnv, limited by SubsampleObservation or not (then k = n).

        Raises:
            TypeError: `env` is neither, or an AEC environment.
            ValueError: it has `local_timing="code"`, or a global agent that sees nobody.
        """
        population = getattr(env, "unwrapped", None)
        # Asked of the view, never of the population inside it: an AEC view hides its limit, and k would become n.
        encoding: GlobalEncoding | None = getattr(env, "global_encoding", None)
        if not isinstance(population, PopulationEnv) or encoding is None:
            raise TypeError(f"env must be a parallel PopulationEnv, possibly wrapped; got {type(env).__name__}")
        if encoding.size == 0:
            raise ValueError("the global agent sees no local agent; wrap env in SubsampleObservation(env, k)")
        if population.simulator.local_timing != "paper":
            raise ValueError("env must have local_timing='paper': 'code' only reproduces the authors' evaluation")
        if not isinstance(population.game, FiniteGame):
            raise TypeError(f"env must play a TabularGame or a GenerativeGame; got {type(population.game).__name__}")
        return cls(
            game=population.game,
            n_agents=population.n_agents,
            k=encoding.size,
            max_cycles=population.max_cycles,
            obs_mode=encoding.obs_mode,
            summary=encoding.summary,
            sampler=getattr(env, "sampler", UNIFORM),
        )

    @property
    def global_encoding(self) -> GlobalEncoding:
        """How the global agent observes."""
        sizes = (self.game.n_global_states, self.game.n_local_states, self.k)
        return GlobalEncoding(*sizes, self.summary, self.obs_mode)

    @property
    def local_encoding(self) -> LocalEncoding:
        """How a local agent observes."""
        return LocalEncoding(self.game.n_global_states, self.game.n_local_states, self.obs_mode)

    def act(
        self,
        global_policy: GlobalPolicy,
        local_policy: LocalPolicy,
        observations: Mapping[str, Observation],
        rng: np.random.Generator | None,
    ) -> dict[str, int]:
        """Actions for the agents of an observation dict; `rng` draws them, None takes the most likely."""
        local_names = [agent for agent in observations if agent != GLOBAL_AGENT]
        actions: dict[str, int] = {}
        if GLOBAL_AGENT in observations:
            seen = self.global_encoding.decode(np.asarray(observations[GLOBAL_AGENT])[None])
            actions[GLOBAL_AGENT] = int(global_policy.act(*seen, rng)[0])
        if local_names:
            stacked = np.stack([observations[agent] for agent in local_names])
            chosen = local_policy.act(*self.local_encoding.decode(stacked), rng)
            actions.update(zip(local_names, chosen.tolist(), strict=True))
        return actions
