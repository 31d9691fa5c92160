"""Starts, streams and seeds of both simulators: start laws are followed, and no stream shifts another."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from two_simulators import BOTH, advance, counts_of, random_policy, started, tally

from kofn.envs import DirichletStart, FixedStart, IndividualSimulator, LumpedSimulator, Streams, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.population import MAX_AGENTS

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]
RandomGame = Callable[..., TabularGame]


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("law", [DirichletStart([0.3, 0.5, 1.0]), FixedStart([0.2, 0.0, 0.8])])
def test_starts_follow_the_start_law(
    make: Any, law: DirichletStart | FixedStart, random_game: RandomGame, assert_law: AssertLaw
) -> None:
    """Jointly with s_g, which is independent of the local agents."""
    game = random_game(20, n_local=3, initial_local=law)
    simulator = started(make, game, 4, seed=21, n_populations=20_000)
    assert_law(tally(simulator), np.outer(game.initial_global, law.histogram_law(4)))


@pytest.mark.parametrize("make", BOTH)
def test_global_starts_follow_their_law(make: Any, random_game: RandomGame, assert_law: AssertLaw) -> None:
    game = random_game(22, n_global=4)
    given = dict(vars(game)) | {"initial_global": np.array([0.1, 0.0, 0.6, 0.3])}
    simulator = started(make, TabularGame(**given), 1, n_populations=20_000)
    assert_law(np.bincount(simulator.global_states, minlength=4), given["initial_global"])


def test_start_laws_are_those_the_agents_started_from(random_game: RandomGame) -> None:
    """With 10^12 agents the shares are the law up to 4.5 standard deviations and half an agent."""
    game = random_game(23, n_local=3, initial_local=DirichletStart([0.3, 0.3, 0.3]))
    simulator = started(LumpedSimulator, game, MAX_AGENTS, n_populations=50)
    laws = simulator.start_laws
    assert laws.shape == (50, 3)
    assert len(np.unique(laws[:, 0])) == 50
    allowed = 4.5 * np.sqrt(laws * (1 - laws).clip(0) * MAX_AGENTS) + 0.5
    assert (
        np.abs(simulator.counts - laws * MAX_AGENTS) <= allowed + 1e-3
    ).all()  # products of 10^12 are rounded to 1e-4
    fixed = started(LumpedSimulator, random_game(24), 10, n_populations=3)
    np.testing.assert_array_equal(fixed.start_laws, np.full((3, 2), 0.5))


def trajectory(simulator: Any, policy: FloatArray, n_steps: int = 6) -> list[list[Any]]:
    """Global states, counts and payments of some steps; s_g chooses the global action."""
    rng, found = np.random.default_rng(25), []
    for _ in range(n_steps):
        payment = advance(simulator, simulator.global_states % 2, policy, rng)
        found.append([simulator.global_states.tolist(), counts_of(simulator).tolist(), payment.team_reward.tolist()])
    return found


@pytest.mark.parametrize("make", BOTH)
def test_the_seed_decides_everything(make: Any, warehouse3: TabularGame) -> None:
    policy = random_policy(warehouse3, 26)
    runs = [trajectory(started(make, warehouse3, 50, seed=seed, n_populations=3), policy) for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("make", BOTH)
def test_a_reset_with_running_streams_goes_on(make: Any, warehouse3: TabularGame) -> None:
    policy, streams = random_policy(warehouse3, 26), Streams.from_seed(3)
    simulator = make(warehouse3, 50)
    episodes = []
    for _ in range(2):
        simulator.reset(streams)
        episodes.append(trajectory(simulator, policy))
    assert episodes[0] != episodes[1]
    assert episodes[0] == trajectory(started(make, warehouse3, 50, seed=3), policy)


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("name", ["sampling", "policy"])
def test_sampling_and_policies_leave_the_dynamics_alone(make: Any, name: str, warehouse3: TabularGame) -> None:
    policy, runs = random_policy(warehouse3, 26), []
    for n_extra in (0, 7):
        streams = Streams.from_seed(4)
        simulator = make(warehouse3, 50, n_populations=2)
        getattr(streams, name).random(n_extra)
        simulator.reset(streams)
        run = []
        for _ in range(5):
            getattr(streams, name).random(n_extra)
            run += trajectory(simulator, policy, n_steps=1)
        runs.append(run)
    assert runs[0] == runs[1]


def test_global_noise_does_not_depend_on_the_local_agents(warehouse3: TabularGame) -> None:
    """Common random numbers: same seed and global actions, same global path, whatever the population is."""
    paths = set()
    policies = [random_policy(warehouse3, seed) for seed in (26, 27)]
    for make, n_agents, policy in itertools.product(BOTH, (1, 80), policies):
        simulator = started(make, warehouse3, n_agents, seed=5, n_populations=2)
        path = [simulator.global_states.tolist()]
        path += [row[0] for row in trajectory(simulator, policy)]
        paths.add(str(path))
    assert len(paths) == 1


def test_both_simulators_start_from_the_same_global_states_and_laws(random_game: RandomGame) -> None:
    """The shares of 10^6 agents, one by one, are within 4.5 standard deviations of the lumped simulator's laws."""
    game = random_game(28, n_local=3, initial_local=DirichletStart([0.5, 0.5, 0.5]))
    lumped = started(LumpedSimulator, game, 10, seed=6, n_populations=4)
    individual = started(IndividualSimulator, game, 10**5, seed=6, n_populations=4)
    np.testing.assert_array_equal(lumped.global_states, individual.global_states)
    laws = lumped.start_laws
    allowed = 4.5 * np.sqrt(laws * (1 - laws) * 10**5) + 1
    assert (np.abs(individual.counts() - laws * 10**5) <= allowed).all()
