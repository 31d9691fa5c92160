r"""Compiled inner loops of off-policy G-LEARN: equation (38) of the paper, one visited entry at a time.

    Q(s, a) <- Q(s, a) + alpha [ r + gamma max_{a'} Q(s', a') - Q(s, a) ],     alpha = c / (1 + visits(s, a))^w,

with visits counted before the update. Surrogate states are numbered s = s_g * (number of histograms) + rank of F.
"""

from math import comb
from typing import NamedTuple

import numpy as np

from kofn.agents.compiled import compiled
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.game import TabularGame
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.model import Game
from kofn.envs.policies import LocalPolicy
from kofn.envs.reward_law import RewardLaw


class Rule(NamedTuple):
    """Scalars of the update.

    Attributes:
        discount: gamma.
        step_size: c.
        decay: w.
    """

    discount: float
    step_size: float
    decay: float


class WalkTables(NamedTuple):
    """A game and a local policy as the walk reads them; thresholds are `cumulative_thresholds` of the laws.

    Attributes:
        global_moves: thresholds of P_g, [s_g, a_g, |S_g| - 1].
        local_actions: thresholds of pi_l, [s_l, s_g, |A_l| - 1].
        local_moves: thresholds of P_l, [s_l, s_g, a_l, |S_l| - 1].
        global_payments: thresholds of the laws of r_g, [s_g, a_g, J - 1]; J = 1 where rewards are certain.
        local_payments: thresholds of the laws of r_l, [s_l, s_g, a_l, J - 1].
        global_rewards: values of r_g, [s_g, a_g, J].
        local_rewards: values of r_l, [s_l, s_g, a_l, J].
        choose: C(r + m, m) [r, m], for ranking histograms (see `kofn.envs.histograms`).
    """

    global_moves: FloatArray
    local_actions: FloatArray
    local_moves: FloatArray
    global_payments: FloatArray
    local_payments: FloatArray
    global_rewards: FloatArray
    local_rewards: FloatArray
    choose: IntArray

    @classmethod
    def of(cls, game: TabularGame, local_policy: LocalPolicy, k: int) -> "WalkTables":
        """Tables of a game, for k agents."""
        global_payments, global_rewards = _payments(game.global_reward, game.global_reward_law)
        local_payments, local_rewards = _payments(game.local_reward, game.local_reward_law)
        return cls(
            global_moves=cumulative_thresholds(game.global_transition),
            local_actions=cumulative_thresholds(local_policy.table),
            local_moves=cumulative_thresholds(game.local_transition),
            global_payments=global_payments,
            local_payments=local_payments,
            global_rewards=global_rewards,
            local_rewards=local_rewards,
            choose=ranking_table(k, game.n_local_states),
        )


def ranking_table(k: int, n_states: int) -> IntArray:
    """C(r + m, m), int64 [r, m], for ranking histograms of up to k agents."""
    return np.array([[comb(r + m, m) for m in range(n_states)] for r in range(k + 1)])


def draw_start(game: Game, k: int, rng: np.random.Generator) -> IntArray:
    """(s_g, s_1 .. s_k) drawn from the game's initial law, int64 [1 + k]."""
    global_state = sample_rows(rng.random(1), cumulative_thresholds(game.initial_global))
    law = game.initial_local.draw(rng, 1)[0]
    return np.concatenate([global_state, sample_rows(rng.random(k), cumulative_thresholds(law))])


def _payments(means: FloatArray, law: RewardLaw | None) -> tuple[FloatArray, FloatArray]:
    """(thresholds, values) of rewards; without a law the means are paid for certain."""
    # Copies: compiled code takes read-only arrays for another type.
    if law is None:
        return np.empty((*means.shape, 0)), means[..., None].copy()
    return cumulative_thresholds(law.probabilities), law.values.copy()


@compiled
def update(
    q_values: FloatArray, visits: IntArray, state: int, action: int, reward: float, next_state: int, rule: Rule
) -> None:
    """Move the entry [state, action] of both tables."""
    alpha = rule.step_size / (1.0 + visits[state, action]) ** rule.decay
    target = reward + rule.discount * q_values[next_state].max()
    q_values[state, action] += alpha * (target - q_values[state, action])
    visits[state, action] += 1


@compiled
def replay(
    q_values: FloatArray,
    visits: IntArray,
    states: IntArray,
    actions: IntArray,
    rewards: FloatArray,
    next_states: IntArray,
    span: tuple[int, int],
    rule: Rule,
) -> None:
    """Updates number span[0] .. span[1] - 1 along a log [t] that is read round and round, in place."""
    for number in range(span[0], span[1]):
        t = number % len(states)
        update(q_values, visits, states[t], actions[t], rewards[t], next_states[t], rule)


@compiled
def draw(uniform: float, thresholds: FloatArray) -> int:
    """Outcome of a categorical law, by inversion."""
    outcome = 0
    for threshold in thresholds:
        outcome += uniform >= threshold
    return outcome


@compiled
def pay(rng: np.random.Generator, payments: FloatArray, rewards: FloatArray) -> float:
    """A reward of the law with these thresholds and values; one that is certain uses no randomness."""
    paid: float = rewards[draw(rng.random(), payments)] if len(payments) else rewards[0]
    return paid


@compiled
def surrogate_state(global_state: int, counts: IntArray, choose: IntArray) -> int:
    """Number of (s_g, F), F given as counts [s_l]."""
    remaining = counts.sum()
    last = len(counts) - 1
    state = global_state * int(choose[remaining, last])
    for i in range(last):
        after = remaining - counts[i]
        state += int(choose[remaining, last - i] - choose[after, last - i])
        remaining = after
    return state


@compiled
def walk(
    q_values: FloatArray,
    visits: IntArray,
    rng: np.random.Generator,
    tables: WalkTables,
    agents: IntArray,
    n_steps: int,
    epsilon: float,
    rule: Rule,
) -> None:
    """Learn along a trajectory of the surrogate game of k persistent agents, in place.

    Args:
        q_values: Q, float [state, a_g].
        visits: int64 [state, a_g].
        rng: source of randomness.
        tables: the game.
        agents: s_g and the k agents' states, int64 [1 + k]; moved along.
        n_steps: steps.
        epsilon: probability of a uniform global action, otherwise the first best one for the current Q.
        rule: of the update.
    """
    counts = np.zeros(len(tables.local_moves), dtype=np.int64)
    for agent in agents[1:]:
        counts[agent] += 1
    state = surrogate_state(agents[0], counts, tables.choose)
    for _ in range(n_steps):
        s_g = agents[0]
        action = int(rng.random() * q_values.shape[1]) if rng.random() < epsilon else int(q_values[state].argmax())
        reward = pay(rng, tables.global_payments[s_g, action], tables.global_rewards[s_g, action])
        agents[0] = draw(rng.random(), tables.global_moves[s_g, action])
        counts[:] = 0
        for i in range(1, len(agents)):
            x = agents[i]
            a = draw(rng.random(), tables.local_actions[x, s_g])
            paid = pay(rng, tables.local_payments[x, s_g, a], tables.local_rewards[x, s_g, a])
            reward += paid / (len(agents) - 1)
            agents[i] = draw(rng.random(), tables.local_moves[x, s_g, a])
            counts[agents[i]] += 1
        next_state = surrogate_state(agents[0], counts, tables.choose)
        update(q_values, visits, state, action, reward, next_state, rule)
        state = next_state
