"""Setting: what a pair of policies is trained and played in, read off an environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pettingzoo import ParallelEnv

from kofn.envs.arrays import integer, one_of
from kofn.envs.continuous import ContinuousGame
from kofn.envs.continuous_observations import ContinuousGlobalEncoding, ContinuousLocalEncoding
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame
from kofn.envs.observations import OBS_MODES, SUMMARIES, GlobalEncoding, LocalEncoding, Observation, ObsMode, Summary
from kofn.envs.parallel import GLOBAL_AGENT, PopulationEnv
from kofn.wrappers.sampled_population import check_sampler
from kofn.wrappers.samplers import UNIFORM, Sampler, as_sampler

FiniteGame = TabularGame | GenerativeGame
"""Games with finitely many states and actions: policies are tables."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Setting:
    """A game with n agents of which the global agent sees k, and the format of its observations.

    Args:
        game: the game: finite (policies are tables) or continuous (policies are networks).
        n_agents: n.
        k: agents seen, 1 <= k <= n.
        max_cycles: horizon of an episode.
        obs_mode: observation mode of the environment.
        summary: what the global agent sees of the k agents.
        sampler: which k agents it sees.

    Raises:
        TypeError, ValueError: a size of the wrong type or out of range, or a sampler that does not fit the game.
    """

    game: Any
    n_agents: int
    k: int
    max_cycles: int = 100
    obs_mode: ObsMode = "box"
    summary: Summary = "histogram"
    sampler: Sampler = UNIFORM

    def __post_init__(self) -> None:
        """Validate."""
        if not isinstance(self.game, FiniteGame | ContinuousGame):
            raise TypeError(
                f"game must be a TabularGame or a GenerativeGame, or continuous; got {type(self.game).__name__}"
            )
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
        encoding: GlobalEncoding | ContinuousGlobalEncoding | None = getattr(env, "global_encoding", None)
        if not isinstance(population, PopulationEnv) or encoding is None:
            raise TypeError(f"env must be a parallel PopulationEnv, possibly wrapped; got {type(env).__name__}")
        if encoding.size == 0:
            raise ValueError("the global agent sees no local agent; wrap env in SubsampleObservation(env, k)")
        if population.simulator.local_timing != "paper":
            raise ValueError("env must have local_timing='paper': 'code' only reproduces the authors' evaluation")
        if not isinstance(population.game, FiniteGame | ContinuousGame):
            raise TypeError(
                "env must play a TabularGame, a GenerativeGame or a ContinuousGame; "
                f"got {type(population.game).__name__}"
            )
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
    def global_encoding(self) -> GlobalEncoding | ContinuousGlobalEncoding:
        """How the global agent observes."""
        if isinstance(self.game, ContinuousGame):
            seen = (self.k, self.summary, self.game.observe_global_state)
            return ContinuousGlobalEncoding(self.game.global_bounds, self.game.bin_edges, *seen)
        sizes = (self.game.n_global_states, self.game.n_local_states, self.k)
        return GlobalEncoding(*sizes, self.summary, self.obs_mode)

    @property
    def local_encoding(self) -> LocalEncoding | ContinuousLocalEncoding:
        """How a local agent observes."""
        if isinstance(self.game, ContinuousGame):
            return ContinuousLocalEncoding(self.game.global_bounds, self.game.local_bounds)
        return LocalEncoding(self.game.n_global_states, self.game.n_local_states, self.obs_mode)

    def act(
        self,
        global_policy: Any,
        local_policy: Any,
        observations: Mapping[str, Observation],
        rng: np.random.Generator | None,
    ) -> dict[str, int]:
        """Actions for the agents of an observation dict; `rng` draws them, None takes the most likely."""
        local_names = [agent for agent in observations if agent != GLOBAL_AGENT]
        actions: dict[str, int] = {}
        if GLOBAL_AGENT in observations:
            seen = self._seen(np.asarray(observations[GLOBAL_AGENT])[None])
            actions[GLOBAL_AGENT] = int(global_policy.act(*seen, rng)[0])
        if local_names:
            stacked = np.stack([observations[agent] for agent in local_names])
            chosen = local_policy.act(*self.local_encoding.decode(stacked), rng)
            actions.update(zip(local_names, chosen.tolist(), strict=True))
        return actions

    def _seen(self, observations: Observation) -> tuple[Any, Any]:
        """(global states, counts of the agents seen) of the global agent's observations."""
        encoding = self.global_encoding
        states, content = encoding.decode(observations)
        if not isinstance(encoding, ContinuousGlobalEncoding):
            return states, content
        if encoding.summary == "states":
            return states, self.game.count_bins(content)
        return states, np.rint(content * self.k).astype(np.int64)


def finite_setting(env: ParallelEnv[str, Observation, int]) -> Setting:
    """As `Setting.of`, for what works on tables: TypeError where states are continuous."""
    setting = Setting.of(env)
    if not isinstance(setting.game, FiniteGame):
        raise TypeError(f"env must play a TabularGame or a GenerativeGame; got {type(setting.game).__name__}")
    return setting
