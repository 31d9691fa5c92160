"""Single-agent learners of others on continuous games: what they return becomes the player's network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracle.two_sides import two_sides
from stable_baselines3 import A2C, DQN, PPO

from kofn.agents import AlternatingConfig, AlternatingMARL
from kofn.agents.alternation.learners import Problem
from kofn.agents.deep import plug_in_networks
from kofn.agents.deep.networks import FitConfig
from kofn.agents.deep.plug_in import EnvLearner, Sb3Learner, env_learner
from kofn.agents.deep.plug_in_networks import tanh_layers
from kofn.envs.cluster_line import parallel_env
from kofn.envs.line_policies import MlpGlobalPolicy, MlpLocalPolicy
from kofn.wrappers import SubsampleObservation
from kofn.wrappers.continuous_best_response import ContinuousGlobalBestResponse, ContinuousLocalBestResponse
from kofn.wrappers.continuous_vector import N_CELLS

GAME = two_sides()
RIGHT = MlpGlobalPolicy(layers=((np.zeros((3, 2)), np.eye(2)[1]),), k=3)
STAY = MlpLocalPolicy(layers=((np.zeros((2, 2)), np.eye(2)[0]),))
SIDES = np.array([[3, 0], [0, 3]])
"""Everybody seen on the left; on the right."""


def problem(player: str) -> Problem:
    pair = {"global_policy": RIGHT, "local_policy": STAY}
    options: dict[str, Any] = {"game": GAME, "n_agents": 5, "k": 3, "max_cycles": 8, "player": player, **pair}
    return Problem(seed=np.random.SeedSequence(0), **options)


@pytest.fixture(autouse=True)
def brief_imitation(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is imitated here is simple."""
    monkeypatch.setattr(plug_in_networks, "IMITATION", FitConfig(n_steps=150, batch_size=128, smoothing=0.1))
    monkeypatch.setattr(plug_in_networks, "N_SITUATIONS", 3000)


class Leave:
    """Robots change sides where the beacon is near."""

    def act(self, local_states: Any, global_states: Any, *_: Any) -> Any:
        return (np.abs(local_states - global_states) < 0.5).astype(np.int64)


def test_an_algorithms_network_is_taken_over_weight_by_weight() -> None:
    """PPO's default network is ours: the policy acts as the model predicts, and finds the robots' side."""
    models: list[Any] = []

    def train(env: Any) -> Any:
        assert isinstance(env, ContinuousGlobalBestResponse)
        options = {"n_steps": 256, "batch_size": 64, "learning_rate": 1e-2, "n_epochs": 5}
        models.append(PPO("MlpPolicy", env, gamma=env.discount, seed=0, device="cpu", **options).learn(768))
        return models[0]

    policy = env_learner(train)(problem("global")).policy
    assert isinstance(policy, MlpGlobalPolicy)
    assert policy.act(np.float32([0.5, 0.5]), SIDES).tolist() == [0, 1]
    at = np.random.default_rng(0).random(50).astype(np.float32)
    seen = np.random.default_rng(1).multinomial(3, [0.5, 0.5], 50)
    predicted = models[0].predict(policy.inputs(at, seen), deterministic=True)[0]
    assert (policy.act(at, seen) == predicted).mean() > 0.97  # rounding may turn a tie


def test_other_networks_are_not_taken_for_tanh_ones() -> None:
    view = ContinuousGlobalBestResponse(GAME, n_agents=5, k=3)
    relu = {"activation_fn": torch.nn.ReLU}
    assert tanh_layers(A2C("MlpPolicy", view, device="cpu")) is not None
    assert tanh_layers(A2C("MlpPolicy", view, device="cpu", policy_kwargs=relu)) is None
    assert tanh_layers(DQN("MlpPolicy", view, device="cpu", buffer_size=10)) is None
    fleet = ContinuousLocalBestResponse(GAME, n_agents=5, deviation="shared")
    layers = tanh_layers(A2C("MlpPolicy", fleet, device="cpu"))
    assert layers is None or layers[-1][1].shape == (2 * N_CELLS,)  # never taken over: one logit per cell and action


@pytest.mark.parametrize(
    ("learner", "wanted"),
    [
        (env_learner(lambda _env: lambda seen: int(seen[0] < 0.5), reward="own"), [1, 0]),
        (env_learner(lambda _env: lambda seen: np.arange(N_CELLS) < 20 * seen[0], deviation="shared"), [1, 0]),
        (env_learner(lambda _env: Leave()), [0, 1]),
        (env_learner(lambda _env: STAY), [0, 0]),
    ],
    ids=["tagged", "shared", "policy", "network"],
)
def test_what_the_fleet_is_given_is_imitated(learner: EnvLearner, wanted: list[int]) -> None:
    """Under s_g = 1: those on the left change sides; whoever acts by `Leave` does so on the right."""
    policy = learner(problem("local")).policy
    assert isinstance(policy, MlpLocalPolicy)
    assert policy.act(np.float32([0.2, 0.8]), np.float32(1.0)).tolist() == wanted


def test_either_player_on_cluster_line(tmp_path: Path) -> None:
    """DQN, whose networks are others than ours, for the beacon, and a function for the robots; kept as networks."""
    env = SubsampleObservation(parallel_env(n_agents=10, max_cycles=10, global_view="none"), 3)
    dqn = Sb3Learner(DQN, 60, options={"learning_starts": 20, "buffer_size": 100}, zip_folder=tmp_path / "zips")
    chase = env_learner(lambda _env: lambda seen: int(seen[1] > seen[0] + 0.1) + 2 * int(seen[1] < seen[0] - 0.1))
    config = AlternatingConfig(n_rollouts=100, horizon=10, eta=0.1, max_alternations=1)
    model = AlternatingMARL(env, config, global_learner=dqn, local_learner=chase, seed=0)
    with pytest.warns(UserWarning, match=r"global\.zip is Stable-Baselines3's own format, which holds pickled objects"):
        result = model.learn()
    assert result.history[1].verdict == "accept"  # robots that chase the beacon earn more than uniform ones
    assert (tmp_path / "zips" / "global.zip").exists()
    model.save(tmp_path)
    loaded = AlternatingMARL.load(tmp_path, game=env.unwrapped.game)  # type: ignore[attr-defined]  # a PopulationEnv
    with pytest.raises(RuntimeError, match="learner of your own"):
        loaded.local_learner(problem("local"))


def test_an_action_that_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match=r"actions must lie in \[0, 2\); entry \[0\] is 2, for the observation \["):
        env_learner(lambda _env: lambda _seen: 2)(problem("local"))


@pytest.mark.parametrize(
    ("found", "message"),
    [(3, "must be a function or have predict or act; got 3"), (None, "must be a function or have predict or act")],
)
def test_what_is_no_policy_is_refused(found: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        env_learner(lambda _env: found)(problem("local"))
