r"""Formation: a leader's place pushes a small group of followers about, who hold their formation around 0.

## Description
A leader stands at -2 .. 2, each of n followers at -1, 0 or 1. A follower's place moves by its own step minus the
leader's place. Everything is deterministic, and taken as it is from a public configuration of the SUBSAMPLE-MFQ
authors.

## Spaces
| | states | actions |
|---|---|---|
| leader (`global_0`) | its place -2 .. 2, number s_g + 2 | its step -2 .. 2, number a_g + 2 |
| follower (`local_i`) | its place -1, 0, 1, number x + 1 | its step -1, 0, 1, number a_l + 1 |

Observations: a follower sees [own place, leader's place]; the leader sees [own place, histogram of followers over
places], of all n followers or, under `SubsampleObservation`, of k followers drawn afresh each step.

## Dynamics
    s_g' = clip(s_g + a_g) to -2 .. 2          x' = clip(x + a_l - s_g) to -1 .. 1      (the OLD s_g)

## Rewards
    r_g(s_g, a_g)    = 1 + (0.2 if a_g = 0 else 0.1) + 0.1 |s_g|
    r_l(x, s_g, a_l) = max( 0.1, (1 - |x|) + (0.5 - 0.1 |a_l|) + (0.3 - 0.1 |x - s_g|) + 0.2 [|x - s_g| <= 1] )

All rewards are positive; r~ = 1.4 + 2.0. The team reward is r_g plus the followers' mean.

## Starting State
The leader's place is uniform, and so are the followers' places, independently.

## Episode End
Truncation after `max_cycles` steps (default 200). Nothing terminates.

## Value of information
It depends on the followers. If they hold their formation, stepping as near to 0 as they can, looking is worth nothing:
a leader that sees none of them earns 30.64, and so does one that sees all (the difference is below 0.01). Followers
that stand still must be pushed into place by a leader that knows where they are. Mean discounted returns of leaders
tuned within their class (4,000 common rollouts; standard errors of the gains at most 0.03):

| followers seen | none | 1 | 2 | 4 | all 14 |
|---|---|---|---|---|---|
| return | 26.19 | 28.44 | 29.10 | 29.18 | 29.17 |

## Arguments
`discount=0.9`, and those of `PopulationEnv`: `n_agents=14`, `max_cycles=200`, `obs_mode="box"`, `render_mode=None`,
`local_timing="paper"`, `global_view="all"`. `pettingzoo.make` also takes `k` and `summary` (`SubsampleObservation`);
`kofn train` uses k=5.

## References
The example configuration of github.com/emiletimothy/Mean-Field-Subsample-Q-Learning, the public code by the authors of
"Mean-Field Sampling for Cooperative Multi-Agent Reinforcement Learning" (arXiv 2412.00661), which gives the formulas,
n, gamma, the horizon and the start.

## Version History
* v0: first release.
"""

from typing import Any

import numpy as np
from pettingzoo import AECEnv

from kofn.envs.aec import to_aec
from kofn.envs.arrays import FloatArray
from kofn.envs.game import Labels, TabularGame
from kofn.envs.observations import Observation
from kofn.envs.parallel import PopulationEnv
from kofn.envs.registration import Defaults

DEFAULTS = Defaults(n_agents=14, max_cycles=200, k=5)

LEADER = np.arange(-2, 3)
"""Places and steps of the leader."""

FOLLOWER = np.arange(-1, 2)
"""Places and steps of a follower."""


def game(discount: float = 0.9) -> TabularGame:
    """The game's arrays.

    Args:
        discount: gamma in (0, 1).

    Raises:
        TypeError, ValueError: the discount is no number or outside (0, 1).
    """
    return TabularGame(
        global_transition=_global_transition(),
        local_transition=_local_transition(),
        global_reward=_global_reward(),
        local_reward=_local_reward(),
        discount=discount,
        labels=Labels(
            title="formation",
            global_states=tuple(f"leader at {place}" for place in LEADER),
            local_states=tuple(str(place) for place in FOLLOWER),
            global_actions=tuple(f"step {step:+d}" for step in LEADER),
            local_actions=tuple(f"step {step:+d}" for step in FOLLOWER),
        ),
    )


def parallel_env(discount: float = 0.9, **options: Any) -> PopulationEnv:
    """The parallel environment, without a limit on what the leader sees; `options` are PopulationEnv's."""
    sizes = {"n_agents": DEFAULTS.n_agents, "max_cycles": DEFAULTS.max_cycles}
    return PopulationEnv(game(discount), **{**sizes, **options})


def env(**options: Any) -> AECEnv[str, Observation, int | None]:
    """The same as an AEC environment; `options` are those of `parallel_env`."""
    return to_aec(parallel_env(**options))


def _global_transition() -> FloatArray:
    """P_g [s_g, a_g, s_g']."""
    moved = np.clip(LEADER[:, None] + LEADER, LEADER[0], LEADER[-1])
    return np.asarray(np.eye(len(LEADER))[moved - LEADER[0]])


def _local_transition() -> FloatArray:
    """P_l [x, s_g, a_l, x']."""
    moved = np.clip(FOLLOWER[:, None, None] + FOLLOWER - LEADER[:, None], FOLLOWER[0], FOLLOWER[-1])
    return np.asarray(np.eye(len(FOLLOWER))[moved - FOLLOWER[0]])


def _global_reward() -> FloatArray:
    """r_g [s_g, a_g]."""
    return np.asarray(1 + np.where(LEADER == 0, 0.2, 0.1) + 0.1 * np.abs(LEADER)[:, None])


def _local_reward() -> FloatArray:
    """r_l [x, s_g, a_l]."""
    place, step = FOLLOWER[:, None, None], FOLLOWER[None, None, :]
    apart = np.abs(place - LEADER[None, :, None])
    aligned = 0.3 - 0.1 * apart + np.where(apart <= 1, 0.2, 0.0)
    return np.asarray(np.maximum(0.1, (1 - np.abs(place)) + (0.5 - 0.1 * np.abs(step)) + aligned))
