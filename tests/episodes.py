"""Small environments of every registered game, and whole episodes of them, for tests that iterate the registry.

from episodes import assert_same_episode, episode, every_game, maker
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pettingzoo
import pytest
from gymnasium.spaces import Discrete
from gymnasium.utils.env_checker import data_equivalence

from kofn.envs import GAMES, game_id
from kofn.envs.registration import game_module
from kofn.wrappers.factory import make_aec, make_parallel

has_registry = pytest.mark.skipif(not hasattr(pettingzoo, "register"), reason="PettingZoo before 1.27 has no registry")
LIMITS = [{}, {"k": 3}, {"k": 3, "summary": "states"}]
every_game = pytest.mark.parametrize("name", GAMES)
every_limit = pytest.mark.parametrize("limit", LIMITS, ids=["unlimited", "histogram of 3", "states of 3"])
MODES = [(name, mode) for name in GAMES for mode in game_module(name).DEFAULTS.obs_modes]
every_game_and_mode = pytest.mark.parametrize(("name", "obs_mode"), MODES)


def maker(kind: Any, name: str, **options: Any) -> Callable[..., Any]:
    """A constructor of small environments of a registered game."""
    small = {"n_agents": 12, "max_cycles": 6, **options}
    return lambda **more: make(kind, name, **{**small, **more})


def make(kind: Any, name: str, **options: Any) -> Any:
    """As users make it: from the registry or, before PettingZoo 1.27, by the factory that the registry would call."""
    if hasattr(pettingzoo, "make"):
        return pettingzoo.make(kind, game_id(name), **options)
    return {"parallel": make_parallel, "aec": make_aec}[kind](game=name, **options)


RESET_GIVES = ("observations", "infos", "agents", "state")
STEP_GIVES = ("observations", "rewards", "terminations", "truncations", "infos", "agents", "state")


def random_actions(env: Any, rng: np.random.Generator) -> dict[str, int]:
    spaces = {agent: env.action_space(agent) for agent in env.agents}
    assert all(isinstance(space, Discrete) for space in spaces.values())
    return {agent: int(rng.integers(space.n)) for agent, space in spaces.items()}


def episode(env: Any, seed: int | None, action_seed: int = 0) -> Iterator[tuple[Any, ...]]:
    """All that an environment returns in one episode of random actions: each step's values and the state."""
    rng = np.random.default_rng(action_seed)
    yield (*env.reset(seed=seed), list(env.agents), env.state())
    while env.agents:
        yield (*env.step(random_actions(env, rng)), list(env.agents), env.state())


def assert_same_episode(first: Any, second: Any, seed: int) -> None:
    """From one seed and the same actions, two environments return the same until both end; bit by bit."""
    steps = zip(episode(first, seed), episode(second, seed), strict=True)
    for step, (ours, theirs) in enumerate(steps):
        for name, a, b in zip(RESET_GIVES if step == 0 else STEP_GIVES, ours, theirs, strict=True):
            assert data_equivalence(a, b, exact=True), f"{name} differ at step {step}"
