r"""Warehouse dispatch: a dispatcher draws robots to its zone while seeing only some of them.

## Description
A warehouse has Z zones on a ring. A dispatcher stands in one zone and, each step, asks to move to any zone. Each of n
robots stands in a zone and stays, goes up (next zone) or goes down (previous zone). Robots earn most in the
dispatcher's zone, so the dispatcher should stand where the robots are, without seeing more than k of them.

## Spaces
| | states | actions |
|---|---|---|
| dispatcher (`global_0`) | its zone, Z | the zone to go to, Z |
| robot (`local_i`) | its zone, Z | 0 stay, 1 up, 2 down |

Observations: a robot sees [own zone, dispatcher's zone]; the dispatcher sees [own zone, histogram of robots over
zones], of all n robots or, under `SubsampleObservation`, of k robots drawn afresh each step.

## Dynamics
Softmax over the next zone j, zones modulo Z (the ring), with the dispatcher's OLD zone s_g in the robots' law:

    P_g(j | s_g, a_g)    ~ exp( 3.0 [j = a_g] + 0.5 [j = s_g] )
    P_l(j | x, s_g, a_l) ~ exp( 3.5 [j = x] + 1.5 [a_l = 1, j = x+1] + 1.5 [a_l = 2, j = x-1] + 0.3 [j = s_g] )

## Rewards
With d the distance on the ring:

    r_g = 1      r_l(x, s_g, a_l) = (10 if x = s_g else 2 / (1 + d(x, s_g))) + (0, +0.5, -0.3)[a_l]

All rewards are positive; r~ = 1 + 10.5. The team reward is r_g plus the robots' mean.

## Starting State
The dispatcher's zone is uniform. Per episode p ~ Dirichlet(0.3, .., 0.3); robots stand in independent zones drawn
from p.

## Episode End
Truncation after `max_cycles` steps (default 100). Nothing terminates.

## Value of information
Mean discounted return of n = 1000 robots that take the shortest way to the dispatcher (standard errors of differences
below 0.2): 105.7 for the best dispatcher that looks at nobody, as much at k = 1, 109.5 at k = 8, 115.6 at k = 30, and
117.3 when it sees everyone.

## Arguments
`n_zones=5`, `discount=0.95`, and those of `PopulationEnv`: `n_agents=1000`, `max_cycles=100`, `obs_mode="box"`,
`render_mode=None`, `local_timing="paper"`, `global_view="all"`. `pettingzoo.make` also takes `k` and `summary`
(`SubsampleObservation`); `kofn train` uses k=10.

## References
"Learning Approximate Nash Equilibria in Cooperative Multi-Agent Reinforcement Learning via Mean-Field Subsampling"
(arXiv 2603.03759), Appendix G.1, Table 3. Zones form a ring and robots see the old zone, as in the paper's model; the
authors' evaluation code moves robots with the new zone (`local_timing="code"`).

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

DEFAULTS = Defaults(n_agents=1000, max_cycles=100, k=10)

START_CONCENTRATION = 0.3
ACTION_BONUS = (0.0, 0.5, -0.3)


def game(n_zones: int = 5, discount: float = 0.95) -> TabularGame:
    """The game's arrays.

    Args:
        n_zones: Z, zones on the ring, at least 2.
        discount: gamma in (0, 1).

    Raises:
        TypeError, ValueError: n_zones is no integer or below 2, or the discount is outside (0, 1).
    """
    n_zones = integer("n_zones", n_zones, 2)
    zones = tuple(f"zone {z}" for z in range(n_zones))
    return TabularGame(
        global_transition=_global_transition(n_zones),
        local_transition=_local_transition(n_zones),
        global_reward=np.ones((n_zones, n_zones)),
        local_reward=_local_reward(n_zones),
        discount=discount,
        initial_local=DirichletStart.symmetric(START_CONCENTRATION, n_zones),
        labels=Labels(
            title="warehouse dispatch",
            global_states=zones,
            local_states=zones,
            global_actions=tuple(f"go to {zone}" for zone in zones),
            local_actions=("stay", "up", "down"),
        ),
    )


def parallel_env(n_zones: int = 5, discount: float = 0.95, **options: Any) -> PopulationEnv:
    """The parallel environment, without a limit on what the dispatcher sees; `options` are PopulationEnv's."""
    sizes = {"n_agents": DEFAULTS.n_agents, "max_cycles": DEFAULTS.max_cycles}
    return PopulationEnv(game(n_zones, discount), **{**sizes, **options})


def env(**options: Any) -> AECEnv[str, Observation, int | None]:
    """The same as an AEC environment; `options` are those of `parallel_env`."""
    return to_aec(parallel_env(**options))


def _softmax(logits: FloatArray) -> FloatArray:
    weights = np.exp(logits)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _global_transition(n_zones: int) -> FloatArray:
    """P_g [s_g, a_g, s_g']."""
    here = np.eye(n_zones)
    return _softmax(3.0 * here[None, :, :] + 0.5 * here[:, None, :])


def _local_transition(n_zones: int) -> FloatArray:
    """P_l [s_l, s_g, a_l, s_l']."""
    here = np.eye(n_zones)
    moves = np.zeros((n_zones, 3, n_zones))
    moves[:, 1] = 1.5 * np.roll(here, 1, axis=1)
    moves[:, 2] = 1.5 * np.roll(here, -1, axis=1)
    return _softmax(3.5 * here[:, None, None, :] + moves[:, None, :, :] + 0.3 * here[None, :, None, :])


def _local_reward(n_zones: int) -> FloatArray:
    """r_l [s_l, s_g, a_l]."""
    zones = np.arange(n_zones)
    apart = np.abs(zones[:, None] - zones[None, :])
    distance = np.minimum(apart, n_zones - apart)
    by_place = np.where(distance == 0, 10.0, 2.0 / (1.0 + distance))
    reward: FloatArray = by_place[:, :, None] + np.array(ACTION_BONUS)
    return reward
