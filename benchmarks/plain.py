"""What the simulators do, written plainly: what a first version looks like, to compare with."""

from typing import Any

import numpy as np

from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame


def gather_cumsum_compare(rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
    """One categorical draw per row of probabilities [..., outcome]."""
    uniforms = rng.random(rows.shape[:-1])
    return (uniforms[..., None] >= rows.cumsum(axis=-1)).sum(axis=-1).clip(max=rows.shape[-1] - 1)


class PlainAgents:
    """B populations of n agents, each agent drawn by gathering its row."""

    def __init__(self, game: TabularGame, n_agents: int, n_populations: int, seed: int) -> None:
        self.game, self.rng = game, np.random.default_rng(seed)
        start = self.rng.dirichlet(np.full(game.n_local_states, 0.3), n_populations)
        self.global_states = self.rng.integers(0, game.n_global_states, n_populations)
        rows = np.repeat(start[:, None, :], n_agents, axis=1)
        self.local_states = gather_cumsum_compare(self.rng, rows)

    def step(self, global_actions: np.ndarray, local_actions: np.ndarray) -> np.ndarray:
        """Pay and move; the team reward [B]."""
        game, s_g = self.game, self.global_states
        index = self.local_states, s_g[:, None], local_actions
        reward = game.global_reward[s_g, global_actions] + game.local_reward[index].mean(axis=1)
        self.local_states = gather_cumsum_compare(self.rng, game.local_transition[index])
        self.global_states = gather_cumsum_compare(self.rng, game.global_transition[s_g, global_actions])
        return np.asarray(reward)


def plain_evaluation(
    game: TabularGame, pair: tuple[GlobalPolicy, LocalPolicy], n_agents: int, n_rollouts: int, horizon: int
) -> float:
    """Mean discounted return of a pair of policies, agent by agent."""
    dispatcher, robots = pair
    agents, total = PlainAgents(game, n_agents, n_rollouts, seed=0), 0.0
    for t in range(horizon):
        order = agents.rng.random(agents.local_states.shape).argpartition(dispatcher.k, axis=1)[:, : dispatcher.k]
        seen = np.take_along_axis(agents.local_states, order, axis=1)
        histograms = (seen[:, :, None] == np.arange(game.n_local_states)).sum(axis=1)
        chosen = gather_cumsum_compare(agents.rng, robots.table[agents.local_states, agents.global_states[:, None]])
        total += game.discount**t * float(agents.step(dispatcher.act(agents.global_states, histograms), chosen).mean())
    return total


def plain_crowd_step(
    rng: np.random.Generator, game: TabularGame, counts: np.ndarray, s_g: np.ndarray, table: np.ndarray
) -> np.ndarray:
    """Next counts of lumped populations [B, s_l], one multinomial after another."""
    moved = np.zeros_like(counts)
    for b, x in np.ndindex(counts.shape):
        for a, n in enumerate(rng.multinomial(counts[b, x], table[x, s_g[b]])):
            moved[b] += rng.multinomial(n, game.local_transition[x, s_g[b], a])
    return moved


class DoNothing:
    """Five fresh dicts with fresh rows and fresh infos per step, and nothing else: what the standard API costs."""

    def __init__(self, names: list[str], width: int) -> None:
        self.names, self.rows = names, np.zeros((len(names), width), dtype=np.float32)

    def step(self, actions: dict[str, int]) -> tuple[dict[str, Any], ...]:  # noqa: ARG002  # the interface's
        """As a parallel environment, without looking at the actions."""
        observations = dict(zip(self.names, self.rows.copy(), strict=True))
        rewards = dict.fromkeys(self.names, 0.0)
        terminations, truncations = dict.fromkeys(self.names, False), dict.fromkeys(self.names, False)
        return observations, rewards, terminations, truncations, {name: {} for name in self.names}


class Comprehensions(DoNothing):
    """The same as most environments write it."""

    def step(self, actions: dict[str, int]) -> tuple[dict[str, Any], ...]:  # noqa: ARG002  # the interface's
        """As `DoNothing.step`."""
        observations = {name: self.rows[i].copy() for i, name in enumerate(self.names)}
        rewards = {name: 0.0 for name in self.names}  # noqa: C420  # on purpose
        terminations, truncations = {name: False for name in self.names}, {name: False for name in self.names}  # noqa: C420  # on purpose
        return observations, rewards, terminations, truncations, {name: {} for name in self.names}
