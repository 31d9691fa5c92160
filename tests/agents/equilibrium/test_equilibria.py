"""What the alternation ends with, by the exact Nash gap: best responses in turn find equilibria."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from kofn.agents import AlternatingConfig, AlternatingMARL, AlternatingResult, GLearner, LLearner
from kofn.agents.alternation.setting import Setting
from kofn.agents.equilibrium.nash import nash_gap
from kofn.envs import FixedStart, TabularGame

Games = Callable[..., TabularGame]


def alternate(game: TabularGame, n_agents: int, k: int, eta: float | None, seed: int = 0) -> AlternatingResult:
    """Exact evaluation; the fleet's response is the best of all maps in the deployed game."""
    model = AlternatingMARL(
        Setting(game=game, n_agents=n_agents, k=k),
        AlternatingConfig(evaluation="exact", eta=eta),
        global_learner=GLearner(operator="exact", tolerance=1e-9),
        local_learner=LLearner(method="exhaustive", n_agents=n_agents),
        seed=seed,
    )
    return model.learn()


def assert_monotone(result: AlternatingResult) -> None:
    kept = [p.proposed_potential if p.verdict == "accept" else p.potential for p in result.history]
    assert all(after >= before for before, after in zip([result.history[0].potential, *kept], kept, strict=False))
    for proposal in result.history:
        if proposal.verdict == "accept":
            assert proposal.proposed_potential >= proposal.potential + result.eta - 1e-12


def test_warehouse_whose_dispatcher_sees_everyone_ends_in_an_exact_equilibrium(warehouse3: TabularGame) -> None:
    """n = k = 5: the dispatcher's gap is zero from both sides, the fleet's over all 19,683 maps."""
    result = alternate(warehouse3, n_agents=5, k=5, eta=1e-7)
    assert result.converged
    assert_monotone(result)
    gap = nash_gap(warehouse3, result.global_policy, result.local_policy, n_agents=5, n_restarts=1, seed=0)
    assert (gap.global_gap.lower, gap.global_gap.upper) == pytest.approx((0, 0), abs=1e-6)
    assert gap.local_gap.lower == pytest.approx(0, abs=1e-6)


def test_g_learn_leaves_a_gap_when_few_are_seen(warehouse3: TabularGame) -> None:
    """n = 5, k = 3, independent uniform starts: the alternation stops, and a dispatcher that also sees 3 gains 2.7."""
    game = replace(warehouse3, initial_local=FixedStart(np.full(3, 1 / 3)))
    result = alternate(game, n_agents=5, k=3, eta=1e-7)
    assert result.converged
    assert_monotone(result)
    gap = nash_gap(game, result.global_policy, result.local_policy, n_agents=5, n_restarts=1, seed=0)
    assert 2.7 <= gap.global_gap.lower <= gap.global_gap.upper
    assert gap.local_gap.lower == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_random_games_end_within_eta_of_the_best_local_response(random_game: Games, seed: int) -> None:
    """Two or three states and actions each, n = 6, k = 2: Phi never decreases, and the fleet's gap ends below eta."""
    rng = np.random.default_rng(seed)
    sizes = dict(
        zip(("n_global", "n_local", "n_global_actions", "n_local_actions"), rng.integers(2, 4, 4), strict=True)
    )
    game = random_game(seed, **sizes)
    result = alternate(game, n_agents=6, k=2, eta=None, seed=seed)
    assert result.converged
    assert_monotone(result)
    gap = nash_gap(game, result.global_policy, result.local_policy, n_agents=6, n_restarts=0, seed=0)
    assert gap.local_gap.lower <= result.eta
