"""UCFH in environments that are played: ends of episodes, learnt rewards, and problems that are refused."""

from math import sqrt
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from oracle import riverswim
from river_tables import HORIZON, OPTIMUM, RIVER, same, value

from kofn.agents.finite_horizon.backward_induction import backward_induction
from kofn.agents.finite_horizon.ucfh import ucfh
from kofn.agents.finite_horizon.ucfh_settings import UcfhConfig
from kofn.wrappers.finite_mdp import FiniteMDP


def test_tables_and_the_environment_they_describe_give_the_same_law() -> None:
    config = UcfhConfig(max_episodes=1000, rewards="deterministic")
    for first in (0, 3):
        run = ucfh(riverswim.RiverSwim(first), horizon=HORIZON, config=config, seed=0)
        assert run.n_samples == 10_000
        assert run.optimistic_value >= OPTIMUM
        assert run.pessimistic_value <= value(run.policy)
        assert OPTIMUM - value(run.policy) <= 0.005
    tables = ucfh(RIVER, horizon=HORIZON, config=config, seed=0)
    assert OPTIMUM - value(tables.policy) <= 0.005
    assert tables.certified_gap <= run.certified_gap, "tables know rewards and start"


def test_an_environment_gives_the_same_result_for_the_same_seed() -> None:
    config = UcfhConfig(max_episodes=200)
    env = riverswim.RiverSwim()
    first, again = (ucfh(env, horizon=HORIZON, config=config, seed=4) for _ in range(2))
    assert same(first, again)
    assert not same(first, ucfh(env, horizon=HORIZON, config=config, seed=5))


class Walk(gymnasium.Env[int, int]):
    """Places 0 and 1 in turn. Action 0 ends the episode and pays `prize`, action 1 pays 0.1 and goes on."""

    def __init__(self, prize: float = 0.3, noise: float = 0.0, truncate: bool = False) -> None:
        self.observation_space, self.action_space = Discrete(2), Discrete(2)
        self.prize, self.noise, self.truncate = prize, noise, truncate
        self.place = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:  # noqa: ARG002  # Gymnasium's signature
        super().reset(seed=seed)
        self.place = 0
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.place = 1 - self.place
        pay = (self.prize if action == 0 else 0.1) + self.noise * self.np_random.choice([-1, 1])
        return self.place, pay, action == 0 and not self.truncate, action == 0 and self.truncate, {}


def test_nothing_is_paid_after_termination() -> None:
    """The best of five steps is to go on four times and then to end: 0.4 + 0.3."""
    config = UcfhConfig(epsilon=0.05, rewards="deterministic")
    run = ucfh(Walk(), horizon=5, config=config, seed=0)
    assert run.converged
    assert run.optimistic_value >= 0.7 - 1e-12
    assert run.pessimistic_value == pytest.approx(0.7, abs=0.05)
    assert [int(run.policy[t, t % 2]) for t in range(5)] == [1, 1, 1, 1, 0]
    assert run.n_samples < 5 * run.n_episodes, "some episodes ended early"


def test_a_truncated_episode_is_only_cut_short() -> None:
    """What follows action 0 goes on unseen: 0.3 five times is the best, and the upper bound must allow for it."""
    config = UcfhConfig(epsilon=0.1, rewards="deterministic", max_episodes=2000)
    run = ucfh(Walk(truncate=True), horizon=5, config=config, seed=0)
    assert not run.converged
    assert run.optimistic_value >= 1.5 - 1e-12
    assert run.n_samples < 5 * run.n_episodes


def test_mean_rewards_are_learnt() -> None:
    config = UcfhConfig(epsilon=0.2)
    run = ucfh(Walk(noise=0.2), horizon=5, config=config, seed=0, reward_range=(-0.1, 0.5))
    assert run.converged
    assert run.optimistic_value >= 0.7 >= run.pessimistic_value
    assert [int(run.policy[t, t % 2]) for t in range(5)] == [1, 1, 1, 1, 0]


def test_nothing_is_taken_for_granted() -> None:
    """One episode absorbed one visit: every step may still pay either end of the range."""
    run = ucfh(Walk(), horizon=5, config=UcfhConfig(max_episodes=1), seed=0, reward_range=(-1, 1))
    assert (run.optimistic_value, run.pessimistic_value) == (5.0, -5.0)


def test_the_bonus_of_learnt_rewards_is_hoeffdings() -> None:
    """One place, one action, one step: the bounds are those of the mean of the rewards and of the start."""

    class Coin(gymnasium.Env[int, int]):
        observation_space = action_space = Discrete(1)

        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:  # noqa: ARG002  # Gymnasium's signature
            super().reset(seed=seed)
            return 0, {}

        def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:  # noqa: ARG002  # likewise
            return 0, float(self.np_random.random() < 0.5), True, False, {}

    # Both rows are absorbed after 1, 2, 4, .., 64 episodes.
    config = UcfhConfig(epsilon=0.01, max_episodes=64, scale_log=0.2, phase_growth=1e-6)
    run = ucfh(Coin(), horizon=1, config=config, seed=0)
    radius = sqrt(run.log_term / (2 * 64))
    # The start is the one place there is, or, at worst, the absorbing one, which pays nothing.
    certain = 1 - min(sqrt(run.log_term / (2 * 64)), 7 * run.log_term / (3 * 63))
    mean = run.optimistic_value - radius
    assert 64 * mean == pytest.approx(round(64 * mean))
    assert abs(mean - 0.5) <= 5 * 0.5 / 8
    assert run.pessimistic_value == pytest.approx(certain * (mean - radius))


def test_frozen_lake() -> None:
    """The slippery lake of Gymnasium: bounds enclose the optimum of its own tables."""
    env = gymnasium.make("FrozenLake-v1", map_name=None, desc=["SF", "HG"], is_slippery=True)
    laws, rewards = np.zeros((4, 4, 4)), np.zeros((4, 4))
    for state, actions in env.unwrapped.P.items():  # type: ignore[attr-defined]  # FrozenLake's tables
        for action, outcomes in actions.items():
            for probability, following, reward, _ in outcomes:
                laws[state, action, following] += probability
                rewards[state, action] += probability * reward
    mdp = FiniteMDP.from_dense(laws, rewards, np.eye(4)[0])
    best = backward_induction(mdp, 8).values[0, 0]
    run = ucfh(env, horizon=8, config=UcfhConfig(max_episodes=4000, phase_growth=0.05), seed=0)
    assert run.optimistic_value >= best
    assert run.pessimistic_value <= value(run.policy, mdp=mdp)
    assert best - value(run.policy, mdp=mdp) <= 0.02


class Odd(Walk):
    """An environment with a fault."""

    def __init__(self, **spaces: Any) -> None:
        super().__init__()
        self.__dict__.update(spaces)


class Beyond(Walk):
    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:  # noqa: ARG002  # Gymnasium's signature
        return 5, 0.1, False, False, {}


@pytest.mark.parametrize(
    ("problem", "options", "error", "message"),
    [
        (RIVER.dense(), {}, TypeError, "problem must be a FiniteMDP or a gymnasium.Env; got ndarray"),
        (RIVER, {"horizon": 0}, ValueError, "horizon must be at least 1; got 0"),
        (RIVER, {"reward_weights": [1, 2]}, ValueError, r"reward_weights must have shape \[3\]; got \[2\]"),
        (RIVER, {"reward_weights": [0, 0, 0]}, ValueError, "reward_weights must have a positive entry; all are 0"),
        (RIVER, {"reward_range": (0, 0.5)}, ValueError, r"reward_range \(0.0, 0.5\); entry \[4, 1\] is 1.0"),
        (RIVER, {"reward_range": (0.001, 1)}, ValueError, r"reward_range \(0.001, 1.0\); entry \[0, 1\] is 0.0"),
        (RIVER, {"reward_range": (1, 1)}, ValueError, r"reward_range must be \(low, high\) with low < high; got \(1"),
        (RIVER, {"reward_range": 1}, ValueError, r"reward_range must have 1 axes \[2\]"),
        (RIVER, {"seed": -1}, ValueError, "seed must be a nonnegative integer"),
        (Odd(observation_space=Box(0, 1)), {}, TypeError, "observation_space must be Discrete; got Box"),
        (Odd(action_space=Box(0, 1)), {}, TypeError, "action_space must be Discrete; got Box"),
        (Walk(), {"config": UcfhConfig(support_known=True)}, ValueError, "support_known=True needs tables"),
        (Walk(prize=1.5), {}, ValueError, r"reward_range \(0.0, 1.0\); state 0, action 0 paid 1.5"),
        (Walk(prize=-0.1), {}, ValueError, r"reward_range \(0.0, 1.0\); state 0, action 0 paid -0.1"),
        (Walk(prize=float("nan")), {}, ValueError, "state 0, action 0 paid nan"),
        (Beyond(), {}, ValueError, r"observations must lie in 0..1; the environment gave 5"),
        (
            Walk(noise=0.05),
            {"config": UcfhConfig(rewards="deterministic")},
            ValueError,
            "rewards='deterministic', but state 0, action 0 paid .* use 'stochastic'",
        ),
    ],
)
def test_rejected(problem: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ucfh(problem, **{"horizon": 3, "seed": 0, **options})
