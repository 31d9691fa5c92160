r"""The alternation under samplers that are not uniform, in a game solved by hand.

No agent ever moves, the global agent goes where it wants, and r is the share of agents where it is. With M the share of
the less common state (n agents, each in either state with probability 1/2), going where the one agent seen is earns,
from the second step on, E[M^2 + (1-M)^2] under uniform samples, E[M] when one of the fewest is always seen and E[1-M]
when one of the most is; standing still earns 1/2.
"""

import re
from dataclasses import replace
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kofn.agents import AlternatingConfig, AlternatingMARL, Problem, evaluate_sampled
from kofn.agents.alternation.learners import Response
from kofn.agents.alternation.setting import Setting
from kofn.envs import GlobalPolicy, LocalPolicy, PopulationEnv, TabularGame
from kofn.experiments import cli
from kofn.wrappers import DistanceWeighted, Stratified, SubsampleObservation, Uniform

Array = npt.NDArray[Any]
N, HORIZON, DISCOUNT = 7, 20, 0.9
CONFIG = AlternatingConfig(max_alternations=1, n_rollouts=400, horizon=HORIZON, eta=0.1)


@pytest.fixture(scope="module")
def game() -> TabularGame:
    return TabularGame(
        global_transition=np.broadcast_to(np.eye(2), (2, 2, 2)),
        local_transition=np.broadcast_to(np.eye(2)[:, None, None], (2, 2, 2, 2)),
        global_reward=np.zeros((2, 2)),
        local_reward=np.repeat(np.eye(2)[:, :, None], 2, axis=2),
        discount=DISCOUNT,
    )


def seen_first(local_states: Array, fewest: bool, k: int) -> Array:
    common = int(local_states.mean() > 0.5)
    wanted = 1 - common if fewest and 0 < local_states.mean() < 1 else common
    return np.argsort(local_states != wanted, kind="stable")[:k]


def of_the_fewest(rng: np.random.Generator, local_states: Array, global_state: Any, k: int) -> Array:
    return seen_first(local_states, True, k)


def of_the_most(rng: np.random.Generator, local_states: Array, global_state: Any, k: int) -> Array:
    return seen_first(local_states, False, k)


SAMPLERS: dict[str, Any] = {
    "uniform": Uniform(),
    "fewest": of_the_fewest,
    "most": of_the_most,
    "with it": DistanceWeighted(1 - np.eye(2), scale=1e-3),
}


def later_reward(name: str) -> float:
    """What following earns per step, from the second on; seen `with it` it never leaves where it started."""
    ones = np.arange(N + 1)
    law = np.array([comb(N, int(i)) for i in ones]) / 2**N
    fewest = np.where((ones == 0) | (ones == N), 1.0, np.minimum(ones, N - ones) / N)  # nobody is fewer than all
    share = ones / N
    earned = {
        "uniform": share**2 + (1 - share) ** 2,
        "fewest": fewest,
        "most": np.maximum(share, 1 - share),
        "with it": np.full(N + 1, 0.5),
    }
    return float(law @ earned[name])


def follow(problem: Problem) -> Response[GlobalPolicy]:
    return Proposal(GlobalPolicy(table=np.tile([1, 0], (2, 1)), k=1, n_local_states=2, n_actions=2))


def stay(problem: Problem) -> Response[LocalPolicy]:
    return Proposal(problem.local_policy)


class Proposal:
    def __init__(self, policy: Any) -> None:
        self.policy = policy


def model_of(game: TabularGame, sampler: Any, **options: Any) -> AlternatingMARL:
    env = SubsampleObservation(PopulationEnv(game, N), 1, sampler=sampler)
    options = {"config": CONFIG, "global_learner": follow, "local_learner": stay, "seed": 0} | options
    return AlternatingMARL(env, options.pop("config"), **options)


@pytest.mark.parametrize("name", SAMPLERS)
def test_update_judges_under_the_environments_sampler(game: TabularGame, name: str) -> None:
    discounts = DISCOUNT ** np.arange(HORIZON)
    expected = 0.5 + later_reward(name) * discounts[1:].sum()
    first = model_of(game, SAMPLERS[name]).learn().history[0]
    standing = 0.5 * discounts.sum()
    assert first.verdict == {"uniform": "accept", "fewest": "reject", "most": "accept", "with it": "overlap"}[name]
    # The share where it stands varies by at most 1/2 around its mean: at most as much, discounted, per rollout.
    error = 0.5 * discounts.sum() / np.sqrt(CONFIG.n_rollouts)
    assert abs(first.potential - standing) < 4 * error
    assert abs(first.proposed_potential - expected) < 4 * error


def test_the_problem_names_the_sampler(game: TabularGame) -> None:
    told = []

    def ask(problem: Problem) -> Response[GlobalPolicy]:
        told.append(problem.sampler)
        return follow(problem)

    model_of(game, of_the_most, global_learner=ask, config=replace(CONFIG, n_rollouts=2)).learn()
    assert told[0] is of_the_most


def test_our_learners_train_under_a_sampler(game: TabularGame) -> None:
    near = Stratified(np.array([0, 1]))
    env = SubsampleObservation(PopulationEnv(game, N), 2, sampler=near)
    config = AlternatingConfig(n_rollouts=400, horizon=HORIZON)
    result = AlternatingMARL(env, config, seed=0).learn()
    pair = result.global_policy, result.local_policy
    found = evaluate_sampled(game, *pair, N, near, horizon=HORIZON, n_rollouts=400, seed=1)
    assert abs(found.mean - result.potential) < 4 * np.hypot(found.standard_error, result.standard_error)
    assert result.potential > 0.5 * (1 - DISCOUNT**HORIZON) / (1 - DISCOUNT)


def test_exact_evaluation_needs_uniform_samples(game: TabularGame) -> None:
    config = AlternatingConfig(evaluation="exact")
    message = "exact evaluation knows agents sampled uniformly, and this environment's sampler is Stratified; use "
    with pytest.raises(ValueError, match=re.escape(message + "evaluation='rollouts'")):
        model_of(game, Stratified(np.array([0, 1])), config=config)
    assert model_of(game, "uniform", config=config).learn().history


def test_settings_refuse_samplers_that_do_not_fit(game: TabularGame) -> None:
    with pytest.raises(ValueError, match=re.escape("groups must be for the game's states, shape [2]; got [3]")):
        Setting(game=game, n_agents=N, k=1, sampler=Stratified(np.array([0, 1, 1])))
    with pytest.raises(TypeError, match="sampler must be a function"):
        Setting(game=game, n_agents=N, k=1, sampler=5)  # type: ignore[arg-type]  # the mistake that is tested


def test_a_model_comes_back_with_its_sampler(
    game: TabularGame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    near = DistanceWeighted(1 - np.eye(2), scale=1e-3)
    model = model_of(game, near, global_policy=follow(None).policy)  # type: ignore[arg-type]  # asks for no problem
    model.save(tmp_path)
    loaded = AlternatingMARL.load(tmp_path, global_learner=follow, local_learner=stay)
    assert isinstance(loaded.setting.sampler, DistanceWeighted)
    np.testing.assert_array_equal(loaded.setting.sampler.distances, near.distances)
    assert loaded.learn().potential == model.learn().potential
    # The command line plays the run under its sampler too: near ones only, so that it earns what it started with.
    assert cli.main(["evaluate", str(tmp_path), "--n-rollouts", "50", "--horizon", "2", "--seed", "0"]) == 0
    expected = evaluate_sampled(
        game, loaded.global_policy, loaded.local_policy, N, near, horizon=2, n_rollouts=50, seed=0
    )
    assert f"{expected.mean:.2f}" in capsys.readouterr().out


def test_a_sampler_of_the_users_own_is_passed_again(
    game: TabularGame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = replace(CONFIG, n_rollouts=20)
    model_of(game, of_the_most, config=quick).save(tmp_path)
    learners: dict[str, Any] = {"global_learner": follow, "local_learner": stay}
    with pytest.raises(ValueError, match=re.escape(f"({__name__}.of_the_most), which is not stored; pass it to")):
        AlternatingMARL.load(tmp_path, **learners).learn()
    assert cli.main(["evaluate", str(tmp_path), "--n-rollouts", "2"]) == 2
    assert "which is not stored; pass it to AlternatingMARL.load" in capsys.readouterr().err
    again = AlternatingMARL.load(tmp_path, sampler=of_the_most, **learners).learn()
    assert again.potential == model_of(game, of_the_most, config=quick).learn().potential
