r"""Constrained exploration: a controller moves a box over a grid, and only the agents inside it can move.

## Description
n agents stand on an M x M grid of cells, some dirtier than others; the dirtiest is a corner. A controller moves a
d x d box by one cell a step. Agents inside the box move freely in it; agents outside wait, at a cost, until the box
reaches them. The controller should collect the agents where they are and lead them to the dirt, without seeing more
than k of them.

## Spaces
| | states | actions |
|---|---|---|
| controller (`global_0`) | the box's place: its first cell, (M-d+1)^2 | 0 stay, 1 north, 2 east, 3 south, 4 west |
| agent (`local_i`) | its cell, M^2 | the same |

Cells are (row, column), numbered row by row; north is the row before, east the column after. Observations: an agent
sees [own cell, box]; the controller sees [box, histogram of agents over cells], of all n agents or, under
`SubsampleObservation`, of k agents drawn afresh each step.

## Dynamics
With steps v = (0, 0), (-1, 0), (0, 1), (1, 0), (0, -1) of the actions and B(b) the cells b .. b + d - 1 of the box:

    b' = clip(b + v[a_g]) to the grid with probability 0.9,  else b
    x in B(b):       x' = x + v[a_l], projected into B(b)
    x not in B(b):   x' = x projected into B(b), its nearest cell, with probability `pull`,  else x

under the OLD box b. The default pull = 0 leaves agents where they are until the box comes; pull = 1 takes everybody
into the box at once, after which its place tells where the agents are and looking is worth next to nothing.

## Rewards
With dirt(x) = exp( -|x - (M-1, M-1)|^2 / (2 ((M-1)/2)^2) ):

    r_g = 0.1 - 0.1 [a_g moves]      r_l = 1.1 + dirt(x) - 0.1 [a_l moves] - 1 [x not in B(b)]

both shifted up so that none is negative; r~ = 0.1 + 2.1. The team reward is r_g plus the agents' mean.

## Starting State
The box's place is uniform. Per episode p ~ Dirichlet(0.3, .., 0.3) over cells; agents start in independent cells drawn
from p.

## Episode End
Truncation after `max_cycles` steps (default 100). Nothing terminates.

## Value of information
Mean discounted returns against agents that step to the dirtiest cell they can reach, with controllers tuned within
their class (4,000 common rollouts; standard errors of the gains at most 0.09):

| agents seen | none | 1 | 3 | 16 | all 1000 |
|---|---|---|---|---|---|
| return | 29.95 | 32.43 | 33.73 | 34.87 | 35.55 |

With pull = 1 it is 40.47 seeing none, 40.53 seeing 3 and 40.56 seeing all.

## Arguments
`size=5` (M), `box=3` (d), `pull=0.0`, `discount=0.95`, and those of `PopulationEnv`: `n_agents=1000`, `max_cycles=100`,
`obs_mode="box"`, `render_mode=None`, `local_timing="paper"`, `global_view="all"`. `pettingzoo.make` also takes `k` and
`summary` (`SubsampleObservation`); `kofn train` uses k=3: with 25 cells there are already 2,925 histograms of 3 agents.

## References
"Mean-Field Sampling for Cooperative Multi-Agent Reinforcement Learning" (arXiv 2412.00661) experiments with constrained
exploration: a box that follows a global agent and binds the others to it. The formulas are ours. pull and the random
start are there so that the controller has something to find out.

## Version History
* v0: first release.
"""

from typing import Any

import numpy as np
from pettingzoo import AECEnv

from kofn.envs.aec import to_aec
from kofn.envs.arrays import BoolArray, FloatArray, IntArray, integer, probability
from kofn.envs.game import Labels, TabularGame
from kofn.envs.observations import Observation
from kofn.envs.parallel import PopulationEnv
from kofn.envs.registration import Defaults
from kofn.envs.start_law import DirichletStart

DEFAULTS = Defaults(n_agents=1000, max_cycles=100, k=3)

START_CONCENTRATION = 0.3
ACTIONS = ("stay", "north", "east", "south", "west")
STEPS = np.array([(0, 0), (-1, 0), (0, 1), (1, 0), (0, -1)])
MOVE_SUCCEEDS = 0.9
EFFORT = 0.1 * (np.arange(len(STEPS)) > 0)
OUTSIDE_COST = 1.0


def game(size: int = 5, box: int = 3, pull: float = 0.0, discount: float = 0.95) -> TabularGame:
    """The game's arrays.

    Args:
        size: M, rows and columns of the grid, at least 2.
        box: d, rows and columns of the box, from 1 to M-1 (a box as large as the grid has nowhere to move).
        pull: probability in [0, 1] that an agent outside the box is taken to its nearest cell.
        discount: gamma in (0, 1).

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """
    size = integer("size", size, 2)
    box = integer("box", box, 1, size - 1)
    pull = probability("pull", pull)
    cells, places = _square(size), _square(size - box + 1)
    inside = _inside(cells, places, box)
    return TabularGame(
        global_transition=_global_transition(places),
        local_transition=_local_transition(cells, places, box, np.where(inside, 1.0, pull)),
        global_reward=np.tile(EFFORT.max() - EFFORT, (len(places), 1)),
        local_reward=_local_reward(_dirt(cells), inside),
        discount=discount,
        initial_local=DirichletStart.symmetric(START_CONCENTRATION, len(cells)),
        labels=Labels(
            title="constrained exploration",
            global_states=tuple(_box_name(place, box) for place in places),
            local_states=tuple(_cell_name(cell) for cell in cells),
            global_actions=ACTIONS,
            local_actions=ACTIONS,
        ),
    )


def parallel_env(
    size: int = 5, box: int = 3, pull: float = 0.0, discount: float = 0.95, **options: Any
) -> PopulationEnv:
    """The parallel environment, without a limit on what the controller sees; `options` are PopulationEnv's."""
    sizes = {"n_agents": DEFAULTS.n_agents, "max_cycles": DEFAULTS.max_cycles}
    return PopulationEnv(game(size, box, pull, discount), **{**sizes, **options})


def env(**options: Any) -> AECEnv[str, Observation, int | None]:
    """The same as an AEC environment; `options` are those of `parallel_env`."""
    return to_aec(parallel_env(**options))


def _square(side: int) -> IntArray:
    """(row, column) of the cells of a square, row by row, int64 [cell, 2]."""
    return np.stack(np.divmod(np.arange(side * side), side), axis=1)


def _number(cells: IntArray, side: int) -> IntArray:
    """Numbers of cells [..., 2] of a square, int64 [...]."""
    return np.asarray(cells[..., 0] * side + cells[..., 1])


def _side(square: IntArray) -> int:
    return int(square[-1, 0]) + 1


def _inside(cells: IntArray, places: IntArray, box: int) -> BoolArray:
    """Whether a cell lies in a box, bool [x, b]."""
    offset = cells[:, None] - places[None, :]
    return np.asarray(((offset >= 0) & (offset < box)).all(axis=-1))


def _dirt(cells: IntArray) -> FloatArray:
    """dirt(x), float [x]."""
    width = (_side(cells) - 1) / 2
    return np.asarray(np.exp(-((cells - cells[-1]) ** 2).sum(axis=1) / (2 * width**2)))


def _global_transition(places: IntArray) -> FloatArray:
    """P_g [b, a_g, b']."""
    side = _side(places)
    moved = np.clip(places[:, None] + STEPS, 0, side - 1)
    here = np.eye(len(places))
    return np.asarray(MOVE_SUCCEEDS * here[_number(moved, side)] + (1 - MOVE_SUCCEEDS) * here[:, None, :])


def _local_transition(cells: IntArray, places: IntArray, box: int, moves: FloatArray) -> FloatArray:
    """P_l [x, b, a_l, x'], agents moving with probability `moves` [x, b]; from outside a step makes no difference."""
    first = places[None, :, None]
    steps = np.where(_inside(cells, places, box)[:, :, None, None], STEPS, 0)
    moved = np.clip(cells[:, None, None] + steps, first, first + box - 1)
    here, chance = np.eye(len(cells)), moves[:, :, None, None]
    return np.asarray(chance * here[_number(moved, _side(cells))] + (1 - chance) * here[:, None, None, :])


def _local_reward(dirt: FloatArray, inside: BoolArray) -> FloatArray:
    """r_l [x, b, a_l], shifted up by the largest cost."""
    shift = EFFORT.max() + OUTSIDE_COST
    return np.asarray(shift + dirt[:, None, None] - OUTSIDE_COST * ~inside[:, :, None] - EFFORT)


def _cell_name(cell: IntArray) -> str:
    return f"({cell[0]}, {cell[1]})"


def _box_name(place: IntArray, box: int) -> str:
    return f"{_cell_name(place)} to {_cell_name(place + box - 1)}"
