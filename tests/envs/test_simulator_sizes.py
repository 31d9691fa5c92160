"""Both simulators with no agents, one state, and a crowd as large as the mean field; sizes that are refused."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from two_simulators import BOTH, TIMINGS, advance, counts_of, place, random_policy, started

from kofn.envs import LumpedSimulator, TabularGame
from kofn.envs.population import MAX_AGENTS
from kofn.envs.simulator import LocalTiming

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]
RandomGame = Callable[..., TabularGame]


@pytest.mark.parametrize("n_agents", [0, 1, 2, 10**6, MAX_AGENTS])
def test_lumped_populations_keep_their_agents(n_agents: int, warehouse3: TabularGame) -> None:
    simulator = started(LumpedSimulator, warehouse3, n_agents, n_populations=3)
    policy = random_policy(warehouse3, 29)
    for _ in range(5):
        payment = simulator.step(np.array([0, 1, 2]), policy)
        assert simulator.counts.dtype == np.int64
        assert simulator.counts.min() >= 0
        np.testing.assert_array_equal(simulator.counts.sum(axis=1), n_agents)
        least, most = warehouse3.local_reward.min(), warehouse3.local_reward.max()
        means = payment.local_reward_mean
        assert (means == 0).all() if n_agents == 0 else ((least <= means) & (means <= most)).all()
        np.testing.assert_array_equal(payment.global_reward, 1.0)


def test_no_local_agents_leave_the_global_agent_alone(random_game: RandomGame, assert_law: AssertLaw) -> None:
    game = random_game(30)
    for make in BOTH:
        simulator = started(make, game, 0, n_populations=10_000)
        place(simulator, 1, np.zeros((1, 0), dtype=np.int64))
        payment = advance(
            simulator, np.zeros(10_000, dtype=np.int64), random_policy(game, 31), np.random.default_rng(0)
        )
        np.testing.assert_array_equal(payment.local_reward_mean, 0.0)
        np.testing.assert_array_equal(payment.team_reward, game.global_reward[1, 0])
        assert_law(np.bincount(simulator.global_states, minlength=2), game.global_transition[1, 0])


@pytest.mark.parametrize("timing", TIMINGS)
def test_huge_populations_follow_the_mean_field(timing: LocalTiming, random_game: RandomGame) -> None:
    """One step from known counts: each new count is within 4.5 standard deviations (at most sqrt(n)/2) of its mean."""
    game = random_game(32, n_local=3, n_local_actions=3)
    policy = random_policy(game, 33)
    simulator = started(LumpedSimulator, game, MAX_AGENTS, n_populations=20, local_timing=timing)
    simulator.counts = np.tile([MAX_AGENTS // 2, MAX_AGENTS // 4, MAX_AGENTS // 4], (20, 1))
    old = simulator.global_states
    payment = simulator.step(np.zeros(20, dtype=np.int64), policy)
    seen = old if timing == "paper" else simulator.global_states
    shares = np.array([0.5, 0.25, 0.25])
    for b in range(20):
        acting = shares[:, None] * policy[:, old[b]]  # [s_l, a_l]
        expected = MAX_AGENTS * np.einsum("xa,xay->y", acting, game.local_transition[:, seen[b]])
        assert (np.abs(simulator.counts[b] - expected) <= 4.5 * math.sqrt(MAX_AGENTS) / 2).all()
        mean = (acting * game.local_reward[:, old[b]]).sum()
        assert abs(payment.local_reward_mean[b] - mean) <= 4.5 / 2 / math.sqrt(MAX_AGENTS)  # rewards in [0, 1]


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize(
    ("n_agents", "options", "error", "message"),
    [
        (-1, {}, ValueError, f"n_agents must be between 0 and {MAX_AGENTS}; got -1"),
        (MAX_AGENTS + 1, {}, ValueError, f"n_agents must be between 0 and {MAX_AGENTS}; got {MAX_AGENTS + 1}"),
        (True, {}, TypeError, "n_agents must be an integer; got True (a bool)"),
        (2.0, {}, TypeError, "n_agents must be an integer; got 2.0 (float)"),
        (2, {"n_populations": 0}, ValueError, "n_populations must be at least 1; got 0"),
        (2, {"n_populations": "3"}, TypeError, "n_populations must be an integer; got '3' (str)"),
        (2, {"local_timing": "new"}, ValueError, "local_timing must be one of 'paper', 'code'; got 'new'"),
    ],
)
def test_bad_sizes_are_refused(
    make: Any, n_agents: Any, options: dict[str, Any], error: type[Exception], message: str, warehouse3: TabularGame
) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        make(warehouse3, n_agents, **options)


@pytest.mark.parametrize("make", BOTH)
def test_a_game_of_one_state_and_one_action_stands_still(make: Any) -> None:
    game = TabularGame(
        global_transition=[[[1.0]]],
        local_transition=[[[[1.0]]]],
        global_reward=[[2.0]],
        local_reward=[[[3.0]]],
        discount=0.5,
    )
    simulator = started(make, game, 5)
    payment = advance(simulator, np.array([0]), np.ones((1, 1, 1)), np.random.default_rng(0))
    assert payment.team_reward.tolist() == [5.0]
    assert counts_of(simulator).tolist() == [[5]]
