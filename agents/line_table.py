r"""A local policy of a continuous game, tabulated so that many agents act at some nanoseconds each.

The policy's logits are computed on a grid of `n_points` times `n_points` places (s_l, s_g) and interpolated linearly
in both: for a population, first along s_g (one row per population), then along s_l (per agent). Where logits are smooth
the error is a second-order small number, h^2/8 times their curvature with h the grid's step; a boundary between two
actions moves by no more than that over the logits' slope.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kofn.agents.compiled import compiled
from kofn.envs.arrays import IntArray
from kofn.envs.continuous import ContinuousGame
from kofn.envs.line_policies import MlpLocalPolicy
from kofn.envs.normals import Float32Array

N_POINTS = 257
"""Grid points per axis."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TabulatedLocalPolicy:
    """Logits on a grid.

    Args:
        grid: logits, float32 [s_g, s_l, a_l], at evenly spaced places.
        global_bounds: (least, largest) s_g.
        local_bounds: (least, largest) s_l.
    """

    grid: Float32Array
    global_bounds: tuple[float, float]
    local_bounds: tuple[float, float]

    @classmethod
    def of(cls, policy: MlpLocalPolicy, game: ContinuousGame, n_points: int = N_POINTS) -> "TabulatedLocalPolicy":
        """Tabulate a network."""
        own = np.linspace(*game.local_bounds, n_points, dtype=np.float32)
        shared = np.linspace(*game.global_bounds, n_points, dtype=np.float32)
        grid = policy.logits(own[None, :], shared[:, None])
        return cls(grid=grid, global_bounds=game.global_bounds, local_bounds=game.local_bounds)

    def act(
        self, local_states: Float32Array, global_states: Float32Array, rng: np.random.Generator | None = None
    ) -> IntArray:
        """Actions int64 [population, agent] at s_i [population, agent] and s_g [population, 1]."""
        rows = self._rows(np.asarray(global_states)[:, 0])
        low, high = self.local_bounds
        scale = np.float32((self.grid.shape[1] - 1) / (high - low))
        if rng is None:
            return _most_likely(rows, local_states, np.float32(low), scale)
        uniforms = rng.random(local_states.shape, dtype=np.float32)
        return _drawn(rows, local_states, np.float32(low), scale, uniforms)

    def _rows(self, global_states: Float32Array) -> Float32Array:
        """Logits under each population's global state, float32 [population, s_l, a_l]."""
        low, high = self.global_bounds
        position = (global_states - low) * ((len(self.grid) - 1) / (high - low))
        below = np.clip(position.astype(np.int64), 0, len(self.grid) - 2)
        part = (position - below).astype(np.float32)[:, None, None]
        return np.asarray(self.grid[below] * (1 - part) + self.grid[below + 1] * part)


@compiled
def _most_likely(rows: Float32Array, states: Float32Array, low: np.float32, scale: np.float32) -> npt.NDArray[np.int64]:
    """The action with the largest logit, the lowest on ties."""
    n_populations, n_points, n_actions = rows.shape
    actions = np.zeros(states.shape, dtype=np.int64)
    for population in range(n_populations):
        for agent in range(states.shape[1]):
            position = (states[population, agent] - low) * scale
            below = min(max(int(position), 0), n_points - 2)
            part = position - np.float32(below)
            best = np.float32(-np.inf)
            for action in range(n_actions):
                left, right = rows[population, below, action], rows[population, below + 1, action]
                score = left + part * (right - left)
                if score > best:
                    best = score
                    actions[population, agent] = action
    return actions


@compiled
def _drawn(
    rows: Float32Array, states: Float32Array, low: np.float32, scale: np.float32, uniforms: Float32Array
) -> npt.NDArray[np.int64]:
    """An action drawn with the probabilities that the logits stand for, by inversion."""
    n_populations, n_points, n_actions = rows.shape
    actions = np.zeros(states.shape, dtype=np.int64)
    weights = np.empty(n_actions, dtype=np.float32)
    for population in range(n_populations):
        for agent in range(states.shape[1]):
            position = (states[population, agent] - low) * scale
            below = min(max(int(position), 0), n_points - 2)
            part = position - np.float32(below)
            largest = np.float32(-np.inf)
            for action in range(n_actions):
                left, right = rows[population, below, action], rows[population, below + 1, action]
                weights[action] = left + part * (right - left)
                largest = max(largest, weights[action])
            total = np.float32(0.0)
            for action in range(n_actions):
                weights[action] = np.exp(weights[action] - largest)
                total += weights[action]
            left_over = uniforms[population, agent] * total
            chosen = 0
            while chosen < n_actions - 1 and left_over >= weights[chosen]:
                left_over -= weights[chosen]
                chosen += 1
            actions[population, agent] = chosen
    return actions
