r"""A game solved by hand, in which G-LEARN, L-LEARN and the alternation must find the one equilibrium there is.

Two rooms 0 and 1, discount 1/2. The dispatcher goes where it says, s_g' = a_g. An agent stays (action 0) or copies the
dispatcher (action 1): x' = x or x' = s_g. Being in the dispatcher's room pays 1 in room 0 and 2 in room 1; copying
costs 0.1; the dispatcher itself is paid R in room 1: r_g = R [s_g = 1], r_l = [x = s_g] (1 + s_g) - 0.1 [a_l = 1].

**The dispatcher**, R = 5: always a_g = 1. Suppose a policy plays 0 somewhere. From the next step on it loses R = 5 once
and never gains on its own reward; the fleet's reward lies in [-0.1, 2], so it gains there at most 2.1/(1 - 1/2) = 4.2.
So "always 1" is the only best response to every local policy.

**The fleet**: per agent, the dispatcher in room 1 from t = 1 on,

    V(1,1) = 2/(1-1/2) = 4     stay (copying pays 1.9 + 4/2 = 3.9)
    V(0,1) = -0.1 + 4/2 = 1.9  copy (staying pays at most 0 + 1.9/2)
    V(0,0) = 1 + 1.9/2 = 1.95  stay (copying pays 0.9 + 1.9/2)
    V(1,0) = 0 + 4/2 = 2       stay (copying pays -0.1 + 1.9/2)            arguments (x, s_g)

so the only best response to "always 1" is RISE: copy exactly in room 0 while the dispatcher is in room 1. The pair is
the only equilibrium. From uniform starts, for every n and k,

    Phi = 5 (1/2 * 2 + 1/2 * 1) + (1.95 + 2 + 1.9 + 4)/4 = 7.5 + 2.4625.
"""

from typing import Any

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents import AlternatingConfig, AlternatingMARL, g_learn, l_learn
from kofn.agents.alternation.setting import Setting
from kofn.envs import FixedStart, GlobalPolicy, LocalPolicy, TabularGame

RISE = LocalPolicy.from_actions([[0, 1], [0, 0]], 2)
SINK = LocalPolicy.from_actions([[0, 0], [1, 0]], 2)
"""Copy exactly in room 1 while the dispatcher is in room 0: the opposite of RISE."""
FLEET = np.array([[1.95, 1.9], [2.0, 4.0]])
"""V(x, s_g) of the derivation."""
POTENTIAL = 9.9625


def two_rooms(bonus: float = 5.0, **starts: Any) -> TabularGame:
    move = np.zeros((2, 2, 2, 2))
    for x in range(2):
        for s_g in range(2):
            move[x, s_g, 0, x] = 1
            move[x, s_g, 1, s_g] = 1
    met = np.array([[1.0, 0.0], [0.0, 2.0]])
    return TabularGame(
        global_transition=np.tile(np.eye(2), (2, 1, 1)),
        local_transition=move,
        global_reward=np.array([[0.0, 0.0], [bonus, bonus]]),
        local_reward=met[:, :, None] - np.array([0.0, 0.1]),
        discount=0.5,
        **starts,
    )


def test_the_derivation_holds_by_brute_force() -> None:
    game = two_rooms()
    for local_table in brute_force.deterministic_local_policies(game):
        q = brute_force.optimal_q(game, local_table, 2)
        assert (q[:, 1] > q[:, 0] + 0.3).all()  # at least gamma (5 - 4.2) = 0.4 by the argument above
    always_one = GlobalPolicy.constant(game, 2, 1).probabilities()
    best, value = brute_force.best_local_response(game, always_one, 2, 2)
    assert (best == RISE.table).all()
    assert value == pytest.approx(POTENTIAL)
    others = [p for p in brute_force.deterministic_local_policies(game) if (p != best).any()]
    assert max(brute_force.potential(game, always_one, p, 2, 2) for p in others) < POTENTIAL - 0.02


@pytest.mark.parametrize("k", [1, 2, 3])
def test_g_learn_finds_the_best_response_and_its_values(k: int) -> None:
    """With p = c_1/k: Q(s_g, p, 1) = 5 (1 + s_g) + mean of FLEET, and Q(s_g, p, 0) is one step in room 0 first."""
    result = g_learn(two_rooms(), RISE, k=k)
    assert (result.policy.table == 1).all()
    for rank, (_, c_1) in enumerate(brute_force.count_vectors(k, 2)):
        p = c_1 / k
        worth = [5 * (1 + s_g) + (1 - p) * FLEET[0, s_g] + p * FLEET[1, s_g] for s_g in range(2)]
        from_zero = (1 - p) + 0.5 * worth[0]
        from_one = 5 + 2 * p - 0.1 * (1 - p) + 0.5 * (5 + FLEET[1, 0])  # everybody has risen: p' = 1
        assert result.q_values[0, rank] == pytest.approx([from_zero, worth[0]], abs=1e-6)
        assert result.q_values[1, rank] == pytest.approx([from_one, worth[1]], abs=1e-6)


@pytest.mark.parametrize("k", [2, 3, 6])
def test_g_learn_goes_where_the_crowd_is(k: int) -> None:
    """Without bonus and with a fleet that stays, room 1 pays 2p and room 0 pays 1-p for ever: go to 1 iff p > 1/3,
    and at p = 1/3 the tie goes to room 0. Q = r(s_g, p) + (r(a, p) + max(2p, 1-p))/2."""
    game = two_rooms(bonus=0.0)
    result = g_learn(game, LocalPolicy.named("stay", game), k=k)
    for rank, (_, c_1) in enumerate(brute_force.count_vectors(k, 2)):
        p = c_1 / k
        paid = np.array([1 - p, 2 * p])
        assert result.q_values[:, rank] == pytest.approx(paid[:, None] + (paid + paid.max()) / 2, abs=1e-6)
        assert (result.policy.table[:, rank] == int(3 * c_1 > k)).all()


@pytest.mark.parametrize("start", [None, SINK, LocalPolicy.from_actions([[1, 0], [1, 1]], 2)])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_l_learn_finds_the_best_response(k: int, start: LocalPolicy | None) -> None:
    """The global optimum of the fleet, from the uniform policy and from two bad ones."""
    game = two_rooms()
    result = l_learn(game, GlobalPolicy.constant(game, k, 1), start=start)
    assert (result.policy.table == RISE.table).all()
    assert result.converged
    assert result.value == pytest.approx(POTENTIAL, abs=1e-8)


@pytest.mark.parametrize(("n_agents", "k"), [(1, 1), (2, 2), (50, 3)])
@pytest.mark.parametrize("global_policy", ["keep", "uniform"])
@pytest.mark.parametrize("local_policy", ["uniform", "stay", SINK])
def test_the_alternation_finds_the_equilibrium(
    n_agents: int, k: int, global_policy: str, local_policy: LocalPolicy | str
) -> None:
    setting = Setting(game=two_rooms(), n_agents=n_agents, k=k)
    model = AlternatingMARL(
        setting,
        AlternatingConfig(n_rollouts=2000),
        global_policy=global_policy,
        local_policy=local_policy,
        seed=1,
    )
    result = model.learn()
    assert result.converged
    assert (result.global_policy.table == 1).all()
    assert (result.local_policy.table == RISE.table).all()
    # The start is all that is random; eta/4 = 0.018 bounds what the horizon leaves out.
    assert abs(result.potential - POTENTIAL) <= 4.5 * result.standard_error + 0.018
    assert [(p.player, p.verdict) for p in result.history[-4:]] == [
        ("global", "accept"),
        ("local", "accept"),
        ("global", "overlap"),
        ("local", "overlap"),
    ]


def test_potentials_are_exact_where_nothing_is_random() -> None:
    """Everybody starts in room 0: keep and the uniform fleet, then 5 + V(0,0) = 6.95 at the end.

    Under "keep" the dispatcher never moves and agents stay in room 0, copying half the time: 0.95/(1 - 1/2) = 1.9.
    Under "always 1" the uniform fleet gets 0.95 at t = 0, then climbs: U(1) = 1.95 + U(1)/2 = 3.9 in room 1 and
    U(0) = -0.05 + (U(0) + U(1))/4 = 92.5/75 in room 0, and the dispatcher 5: 0.95 + U(0)/2 + 5.
    """
    starts = {"initial_global": np.array([1.0, 0.0]), "initial_local": FixedStart(np.array([1.0, 0.0]))}
    setting = Setting(game=two_rooms(**starts), n_agents=10**6, k=2)
    result = AlternatingMARL(setting, AlternatingConfig(n_rollouts=2, horizon=60), seed=0).learn()
    values = [1.9, 0.95 + 92.5 / 75 / 2 + 5, 6.95, 6.95, 6.95]
    # A million agents draw their actions: the means are within some 1e-3 of their expectations.
    assert [p.potential for p in result.history] == pytest.approx(values[:4], abs=0.01)
    assert [p.proposed_potential for p in result.history] == pytest.approx(values[1:], abs=0.01)
    assert result.potential == pytest.approx(6.95, abs=1e-12)
    assert [p.standard_error for p in result.history[-2:]] == [0, 0]
    assert result.certificate == pytest.approx(result.eta, abs=0.01)
