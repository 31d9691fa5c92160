"""What values a pair of policies: rollouts and exact values agree, and UPDATE can ask for every state to gain."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents import AlternatingConfig, AlternatingMARL, LLearner, update_verdict
from kofn.agents.alternation.judges import ExactJudge
from kofn.agents.alternation.pairs import same_pair
from kofn.agents.alternation.rollout_judge import RolloutJudge
from kofn.agents.alternation.setting import Setting
from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame

Games = Callable[..., TabularGame]
Pairs = Callable[..., tuple[GlobalPolicy, LocalPolicy]]


@pytest.fixture
def pair(random_local: Callable[..., LocalPolicy], random_global: Callable[..., GlobalPolicy]) -> Pairs:
    """pair(game, k, seed): random stochastic policies."""
    return lambda game, k, seed: (random_global(game, k, seed), random_local(game, seed))


def setting_of(game: TabularGame, n_agents: int = 4, k: int = 2) -> Setting:
    return Setting(game=game, n_agents=n_agents, k=k)


def test_exact_judge_gives_the_oracles_potential(random_game: Games, pair: Pairs) -> None:
    game = random_game(1)
    policies = pair(game, 2, 1)
    found = ExactJudge(setting=setting_of(game)).judge(*policies)
    wanted = brute_force.potential(game, policies[0].probabilities(), policies[1].table, 4, 2)
    assert found.potential == pytest.approx(wanted, abs=1e-9)
    assert found.standard_error == 0


def test_rollouts_agree_with_exact_values(random_game: Games, pair: Pairs) -> None:
    game = random_game(2, discount=0.8)
    setting, policies = setting_of(game), pair(game, 2, 2)
    exact = ExactJudge(setting=setting).judge(*policies)
    rollouts = RolloutJudge(setting=setting, horizon=80, n_rollouts=4000, seed=5).judge(*policies)
    assert abs(rollouts.potential - exact.potential) < 4 * rollouts.standard_error + 0.8**80 * game.value_bound


def test_rollouts_of_two_pairs_share_their_random_numbers(random_game: Games, pair: Pairs) -> None:
    game = random_game(3, discount=0.8)
    judge = RolloutJudge(setting=setting_of(game), horizon=40, n_rollouts=500, seed=6)
    one, other = (judge.judge(*pair(game, 2, seed)) for seed in (1, 1))
    alike = judge.compare(one, other, 0.1)
    assert (alike.verdict, alike.standard_error) == ("overlap", 0.0)
    third = judge.judge(*pair(game, 2, 4))
    error = judge.compare(one, third, 1e-9).standard_error
    assert 0 < error < np.hypot(one.standard_error, third.standard_error)


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ([1.0, 2.0], [1.5, 2.5], "accept"),  # each gains exactly eta
        ([1.0, 2.0], [9.0, 2.25], "overlap"),  # one gains too little
        ([1.0, 2.0], [9.0, 1.25], "reject"),  # one loses more than eta
        ([1.0, 2.0], [9.0, 1.5], "overlap"),  # one loses exactly eta
    ],
)
def test_statewise_update_asks_every_state(old: list[float], new: list[float], verdict: str) -> None:
    assert update_verdict(np.array(old), np.array(new), 0.25) == verdict


def test_statewise_judge_refuses_what_costs_one_state(random_game: Games, pair: Pairs) -> None:
    """Two pairs of which neither is better everywhere: by potential one of them wins, statewise none does."""
    game = random_game(0)
    setting = setting_of(game)
    judgements = [ExactJudge(setting=setting).judge(*pair(game, 2, seed)) for seed in range(12)]
    crossing = [
        (old, new)
        for old in judgements
        for new in judgements
        if new.potential > old.potential + 0.01 and (new.values < old.values - 0.01).any()
    ]
    assert crossing
    for old, new in crossing:
        assert ExactJudge(setting=setting).compare(old, new, 0.005).verdict == "accept"
        assert ExactJudge(setting=setting, comparison="statewise").compare(old, new, 0.005).verdict == "reject"


def test_statewise_alternation_improves_every_state(random_game: Games) -> None:
    config = AlternatingConfig(evaluation="exact", comparison="statewise", eta=0.02)
    for seed in (0, 3, 9):
        game = random_game(seed, discount=0.8)
        model = AlternatingMARL(setting_of(game), config, seed=1)
        judge = ExactJudge(setting=model.setting)
        start = judge.judge(model.global_policy, model.local_policy)
        result = model.learn()
        accepted = sum(p.verdict == "accept" for p in result.history)
        end = judge.judge(result.global_policy, result.local_policy)
        assert result.converged
        assert (end.values >= start.values + 0.02 * accepted - 1e-9).all()


def test_exact_alternation_reports_exact_potentials(random_game: Games) -> None:
    game = random_game(5, discount=0.8)
    config = AlternatingConfig(evaluation="exact", eta=0.02)
    result = AlternatingMARL(setting_of(game), config, local_learner=LLearner(), seed=2).learn()
    tables = result.global_policy.probabilities(), result.local_policy.table
    assert result.potential == pytest.approx(brute_force.potential(game, *tables, 4, 2), abs=1e-9)
    assert result.standard_error == result.evaluation_error == 0
    assert result.certificate == 0.02


def test_same_pair_compares_tables(random_game: Games, pair: Pairs) -> None:
    game = random_game(0)
    one, other = pair(game, 2, 1), pair(game, 2, 2)
    assert same_pair(one, pair(game, 2, 1))
    assert not same_pair(one, (one[0], other[1]))
    assert not same_pair(one, (other[0], one[1]))


def test_exact_evaluation_of_too_many_agents_is_refused(warehouse3: TabularGame) -> None:
    """When the model is made, not when it first learns."""
    with pytest.raises(ValueError, match="products per step of the chain at n_agents=1000"):
        AlternatingMARL(setting_of(warehouse3, 1000), AlternatingConfig(evaluation="exact"), seed=0)


def test_options_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValueError, match="needs evaluation='exact'"):
        AlternatingConfig(comparison="statewise")
    with pytest.raises(ValueError, match=r"evaluation must be one of 'rollouts', 'exact'; got 'guess'"):
        AlternatingConfig(evaluation="guess")  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(ValueError, match=r"comparison must be one of 'scalar', 'statewise'; got 'both'"):
        replace(AlternatingConfig(), comparison="both")  # type: ignore[arg-type] # wrong on purpose
