"""Every registered game: copies made in mid-episode go on alike and apart, and nothing returned is shared."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from episodes import episode, every_game, every_limit, maker, random_actions
from gymnasium.utils.env_checker import data_equivalence
from spoiling import spoil

CLONERS = [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))]
every_cloner = pytest.mark.parametrize("clone", CLONERS, ids=["deepcopy", "pickle"])


def finish(env: Any, action_seed: int) -> list[Any]:
    """The rest of the episode, and the start of the next."""
    rng, results = np.random.default_rng(action_seed), []
    while env.agents:
        results.append((*env.step(random_actions(env, rng)), env.state()))
    return [*results, env.reset(), env.state()]


@every_game
@every_limit
@every_cloner
def test_copies_in_mid_episode_go_on_alike_and_apart(name: str, limit: dict[str, Any], clone: Any) -> None:
    env = maker("parallel", name, **limit)()
    env.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(2):
        env.step(random_actions(env, rng))
    first, second = clone(env), clone(env)
    state = env.state()
    other = finish(second, action_seed=7)  # other actions, so that anything shared would show
    np.testing.assert_array_equal(env.state(), state)
    assert env.unwrapped.timestep == 2
    plays = [finish(one, action_seed=1) for one in (first, env)]
    assert data_equivalence(*plays, exact=True)
    assert not data_equivalence(plays[0][0], other[0], exact=True)


@every_game
@every_cloner
def test_copies_before_the_first_reset(name: str, clone: Any) -> None:
    make = maker("parallel", name, k=3)
    twin = clone(make())
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step"):
        twin.step(dict.fromkeys(twin.possible_agents, 0))
    assert data_equivalence(list(episode(twin, 1)), list(episode(make(), 1)), exact=True)


@every_game
@every_cloner
def test_aec_copies_in_mid_episode_go_on_alike(name: str, clone: Any) -> None:
    env = maker("aec", name, k=3)()
    env.reset(seed=3)
    for _ in range(17):
        env.step(0)
    twin = clone(env)
    histories: list[list[Any]] = []
    for one in (twin, env):
        rng, seen = np.random.default_rng(2), []
        while one.agents:
            seen.append((one.agent_selection, *one.last()))
            over = seen[-1][3] or seen[-1][4]
            one.step(None if over else int(rng.integers(one.action_space(one.agent_selection).n)))
        histories.append(seen)
    assert data_equivalence(*histories, exact=True)
    assert len(histories[0]) > 12


@every_game
@every_limit
def test_callers_may_write_into_whatever_is_returned(name: str, limit: dict[str, Any]) -> None:
    make = maker("parallel", name, **limit)
    spoiled, twin = make(), make()
    rng = np.random.default_rng(0)
    results = spoiled.reset(seed=4), twin.reset(seed=4)
    while True:
        assert data_equivalence(*results, exact=True)
        for returned in (*results[0], spoiled.state()):
            spoil(returned)
        if not twin.agents:
            break
        actions = random_actions(twin, rng)
        results = spoiled.step(dict(actions)), twin.step(actions)


@every_game
@every_limit
def test_what_was_returned_never_changes_later(name: str, limit: dict[str, Any]) -> None:
    env, rng = maker("parallel", name, **limit)(), np.random.default_rng(0)
    kept: list[Any] = [env.reset(seed=0)]
    snapshots = [copy.deepcopy(kept[0])]
    for _ in range(3):
        kept.append((env.step(random_actions(env, rng)), env.state()))
        snapshots.append(copy.deepcopy(kept[-1]))
    env.reset()
    env.step(random_actions(env, rng))
    assert data_equivalence(kept, snapshots, exact=True)


@every_game
@every_limit
def test_no_agents_row_is_part_of_another_ones(name: str, limit: dict[str, Any]) -> None:
    env = maker("parallel", name, **limit)()
    observations, infos = env.reset(seed=0)
    rows = [observations[agent] for agent in env.possible_agents]
    assert all(
        i == j or not np.may_share_memory(a, b, max_work=1) or not np.shares_memory(a, b)
        for i, a in enumerate(rows)
        for j, b in enumerate(rows)
    )
    assert len({id(info) for info in infos.values()}) == len(rows)
