r"""Federated optimisation: a server decides for whose data to optimise while it hears only some of its clients.

## Description
Each of n clients belongs to one of D data domains and is near or far from the optimum of its domain's data. Every
round the server broadcasts an update that emphasises one domain, with small or large steps. A client of that domain
that works on the update gets near; clients of the other domains drift away from their optimum. The server should
emphasise the domain most in need, which it must guess from k clients.

## Spaces
| | states | actions |
|---|---|---|
| server (`global_0`) | 2 c + e: domain c emphasised, e = 1 large steps, 2 D | 0 .. D-1 emphasise it, D switch e |
| client (`local_i`) | 2 d + b: own domain d, b = 1 far from its optimum, 2 D | 0 skip, 1 one step, 2 five steps |

Observations: a client sees [own state, server's state]; the server sees [own state, histogram of clients over states],
of all n clients or, under `SubsampleObservation`, of k clients drawn afresh each step.

## Dynamics
A request names the server's next state: the domain asked for with the level kept, or the other level with the domain
kept. It succeeds with probability 0.9, and otherwise nothing changes; in 5% of all rounds the next state is uniform
instead:

    P_g(. | s_g, a_g) = 0.95 (0.9 [s_g' = requested] + 0.1 [s_g' = s_g]) + 0.05 / (2 D)

A client's domain never changes. With work w = (0, 0.5, 1)[a_l] and step eta = (0.4, 1)[e], under the OLD (c, e):

    far -> near     w eta (0.5 if d = c else 0.03)
    near -> far     0.05 if d != c (forgotten),   0.25 w if d = c and e = 1 (overshot),   0 if d = c and e = 0

## Rewards
    r_g = 0.02 - 0.02 [a_g asks for a change]      r_l = 1.08 - b - (0, 0.03, 0.08)[a_l]

both shifted up so that the least is 0; r~ = 0.02 + 1.08. The team reward is r_g plus the clients' mean.

## Starting State
(c, e) is uniform. Per episode p ~ Dirichlet(0.3, .., 0.3) over the 2 D client states; clients start in independent
states drawn from p.

## Episode End
Truncation after `max_cycles` steps (default 100). Nothing terminates.

## Value of information
With clients that work five steps if far and emphasised and skip otherwise, discounted returns over 100
steps, less the shifts, are -6.03 for the best server that looks at nobody (exact, any n), and for one that goes where
most of the clients it sees are far -5.63 with k = 1, -5.37 with 2, -5.06 with 4, -4.87 with 8, -4.74 with 16, -4.65
with 32, and -4.50 when it sees all 1000 (standard errors 0.01).

## Arguments
`n_domains=4`, `discount=0.95`, and those of `PopulationEnv`: `n_agents=1000`, `max_cycles=100`, `obs_mode="box"`,
`render_mode=None`, `local_timing="paper"`, `global_view="all"`. `pettingzoo.make` also takes `k` and `summary`
(`SubsampleObservation`); `kofn train` uses k=8.

## References
The federated optimisation example of "Learning Approximate Nash Equilibria in Cooperative Multi-Agent Reinforcement
Learning via Mean-Field Subsampling" (arXiv 2603.03759), Example 2.6, which names the parts (server, clients, local
steps) but gives no tables: these are ours. A client's domain is part of its state because all clients share one law.

## Version History
* v0: first release.
"""

from typing import Any

import numpy as np
from pettingzoo import AECEnv

from kofn.envs.aec import to_aec
from kofn.envs.arrays import FloatArray, integer
from kofn.envs.game import Labels, TabularGame
from kofn.envs.observations import Observation
from kofn.envs.parallel import PopulationEnv
from kofn.envs.registration import Defaults
from kofn.envs.start_law import DirichletStart

DEFAULTS = Defaults(n_agents=1000, max_cycles=100, k=8)

START_CONCENTRATION = 0.3
REQUEST_SUCCEEDS, UNIFORM_SHARE = 0.9, 0.05
CHANGE_COST = 0.02
WORK = np.array([0.0, 0.5, 1.0])
WORK_COST = np.array([0.0, 0.03, 0.08])
STEP = np.array([0.4, 1.0])
HELPED, HELPED_ELSEWHERE = 0.5, 0.03
FORGOTTEN, OVERSHOT = 0.05, 0.25


def game(n_domains: int = 4, discount: float = 0.95) -> TabularGame:
    """The game's arrays.

    Args:
        n_domains: D, data domains, at least 2.
        discount: gamma in (0, 1).

    Raises:
        TypeError, ValueError: n_domains is no integer or below 2, or the discount is outside (0, 1).
    """
    n_domains = integer("n_domains", n_domains, 2)
    return TabularGame(
        global_transition=_global_transition(n_domains),
        local_transition=_local_transition(n_domains),
        global_reward=_global_reward(n_domains),
        local_reward=_local_reward(n_domains),
        discount=discount,
        initial_local=DirichletStart.symmetric(START_CONCENTRATION, 2 * n_domains),
        labels=_labels(n_domains),
    )


def parallel_env(n_domains: int = 4, discount: float = 0.95, **options: Any) -> PopulationEnv:
    """The parallel environment, without a limit on what the server sees; `options` are PopulationEnv's."""
    sizes = {"n_agents": DEFAULTS.n_agents, "max_cycles": DEFAULTS.max_cycles}
    return PopulationEnv(game(n_domains, discount), **{**sizes, **options})


def env(**options: Any) -> AECEnv[str, Observation, int | None]:
    """The same as an AEC environment; `options` are those of `parallel_env`."""
    return to_aec(parallel_env(**options))


def _requested(n_domains: int) -> FloatArray:
    """[s_g, a_g, s_g'], 1 where the action asks for that state."""
    domains, levels = np.eye(n_domains), np.eye(2)
    requested = np.empty((n_domains, 2, n_domains + 1, n_domains, 2))
    requested[:, :, :-1] = np.einsum("ef,ac->eacf", levels, domains)
    requested[:, :, -1] = np.einsum("ab,ef->aebf", domains, levels[::-1])
    return requested.reshape(2 * n_domains, n_domains + 1, 2 * n_domains)


def _global_transition(n_domains: int) -> FloatArray:
    """P_g [s_g, a_g, s_g']."""
    kept = np.eye(2 * n_domains)[:, None, :]
    moved = REQUEST_SUCCEEDS * _requested(n_domains) + (1 - REQUEST_SUCCEEDS) * kept
    return np.asarray((1 - UNIFORM_SHARE) * moved + UNIFORM_SHARE / (2 * n_domains))


def _global_reward(n_domains: int) -> FloatArray:
    """r_g [s_g, a_g]."""
    unchanged = np.einsum("sas->sa", _requested(n_domains))
    return np.asarray(CHANGE_COST * unchanged)


def _local_transition(n_domains: int) -> FloatArray:
    """P_l [s_l, s_g, a_l, s_l']."""
    own = np.eye(n_domains)[:, :, None, None]  # [d, c, e, a_l]
    large = np.array([0.0, 1.0])[:, None]
    nearer = WORK * STEP[:, None] * np.where(own, HELPED, HELPED_ELSEWHERE)
    farther = np.where(own, OVERSHOT * WORK * large, FORGOTTEN)
    change = np.stack(np.broadcast_arrays(farther, nearer), axis=1)  # [d, b, c, e, a_l]
    within = np.stack([1 - change, change], axis=-1)  # [.., b changes]
    within[:, 1] = within[:, 1, ..., ::-1].copy()  # [d, b, c, e, a_l, b']
    transition = np.einsum("dbceah,df->dbceafh", within, np.eye(n_domains))
    return np.asarray(transition).reshape(2 * n_domains, 2 * n_domains, 3, 2 * n_domains)


def _local_reward(n_domains: int) -> FloatArray:
    """r_l [s_l, s_g, a_l]."""
    near = np.tile([1.0, 0.0], n_domains)[:, None, None]
    reward = near + (WORK_COST.max() - WORK_COST)
    return np.tile(reward, (1, 2 * n_domains, 1))


def _labels(n_domains: int) -> Labels:
    domains = [f"domain {d}" for d in range(n_domains)]
    return Labels(
        title="federated optimization",
        global_states=tuple(f"{domain}, {level} steps" for domain in domains for level in ("small", "large")),
        local_states=tuple(f"{domain}, {place}" for domain in domains for place in ("near", "far")),
        global_actions=(*(f"emphasise {domain}" for domain in domains), "switch the step level"),
        local_actions=("skip", "1 step", "5 steps"),
    )
