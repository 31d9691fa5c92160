r"""Gaussian squeeze, native: many agents together should commit a certain amount, no more and no less.

## Description
Each step every one of n agents commits 0 to 9 units. The team is paid for the sum: more is better until there is
congestion. This is the original objective of Gaussian squeeze. It depends on the sum of all actions alone, so that it
is NOT of the form r_g + mean of r_l on which the papers' learners rest: `metadata["structured"]` is False. A manager
sees k agents, and announces a quota.

## Spaces
| | states | actions |
|---|---|---|
| manager (`global_0`) | the quota announced, 0..9 | the quota to announce next, 0..9 |
| agent (`local_i`) | what it committed last, 0..9 | what to commit, 0..9 |

Observations: an agent sees [its last commitment, quota]; the manager sees [quota, histogram of last commitments], of
all n agents or, under `SubsampleObservation`, of a set D of k agents drawn afresh each step. With f_a the share of
those that committed a, its estimate of the sum is x^ = (n/k) sum_{i in D} a_i = n sum_a a f_a.

The original game has no states and no manager. Here the states only remember and announce: they restrict nobody and
cost nothing.

## Dynamics
Without chance:

    s_g' = a_g          s_i' = a_i

## Rewards
With x = sum_i a_i, mu = 4 n, sigma = n, and per agent:

    r = (x / n) exp( -((x - mu) / sigma)^2 ) = m exp( -(m - 4)^2 ),      m = x / n

It is largest, 4.06, at m = 2 + sqrt(4.5) = 4.12. `infos["global_0"]` tells x after every step (`aggregate`), and under
`SubsampleObservation` the reward of the estimate x^ of the actions just played (`reward_sampled`).

## Starting State
The quota is uniform. Per episode p ~ Dirichlet(0.3, .., 0.3) over 0..9; last commitments are independent draws from p.

## Episode End
Truncation after `max_cycles` steps (default 100). Nothing terminates.

## Arguments
`discount=0.95`, and those of `PopulationEnv`: `n_agents=1000`, `max_cycles=100`, `obs_mode="box"`, `render_mode=None`,
`global_view="all"`. `pettingzoo.make` also takes `k` (10 by default where a learner needs one) and `summary`.

## Value of information
Agents that obey at once need no manager that looks: it announces 4 for ever. It pays to look when agents are slow. If
each adopts the quota with probability 0.1 per step and otherwise repeats itself, the mean discounted return of episodes
of 100 steps, with infinitely many agents and each manager optimised in its class (standard error 0.15), is

| manager | return |
|---|---|
| blind: best map from its last quota to the next | 65.6 |
| announces 4.1 + g (4.1 - x^ / n), rounded: k = 1, 3, 10, 30, 100 | 68.1, 69.9, 72.5, 74.1, 75.2 |
| the same with all agents in view | 75.7 |

## References
"Mean-Field Sampling for Cooperative Multi-Agent Reinforcement Learning" (arXiv 2412.00661), whose experiments play
Gaussian squeeze with r(x) = x exp(-((x - mu) / sigma)^2); mu, sigma and the manager are our choice.

## Version History
* v0: first release.
"""

from typing import Any

import numpy as np
from pettingzoo import AECEnv

from kofn.envs.aec import to_aec
from kofn.envs.aggregate import AggregateGame
from kofn.envs.arrays import FloatArray
from kofn.envs.game import TabularGame
from kofn.envs.model import Labels
from kofn.envs.observations import Observation
from kofn.envs.parallel import PopulationEnv
from kofn.envs.registration import Defaults
from kofn.envs.start_law import DirichletStart

DEFAULTS = Defaults(n_agents=1000, max_cycles=100, k=10)

N_UNITS = 10
TARGET, WIDTH = 4.0, 1.0  # mu / n and sigma / n
START_CONCENTRATION = 0.3


def game(discount: float = 0.95) -> AggregateGame:
    """The game's arrays and the reward of the mean commitment.

    Args:
        discount: gamma in (0, 1).

    Raises:
        TypeError, ValueError: the discount is no number or outside (0, 1).
    """
    units = np.arange(N_UNITS, dtype=np.float64)
    becomes = np.tile(np.eye(N_UNITS), (N_UNITS, 1, 1))
    names = tuple(str(unit) for unit in range(N_UNITS))
    tables = TabularGame(
        global_transition=becomes,
        local_transition=np.tile(np.eye(N_UNITS), (N_UNITS, N_UNITS, 1, 1)),
        global_reward=np.zeros((N_UNITS, N_UNITS)),
        local_reward=np.tile(units, (N_UNITS, N_UNITS, 1)),
        discount=discount,
        initial_local=DirichletStart.symmetric(START_CONCENTRATION, N_UNITS),
        labels=Labels(
            title="gaussian squeeze native",
            global_states=tuple(f"quota {name}" for name in names),
            local_states=names,
            global_actions=tuple(f"announce quota {name}" for name in names),
            local_actions=tuple(f"commit {name}" for name in names),
        ),
    )
    return AggregateGame(tables=tables, reward_of_mean=squeeze)


def squeeze(means: FloatArray) -> FloatArray:
    """Reward per agent of mean commitments m = x / n."""
    return means * np.exp(-(((means - TARGET) / WIDTH) ** 2))


def parallel_env(discount: float = 0.95, **options: Any) -> PopulationEnv:
    """The parallel environment, without a limit on what the manager sees; `options` are PopulationEnv's."""
    sizes = {"n_agents": DEFAULTS.n_agents, "max_cycles": DEFAULTS.max_cycles}
    return PopulationEnv(game(discount), **{**sizes, **options})


def env(**options: Any) -> AECEnv[str, Observation, int | None]:
    """The same as an AEC environment; `options` are those of `parallel_env`."""
    return to_aec(parallel_env(**options))
