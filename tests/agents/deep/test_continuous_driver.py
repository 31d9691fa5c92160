"""AlternatingMARL on a continuous game: judged by paired rollouts, saved without code, resumed to the same result."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle.two_sides import two_sides

from kofn.agents import AlternatingConfig, AlternatingMARL
from kofn.agents.alternation.pairs import numbers_of
from kofn.agents.alternation.setting import Setting
from kofn.agents.deep import recipes
from kofn.agents.deep.best_response import DeepGlobal, DeepLocal
from kofn.agents.deep.mode_classifier import ModeClassifier
from kofn.agents.deep.networks import FitConfig
from kofn.agents.deep.recipes import cluster_line_starts, deep_model
from kofn.agents.line_evaluation import evaluate_line
from kofn.envs import PopulationEnv
from kofn.envs.cluster_line import parallel_env
from kofn.wrappers import Stratified, SubsampleObservation

CONFIG = AlternatingConfig(n_rollouts=60, horizon=8, eta=0.05, max_alternations=2)
SMALL: dict[str, Any] = {"n_populations": 20, "n_steps": 8, "n_updates": 5, "learning_rate": 2e-2}


def model(seed: int = 0, **options: Any) -> AlternatingMARL:
    env = SubsampleObservation(PopulationEnv(two_sides(), n_agents=5, max_cycles=8, global_view="none"), 3)
    learners = {"global_learner": DeepGlobal(**SMALL), "local_learner": DeepLocal(algorithm="ppo", **SMALL)}
    return AlternatingMARL(env, CONFIG, seed=seed, **{**learners, **options})


def same(one: AlternatingMARL, other: AlternatingMARL) -> bool:
    arrays = [numbers_of(m.global_policy) + numbers_of(m.local_policy) for m in (one, other)]
    return all(x.tobytes() == y.tobytes() for x, y in zip(*arrays, strict=True))


@pytest.fixture(scope="module")
def trained() -> AlternatingMARL:
    found = model()
    found.learn()
    return found


def test_it_beats_a_beacon_that_stands_still_with_robots_that_stay(trained: AlternatingMARL) -> None:
    start = model()
    pairs = [(m.global_policy, m.local_policy) for m in (start, trained)]
    values = [evaluate_line(two_sides(), *pair, 5, horizon=8, n_rollouts=400, seed=9).returns for pair in pairs]
    gain = values[1] - values[0]
    assert gain.mean() > 5 * gain.std(ddof=1) / 20
    assert trained.history[0].verdict == "accept"
    assert all(p.standard_error >= 0 for p in trained.history)


def test_the_same_seed_gives_the_same_run(trained: AlternatingMARL) -> None:
    again = model()
    again.learn()
    assert same(again, trained)
    assert [p.potential for p in again.history] == [p.potential for p in trained.history]
    assert not same(model(seed=1), model())  # starts differ, too


def test_a_saved_run_is_bit_equal_and_resumes_to_the_same_result(trained: AlternatingMARL, tmp_path: Path) -> None:
    short = model()
    short.config = replace(CONFIG, max_alternations=1)
    short.learn()
    short.config = CONFIG
    short.save(tmp_path)
    loaded = AlternatingMARL.load(tmp_path, game=two_sides())
    assert same(loaded, short)
    assert (loaded.global_learner, loaded.local_learner) == (short.global_learner, short.local_learner)
    loaded.learn()
    assert same(loaded, trained)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"config.json", "history.csv", "global_policy.safetensors", "local_policy.safetensors"}
    with pytest.raises(ValueError, match=r"is not stored: pass it, load\(..., game=...\)"):
        AlternatingMARL.load(tmp_path)
    (tmp_path / "local_policy.safetensors").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"local_policy\.safetensors is damaged"):
        AlternatingMARL.load(tmp_path, game=two_sides())


@pytest.mark.parametrize("summary", ["histogram", "states"])
def test_predict_plays_the_environment(summary: Any) -> None:
    env = SubsampleObservation(parallel_env(n_agents=6, global_view="none"), 3, summary=summary)
    found = AlternatingMARL(env, AlternatingConfig(n_rollouts=5, horizon=3), seed=0)
    observations, _ = env.reset(seed=0)
    actions = found.predict(observations)
    assert set(actions) == set(env.agents)
    env.step(actions)
    drawn = [found.predict(observations, deterministic=False)["global_0"] for _ in range(30)]
    assert len(set(drawn)) > 1


def test_the_defaults_are_the_papers_learners() -> None:
    found = AlternatingMARL(SubsampleObservation(parallel_env(n_agents=6, global_view="none"), 3))
    assert found.global_learner == ModeClassifier()
    assert found.local_learner == DeepLocal(algorithm="trpo", deviation="tagged", reward="own")
    blind = AlternatingMARL(parallel_env(n_agents=6, observe_global_state=False))
    assert not blind.global_policy.sees_global_state


@pytest.mark.parametrize("recipe", ["trpo", "reward"])
def test_recipes_train_the_cluster_line(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few robots and updates: the start of the recipe already beats the uniform pair by far."""
    monkeypatch.setattr(recipes, "CLONING", FitConfig(n_steps=200, batch_size=256, smoothing=0.1))
    monkeypatch.setattr(recipes, "CLASSIFYING_STEPS", 30)
    setting = Setting.of(SubsampleObservation(parallel_env(n_agents=20, max_cycles=20, global_view="none"), 5))
    config = AlternatingConfig(n_rollouts=50, horizon=20, eta=0.5, max_alternations=1)
    starts = cluster_line_starts(5) if recipe == "reward" else ()
    found = deep_model(setting, recipe, seed=0, config=config, starts=starts)
    small = {"n_updates": 2, "n_populations": 20}
    found.local_learner = replace(found.local_learner, **small)  # type: ignore[type-var]
    if recipe == "reward":
        found.global_learner = replace(found.global_learner, **small)  # type: ignore[type-var]
    result = found.learn()
    assert len(result.history) == 2
    assert result.potential >= result.history[0].potential
    if recipe == "reward":  # 5 robots seen: the convention that it imitates is far better than standing still
        still = evaluate_line(setting.game, found.global_policy, found.local_policy, 20, horizon=20, n_rollouts=50)
        assert still.mean > 90


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"global_policy": "keep"}, TypeError, "global policy must be an MlpGlobalPolicy or 'uniform'; got 'keep'"),
        ({"local_policy": np.ones(3)}, TypeError, "local policy must be an MlpLocalPolicy or 'uniform'"),
        ({"global_learner": DeepGlobal(n_agents=1)}, ValueError, "n_agents must be at least k=3; got 1"),
    ],
)
def test_what_does_not_fit_is_refused(options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        model(**options)


def test_policies_of_another_k_or_game_are_refused() -> None:
    other = AlternatingMARL(SubsampleObservation(parallel_env(n_agents=6, global_view="none"), 2))
    with pytest.raises(ValueError, match=r"must match the game's \(bins, \|A_g\|\) = \(2, 2\)"):
        model(global_policy=other.global_policy)
    env = SubsampleObservation(parallel_env(n_agents=6, global_view="none"), 3)
    with pytest.raises(ValueError, match="observes k=2 agents; k=3 was asked for"):
        AlternatingMARL(env, global_policy=other.global_policy)


def test_only_uniform_samples_are_judged_and_only_by_rollouts() -> None:
    sampler = Stratified(lambda states: (states > 0.5).astype(int))
    env = SubsampleObservation(PopulationEnv(two_sides(), n_agents=5, global_view="none"), 3, sampler=sampler)
    with pytest.raises(ValueError, match=r"judged on agents sampled uniformly, not by .*Stratified"):
        AlternatingMARL(env, CONFIG)
    env = SubsampleObservation(PopulationEnv(two_sides(), n_agents=5, global_view="none"), 3)
    exact = AlternatingConfig(evaluation="exact", eta=0.1)
    with pytest.raises(ValueError, match="exact evaluation needs the game's arrays"):
        AlternatingMARL(env, exact).learn()


def test_an_unknown_recipe_is_refused() -> None:
    setting = Setting.of(parallel_env(n_agents=6))
    with pytest.raises(ValueError, match="recipe must be one of 'trpo', 'ppo', 'a2c', 'reward'; got 'dqn'"):
        deep_model(setting, "dqn")
