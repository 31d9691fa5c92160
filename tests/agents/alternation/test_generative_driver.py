"""The alternation in a game that only draws: it learns, is saved without its functions, and goes on with them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kofn.agents import AlternatingConfig, AlternatingMARL, GLearner, LLearner, LumpedChain, evaluate
from kofn.envs import GenerativeGame, PopulationEnv, TabularGame
from kofn.wrappers import SubsampleObservation

CONFIG = AlternatingConfig(n_rollouts=100, eta=1.0, horizon=60, max_alternations=2)


def model_of(game: GenerativeGame, **options: object) -> AlternatingMARL:
    learners = {"global_learner": GLearner(n_samples=200), "local_learner": LLearner(n_samples=2000)}
    settings = {"config": CONFIG, "seed": 4}
    env = SubsampleObservation(PopulationEnv(game, n_agents=12), k=2)
    return AlternatingMARL(env, **(learners | settings | options))  # type: ignore[arg-type]  # options of every kind


@pytest.fixture(scope="module")
def oracle(warehouse3: TabularGame) -> GenerativeGame:
    return GenerativeGame.from_tables(warehouse3)


def test_it_improves_the_game_behind_the_functions(warehouse3: TabularGame, oracle: GenerativeGame) -> None:
    """By the exact value in the tables that the learners never see."""
    model = model_of(oracle)
    start = LumpedChain.exact(warehouse3, model.global_policy, model.local_policy, 12).potential
    result = model.learn()
    end = LumpedChain.exact(warehouse3, result.global_policy, result.local_policy, 12).potential
    assert end > start + 10
    assert any(proposal.verdict == "accept" for proposal in result.history)


def test_the_same_seed_gives_the_same_policies(oracle: GenerativeGame) -> None:
    one, other = model_of(oracle).learn(), model_of(oracle).learn()
    assert (one.global_policy.table == other.global_policy.table).all()
    assert (one.local_policy.table == other.local_policy.table).all()
    assert one.potential == other.potential


def test_saved_model_plays_and_goes_on_with_its_functions(oracle: GenerativeGame, tmp_path: Path) -> None:
    whole = model_of(oracle).learn()
    model = model_of(oracle)
    model.config = replace(CONFIG, max_alternations=1)
    model.learn()
    model.config = CONFIG
    model.save(tmp_path)
    assert not (tmp_path / "game.npz").exists()
    loaded = AlternatingMARL.load(tmp_path, game=oracle)
    result = loaded.learn()
    assert (result.local_policy.table == whole.local_policy.table).all()
    assert [p.verdict for p in result.history] == [p.verdict for p in whole.history]
    env = SubsampleObservation(PopulationEnv(oracle, n_agents=12), k=2)
    observations, _ = env.reset(seed=0)
    assert set(loaded.predict(observations)) == set(observations)


def test_functions_must_be_passed_to_load(oracle: GenerativeGame, warehouse3: TabularGame, tmp_path: Path) -> None:
    model_of(oracle).save(tmp_path / "functions")
    with pytest.raises(ValueError, match=r"given as functions and is not stored: pass it, load\(\.\.\., game=\.\.\.\)"):
        AlternatingMARL.load(tmp_path / "functions")
    AlternatingMARL(SubsampleObservation(PopulationEnv(warehouse3, n_agents=5), k=2), seed=0).save(tmp_path / "arrays")
    with pytest.raises(ValueError, match="given as arrays and is stored: omit game"):
        AlternatingMARL.load(tmp_path / "arrays", game=oracle)


def test_exact_evaluation_is_refused(oracle: GenerativeGame) -> None:
    """When the model is made, not when it first learns."""
    with pytest.raises(ValueError, match="exact evaluation needs the game's arrays"):
        model_of(oracle, config=AlternatingConfig(evaluation="exact"))


def test_the_start_is_uniform_where_keep_cannot_be_read_off(oracle: GenerativeGame, warehouse3: TabularGame) -> None:
    model = model_of(oracle)
    assert np.allclose(model.global_policy.probabilities(), 1 / 3)
    with pytest.raises((TypeError, ValueError), match="keep"):
        model_of(oracle, global_policy="keep")


def test_evaluation_agrees_with_the_tables(oracle: GenerativeGame, warehouse3: TabularGame) -> None:
    result = model_of(oracle).learn()
    pair = result.global_policy, result.local_policy
    drawn = evaluate(oracle, *pair, 12, horizon=120, n_rollouts=500, seed=9)
    exact = LumpedChain.exact(warehouse3, *pair, 12).potential
    assert abs(drawn.mean - exact) < 4 * drawn.standard_error + 0.95**120 * warehouse3.value_bound
