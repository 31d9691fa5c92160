r"""Gaussian squeeze, structured: a dispatcher announces how much each vehicle should carry, seeing only some of them.

## Description
Each of n vehicles is committed to a load of 0 .. L-1 units, which it can raise or lower by one a step. A dispatcher
announces one quota for all of them. A vehicle earns its load as far as that is near the quota, and all earn most when
the quota is near the load T at which the road is used best. Loads change slowly, so that an announcement far from where
the vehicles are is worth nothing for long: the dispatcher should find them and lead them, without seeing more than k.

## Spaces
| | states | actions |
|---|---|---|
| dispatcher (`global_0`) | the quota announced, L | the quota to announce, L |
| vehicle (`local_i`) | its load, L | 0 lower it, 1 keep it, 2 raise it |

Observations: a vehicle sees [own load, quota]; the dispatcher sees [quota, histogram of vehicles over loads], of all n
vehicles or, under `SubsampleObservation`, of k vehicles drawn afresh each step.

## Dynamics
A softmax over the next quota j, and a step that succeeds with probability 0.9 and otherwise leaves the load as it is:

    P_g(j | q, a_g)        ~ exp( 3.0 [j = a_g] + 0.5 [j = q] )
    P_l(. | x, q, a_l)     = 0.9 [x' = clip(x + a_l - 1)] + 0.1 [x' = x],    clip to 0 .. L-1

## Rewards
    r_g(q, a_g)    = 0.5 [a_g = q]
    r_l(x, q, a_l) = x / (L-1) exp( -(x - q)^2 / 1.5^2 ) exp( -(q - T)^2 / 3^2 )

All rewards are nonnegative; r~ = 0.5 + max r_l. The team reward is r_g plus the vehicles' mean. After a step
`infos["global_0"]["native_reward"]` holds what the original game pays for the loads x_1 .. x_n of that step, per
vehicle: with X = sum_i x_i, mu = n T and sigma = n,

    (X / n) exp( -((X - mu) / sigma)^2 ).

## Starting State
The quota is uniform. Per episode p ~ Dirichlet(0.3, .., 0.3); vehicles start with independent loads drawn from p.

## Episode End
Truncation after `max_cycles` steps (default 100). Nothing terminates.

## Value of information
Mean discounted returns against vehicles that follow a quota at most two units away and otherwise keep their load, with
dispatchers tuned within their class (4,000 common rollouts; standard errors of the gains at most 0.015):

| vehicles seen | none | 1 | 8 | 64 | all 1000 |
|---|---|---|---|---|---|
| return | 12.17 | 12.47 | 12.79 | 12.91 | 12.94 |

Vehicles that follow every quota leave less to find out: 14.09 seeing none, 14.19 seeing 8 and 14.20 seeing all.

## Arguments
`n_levels=10` (L), `target=4` (T), `discount=0.95`, and those of `PopulationEnv`: `n_agents=1000`, `max_cycles=100`,
`obs_mode="box"`, `render_mode=None`, `local_timing="paper"`, `global_view="all"`. `pettingzoo.make` also takes `k` and
`summary` (`SubsampleObservation`); `kofn train` uses k=4.

## References
"Mean-Field Sampling for Cooperative Multi-Agent Reinforcement Learning" (arXiv 2412.00661) experiments with a Gaussian
squeeze, which pays for the sum of all actions: such a reward is no mean over agents. This game is our structured
relative of it; the original reward is logged.

## Version History
* v0: first release.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.wrappers import BaseParallelWrapper

from kofn.envs.aec import to_aec
from kofn.envs.arrays import FloatArray, IntArray, integer
from kofn.envs.game import Labels, TabularGame
from kofn.envs.observations import Observation
from kofn.envs.parallel import GLOBAL_AGENT, Info, PopulationEnv
from kofn.envs.registration import Defaults
from kofn.envs.start_law import DirichletStart

DEFAULTS = Defaults(n_agents=1000, max_cycles=100, k=4)

START_CONCENTRATION = 0.3
ANNOUNCED, KEPT = 3.0, 0.5
STEP_SUCCEEDS = 0.9
STEPS = (-1, 0, 1)
KEEPING_PAYS = 0.5
LOCAL_WIDTH, GLOBAL_WIDTH = 1.5, 3.0


def game(n_levels: int = 10, target: int = 4, discount: float = 0.95) -> TabularGame:
    """The game's arrays.

    Args:
        n_levels: L, loads and quotas, at least 2.
        target: T, the load at which the road is used best, from 1 to L-1.
        discount: gamma in (0, 1).

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """
    n_levels = integer("n_levels", n_levels, 2)
    target = integer("target", target, 1, n_levels - 1)
    return TabularGame(
        global_transition=_global_transition(n_levels),
        local_transition=_local_transition(n_levels),
        global_reward=KEEPING_PAYS * np.eye(n_levels),
        local_reward=_local_reward(n_levels, target),
        discount=discount,
        initial_local=DirichletStart.symmetric(START_CONCENTRATION, n_levels),
        labels=Labels(
            title="gaussian squeeze",
            global_states=tuple(f"quota {q}" for q in range(n_levels)),
            local_states=tuple(str(x) for x in range(n_levels)),
            global_actions=tuple(f"announce {q}" for q in range(n_levels)),
            local_actions=("lower", "keep", "raise"),
        ),
    )


def parallel_env(
    n_levels: int = 10, target: int = 4, discount: float = 0.95, **options: Any
) -> ParallelEnv[str, Observation, int]:
    """The parallel environment, without a limit on what the dispatcher sees; `options` are PopulationEnv's."""
    sizes = {"n_agents": DEFAULTS.n_agents, "max_cycles": DEFAULTS.max_cycles}
    return NativeReward(PopulationEnv(game(n_levels, target, discount), **{**sizes, **options}), target)


def env(**options: Any) -> AECEnv[str, Observation, int | None]:
    """The same as an AEC environment; `options` are those of `parallel_env`."""
    return to_aec(parallel_env(**options))


def native_reward(loads: IntArray, target: int) -> float:
    """What the original game pays per vehicle for the loads [vehicle]."""
    mean = loads.mean()
    return float(mean * np.exp(-((mean - target) ** 2)))


class NativeReward(BaseParallelWrapper[str, Observation, int]):
    """Logs the original game's reward as `infos["global_0"]["native_reward"]`; everything passes through.

    Args:
        env: the environment of this game.
        target: T.
    """

    def __init__(self, env: PopulationEnv, target: int) -> None:
        super().__init__(env)
        self._population, self._target = env, target

    def step(
        self, actions: Mapping[str, int]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Info]]:
        """As `PopulationEnv.step`; the loads logged are those that were paid for."""
        playing = bool(self._population.agents)  # otherwise the step is refused
        paid_for = native_reward(self._population.simulator.local_states[0], self._target) if playing else 0.0
        result = self._population.step(actions)
        result[-1][GLOBAL_AGENT]["native_reward"] = paid_for
        return result


def _global_transition(n_levels: int) -> FloatArray:
    """P_g [q, a_g, q']."""
    here = np.eye(n_levels)
    weights = np.exp(ANNOUNCED * here[None, :, :] + KEPT * here[:, None, :])
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _local_transition(n_levels: int) -> FloatArray:
    """P_l [x, q, a_l, x']; the quota plays no part."""
    loads = np.arange(n_levels)
    moved = np.clip(loads[:, None] + np.array(STEPS), 0, n_levels - 1)
    here = np.eye(n_levels)
    moves = STEP_SUCCEEDS * here[moved] + (1 - STEP_SUCCEEDS) * here[:, None, :]
    return np.repeat(moves[:, None], n_levels, axis=1)


def _local_reward(n_levels: int, target: int) -> FloatArray:
    """r_l [x, q, a_l]; the action plays no part."""
    loads, quotas = np.arange(n_levels)[:, None], np.arange(n_levels)[None, :]
    followed = np.exp(-(((loads - quotas) / LOCAL_WIDTH) ** 2))
    used = np.exp(-(((quotas - target) / GLOBAL_WIDTH) ** 2))
    reward = loads / (n_levels - 1) * followed * used
    return np.repeat(reward[:, :, None], len(STEPS), axis=2)
