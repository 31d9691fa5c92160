"""RiverSwim (Strehl and Littman 2008; this parametrisation: Osband, Russo and Van Roy 2013), tables and environment.

A swimmer in one of five places. Action 0 drifts one place left, for certain. Action 1 swims: from an inner place right
with probability 0.35, left with 0.05, else nowhere; from the leftmost right with 0.6, else nowhere; from the rightmost
left with 0.4, else nowhere. Drifting at the left bank pays 0.005, swimming at the right bank pays 1. The start is the
left bank. Nothing of the package is imported.
"""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
N_PLACES = 5


def transition() -> Array:
    """P(s' | s, a), float [s, a, s']."""
    table = np.zeros((N_PLACES, 2, N_PLACES))
    for place in range(N_PLACES):
        table[place, 0, max(place - 1, 0)] = 1
    for place in range(1, N_PLACES - 1):
        table[place, 1, place - 1 : place + 2] = 0.05, 0.6, 0.35
    table[0, 1, :2] = 0.4, 0.6
    table[-1, 1, -2:] = 0.4, 0.6
    return table


def reward() -> Array:
    """r(s, a), float [s, a]."""
    table = np.zeros((N_PLACES, 2))
    table[0, 0], table[-1, 1] = 0.005, 1
    return table


def start() -> Array:
    """Law of the first place, float [s]."""
    return np.eye(N_PLACES)[0]


def best_return(steps: int) -> float:
    """The most that can be collected from the left bank, one place and step at a time."""
    laws, pay = transition(), reward()
    ahead = [0.0] * N_PLACES
    for _ in range(steps):
        ahead = [
            max(pay[s, a] + sum(laws[s, a, s2] * ahead[s2] for s2 in range(N_PLACES)) for a in range(2))
            for s in range(N_PLACES)
        ]
    return ahead[0]


class RiverSwim(gymnasium.Env[int, int]):
    """The same, to be played; never terminates. Places and actions are numbered from `first`."""

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self.observation_space = gymnasium.spaces.Discrete(N_PLACES, start=first)
        self.action_space = gymnasium.spaces.Discrete(2, start=first)
        self.place = 0
        self.laws = transition()
        self.pay = reward()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:  # noqa: ARG002  # Gymnasium's signature
        super().reset(seed=seed)
        self.place = 0
        return self.place + self.first, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        paid = float(self.pay[self.place, action - self.first])
        self.place = int(self.np_random.choice(N_PLACES, p=self.laws[self.place, action - self.first]))
        return self.place + self.first, paid, False, False, {}
