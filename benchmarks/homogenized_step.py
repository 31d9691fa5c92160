"""What `homogenize` adds to a step of the standard API at n = 1000: padding, and no-ops for excess actions."""

from collections.abc import Callable
from typing import Any

import numpy as np
from result import Figure
from timing import cpu_clock, paired_seconds

from kofn.wrappers import homogenize
from kofn.wrappers.factory import make_parallel

N_AGENTS = 1000


def stepper(env: Any) -> Callable[[], object]:
    """A call that steps the environment once with random actions of its own spaces (a new episode where one ended)."""
    env.reset(seed=0)
    limits = [env.action_space(agent).n for agent in env.possible_agents]
    rows = np.random.default_rng(0).integers(0, limits, size=(20, N_AGENTS + 1)).tolist()
    plays = [dict(zip(env.possible_agents, row, strict=True)) for row in rows]

    def step() -> object:
        if not env.agents:
            env.reset()
        return env.step(plays[env.unwrapped.timestep % len(plays)])

    return step


def measure(*, quick: bool) -> list[Figure]:
    """The figure of this benchmark."""
    options = {"game": "warehouse_dispatch", "n_agents": N_AGENTS, "k": 10}
    raw, padded = stepper(make_parallel(**options)), stepper(homogenize(make_parallel(**options)))
    plain, common, ratio = paired_seconds(raw, padded, calls=30, rounds=5 if quick else 25, clock=cpu_clock)
    return [
        Figure(
            name="homogenized step against the raw step, n=1000 (ratio)",
            value=ratio,
            limit=3.0,
            at_least=False,
            note=f"{plain * 1e6:.0f} us raw, {common * 1e6:.0f} us homogenized, two fifths of the actions in excess",
        )
    ]
