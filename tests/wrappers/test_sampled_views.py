"""Samplers in the single-agent views: a game solved by hand, and the very returns of `evaluate_sampled`."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kofn.agents import evaluate_sampled
from kofn.envs import GlobalPolicy, LocalPolicy, PopulationEnv, TabularGame
from kofn.envs.cluster_line import parallel_env as cluster_line
from kofn.wrappers import (
    DistanceWeighted,
    GlobalBestResponse,
    LocalBestResponse,
    Stratified,
    SubsampleObservation,
)

Array = npt.NDArray[Any]
N, HORIZON = 7, 6
SAMPLERS: dict[str, Any] = {
    "strata": Stratified(np.array([0, 1, 1])),
    "near": DistanceWeighted(np.array([[0, 3], [1, 0], [2, 5]])),
    "function": partial(DistanceWeighted(np.array([[0, 3], [1, 0], [2, 5]]))),
    "strata by function": Stratified(lambda states: np.minimum(states, 1)),
}
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)


def echo() -> TabularGame:
    """No agent ever moves, the global agent goes where it wants, and r is the share of agents where it is."""
    return TabularGame(
        global_transition=np.broadcast_to(np.eye(2), (2, 2, 2)),
        local_transition=np.broadcast_to(np.eye(2)[:, None, None], (2, 2, 2, 2)),
        global_reward=np.zeros((2, 2)),
        local_reward=np.repeat(np.eye(2)[:, :, None], 2, axis=2),
        discount=0.9,
    )


FOLLOW = GlobalPolicy(table=np.tile([1, 0], (2, 1)), k=1, n_local_states=2, n_actions=2)
"""Go where the one agent seen is: its histogram is (0, 1) if it is in state 1, then (1, 0)."""


def minority(rng: np.random.Generator, local_states: Array, global_state: Any, k: int) -> Array:
    """Agents of the state that fewer are in (state 0 if all are in one) come first."""
    fewest = int(local_states.mean() < 0.5) if 0 < local_states.mean() < 1 else int(local_states[0])
    return np.argsort(local_states != fewest, kind="stable")[:k]


def test_the_global_view_sees_whom_the_sampler_draws() -> None:
    """From the second step on it stands with the fewest, and is paid their share."""
    env = GlobalBestResponse(echo(), n_agents=N, k=1, local_policy="stay", sampler=minority)
    shares = set()
    for seed in range(12):
        observation, _ = env.reset(seed=seed)
        rewards = []
        for _ in range(HORIZON):
            observation, reward, *_ = env.step(int(observation[3]))  # [s_g one-hot | histogram]
            rewards.append(reward)
        assert len(set(rewards[1:])) == 1
        assert rewards[1] < 0.5 or rewards[1] == 1.0
        shares.add(rewards[1])
    assert len(shares) > 1


@pytest.mark.parametrize("deviation", ["tagged", "shared"])
def test_the_global_policy_of_a_local_view_sees_whom_the_sampler_draws(deviation: Any) -> None:
    env = LocalBestResponse(
        echo(), n_agents=N, global_policy=FOLLOW, local_policy="stay", deviation=deviation, sampler=minority
    )
    action: Any = 0 if deviation == "tagged" else np.zeros(2, dtype=int)
    for seed in range(12):
        env.reset(seed=seed)
        rewards = [env.step(action)[1] for _ in range(HORIZON)]
        assert len(set(rewards[1:])) == 1
        assert rewards[1] < 0.5 or rewards[1] == 1.0


def test_agents_keep_their_places_and_the_tagged_one_is_the_first() -> None:
    """A sampler of agent 0 alone: who stands still is seen still, and the learner finds s_g where it is itself."""

    def first(rng: np.random.Generator, local_states: Array, global_state: Any, k: int) -> Array:
        return np.arange(k)

    env = GlobalBestResponse(echo(), n_agents=N, k=3, local_policy="stay", sampler=first)
    robot = LocalBestResponse(echo(), n_agents=N, global_policy=FOLLOW, local_policy="stay", sampler=first)
    for seed in range(8):
        seen = [env.reset(seed=seed)[0], *(env.step(0)[0] for _ in range(HORIZON))]
        assert len({tuple(observation[2:]) for observation in seen}) == 1
        robot.reset(seed=seed)
        own, s_g = np.split(robot.step(0)[0], 2)
        assert own.tolist() == s_g.tolist()


@every_sampler
def test_views_and_evaluation_draw_alike(random_game: Callable[..., TabularGame], sampler: Any) -> None:
    """The same seed gives the very same episode: the global agent's side, and the fleet's."""
    game = random_game(0, n_local=3)
    rng = np.random.default_rng(0)
    heeding = GlobalPolicy(table=rng.integers(2, size=(2, 10)), k=3, n_local_states=3, n_actions=2)
    choice = rng.integers(2, size=3)
    fleet = LocalPolicy.from_actions(np.tile(choice[:, None], (1, 2)), 2)
    options: dict[str, Any] = {"n_agents": N, "k": 3, "sampler": sampler, "obs_mode": "multidiscrete"}
    env = GlobalBestResponse(game, local_policy=fleet, **options)
    robots = LocalBestResponse(game, global_policy=heeding, deviation="shared", **options)
    for seed in range(3):
        expected = evaluate_sampled(game, heeding, fleet, N, sampler, horizon=HORIZON, n_rollouts=1, seed=seed).mean
        observation, _ = env.reset(seed=seed)
        robots.reset(seed=seed)
        found = np.zeros(2)
        for t in range(HORIZON):
            s_g, *histogram = observation
            a_g = int(heeding.act(np.array([s_g]), np.array([histogram]))[0])
            observation, reward, *_ = env.step(a_g)
            found += game.discount**t * np.array([reward, robots.step(choice)[1]])
        np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("view", [GlobalBestResponse, LocalBestResponse])
def test_views_refuse_samplers_that_do_not_fit(view: Any) -> None:
    with pytest.raises(ValueError, match="sampler must be a function or one of 'uniform'; got 'near'"):
        view(echo(), n_agents=N, k=1, sampler="near")
    with pytest.raises(ValueError, match=re.escape("groups must be for the game's states, shape [2]; got [3]")):
        view(echo(), n_agents=N, k=1, sampler=Stratified(np.array([0, 1, 1])))
    message = re.escape("distances must be for the game's states, shape [2, 2]; got [3, 2]")
    with pytest.raises(ValueError, match=message):
        view(echo(), n_agents=N, k=1, sampler=DistanceWeighted(np.ones((3, 2))))


def test_environments_refuse_samplers_that_do_not_fit() -> None:
    env = PopulationEnv(echo(), N)
    with pytest.raises(ValueError, match=re.escape("groups must be for the game's states, shape [2]; got [5]")):
        SubsampleObservation(env, 1, sampler=Stratified(np.arange(5)))
    message = re.escape("groups must be a function of states: the game's are no numbers 0, 1, 2, ..; got an array")
    with pytest.raises(TypeError, match=message):
        SubsampleObservation(cluster_line(n_agents=9), 1, sampler=Stratified(np.arange(5)))
