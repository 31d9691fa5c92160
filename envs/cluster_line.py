r"""Cluster line: a beacon moves to the larger of two clusters of robots on a line while seeing only some of them.

## Description
A beacon and n robots live on the line [-2, 2]. Five targets stand at the middles of five equal bins. Each step the
beacon heads for a target and robots stay or make a small step; robots earn by being near the beacon. An episode begins
with two clusters of robots in two of the bins, one slightly larger than the other, and the beacon should go to the
larger one at once and stay there: a small sample tells which one it is only with a large error.

## Spaces
| | states | actions |
|---|---|---|
| beacon (`global_0`) | its place, [-2, 2] | the target to head for, 0..4 at tau = (-1.6, -0.8, 0, 0.8, 1.6) |
| robot (`local_i`) | its place, [-2, 2] | 0 stay, 1 right, 2 left: delta = (0, +0.05, -0.05) |

Observations are raw places, `obs_mode="box"` only: a robot sees [own place, beacon's place]; the beacon sees [own
place, shares of robots in the five bins] of all robots or, under `SubsampleObservation`, of k robots drawn afresh each
step (their places with `summary="states"`). `observe_global_state=False` leaves the beacon's own place out, as the
authors' code does; the paper's policies see it.

## Dynamics
Normal noise, clipped to [-2, 2]; robots move on their own, whatever the beacon does:

    s_g' = clip( s_g + 0.6 (tau[a_g] - s_g) + N(0, 0.08^2) )
    s_i' = clip( s_i + delta[a_i] + N(0, 0.04^2) )

## Rewards
With the OLD s_g, as everywhere:

    r_g = 5 exp( -(s_g - tau[a_g])^2 / (2 0.30^2) )
    r_l = 10 exp( -(s_i - s_g)^2 / (2 0.20^2) ) - 5 |delta[a_i]|

The team reward is r_g plus the robots' mean. Rewards are as published: a robot's may be as low as -0.25, and r~ =
5 + 10.25 includes the shift that makes all of them nonnegative.

## Starting State
s_g is uniform on [-1, 1]. Of two distinct random bins, 55% of the robots (rounded down) start around the middle of the
first and the others around that of the second, with standard deviation 0.18, clipped and in random order.
`infos["global_0"]["true_mode"]`, at reset and after every step, is the bin in which most robots started.

## Episode End
Truncation after `max_cycles` steps (default 50, the authors' evaluation; the paper's Table 4 says 100). Nothing
terminates.

## Arguments
`discount=0.95`, `observe_global_state=True`, and those of `PopulationEnv`: `n_agents=500`, `max_cycles=50`,
`obs_mode="box"`, `render_mode=None`, `global_view="all"`. `pettingzoo.make` also takes `k` (75 by default where a
learner needs one) and `summary`.

## Value of information
Mean discounted return of 4000 episodes at the defaults (standard error 0.5 or less unless given), with robots that
chase the beacon: they step towards it when it is more than 0.1 away.

| beacon | return |
|---|---|
| blind: nearest of the inner targets, the middle one up to a distance of 0.5 (best of its kind) | 161.9 |
| mode of its first sample, kept: k = 1, 10, 75 | 174.0, 175.1, 177.1 |
| the same with all robots in view | 178.9 |
| mode of every sample: k = 1, 10, 75, all | 126.7 (0.6), 140.5 (0.6), 165.4, 178.8 |
| switches when the sampled lead exceeds 0.1: k = 75 | 175.0 |
| robots that never move, mode of all robots | 141.5 |

Paired differences on common random numbers: a first look is worth 12.1 (0.4), from k = 1 to 75 it is 3.2 (0.2), from 75
to all 1.7 (0.1). Following every sample costs more than not looking, up to k = 10.

## References
"Learning Approximate Nash Equilibria in Cooperative Multi-Agent Reinforcement Learning via Mean-Field Subsampling"
(arXiv 2603.03759), Appendix G.2, Table 4, and the authors' code.

## Version History
* v0: first release.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from pettingzoo import AECEnv

from kofn.envs.aec import to_aec
from kofn.envs.arrays import IntArray
from kofn.envs.continuous import ContinuousGame
from kofn.envs.normals import Float32Array, standard_normals
from kofn.envs.observations import Observation
from kofn.envs.parallel import PopulationEnv
from kofn.envs.registration import Defaults

DEFAULTS = Defaults(n_agents=500, max_cycles=50, k=75, obs_modes=("box",))

LOW, HIGH = -2.0, 2.0
BIN_EDGES = (-2.0, -1.2, -0.4, 0.4, 1.2, 2.0)
TARGETS = np.array([-1.6, -0.8, 0.0, 0.8, 1.6], dtype=np.float32)
OFFSETS = np.array([0.0, 0.05, -0.05], dtype=np.float32)
EFFORT: Float32Array = 5 * np.abs(OFFSETS)
PULL, GLOBAL_NOISE, LOCAL_NOISE = 0.6, 0.08, 0.04
GLOBAL_WIDTH, LOCAL_WIDTH = 0.30, 0.20
LARGER_SHARE, CLUSTER_SPREAD = 0.55, 0.18


def game(discount: float = 0.95, observe_global_state: bool = True) -> ContinuousGame:
    """The game's functions and bounds.

    Args:
        discount: gamma in (0, 1).
        observe_global_state: whether the beacon sees its own place.

    Raises:
        TypeError, ValueError: an argument of the wrong type, or a discount outside (0, 1).
    """
    return ContinuousGame(
        n_global_actions=len(TARGETS),
        n_local_actions=len(OFFSETS),
        discount=discount,
        global_bounds=(LOW, HIGH),
        bin_edges=BIN_EDGES,
        sample_global=_move_global,
        sample_local=_move_local,
        pay_global=_pay_global,
        pay_local=_pay_local,
        global_reward_bounds=(0.0, 5.0),
        local_reward_bounds=(-0.25, 10.0),
        start_global=_start_global,
        start_local=_start_local,
        observe_global_state=observe_global_state,
        title="cluster line",
        landmarks=tuple(TARGETS.tolist()),
    )


def parallel_env(discount: float = 0.95, observe_global_state: bool = True, **options: Any) -> PopulationEnv:
    """The parallel environment, without a limit on what the beacon sees; `options` are PopulationEnv's."""
    sizes = {"n_agents": DEFAULTS.n_agents, "max_cycles": DEFAULTS.max_cycles}
    return PopulationEnv(game(discount, observe_global_state), **{**sizes, **options})


def env(**options: Any) -> AECEnv[str, Observation, int | None]:
    """The same as an AEC environment; `options` are those of `parallel_env`."""
    return to_aec(parallel_env(**options))


def _move_global(rng: np.random.Generator, s_g: Float32Array, a_g: IntArray) -> Float32Array:
    """s_g', [population]."""
    noise = np.float32(GLOBAL_NOISE) * standard_normals(rng, s_g.shape)
    return np.asarray(np.clip(s_g + np.float32(PULL) * (TARGETS[a_g] - s_g) + noise, LOW, HIGH))


def _move_local(rng: np.random.Generator, s_l: Float32Array, _s_g: Float32Array, a_l: IntArray) -> Float32Array:
    """s_l', [population, agent]; robots move whatever s_g is."""
    moved = standard_normals(rng, s_l.shape)
    moved *= np.float32(LOCAL_NOISE)
    moved += s_l
    moved += OFFSETS.take(a_l)
    return np.asarray(np.clip(moved, LOW, HIGH, out=moved))


def _pay_global(_rng: np.random.Generator, s_g: Float32Array, a_g: IntArray) -> Float32Array:
    """r_g, [population]."""
    return 5 * _bell(s_g - TARGETS[a_g], GLOBAL_WIDTH)


def _pay_local(_rng: np.random.Generator, s_l: Float32Array, s_g: Float32Array, a_l: IntArray) -> Float32Array:
    """r_l, [population, agent]."""
    return 10 * _bell(s_l - s_g, LOCAL_WIDTH) - EFFORT.take(a_l)


def _bell(distance: Float32Array, width: float) -> Float32Array:
    """exp( -distance^2 / (2 width^2) )."""
    return np.asarray(np.exp(np.float32(-0.5 / width**2) * np.square(distance)))


def _start_global(rng: np.random.Generator, n_populations: int) -> npt.NDArray[Any]:
    """s_g at time 0, [population]."""
    return np.asarray(rng.uniform(-1.0, 1.0, n_populations))


def _start_local(rng: np.random.Generator, n_populations: int, n_agents: int) -> npt.NDArray[Any]:
    """Two clusters in random order, [population, agent]."""
    bins = np.tile(np.arange(len(TARGETS)), (n_populations, 1))
    first, second = TARGETS[rng.permuted(bins, axis=1)[:, :2].T]
    in_first = rng.permuted(np.tile(np.arange(n_agents) < int(LARGER_SHARE * n_agents), (n_populations, 1)), axis=1)
    centres = np.where(in_first, first[:, None], second[:, None])
    return np.asarray(np.clip(centres + CLUSTER_SPREAD * rng.standard_normal(centres.shape), LOW, HIGH))
