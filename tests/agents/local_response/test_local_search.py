"""Search over deterministic maps against the oracle that tries them all on individual agents."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents import l_learn
from kofn.agents.local_response.local_search import RowBlocks, best_climb, best_combination, coordinate_ascent
from kofn.envs import DirichletStart, FixedStart, GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
GlobalPolicies = Callable[..., GlobalPolicy]

STOCHASTIC_OPTIMUM = 28
"""A game in which a stochastic policy beats every deterministic one."""


def one_row_changes(table: FloatArray) -> list[FloatArray]:
    """Every table with one row turned into an action."""
    changed = []
    for row in np.ndindex(table.shape[:2]):
        for action in range(table.shape[2]):
            other = table.copy()
            other[row] = np.eye(table.shape[2])[action]
            changed.append(other)
    return changed


@pytest.mark.parametrize(("k", "n_agents"), [(1, 1), (2, 2), (3, 3), (1, 2), (2, 3), (1, 3)])
@pytest.mark.parametrize("deterministic", [False, True])
def test_exhaustive_equals_brute_force(
    random_game: Games, random_global: GlobalPolicies, k: int, n_agents: int, deterministic: bool
) -> None:
    for seed in range(2):
        game = random_game(seed)
        global_policy = random_global(game, k, seed, deterministic)
        tables = global_policy.probabilities()
        table, best = brute_force.best_local_response(game, tables, n_agents, k)
        result = l_learn(game, global_policy, method="exhaustive", n_agents=n_agents)
        assert result.value == pytest.approx(best, abs=1e-9)
        assert (result.policy.table == table).all()
        assert (result.n_agents, result.n_iterations, result.converged) == (n_agents, 16, True)


@pytest.mark.parametrize(
    ("sizes", "start"),
    [
        ({"n_global": 3, "n_local": 2, "n_local_actions": 2}, DirichletStart(np.array([0.3, 1.0]))),
        ({"n_global": 1, "n_local": 3, "n_local_actions": 3}, FixedStart(np.array([0.1, 0.2, 0.7]))),
        ({"n_global": 2, "n_local": 3, "n_local_actions": 2}, None),
    ],
)
def test_exhaustive_over_other_sizes_and_starts(
    random_game: Games, random_global: GlobalPolicies, sizes: dict[str, int], start: Any
) -> None:
    game = random_game(7, initial_local=start, discount=0.7, **sizes)
    global_policy = random_global(game, 1, 7)
    table, best = brute_force.best_local_response(game, global_policy.probabilities(), 2, 1)
    result = l_learn(game, global_policy, method="exhaustive", n_agents=2)
    assert result.value == pytest.approx(best, abs=1e-9)
    assert (result.policy.table == table).all()


def test_many_batches_of_maps_give_the_same_answer(
    random_game: Games, random_global: GlobalPolicies, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = random_game(3, n_local=3, n_local_actions=2)
    global_policy = random_global(game, 2, 3)
    at_once = l_learn(game, global_policy, method="exhaustive")
    monkeypatch.setattr("kofn.agents.local_response.local_search.BATCH_BYTES", 8 * 12**2 * 5)
    in_batches = l_learn(game, global_policy, method="exhaustive")
    assert (at_once.policy.table == in_batches.policy.table).all()
    assert at_once.value == pytest.approx(in_batches.value, abs=1e-12)


def test_best_combination_equals_a_loop_over_all() -> None:
    rng = np.random.default_rng(0)
    blocks = RowBlocks(
        transition=rng.dirichlet(np.ones(6), (3, 4, 2)),
        rewards=rng.standard_normal((3, 4, 2)),
        start=rng.dirichlet(np.ones(6)),
        discount=0.8,
    )
    values = {}
    for choice in product(range(4), repeat=3):
        rows = np.concatenate([blocks.transition[block, option] for block, option in enumerate(choice)])
        paid = np.concatenate([blocks.rewards[block, option] for block, option in enumerate(choice)])
        values[choice] = float(blocks.start @ np.linalg.solve(np.eye(6) - 0.8 * rows, paid))
    choice, value = best_combination(blocks, 1e-12)
    assert value == pytest.approx(max(values.values()), abs=1e-12)
    assert values[tuple(choice.tolist())] == pytest.approx(value, abs=1e-12)


def test_best_combination_takes_the_first_of_equals() -> None:
    rewards = np.array([[[0.0], [1], [1]], [[2], [2], [0]]])
    blocks = RowBlocks(transition=np.full((2, 3, 1, 2), 0.5), rewards=rewards, start=np.array([0.5, 0.5]), discount=0.5)
    assert best_combination(blocks, 1e-9)[0].tolist() == [1, 0]


def test_a_stochastic_policy_can_beat_every_map(random_game: Games, random_global: GlobalPolicies) -> None:
    game = random_game(STOCHASTIC_OPTIMUM)
    global_policy = random_global(game, 2, STOCHASTIC_OPTIMUM, deterministic=True)
    climbed = l_learn(game, global_policy)
    _, best = brute_force.best_local_response(game, global_policy.probabilities(), 2, 2)
    worth = brute_force.potential(game, global_policy.probabilities(), climbed.policy.table, 2, 2)
    assert worth > best + 1e-3
    assert l_learn(game, global_policy, method="exhaustive").value == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("stochastic", [False, True])
def test_coordinate_ascent_ends_where_no_single_row_helps(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies, stochastic: bool
) -> None:
    """No row, turned into any action, raises Phi; and Phi is not below the start's."""
    for seed in range(4):
        game = random_game(seed, n_local_actions=3)
        global_policy = random_global(game, 2, seed, deterministic=True)
        tables = global_policy.probabilities()
        start = random_local(game, seed)
        if not stochastic:
            start = LocalPolicy.from_actions(start.table.argmax(axis=2), 3)
        result = l_learn(game, global_policy, method="shared_coord", start=start, n_starts=0)
        worth = brute_force.potential(game, tables, result.policy.table, 2, 2)
        assert result.converged
        assert result.value == pytest.approx(worth, abs=1e-9)
        assert worth >= brute_force.potential(game, tables, start.table, 2, 2)
        others = [brute_force.potential(game, tables, table, 2, 2) for table in one_row_changes(result.policy.table)]
        assert max(others) <= worth + 1e-8


def test_coordinate_ascent_finds_the_best_map(random_game: Games, random_global: GlobalPolicies) -> None:
    """In all of these games, from the start and "stay" alone; in one it is above, with a row left as it was."""
    gains = []
    for seed in range(15, 30):
        game = random_game(seed)
        global_policy = random_global(game, 2, seed, deterministic=seed % 2 == 0)
        best = l_learn(game, global_policy, method="exhaustive").value
        gains.append(l_learn(game, global_policy, method="shared_coord", n_starts=0).value - best)
    assert min(gains) >= -1e-8
    assert [seed for seed, gain in enumerate(gains, start=15) if gain > 1e-8] == [22]


@pytest.mark.parametrize("n_agents", [2, 4])
def test_coordinate_ascent_on_a_population_larger_than_what_is_seen(
    random_game: Games, random_global: GlobalPolicies, n_agents: int
) -> None:
    game = random_game(2, n_local=3)
    global_policy = random_global(game, 2, 2, deterministic=True)
    found = l_learn(game, global_policy, method="shared_coord", n_agents=n_agents, seed=0)
    best = l_learn(game, global_policy, method="exhaustive", n_agents=n_agents)
    assert found.value == pytest.approx(best.value, abs=1e-8)
    assert found.n_agents == n_agents


def two_steps_to_the_prize() -> TabularGame:
    """From state 0 (worth 1 a step) the prize (10 a step, for ever) takes action 1 in state 0 and then in state 1.

    Either change alone loses or does nothing, so that a climb from action 0 everywhere ends there.
    """
    moves = np.zeros((3, 1, 2, 3))
    moves[0, 0, 0, 0] = moves[0, 0, 1, 1] = moves[1, 0, 0, 0] = moves[1, 0, 1, 2] = moves[2, 0, :, 2] = 1
    return TabularGame(
        global_transition=np.ones((1, 1, 1)),
        local_transition=moves,
        global_reward=np.zeros((1, 1)),
        local_reward=np.array([[[1.0, 0]], [[0, 0]], [[10, 10]]]),
        discount=0.9,
        initial_local=FixedStart(np.array([1.0, 0, 0])),
    )


def test_more_starts_escape_a_local_optimum() -> None:
    game = two_steps_to_the_prize()
    options: dict[str, Any] = {"method": "shared_coord", "start": LocalPolicy.named("stay", game)}
    global_policy = GlobalPolicy.constant(game, 2, 0)
    stuck = l_learn(game, global_policy, n_starts=0, **options)
    assert (stuck.value, stuck.converged) == (pytest.approx(10), True)
    assert (stuck.policy.table == options["start"].table).all()
    found = l_learn(game, global_policy, n_starts=20, seed=0, **options)
    assert found.value == pytest.approx(81)
    assert found.policy.table[:2, 0].argmax(axis=1).tolist() == [1, 1]
    assert l_learn(game, global_policy, method="exhaustive").value == pytest.approx(81)


def test_random_starts_are_a_function_of_the_seed() -> None:
    game = two_steps_to_the_prize()
    start = LocalPolicy.named("stay", game)

    def value(seed: int) -> float:
        return l_learn(
            game, GlobalPolicy.constant(game, 1, 0), method="shared_coord", start=start, n_starts=1, seed=seed
        ).value

    values = [value(seed) for seed in range(20)]
    assert values == [value(seed) for seed in range(20)]
    # A random start leads to the prize when both its first rows play 1, with chance 1/4, or one step of the climb away.
    assert {round(v) for v in values} == {10, 81}


def test_coordinate_ascent_on_a_known_function() -> None:
    """The row sums of weights are maximised row by row, each switch once."""
    weights = np.random.default_rng(0).standard_normal((3, 2, 4))
    start = LocalPolicy(np.full((3, 2, 4), 0.25))
    calls = []

    def evaluate(policy: LocalPolicy) -> float:
        calls.append(policy)
        return float(np.vdot(weights, policy.table))

    climb = coordinate_ascent(evaluate, start, resolution=1e-9, max_iterations=100)
    assert climb.value == pytest.approx(weights.max(axis=2).sum())
    assert (climb.policy.table.argmax(axis=2) == weights.argmax(axis=2)).all()
    assert (climb.n_iterations, climb.converged) == (6, True)
    # One sweep that changes every row; then five rows, each with three actions that it does not play, change nothing.
    assert len(calls) == 1 + 4 * 6 + 3 * 5


def test_coordinate_ascent_stops_at_its_limit() -> None:
    weights = np.random.default_rng(0).standard_normal((3, 2, 4))
    start = LocalPolicy(np.full((3, 2, 4), 0.25))
    climb = coordinate_ascent(lambda policy: float(np.vdot(weights, policy.table)), start, 1e-9, max_iterations=2)
    assert (climb.n_iterations, climb.converged) == (2, False)
    assert climb.value > float(np.vdot(weights, start.table))


def test_a_single_action_leaves_nothing_to_try() -> None:
    start = LocalPolicy(np.ones((2, 2, 1)))
    climb = coordinate_ascent(lambda _: 3.0, start, 1e-9, max_iterations=5)
    assert (climb.value, climb.n_iterations, climb.converged) == (3, 0, True)


def test_one_row_is_settled_at_once() -> None:
    """The limit is met by the very change after which nothing is left to do."""
    start = LocalPolicy(np.full((1, 1, 2), 0.5))
    climb = coordinate_ascent(lambda policy: float(policy.table[0, 0, 1]), start, 1e-9, max_iterations=1)
    assert (climb.value, climb.n_iterations, climb.converged) == (1, 1, True)


def test_first_of_equally_good_climbs_wins() -> None:
    starts = [LocalPolicy(np.array([[row]])) for row in ([0.5, 0.5, 0], [1.0, 0, 0], [0, 0, 1.0])]
    climb = best_climb(
        lambda policy: min(1.0, 2 * float(policy.table[0, 0, 0])), starts, resolution=1e-9, max_iterations=9
    )
    assert climb.policy.table.tolist() == [[[0.5, 0.5, 0]]]
    assert climb.n_iterations == 1


def test_sampled_kernels_are_the_same_for_every_map(random_game: Games, random_global: GlobalPolicies) -> None:
    """The value is that of the policy on the same sampled chain, whichever method looks at it."""
    game = random_game(0)
    global_policy = random_global(game, 3, 0)
    options: dict[str, Any] = {"operator": "monte_carlo", "n_samples": 5, "seed": 4}
    for method in ("exhaustive", "shared_coord"):
        found = l_learn(game, global_policy, method=method, **options)  # type: ignore[arg-type] # a name of one
        again = l_learn(game, global_policy, start=found.policy, tolerance=1e6, **options)
        assert found.value == pytest.approx(again.value, abs=1e-8)
        assert (found.operator, found.n_samples) == ("monte_carlo", 5)
    exact = brute_force.potential(game, global_policy.probabilities(), found.policy.table, 3, 3)
    assert abs(found.value - exact) > 1e-3


def test_too_many_maps_are_refused(warehouse3: TabularGame, random_game: Games, random_global: GlobalPolicies) -> None:
    game = random_game(0, n_local=3, n_global=5)
    message = r"at most 20000 maps; .* = 2\^\(3\*5\) = 32768; use method='shared_coord'"
    with pytest.raises(ValueError, match=message):
        l_learn(game, random_global(game, 1, 0), method="exhaustive")
    assert l_learn(warehouse3, GlobalPolicy.named("keep", warehouse3, 1), method="exhaustive").n_iterations == 3**9


def test_too_large_chains_are_refused(warehouse3: TabularGame) -> None:
    message = r"needs \d+\.\d GiB for n_agents=60, more than 2; use method='shared_coord' or fewer agents"
    with pytest.raises(ValueError, match=message):
        l_learn(warehouse3, GlobalPolicy.named("keep", warehouse3, 2), method="exhaustive", n_agents=60)
