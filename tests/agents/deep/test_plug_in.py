"""Single-agent learners of others as players' learners: what they return becomes a table."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from stable_baselines3 import PPO

from kofn.agents import AlternatingConfig, AlternatingMARL
from kofn.agents.alternation.learners import Problem
from kofn.agents.deep.plug_in import Sb3Learner, env_learner
from kofn.envs import PopulationEnv, TabularGame
from kofn.envs.histograms import enumerate_histograms
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.wrappers import GlobalBestResponse, LocalBestResponse, SubsampleObservation


def pay_for_following() -> TabularGame:
    """s_g becomes a_g, agents never move and are paid to be at s_g: the best reply to a sample is its mode."""
    stay = np.zeros((2, 2, 2, 2))
    stay[:, :, :, :] = np.eye(2)[:, None, None, :]
    return TabularGame(
        global_transition=np.broadcast_to(np.eye(2), (2, 2, 2)),
        local_transition=stay,
        global_reward=np.zeros((2, 2)),
        local_reward=np.broadcast_to(np.eye(2)[:, :, None], (2, 2, 2)) + np.array([0.0, 0.2]),  # action 1 pays more
        discount=0.5,
    )


GAME = pay_for_following()


def problem(player: str, **changes: Any) -> Problem:
    options: dict[str, Any] = {
        "game": GAME,
        "n_agents": 9,
        "k": 3,
        "global_policy": GlobalPolicy.named("uniform", GAME, 3),
        "local_policy": LocalPolicy.named("uniform", GAME),
        "seed": np.random.SeedSequence(0),
        "player": player,
        "max_cycles": 10,
    }
    return Problem(**{**options, **changes})


def test_a_function_of_the_observation_becomes_the_dispatchers_table() -> None:
    seen: list[Any] = []

    def train(env: Any) -> Any:
        seen.append(env)
        return lambda observation: int(observation[2:].argmax())

    table = env_learner(train)(problem("global")).policy.table
    assert isinstance(seen[0], GlobalBestResponse)
    assert (table == enumerate_histograms(3, 2).argmax(axis=1)).all()


@pytest.mark.parametrize("player", ["global", "local"])
def test_views_see_through_the_environments_sampler(player: str) -> None:
    asked: list[int] = []

    def first(_rng: Any, _local_states: Any, _global_state: Any, k: int) -> Any:
        asked.append(k)
        return np.arange(k)

    def train(env: Any) -> Any:
        env.step(0)
        return lambda _seen: 0

    env_learner(train)(problem(player, sampler=first))
    assert set(asked) == {3}


def test_a_function_of_the_observation_becomes_the_fleets_table() -> None:
    """A tagged robot sees [own state, s_g] in one-hot codes; the whole fleet sees s_g and names an action per state."""
    tagged = env_learner(lambda _env: lambda seen: int(seen[:2].argmax() != seen[2:].argmax()))
    assert tagged(problem("local")).policy.table.argmax(axis=2).tolist() == [[0, 1], [1, 0]]
    envs: list[Any] = []

    def train(env: Any) -> Any:
        envs.append(env)
        return lambda seen: np.array([seen.argmax(), 1])

    shared = env_learner(train, deviation="shared")(problem("local")).policy.table.argmax(axis=2)
    assert shared.tolist() == [[0, 1], [1, 1]]
    assert isinstance(envs[0], LocalBestResponse)
    assert envs[0].deviation == "shared"


def test_tables_are_taken_as_they_are() -> None:
    table = np.array([[0, 0, 1, 1], [1, 1, 0, 0]])
    assert (env_learner(lambda _env: table)(problem("global")).policy.table == table).all()
    stay = LocalPolicy.named("stay", GAME)
    assert env_learner(lambda _env: stay)(problem("local")).policy is stay


@pytest.fixture(scope="module")
def learner() -> Sb3Learner:
    return Sb3Learner(PPO, 1024, options={"n_steps": 128, "learning_rate": 1e-2, "n_epochs": 5})


def test_an_algorithm_finds_the_better_action_of_the_fleet(learner: Sb3Learner) -> None:
    """Action 1 pays 0.2 more in every state and nothing else depends on it; as its 1/n share, for one robot."""
    alone = problem("local", n_agents=2, k=1, global_policy=GlobalPolicy.constant(GAME, 1, 0))
    first = learner(alone).policy.table
    brief = replace(learner, total_timesteps=128)
    assert (brief(alone).policy.table == brief(alone).policy.table).all()
    assert first[:, 0].argmax(axis=1).tolist() == [1, 1]  # s_g = 0, where the dispatcher stays


def test_the_driver_takes_it_and_names_it_in_the_folder(learner: Sb3Learner, tmp_path: Any) -> None:
    env = SubsampleObservation(PopulationEnv(GAME, 9, max_cycles=10), 3)
    config = AlternatingConfig(n_rollouts=200, max_alternations=1, eta=0.02)
    follow = env_learner(lambda _env: lambda seen: int(seen[2:].argmax()))
    model = AlternatingMARL(env, config, global_learner=follow, local_learner=learner, seed=0)
    result = model.learn()
    assert result.history[0].verdict == "accept"
    model.save(tmp_path)
    loaded = AlternatingMARL.load(tmp_path)
    with pytest.raises(RuntimeError, match="learner of your own"):
        loaded.global_learner(problem("global"))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: env_learner(3), TypeError, "train must be a function of a gymnasium.Env; got 3"),  # type: ignore[arg-type]
        (lambda: env_learner(len, deviation="all"), ValueError, "deviation must be one of 'tagged', 'shared'"),  # type: ignore[arg-type]
        (lambda: Sb3Learner("PPO", 10), TypeError, "algorithm must be a class such as stable_baselines3.PPO"),  # type: ignore[arg-type]
        (lambda: Sb3Learner(PPO, 0), ValueError, "total_timesteps must be at least 1; got 0"),
        (lambda: Sb3Learner(PPO, 1, options={"gamma": 0.9}), ValueError, "must not set gamma: it is the game's"),
        (lambda: Sb3Learner(PPO, 1, options={"seed": 1}), ValueError, "must not set seed: it is the driver's"),
        (lambda: env_learner(len, deviation="shared", reward="own"), ValueError, "it needs deviation='tagged'"),
    ],
)
def test_what_is_out_of_range_is_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
