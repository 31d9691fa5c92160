"""TorchRL's check_env_specs on every registered game, and why infos must be steady for it."""

import math
from typing import Any

import pytest
from episodes import every_game, every_limit, maker

pytest.importorskip("torchrl")

from torchrl.envs.utils import check_env_specs  # after the check above

from kofn.experiments.integrations.steady_infos import NUMBERS, SteadyInfos  # likewise
from kofn.experiments.integrations.torchrl import to_torchrl  # likewise


@every_game
@every_limit
def test_specs(name: str, limit: dict[str, Any]) -> None:
    env = to_torchrl(maker("parallel", name, n_agents=4, max_cycles=3, **limit)(), seed=0)
    check_env_specs(env)
    assert env.group_map == {"global": ["global_0"], "local": [f"local_{i}" for i in range(4)]}


def test_infos_have_the_same_keys_at_every_step() -> None:
    env = SteadyInfos(maker("parallel", "warehouse_dispatch", k=3, max_cycles=2)())
    plain = maker("parallel", "warehouse_dispatch", k=3, max_cycles=2)()
    actions = dict.fromkeys(env.possible_agents, 0)
    told = [env.reset(seed=0)[1], env.step(actions)[-1], env.step(actions)[-1]]
    plain.reset(seed=0)
    theirs = [plain.step(actions)[-1]["global_0"], plain.step(actions)[-1]["global_0"]]
    assert all(list(infos) == env.possible_agents for infos in told)
    assert all(tuple(infos["global_0"]) == NUMBERS for infos in told)
    assert not any(infos["local_1"] for infos in told)
    assert all(math.isnan(value) for value in told[0]["global_0"].values())
    assert told[1]["global_0"]["reward_global"] == theirs[0]["reward_global"]
    assert math.isnan(told[1]["global_0"]["team_return"])
    assert told[2]["global_0"] == {name: theirs[1][name] for name in NUMBERS}
