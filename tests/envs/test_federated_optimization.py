"""Federated optimisation against its formulas written out case by case, one case solved by hand, and what looking pays.

What looking pays is measured with a fixed fleet (five steps if far and emphasised, otherwise skip) in the game of 1000
clients: discounted returns over 100 steps less the shifts of the rewards. What a server that sees only its own state
earns does not depend on the number of clients, and is computed exactly from one client's chain.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from oracle import brute_force

from kofn.agents import evaluate
from kofn.envs import DirichletStart, GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.federated_optimization import DEFAULTS, game, parallel_env
from kofn.envs.population import sample_without_replacement
from kofn.envs.simulator import LumpedSimulator
from kofn.envs.streams import Streams

Array = npt.NDArray[Any]
SIZES = [2, 3, 4]
# Sums and products of at most six numbers in [0, 1].
ROUNDING = 8 * np.finfo(float).eps
HORIZON = 100
SHIFT = 1.1 * (1 - 0.95**HORIZON) / (1 - 0.95)
ROLLOUTS = 1000


def states(n_domains: int) -> Iterator[tuple[int, int, int]]:
    """(number, domain, level or place) of every state."""
    for i, (domain, bit) in enumerate(product(range(n_domains), range(2))):
        yield i, domain, bit


@pytest.mark.parametrize("n_domains", SIZES)
def test_requests_move_the_server(n_domains: int) -> None:
    found = game(n_domains)
    assert found.global_transition.shape == (2 * n_domains, n_domains + 1, 2 * n_domains)
    for s, c, e in states(n_domains):
        for a in range(n_domains + 1):
            asked = (a, e) if a < n_domains else (c, 1 - e)
            for after, c_next, e_next in states(n_domains):
                law = 0.05 / (2 * n_domains)
                law += 0.95 * (0.9 * ((c_next, e_next) == asked) + 0.1 * (after == s))
                np.testing.assert_allclose(found.global_transition[s, a, after], law, rtol=0, atol=ROUNDING)
            # Asking for a change costs 0.02; rewards are shifted up by as much.
            np.testing.assert_allclose(found.global_reward[s, a], 0.02 if asked == (c, e) else 0.0, atol=ROUNDING)


def turn(n_domains: int, d: int, b: int, c: int, e: int, a: int) -> float:
    """Probability with which a client of domain d changes between near (b = 0) and far (b = 1)."""
    work, eta = (0.0, 0.5, 1.0)[a], (0.4, 1.0)[e]
    if b == 1:
        return work * eta * (0.5 if d == c else 0.03)
    if d != c:
        return 0.05
    return work * 0.25 if e == 1 else 0.0


@pytest.mark.parametrize("n_domains", SIZES)
def test_clients_move_by_the_stated_law(n_domains: int) -> None:
    found = game(n_domains)
    assert found.local_transition.shape == (2 * n_domains, 2 * n_domains, 3, 2 * n_domains)
    for (x, d, b), (s, c, e), a in product(states(n_domains), states(n_domains), range(3)):
        law = np.zeros(2 * n_domains)
        law[2 * d + 1 - b] = turn(n_domains, d, b, c, e, a)
        law[x] = 1 - law.sum()
        np.testing.assert_allclose(found.local_transition[x, s, a], law, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("n_domains", SIZES)
def test_clients_pay_for_being_far_and_for_work(n_domains: int) -> None:
    found = game(n_domains)
    assert found.local_reward.shape == (2 * n_domains, 2 * n_domains, 3)
    for x, _, b in states(n_domains):
        wanted = [1.08 - b, 1.05 - b, 1.0 - b]
        np.testing.assert_allclose(found.local_reward[x], np.tile(wanted, (2 * n_domains, 1)), rtol=0, atol=ROUNDING)
    assert found.local_reward.min() == 0
    assert found.global_reward.min() == 0
    np.testing.assert_allclose(found.reward_bound, 1.1, rtol=ROUNDING)


def test_an_idle_fleet_solved_by_hand() -> None:
    """Nobody works and the server keeps its domain: clients only ever drift away.

    The server stays in its domain with probability 0.95 + 0.05/4 = 0.9625 and enters a given other one with 0.0125.
    With u, v the probabilities of being near and (not) emphasised, which start at 1/8 and 3/8,

        u' = 0.9625 u + 0.0125 (0.95 v)        v' = 0.0375 u + 0.9875 (0.95 v)

    and a step pays 0.02 + 0.08 + u + v. So sum_t 0.95^t (u + v) solves two linear equations.
    """
    keep = np.array([[0.9625, 0.0125 * 0.95], [0.0375, 0.9875 * 0.95]])
    near = np.linalg.solve(np.eye(2) - 0.95 * keep, [1 / 8, 3 / 8]).sum()
    value = 0.1 / 0.05 + near
    found = game()
    server = GlobalPolicy.named("keep", found, 1)
    skip = LocalPolicy.from_actions(np.zeros((8, 8), dtype=int), 3)
    exact = brute_force.potential(found, server.probabilities(), skip.table, n=1, k=1)
    np.testing.assert_allclose(exact, value, rtol=1e-12)
    # 0.95^400 < 2e-9: nothing is left to earn after that.
    played = evaluate(found, server, skip, DEFAULTS.n_agents, horizon=400, n_rollouts=ROLLOUTS, seed=0)
    assert abs(played.mean - value) < 4 * played.standard_error


def test_defaults() -> None:
    found = game()
    assert (found.n_global_states, found.n_global_actions, found.n_local_states, found.n_local_actions) == (8, 5, 8, 3)
    assert found.discount == 0.95
    np.testing.assert_array_equal(found.initial_global, [1 / 8] * 8)
    assert isinstance(found.initial_local, DirichletStart)
    np.testing.assert_array_equal(found.initial_local.concentration, [0.3] * 8)
    assert (DEFAULTS.n_agents, DEFAULTS.max_cycles, DEFAULTS.k) == (1000, 100, 8)


def test_labels_name_domains_and_actions() -> None:
    labels = game(2).labels
    assert labels.global_states[1:3] == ("domain 0, large steps", "domain 1, small steps")
    assert labels.local_states == ("domain 0, near", "domain 0, far", "domain 1, near", "domain 1, far")
    assert labels.global_actions == ("emphasise domain 0", "emphasise domain 1", "switch the step level")
    assert labels.local_actions == ("skip", "1 step", "5 steps")


def test_sizes_reach_the_environment() -> None:
    parallel = parallel_env(n_domains=3, discount=0.5, n_agents=4, max_cycles=2)
    assert (parallel.game.n_local_states, parallel.game.discount) == (6, 0.5)


def diligent(found: TabularGame) -> LocalPolicy:
    """Five steps if far and emphasised, otherwise skip."""
    actions = np.zeros((8, 8), dtype=int)
    for (x, d, b), (s, c, _) in product(states(4), states(4)):
        actions[x, s] = 2 if b == 1 and d == c else 0
    return LocalPolicy.from_actions(actions, found.n_local_actions)


def blind_value(found: TabularGame, fleet: LocalPolicy, actions: Array) -> float:
    """Value of the server's map [s_g], exact for any number of clients: the reward is linear in their counts."""
    x, s = np.arange(8)[:, None], np.arange(8)[None, :]
    work = fleet.table.argmax(axis=2)
    client, paid = found.local_transition[x, s, work], found.local_reward[x, s, work]  # [x, s, x'], [x, s]
    server = found.global_transition[np.arange(8), actions]
    reward = found.global_reward[np.arange(8), actions] + paid
    law, value = np.full((8, 8), 1 / 64), -SHIFT
    for t in range(HORIZON):
        value += 0.95**t * (law * reward).sum()
        law = np.einsum("xs,xsy,st->yt", law, client, server)
    return value


def best_blind(found: TabularGame, fleet: LocalPolicy) -> float:
    """Best map of the server's own state to actions that no change of one entry improves, from several starts."""
    rng = np.random.default_rng(1)
    best = -np.inf
    for start in range(4):
        actions = np.tile([4, 0], 4) if start == 0 else rng.integers(5, size=8)
        best = max(best, climb(lambda tried: blind_value(found, fleet, tried), actions))
    return best


def climb(value: Callable[[Array], float], actions: Array) -> float:
    best, improving = value(actions), True
    while improving:
        improving = False
        for s, a in product(range(8), range(5)):
            tried = actions.copy()
            tried[s] = a
            if (found := value(tried)) > best + 1e-9:
                best, actions, improving = found, tried, True
    return best


def by_need(seen: Array, server: Array, lead: float, wander: bool) -> Array:
    """Large steps first; then the domain with most clients seen far away, once it leads by more than `lead` of them.

    With `wander`, the next domain where no client seen is far.
    """
    domain, level = server // 2, server % 2
    far = seen[:, 1::2] / seen.sum(axis=1, keepdims=True)
    neediest, rows = far.argmax(axis=1), np.arange(len(far))
    action = np.where(far[rows, neediest] - far[rows, domain] > lead, neediest, domain)
    if wander:
        action = np.where(far.max(axis=1) == 0, (domain + 1) % 4, action)
    return np.where(level == 0, 4, action)


def returns(found: TabularGame, fleet: LocalPolicy, k: int, lead: float, wander: bool) -> Array:
    """Discounted returns less the shifts, of rollouts that share their random numbers."""
    streams = Streams.from_seed(7)
    simulator = LumpedSimulator(found, DEFAULTS.n_agents, n_populations=ROLLOUTS)
    simulator.reset(streams)
    total = np.full(ROLLOUTS, -SHIFT)
    for t in range(HORIZON):
        seen = sample_without_replacement(streams.sampling, simulator.counts, k)
        payment = simulator.step(by_need(seen, simulator.global_states, lead, wander), fleet.table)
        total += 0.95**t * payment.team_reward
    return total


def test_looking_pays() -> None:
    """The figures of the game's docstring, measured with 30 times as many rollouts; more clients seen is better."""
    found = game()
    fleet = diligent(found)
    blind = best_blind(found, fleet)
    np.testing.assert_allclose(blind, -6.0294, atol=5e-5)
    rules = {1: [(0.0, True), (0.0, False)], 2: [(0.0, False)], 8: [(0.0, False), (0.13, False)]}
    rules |= {32: [(0.0, False), (0.04, False)], 1000: [(0.0, False), (0.02, False)]}
    best = {k: max((returns(found, fleet, k, *rule) for rule in tries), key=np.mean) for k, tries in rules.items()}
    figures = {1: -5.63, 2: -5.37, 8: -4.87, 32: -4.65, 1000: -4.50}
    for k, found_returns in best.items():
        error = found_returns.std(ddof=1) / np.sqrt(ROLLOUTS)
        assert abs(found_returns.mean() - figures[k]) < 4 * np.hypot(error, 0.01) + 0.005
    looking = best[1] - blind
    assert looking.mean() > 5 * looking.std(ddof=1) / np.sqrt(ROLLOUTS)
    for fewer, more in ((1, 2), (2, 8), (8, 32), (32, 1000)):
        gain = best[more] - best[fewer]
        assert gain.mean() > 5 * gain.std(ddof=1) / np.sqrt(ROLLOUTS), (fewer, more)
