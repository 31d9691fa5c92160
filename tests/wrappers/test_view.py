"""What every single-agent view has in common: spaces, infos, sizes, seeds, copies, frames, errors."""

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from gymnasium.utils.env_checker import data_equivalence

from kofn.envs import FixedStart, GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.observations import OBS_MODES
from kofn.envs.registration import game_module
from kofn.wrappers import GlobalBestResponse, LocalBestResponse

MakeGame = Callable[..., TabularGame]

every_mode = pytest.mark.parametrize("obs_mode", OBS_MODES)
VIEWS: dict[str, Callable[..., Any]] = {
    "global": GlobalBestResponse,
    "tagged": lambda game, **options: LocalBestResponse(game, deviation="tagged", **options),
    "shared": lambda game, **options: LocalBestResponse(game, deviation="shared", **options),
}
every_view = pytest.mark.parametrize("view", VIEWS)


@pytest.fixture(scope="module")
def game(random_game: MakeGame) -> TabularGame:
    """Two states and two actions on either side."""
    return random_game(8)


@pytest.fixture(scope="module")
def policies() -> tuple[GlobalPolicy, LocalPolicy]:
    """A deterministic global policy of 2 agents that heeds what it sees, and a stochastic local one."""
    heeding = GlobalPolicy(table=np.array([[0, 1, 1], [1, 0, 1]]), k=2, n_local_states=2, n_actions=2)
    return heeding, LocalPolicy(np.random.default_rng(0).dirichlet(np.ones(2), (2, 2)))


# What a view tells.


@every_mode
def test_spaces(warehouse3: TabularGame, obs_mode: Any) -> None:
    options: dict[str, Any] = {"n_agents": 9, "k": 2, "obs_mode": obs_mode}
    views = {name: make(warehouse3, **options) for name, make in VIEWS.items()}
    assert views["global"].action_space == Discrete(3)
    assert views["tagged"].action_space == Discrete(3)
    assert views["shared"].action_space == MultiDiscrete([3, 3, 3])
    expected: dict[str, dict[str, Any]] = {
        "box": {"global": Box(0, 1, (6,)), "tagged": Box(0, 1, (6,)), "shared": Box(0, 1, (3,))},
        "discrete": {"global": Discrete(18), "tagged": Discrete(9), "shared": Discrete(3)},
        "multidiscrete": {"global": MultiDiscrete([3] * 4), "tagged": MultiDiscrete([3, 3]), "shared": Discrete(3)},
    }
    for name, env in views.items():
        assert env.observation_space == expected[obs_mode][name]
        assert env.observation_space is not VIEWS[name](warehouse3, **options).observation_space


@every_view
def test_rewards_infos_and_the_end(game: TabularGame, view: str) -> None:
    env = VIEWS[view](game, n_agents=5, k=2, max_cycles=4)
    others = {"tagged": {"others": "keep local_policy"}, "shared": {"others": "follow the learner"}, "global": {}}[view]
    for _ in range(2):
        _, info = env.reset(seed=0)
        assert info == others
        for step in range(1, 5):
            _, reward, terminated, truncated, info = env.step(env.action_space.sample())
            assert type(reward) is float
            assert reward == pytest.approx(info.pop("reward_global") + info.pop("reward_local_mean"), rel=1e-12)
            assert info == others
            assert (terminated, truncated) == (False, step == 4)


@every_view
def test_discount_is_the_games(game: TabularGame, view: str) -> None:
    assert VIEWS[view](game, n_agents=3).discount == 0.9
    assert VIEWS[view]("warehouse_dispatch").discount == 0.95


@every_view
def test_registered_games_have_default_sizes(view: str) -> None:
    defaults = game_module("warehouse_dispatch").DEFAULTS
    env = VIEWS[view]("warehouse_dispatch")
    env.reset(seed=0)
    assert int(env.unwrapped._view.n_agents) == defaults.n_agents
    ends = [env.step(env.action_space.sample())[3] for _ in range(defaults.max_cycles)]
    assert ends == [False] * (defaults.max_cycles - 1) + [True]


def test_own_games_last_a_hundred_steps(game: TabularGame) -> None:
    env = GlobalBestResponse(game, n_agents=2)
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(100)] == [False] * 99 + [True]


def test_without_k_everybody_is_seen(game: TabularGame) -> None:
    env = GlobalBestResponse(game, n_agents=7, obs_mode="multidiscrete")
    seen, _ = env.reset(seed=0)
    assert seen[1:].sum() == 7


def test_k_of_the_global_policy(warehouse3: TabularGame) -> None:
    own = GlobalPolicy.named("keep", warehouse3, 4)
    assert LocalBestResponse(warehouse3, n_agents=9, global_policy=own).global_policy is own
    assert LocalBestResponse(warehouse3, n_agents=9, k=4, global_policy=own).global_policy.k == 4
    assert LocalBestResponse(warehouse3, n_agents=9, k=4, global_policy="uniform").global_policy.k == 4
    assert LocalBestResponse(warehouse3, n_agents=9, k=4, global_policy=own.table).global_policy.k == 4
    # A named policy heeds nobody; a table over all 10^6 agents would not fit into memory.
    assert LocalBestResponse(warehouse3, n_agents=10**6, global_policy="keep").global_policy.k == 1


def test_policies_as_objects_tables_and_names(game: TabularGame, policies: Any) -> None:
    global_policy, local_policy = policies
    options: dict[str, Any] = {"n_agents": 5, "k": 2}
    for one, other in [
        (local_policy, local_policy.table),
        (LocalPolicy.named("stay", game), "stay"),
        (LocalPolicy.named("uniform", game), "uniform"),
    ]:
        first, second = (GlobalBestResponse(game, local_policy=policy, **options) for policy in (one, other))
        assert data_equivalence(episode(first, 0), episode(second, 0), exact=True)
        first, second = (LocalBestResponse(game, local_policy=policy, **options) for policy in (one, other))
        assert data_equivalence(episode(first, 0), episode(second, 0), exact=True)
    for one, other in [(global_policy, global_policy.table), (GlobalPolicy.named("keep", game, 2), "keep")]:
        first, second = (LocalBestResponse(game, global_policy=policy, **options) for policy in (one, other))
        assert data_equivalence(episode(first, 0), episode(second, 0), exact=True)


@every_view
def test_a_billion_agents(view: str) -> None:
    env = VIEWS[view]("warehouse_dispatch", n_agents=10**9, k=5)
    env.reset(seed=0)
    _, reward, *_ = env.step(env.action_space.sample())
    assert 1 <= reward <= 11.5


# Seeds and copies.


def steps(env: Any, rng: np.random.Generator) -> Iterator[Any]:
    """What the environment returns until the end of the episode."""
    space, truncated = env.action_space, False
    while not truncated:
        multiple = isinstance(space, MultiDiscrete)
        result = env.step(rng.integers(space.nvec) if multiple else int(rng.integers(space.n)))
        truncated = result[3]
        yield result


def episode(env: Any, seed: int | None) -> list[Any]:
    return [env.reset(seed=seed), *steps(env, np.random.default_rng(0))]


@every_view
@every_mode
def test_same_seed_same_episodes(game: TabularGame, view: str, obs_mode: str) -> None:
    first, second = (VIEWS[view](game, n_agents=30, k=4, obs_mode=obs_mode, max_cycles=20) for _ in range(2))
    episode(second, 99)
    seeds = (5, None, None, 5, None)
    histories = [[episode(env, seed) for seed in seeds] for env in (first, second)]
    assert data_equivalence(*histories, exact=True)
    assert data_equivalence(histories[0][:2], histories[0][3:], exact=True)
    assert not data_equivalence(histories[0][0], histories[0][1], exact=True)
    assert not data_equivalence(histories[0][0], episode(first, 6), exact=True)


@every_view
def test_unseeded_views_differ(game: TabularGame, view: str) -> None:
    first, second = (VIEWS[view](game, n_agents=1000, k=100) for _ in range(2))
    assert not data_equivalence(episode(first, None), episode(second, None), exact=True)


@every_view
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["copy", "pickle"])
def test_copies_continue_identically_and_independently(game: TabularGame, view: str, clone: Any) -> None:
    env = VIEWS[view](game, n_agents=30, k=4, max_cycles=20)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    first, second = clone(env), clone(env)
    plays = [list(steps(one, np.random.default_rng(0))) for one in (first, second, env)]
    assert len(plays[0]) == 19
    assert data_equivalence(plays[0], plays[1], exact=True)
    assert data_equivalence(plays[0], plays[2], exact=True)


def test_k_never_changes_the_dynamics(game: TabularGame) -> None:
    rewards = [
        [step[1] for step in episode(GlobalBestResponse(game, n_agents=30, k=k), 3)[1:]] for k in (1, 4, 30, None)
    ]
    assert rewards[0] == rewards[1] == rewards[2] == rewards[3]


# Frames.


def frozen_game() -> TabularGame:
    """Nobody ever moves; two local states."""
    return TabularGame(
        global_transition=np.ones((1, 1, 1)),
        local_transition=np.eye(2)[:, None, None, :],
        global_reward=np.zeros((1, 1)),
        local_reward=np.zeros((2, 1, 1)),
        discount=0.9,
        initial_local=FixedStart(np.array([0.5, 0.5])),
    )


def test_frames_show_the_sample() -> None:
    env = GlobalBestResponse(frozen_game(), n_agents=4, k=2, obs_mode="multidiscrete", render_mode="ansi")
    seen_in: dict[str, set[tuple[int, ...]]] = {}
    for seed in range(60):
        seen, _ = env.reset(seed=seed)
        seen_in.setdefault(env.render(), set()).add(tuple(seen.tolist()))
    assert all(len(seen) == 1 for seen in seen_in.values()), "the observation can be read off the frame"
    populations = {frame: frame.split("sees 2 of 4 agents")[0] for frame in seen_in}
    assert len(set(populations.values())) == 1
    assert len(seen_in) == 3 + 2 + 2 + 1 + 1, "two in each state: three samples; one and three: two; none and four: one"


@every_view
def test_pictures_follow_the_episode(game: TabularGame, view: str) -> None:
    env = VIEWS[view](game, n_agents=40, k=4, render_mode="rgb_array")
    env.reset(seed=0)
    pictures = [env.render()]
    for _ in range(2):
        env.step(env.action_space.sample())
        pictures.append(env.render())
    assert all(picture.dtype == np.uint8 and picture.ndim == 3 for picture in pictures)
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[1], pictures[2])
    np.testing.assert_array_equal(env.render(), pictures[2])
    env.close()


@every_view
def test_rendering_disturbs_nothing(game: TabularGame, view: str) -> None:
    drawn, plain = VIEWS[view](game, n_agents=9, k=2, render_mode="ansi"), VIEWS[view](game, n_agents=9, k=2)
    assert data_equivalence(drawn.reset(seed=0), plain.reset(seed=0), exact=True)
    for _ in range(5):
        action = plain.action_space.sample()
        assert "sees 2 of 9 agents" in drawn.render()
        assert data_equivalence(drawn.step(action), plain.step(action), exact=True)


def test_no_frame_without_a_mode(game: TabularGame) -> None:
    env = GlobalBestResponse(game, n_agents=3)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="to render, pass render_mode"):
        env.render()


# Errors.

BAD_OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"k": 6}, ValueError, "k must be between 1 and 5; got 6"),
    ({"k": 0}, ValueError, "k must be between 1 and 5; got 0"),
    ({"k": 2.0}, TypeError, r"k must be an integer; got 2\.0"),
    ({"n_agents": 0}, ValueError, "n_agents must be at least 1; got 0"),
    ({"n_agents": True}, TypeError, "n_agents must be an integer; got True"),
    ({"n_agents": None}, TypeError, "n_agents must be given for a game that is not registered by name"),
    ({"max_cycles": 0}, ValueError, "max_cycles must be at least 1; got 0"),
    ({"obs_mode": "image"}, ValueError, "obs_mode must be one of 'box', 'discrete', 'multidiscrete'; got 'image'"),
    ({"render_mode": "rgb"}, ValueError, "render_mode must be one of 'human', 'rgb_array', 'ansi'; got 'rgb'"),
    ({"game": "warehouse"}, ValueError, "did you mean 'warehouse_dispatch'"),
    ({"game": 3}, TypeError, "game must be a TabularGame or a registered name; got int"),
    ({"game": []}, TypeError, "game must be a TabularGame or a registered name; got list"),
    ({"local_policy": "chase"}, ValueError, "local_policy must be one of 'uniform', 'stay'; got 'chase'"),
    (
        {"local_policy": np.full((2, 2, 3), 1 / 3)},
        ValueError,
        r"local policy must match .* \[2, 2, 2\]; it has \[2, 2, 3\]",
    ),
    ({"local_policy": np.full((2, 2), 0.5)}, ValueError, "local policy table must have 3 axes"),
    ({"local_policy": np.full((2, 2, 2), 0.6)}, ValueError, "local policy table must have rows that sum to 1"),
]


@every_view
@pytest.mark.parametrize(("options", "error", "message"), BAD_OPTIONS)
def test_bad_arguments_are_refused(
    game: TabularGame, view: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        VIEWS[view](**{"game": game, "n_agents": 5, **options})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"deviation": "both"}, ValueError, "deviation must be one of 'tagged', 'shared'; got 'both'"),
        ({"global_policy": "stay"}, ValueError, "global_policy must be one of 'uniform', 'keep'; got 'stay'"),
        ({"global_policy": np.zeros((2, 3), int), "k": 3}, ValueError, r"action table must have shape \[any, 4\]"),
        ({"global_policy": np.zeros((3, 3), int), "k": 2}, ValueError, "global policy must match the game's"),
        ({"global_policy": np.zeros((2, 3)), "k": 2}, TypeError, "action table must hold integers"),
        ({"global_policy": np.full((2, 3), 2), "k": 2}, ValueError, r"actions must lie in \[0, 2\)"),
        ({"global_policy": np.full((2, 3, 2), 0.7), "k": 2}, ValueError, "must have rows that sum to 1"),
    ],
)
def test_bad_global_policies_are_refused(
    game: TabularGame, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        LocalBestResponse(game, **{"n_agents": 5, **options})


def test_k_must_be_the_policys(game: TabularGame, policies: Any) -> None:
    with pytest.raises(ValueError, match="observes k=2 agents; k=3 was asked for"):
        LocalBestResponse(game, n_agents=5, k=3, global_policy=policies[0])
    with pytest.raises(ValueError, match="k must be between 1 and 1; got 2"):
        LocalBestResponse(game, n_agents=1, global_policy=policies[0])


@every_view
def test_nothing_before_reset(game: TabularGame, view: str) -> None:
    env = VIEWS[view](game, n_agents=5, render_mode="ansi")
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step\(\)"):
        env.step(env.action_space.sample())
    with pytest.raises(RuntimeError, match=r"call reset\(\) before"):
        env.render()


@every_view
def test_nothing_after_the_end(game: TabularGame, view: str) -> None:
    env = VIEWS[view](game, n_agents=5, max_cycles=2)
    env.reset(seed=0)
    action = env.action_space.sample()
    assert [env.step(action)[3] for _ in range(2)] == [False, True]
    with pytest.raises(RuntimeError, match=r"the episode is over: call reset\(\) before the next step\(\)"):
        env.step(action)
    env.reset()
    assert not env.step(action)[3]


@pytest.mark.parametrize("view", ["global", "tagged"])
@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (2, ValueError, "action must be between 0 and 1; got 2"),
        (-1, ValueError, "action must be between 0 and 1; got -1"),
        (1.0, TypeError, r"action must be an integer; got 1\.0"),
        (True, TypeError, "action must be an integer; got True"),
        (None, TypeError, "action must be an integer; got None"),
        (np.array([1]), TypeError, "action must be an integer"),
    ],
)
def test_bad_actions_are_refused(
    game: TabularGame, view: str, action: Any, error: type[Exception], message: str
) -> None:
    env, twin = (VIEWS[view](game, n_agents=5, k=2) for _ in range(2))
    env.reset(seed=0)
    twin.reset(seed=0)
    with pytest.raises(error, match=message):
        env.step(action)
    assert data_equivalence(*(list(steps(one, np.random.default_rng(0))) for one in (env, twin)), exact=True)


@pytest.mark.parametrize(
    "action", [0, None, [0], [0, 0, 0], [0, 2], [-1, 0], [0.0, 1.0], [True, False], [[0, 1]], ["0", "1"]]
)
def test_bad_rows_of_actions_are_refused(game: TabularGame, action: Any) -> None:
    env = LocalBestResponse(game, n_agents=5, k=2, deviation="shared")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action must hold one of 2 actions for each of 2 local states; got"):
        env.step(action)


@pytest.mark.parametrize("kind", [list, tuple, np.int8, np.uint8, np.int32, np.int64])
def test_rows_of_actions_of_any_integer_type(game: TabularGame, kind: Any) -> None:
    env, twin = (LocalBestResponse(game, n_agents=5, k=2, deviation="shared") for _ in range(2))
    env.reset(seed=0)
    twin.reset(seed=0)
    row = kind([1, 0]) if kind in (list, tuple) else np.array([1, 0], dtype=kind)
    assert data_equivalence(env.step(row), twin.step(np.array([1, 0])), exact=True)


def test_bad_seeds_are_refused(game: TabularGame) -> None:
    with pytest.raises(gymnasium.error.Error, match="Seed must be greater or equal to zero"):
        GlobalBestResponse(game, n_agents=5).reset(seed=-1)
