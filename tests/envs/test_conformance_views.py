"""Every registered view of every registered game through Gymnasium's and Stable-Baselines3's checkers, by its id.

Games with continuous states have the two best-response views; other games without arrays have none, and say so.
Details of each view are tested where the view is.
"""

from typing import Any

import gymnasium
import numpy as np
import pytest
from episodes import every_game
from gymnasium.utils.env_checker import check_env, data_equivalence

from kofn.envs.continuous import ContinuousGame
from kofn.envs.model import Game
from kofn.envs.registration import VIEWS, registered_game

OPTIONS: dict[str, dict[str, Any]] = {
    "kofn/GlobalBestResponse-v0": {"n_agents": 12, "k": 3},
    "kofn/LocalBestResponse-v0": {"n_agents": 12, "k": 3},
    "kofn/ReplicaChain-v0": {"global_policy": "keep", "n_replicas": 2},
    "kofn/HistogramChain-v0": {"global_policy": "keep", "n_agents": 2},
}
CONTINUOUS_TOO = ("kofn/GlobalBestResponse-v0", "kofn/LocalBestResponse-v0")
every_view = pytest.mark.parametrize("view", VIEWS)


def make(view: str, name: str) -> Any:
    return gymnasium.make(f"kofn.envs:{view}", game=name, **OPTIONS[view])


def has_view(view: str, name: str) -> bool:
    game = registered_game(name)
    return isinstance(game, Game) or (isinstance(game, ContinuousGame) and view in CONTINUOUS_TOO)


@every_game
@every_view
def test_others_checkers(name: str, view: str) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    if not has_view(view, name):
        with pytest.raises(TypeError, match=f"game must have arrays .*; '{name}' is of type"):
            make(view, name)
        return
    env = make(view, name).unwrapped
    check_env(env, skip_render_check=True)
    checker.check_env(env)


@every_game
@every_view
def test_same_seed_same_episode(name: str, view: str) -> None:
    if not has_view(view, name):
        return
    histories = []
    for env in (make(view, name), make(view, name)):
        history, rng, over = [env.reset(seed=5)], np.random.default_rng(0), False
        while not over and len(history) < 30:
            history.append(env.step(int(rng.integers(env.action_space.n))))
            over = history[-1][2] or history[-1][3]
        histories.append(history)
    assert data_equivalence(*histories, exact=True)
