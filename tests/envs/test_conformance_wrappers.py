"""Every registered game inside PettingZoo's own wrappers: the order is enforced, and AEC and back is the same game."""

from typing import Any

import numpy as np
import pytest
from episodes import every_game, every_limit, maker, random_actions
from gymnasium.utils.env_checker import data_equivalence
from pettingzoo.test import api_test, parallel_api_test
from pettingzoo.utils import BaseParallelWrapper
from pettingzoo.utils.conversions import aec_to_parallel, parallel_to_aec
from pettingzoo.utils.env_logger import EnvLogger
from pettingzoo.utils.wrappers import AssertOutOfBoundsWrapper, OrderEnforcingWrapper

from kofn.wrappers import SubsampleObservation

pytestmark = [
    # Advice of PettingZoo's checks that a global and a local agent cannot both follow.
    pytest.mark.filterwarnings("ignore:Agents have different observation space sizes:UserWarning"),
    pytest.mark.filterwarnings("ignore:Observations are different shapes:UserWarning"),
    # PettingZoo converts by aec_to_parallel only what it believes to be turn by turn.
    pytest.mark.filterwarnings("ignore:The base environment .* does not have a `render_mode` defined:UserWarning"),
]


@every_game
@every_limit
def test_aec_and_back_is_the_same_game(name: str, limit: dict[str, Any]) -> None:
    make = maker("parallel", name, **limit)
    plain, back = make(), aec_to_parallel(parallel_to_aec(make()))
    ours, theirs = plain.reset(seed=2), back.reset(seed=2)
    rng = np.random.default_rng(0)
    assert data_equivalence(ours[0], dict(theirs[0]), exact=True)
    while plain.agents:
        actions = random_actions(plain, rng)
        ours, theirs = plain.step(actions), back.step(actions)
        assert data_equivalence(ours[0], dict(theirs[0]), exact=True)
        assert [dict(part) for part in theirs[1:4]] == [dict(part) for part in ours[1:4]]
        np.testing.assert_equal(dict(theirs[4]), ours[4])
    assert not back.agents


@every_game
@pytest.mark.parametrize("k", [None, 3])
def test_order_is_enforced(name: str, k: int | None) -> None:
    env = OrderEnforcingWrapper(AssertOutOfBoundsWrapper(maker("aec", name, k=k)()))
    EnvLogger.suppress_output()
    for early in (lambda: env.step(0), env.last, lambda: env.observe("global_0")):
        with pytest.raises((AssertionError, AttributeError), match=r"needs to be called before|before reset"):
            early()
    api_test(env, num_cycles=5)
    env.reset(seed=0)
    while env.agents:
        assert env.agent_selection in env.agents
        over = any(env.last()[2:4])
        env.step(None if over else 0)


@every_game
def test_actions_out_of_bounds_are_caught(name: str) -> None:
    env = AssertOutOfBoundsWrapper(maker("aec", name, k=3)())
    env.reset(seed=0)
    with pytest.raises(AssertionError, match="action is not in action space"):
        env.step(env.action_space(env.agent_selection).n)


@every_game
def test_wrappers_may_lie_inside_and_outside(name: str) -> None:
    """A wrapper of somebody else's between ours changes nothing."""
    make = maker("parallel", name)
    between = BaseParallelWrapper(SubsampleObservation(BaseParallelWrapper(make()), k=3))
    plain = maker("parallel", name, k=3)()
    parallel_api_test(between, num_cycles=7)
    rng = np.random.default_rng(0)
    assert data_equivalence(between.reset(seed=1)[0], plain.reset(seed=1)[0], exact=True)
    while plain.agents:
        actions = random_actions(plain, rng)
        assert data_equivalence(between.step(actions), plain.step(actions), exact=True)
