"""Games of several types against their types: solved by brute force, played, and restricted to one type."""

import doctest
import importlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents import evaluate, g_learn
from kofn.envs import DirichletStart, FixedStart, GlobalPolicy, LocalPolicy, PopulationEnv, RewardLaw, TabularGame
from kofn.envs.types import type_states, with_types

Make = Callable[..., TabularGame]


@pytest.fixture
def pair(random_game: Make) -> dict[str, TabularGame]:
    """Two types of unequal size that share what is global."""
    first, other = random_game(1, n_local=2), random_game(2, n_local=3)
    return {"a": first, "b": local_part(first, other)}


def local_part(first: TabularGame, other: TabularGame) -> TabularGame:
    """The local part of `other` in the global part of `first`."""
    return replace(
        first,
        local_transition=other.local_transition,
        local_reward=other.local_reward,
        initial_local=other.initial_local,
        labels=replace(first.labels, local_states=other.labels.local_states),
    )


def mixed_by_hand(game: Any, types: dict[str, TabularGame], policies: dict[str, Any], n: tuple[int, int]) -> float:
    """Value of n[0] agents of the first type and n[1] of the second, by a joint chain of tuples; blind action 0."""
    (one, p_one), (two, p_two) = ((types[kind], policies[kind]) for kind in types)
    members = [(one, p_one)] * n[0] + [(two, p_two)] * n[1]
    sizes = [member.n_local_states for member, _ in members]
    states = [(g, *rest) for g in range(game.n_global_states) for rest in np.ndindex(*sizes)]
    transition, rewards, start = np.zeros((len(states), len(states))), np.zeros(len(states)), np.zeros(len(states))
    for i, (g, *xs) in enumerate(states):
        law = game.global_transition[g, 0]
        rewards[i] = game.global_reward[g, 0]
        start[i] = game.initial_global[g]
        for (member, policy), x in zip(members, xs, strict=True):
            law = np.kron(law, np.einsum("a,ay->y", policy[x, g], member.local_transition[x, g]))
            rewards[i] += policy[x, g] @ member.local_reward[x, g] / len(members)
            start[i] *= member.initial_local.probabilities[x]
        transition[i] = law
    value = np.linalg.solve(np.eye(len(states)) - game.discount * transition, rewards)
    return float(start @ value)


def test_values_are_those_of_agents_with_laws_of_their_own(pair: dict[str, TabularGame]) -> None:
    """Every agent draws its type first: two agents are of types aa, ab, ba or bb."""
    rng = np.random.default_rng(0)
    policies = {kind: rng.dirichlet(np.ones(2), game.local_reward.shape[:2]) for kind, game in pair.items()}
    joint = with_types(pair, shares={"a": 0.3, "b": 0.7})
    constant = np.eye(2)[np.zeros((2, 15), dtype=int)]
    found = brute_force.potential(joint, constant, np.concatenate(list(policies.values())), 2, 2)
    weights = {(2, 0): 0.09, (1, 1): 0.42, (0, 2): 0.49}
    expected = sum(weight * mixed_by_hand(pair["a"], pair, policies, n) for n, weight in weights.items())
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_one_type_is_the_game_itself(random_game: Make) -> None:
    game = random_game(3, n_local=3)
    alone = with_types({"only": game})
    for field in ("global_transition", "local_transition", "global_reward", "local_reward", "initial_global"):
        np.testing.assert_array_equal(getattr(alone, field), getattr(game, field))
    assert alone.discount == game.discount
    np.testing.assert_array_equal(alone.initial_local.probabilities, game.initial_local.probabilities)


def test_equal_types_are_worth_what_one_is(random_game: Make) -> None:
    """Best responses in the game of two equal types are those of the one, whatever the types of the agents seen."""
    game = random_game(4, n_local=2)
    twice = with_types({"a": game, "b": game})
    policy = LocalPolicy.named("uniform", game)
    single = g_learn(game, policy, k=2, tolerance=1e-10).q_values
    double = g_learn(twice, LocalPolicy.named("uniform", twice), k=2, tolerance=1e-10).q_values
    for counts, q in zip(brute_force.count_vectors(2, 4), double.swapaxes(0, 1), strict=True):
        merged = (counts[0] + counts[2], counts[1] + counts[3])
        expected = single[:, brute_force.count_vectors(2, 2).index(merged)]
        np.testing.assert_allclose(q, expected, atol=1e-8)


def test_blocks_lie_on_the_diagonal(pair: dict[str, TabularGame]) -> None:
    joint = with_types(pair)
    np.testing.assert_array_equal(joint.local_transition[:2, :, :, :2], pair["a"].local_transition)
    np.testing.assert_array_equal(joint.local_transition[2:, :, :, 2:], pair["b"].local_transition)
    assert not joint.local_transition[:2, :, :, 2:].any()
    assert not joint.local_transition[2:, :, :, :2].any()
    np.testing.assert_array_equal(joint.local_reward[2:], pair["b"].local_reward)


def test_no_agent_ever_changes_its_type(pair: dict[str, TabularGame]) -> None:
    env = PopulationEnv(with_types(pair), 40, max_cycles=30)
    env.reset(seed=0)
    types = env.simulator.local_states[0] >= 2
    assert 0 < types.sum() < 40
    rng = np.random.default_rng(1)
    while env.agents:
        env.step({agent: int(rng.integers(2)) for agent in env.agents})
        np.testing.assert_array_equal(env.simulator.local_states[0] >= 2, types)


def test_type_states_number_the_blocks(pair: dict[str, TabularGame]) -> None:
    assert type_states(pair) == {"a": range(2), "b": range(2, 5)}
    joint = with_types(pair)
    for kind, states in type_states(pair).items():
        assert all(joint.labels.local_states[x].startswith(f"{kind}/") for x in states)


def test_labels_put_the_type_before_the_state(pair: dict[str, TabularGame]) -> None:
    labels = with_types(pair).labels
    assert labels.local_states == ("a/x0", "a/x1", "b/x0", "b/x1", "b/x2")
    assert labels.title == "tabular game (a, b)"
    assert labels.global_states == pair["a"].labels.global_states
    assert with_types(pair, title="zoo").labels.title == "zoo"


# Starts.


def test_fixed_starts_mix_by_the_shares(pair: dict[str, TabularGame]) -> None:
    a, b = np.array([0.25, 0.75]), np.array([0.5, 0.2, 0.3])
    types = {
        "a": replace(pair["a"], initial_local=FixedStart(a)),
        "b": replace(pair["b"], initial_local=FixedStart(b)),
    }
    law = with_types(types, shares={"b": 0.2, "a": 0.8}).initial_local
    assert isinstance(law, FixedStart)
    np.testing.assert_allclose(law.probabilities, [0.2, 0.6, 0.1, 0.04, 0.06], rtol=1e-14)
    law = with_types(types).initial_local
    np.testing.assert_allclose(law.probabilities, [0.125, 0.375, 0.25, 0.1, 0.15], rtol=1e-14)


def test_dirichlet_starts_keep_the_law_within_each_type(pair: dict[str, TabularGame]) -> None:
    """The law within a type is its own and independent of its share, which is Beta(0.3 2, 2 3) distributed."""
    types = {
        "a": replace(pair["a"], initial_local=DirichletStart.symmetric(0.3, 2)),
        "b": replace(pair["b"], initial_local=DirichletStart.symmetric(2.0, 3)),
    }
    law = with_types(types).initial_local
    assert isinstance(law, DirichletStart)
    np.testing.assert_array_equal(law.concentration, [0.3, 0.3, 2, 2, 2])
    n_draws = 20_000
    drawn = law.draw(np.random.default_rng(0), n_draws)
    share = drawn[:, 2:].sum(axis=1)
    within = drawn[:, 2] / share
    error = 5 / n_draws**0.5
    assert abs(share.mean() - 6 / 6.6) < error
    assert abs(within.mean() - 1 / 3) < error
    assert abs(within.var() - (1 / 3) * (2 / 3) / 7) < error
    assert abs(np.corrcoef(share, within)[0, 1]) < error


# Reward laws.


def test_reward_laws_are_stacked(pair: dict[str, TabularGame]) -> None:
    """A type without a law pays its table for certain; outcomes are filled up."""
    means = pair["b"].local_reward
    law = RewardLaw(np.stack([means - 1, means, means + 1], axis=-1), np.full((*means.shape, 3), 1 / 3))
    joint = with_types({"a": pair["a"], "b": replace(pair["b"], local_reward_law=law)})
    assert joint.local_reward_law is not None
    np.testing.assert_allclose(joint.local_reward_law.mean, np.concatenate([pair["a"].local_reward, means]))
    assert joint.local_reward_law.lowest == law.lowest
    paid = joint.local_reward_law.sample(np.random.default_rng(0), np.zeros(50, dtype=int), 1, 0)
    np.testing.assert_array_equal(paid, pair["a"].local_reward[0, 1, 0])
    assert with_types(pair).local_reward_law is None


def test_a_shared_law_of_global_rewards_stays(pair: dict[str, TabularGame]) -> None:
    law = RewardLaw.certain(pair["a"].global_reward)
    joint = with_types({kind: replace(game, global_reward_law=law) for kind, game in pair.items()})
    assert joint.global_reward_law is not None
    np.testing.assert_array_equal(joint.global_reward_law.values, law.values)


def test_it_can_be_played_and_saved(pair: dict[str, TabularGame], tmp_path: Any) -> None:
    joint = with_types(pair)
    joint.save(tmp_path / "game.npz")
    loaded = TabularGame.load(tmp_path / "game.npz")
    np.testing.assert_array_equal(loaded.local_transition, joint.local_transition)
    policies = GlobalPolicy.constant(joint, 2, 0), LocalPolicy.named("uniform", joint)
    assert np.isfinite(evaluate(loaded, *policies, 10, horizon=5, n_rollouts=4, seed=0).mean)


# Refusals.


def refused(error: type[Exception], message: str) -> Any:
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def test_no_mapping_is_refused(pair: dict[str, TabularGame]) -> None:
    games: Any = list(pair.values())
    with refused(TypeError, "games must be a mapping from types to TabularGames; got list"):
        with_types(games)


def test_no_type_is_refused() -> None:
    with refused(ValueError, "games must hold at least one type; got none"):
        with_types({})


@pytest.mark.parametrize(("kind", "is_game", "found"), [("c", False, "'c': int"), (3, True, "3: TabularGame")])
def test_other_things_are_refused(pair: dict[str, TabularGame], kind: Any, is_game: bool, found: str) -> None:
    games: Any = {**pair, kind: pair["a"] if is_game else 3}
    with refused(TypeError, f"games must map strings to TabularGames; got {found}"):
        with_types(games)


def test_types_without_a_name_are_refused(pair: dict[str, TabularGame]) -> None:
    with refused(ValueError, "types must have names; got ' '"):
        with_types({" ": pair["a"]})


def test_other_numbers_of_actions_are_refused(pair: dict[str, TabularGame], random_game: Make) -> None:
    other = random_game(5, n_local_actions=3)
    message = "types must have equally many local actions; 'c' differs from 'a': 3, not 2"
    with refused(ValueError, message):
        with_types({**pair, "c": other})


def test_other_global_sizes_are_refused(pair: dict[str, TabularGame], random_game: Make) -> None:
    message = "global_transition must be shared by all types; 'c' differs from 'a' in shape: [3, 2, 3], not [2, 2, 2]"
    with refused(ValueError, message):
        with_types({**pair, "c": random_game(5, n_global=3)})


def test_what_is_not_shared_is_named(pair: dict[str, TabularGame]) -> None:
    rewards = pair["b"].global_reward.copy()
    expected = rewards[1, 0]
    rewards[1, 0] = 7
    message = f"global_reward must be shared by all types; 'b' differs from 'a' at [1, 0]: 7.0, not {expected}"
    with refused(ValueError, message):
        with_types({"a": pair["a"], "b": replace(pair["b"], global_reward=rewards)})
    message = "discount must be shared by all types; 'b' differs from 'a': 0.5, not 0.9"
    with refused(ValueError, message):
        with_types({"a": pair["a"], "b": replace(pair["b"], discount=0.5)})
    message = "initial_global must be shared by all types; 'b' differs from 'a' at [0]: 0.25, not 0.5"
    with refused(ValueError, message):
        with_types({"a": pair["a"], "b": replace(pair["b"], initial_global=np.array([0.25, 0.75]))})


def test_other_laws_of_global_rewards_are_refused(pair: dict[str, TabularGame]) -> None:
    game = replace(pair["b"], global_reward_law=RewardLaw.certain(pair["b"].global_reward))
    with refused(ValueError, "global_reward_law must be shared by all types; 'b' differs from 'a'"):
        with_types({"a": pair["a"], "b": game})


def test_mixed_kinds_of_starts_are_refused(pair: dict[str, TabularGame]) -> None:
    game = replace(pair["b"], initial_local=DirichletStart.symmetric(1.0, 3))
    message = (
        "types must all start from FixedStart or all from DirichletStart; got 'a' from FixedStart, 'b' from Dirichl"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        with_types({"a": pair["a"], "b": game})


@pytest.mark.parametrize(
    ("shares", "error", "message"),
    [
        ([0.5, 0.5], TypeError, "shares must be a mapping from types to probabilities; got list"),
        ({"a": 1.0}, ValueError, "shares must name the types ['a', 'b']; got ['a']"),
        ({"a": 0.5, "b": 0.3, "c": 0.2}, ValueError, "shares must name the types ['a', 'b']; got ['a', 'b', 'c']"),
        (
            {"a": 0.5, "b": 0.6},
            ValueError,
            "shares must have rows that sum to 1 within 1e-08; its only row sums to 1.1",
        ),
        ({"a": 1.5, "b": -0.5}, ValueError, "shares must be nonnegative (probabilities); entry [1] is -0.5"),
    ],
)
def test_bad_shares_are_refused(
    pair: dict[str, TabularGame], shares: Any, error: type[Exception], message: str
) -> None:
    with refused(error, message):
        with_types(pair, shares=shares)


def test_shares_of_dirichlet_starts_are_refused(pair: dict[str, TabularGame]) -> None:
    sizes = {"a": 2, "b": 3}
    types = {k: replace(game, initial_local=DirichletStart.symmetric(1.0, sizes[k])) for k, game in pair.items()}
    with pytest.raises(ValueError, match=r"shares must be None for types that start from DirichletStart.*FixedStart"):
        with_types(types, shares={"a": 0.5, "b": 0.5})


def test_docstring_example() -> None:
    outcome = doctest.testmod(importlib.import_module("kofn.envs.types"))
    assert outcome.attempted >= 5
    assert outcome.failed == 0
