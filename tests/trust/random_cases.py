"""Hypothesis strategies: games of 1 to 5 states and actions with dense, sparse and deterministic rows, and policies."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from kofn.envs import DirichletStart, FixedStart, GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import n_histograms

sizes = st.integers(1, 5)


@dataclass(frozen=True, eq=False)
class Case:
    """A game, a pair of policies and sizes that fit each other."""

    game: TabularGame
    global_policy: GlobalPolicy
    local_policy: LocalPolicy
    n_agents: int
    k: int
    seed: int


def rows(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Probability rows: spread out, concentrated on a few entries, or on one."""
    concentration = rng.choice([10.0, 1.0, 0.05])
    drawn = rng.dirichlet(np.full(shape[-1], concentration), shape[:-1])
    deterministic = np.eye(shape[-1])[rng.integers(shape[-1], size=shape[:-1])]
    return np.where(rng.random((*shape[:-1], 1)) < 0.2, deterministic, drawn)


@st.composite
def games(draw: st.DrawFn) -> TabularGame:
    """A game of any of these sizes; rewards of both signs."""
    n_g, a_g, n_l, a_l = (draw(sizes) for _ in range(4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    start: Any = FixedStart(rows(rng, (n_l,)))
    if draw(st.booleans()):
        start = DirichletStart(rng.uniform(0.1, 3.0, n_l))
    return TabularGame(
        global_transition=rows(rng, (n_g, a_g, n_g)),
        local_transition=rows(rng, (n_l, n_g, a_l, n_l)),
        global_reward=rng.uniform(-2, 2, (n_g, a_g)),
        local_reward=rng.uniform(-2, 2, (n_l, n_g, a_l)),
        discount=draw(st.sampled_from([0.05, 0.5, 0.9, 0.99])),
        initial_global=rows(rng, (n_g,)),
        initial_local=start,
    )


@st.composite
def cases(draw: st.DrawFn, max_agents: int = 50, max_k: int = 6) -> Case:
    """A game with stochastic policies."""
    game = draw(games())
    n_agents = draw(st.integers(1, max_agents))
    k = draw(st.integers(1, min(max_k, n_agents)))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    seen = (game.n_global_states, n_histograms(k, game.n_local_states), game.n_global_actions)
    own = (game.n_local_states, game.n_global_states, game.n_local_actions)
    global_policy = GlobalPolicy(
        table=rows(rng, seen), k=k, n_local_states=game.n_local_states, n_actions=game.n_global_actions
    )
    return Case(game, global_policy, LocalPolicy(rows(rng, own)), n_agents, k, seed)
