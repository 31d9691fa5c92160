"""Parameter sharing in Stable-Baselines3: slots, seeds, ends of episodes, and a game that PPO must solve."""

from typing import Any

import numpy as np
import pytest

from kofn.envs import GAMES, PopulationEnv, TabularGame
from kofn.envs.warehouse_dispatch import parallel_env
from kofn.wrappers import SubsampleObservation, homogenize
from kofn.wrappers.factory import make_parallel

sb3 = pytest.importorskip("stable_baselines3")

from kofn.experiments.integrations.sb3 import joint_actions, to_vec_env  # noqa: E402  # after the check above

N, H = 5, 4


def warehouse(**options: Any) -> Any:
    return SubsampleObservation(parallel_env(n_agents=N, max_cycles=H, **options), k=2)


def actions(vec: Any, step: int) -> Any:
    return np.random.default_rng(step).integers(vec.action_space.n, size=vec.num_envs)


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("k", [None, 2])
def test_slots_are_the_agents_of_the_copies(name: str, k: int | None) -> None:
    vec = to_vec_env(make_parallel(game=name, n_agents=N, k=k, max_cycles=H), num_envs=3, seed=7)
    twins = [homogenize(make_parallel(game=name, n_agents=N, k=k, max_cycles=H)) for _ in range(3)]
    assert vec.num_envs == 3 * (N + 1)
    seeds = list(vec._seeds)
    seen = vec.reset()
    assert seen.shape == (vec.num_envs, *vec.observation_space.shape)
    expected = [twin.reset(seed=seeds[i * (N + 1)])[0] for i, twin in enumerate(twins)]
    for step in range(2 * H):
        assert seen.dtype == np.float32
        np.testing.assert_array_equal(seen, [row for one in expected for row in one.values()])
        played = actions(vec, step)
        seen, paid, done, infos = vec.step(played)
        by_copy = played.reshape(3, N + 1).tolist()
        results = [
            twin.step(dict(zip(twin.agents, row, strict=True))) for twin, row in zip(twins, by_copy, strict=True)
        ]
        np.testing.assert_array_equal(paid, np.float32([r for result in results for r in result[1].values()]))
        assert done.tolist() == [step % H == H - 1] * vec.num_envs
        expected = [result[0] for result in results]
        if done[0]:
            ends = [row for one in expected for row in one.values()]
            np.testing.assert_array_equal([info["terminal_observation"] for info in infos], ends)
            assert all(info["TimeLimit.truncated"] for info in infos)
            assert [("team_return" in info) for info in infos] == ([True] + [False] * N) * 3
            expected = [twin.reset()[0] for twin in twins]
        else:
            assert not any("terminal_observation" in info for info in infos)


def test_copies_have_seeds_of_their_own_even_when_the_environment_was_reset() -> None:
    env = parallel_env(n_agents=200, max_cycles=H)
    env.reset(seed=3)
    before = env.state()
    for seed in (0, None):
        vec = to_vec_env(env, num_envs=4, seed=seed)
        for _ in range(2):  # the streams of later episodes differ too
            vec.reset()
            states = [tuple(state) for state in vec.env_method("state")[:: vec.n_slots]]
            assert len(set(states)) == 4
    np.testing.assert_array_equal(env.state(), before)  # the user's environment is left alone


def test_seeds() -> None:
    def starts(vec: Any) -> list[list[float]]:
        return [vec.reset().ravel().tolist() for _ in range(2)]

    make = lambda seed, num_envs=2: to_vec_env(parallel_env(n_agents=30), num_envs, seed)  # noqa: E731  # three words
    reference = starts(make(1))
    assert starts(make(1)) == reference
    assert starts(make(2)) != reference
    assert starts(make(None)) != starts(make(None))
    vec = make(5)
    vec.reset()
    given = vec.seed(1)
    assert len(given) == vec.num_envs
    assert len(set(given)) == 2
    assert starts(vec) == reference
    few, many = make(1).reset(), make(1, 4).reset()
    np.testing.assert_array_equal(many[: len(few)], few)


def test_attributes_and_methods_by_slot() -> None:
    vec = to_vec_env(warehouse(render_mode="rgb_array"), num_envs=2, seed=0)
    assert vec.get_attr("discount") == [0.95] * vec.num_envs
    assert vec.get_attr("render_mode", indices=[0, N + 1]) == ["rgb_array"] * 2
    assert vec.get_attr("k", indices=0) == [2]
    with pytest.raises(AttributeError, match="no_such_thing"):
        vec.get_attr("no_such_thing")
    assert vec.has_attr("max_cycles")
    assert not vec.has_attr("no_such_thing")
    vec.set_attr("max_cycles", 9, indices=[N + 1])
    assert vec.get_attr("max_cycles", indices=[0, N, N + 1]) == [H, H, 9]
    with pytest.raises(AttributeError, match="k cannot change"):
        vec.set_attr("k", 3)
    vec.reset()
    vec.step(np.zeros(vec.num_envs, dtype=int))
    assert vec.get_attr("timestep") == [1] * vec.num_envs
    assert len(vec.env_method("state", indices=[0, 1])) == 2
    assert vec.env_is_wrapped(object) == [False] * vec.num_envs
    assert vec.render("rgb_array").ndim == 3
    vec.close()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: to_vec_env(warehouse(), 0), ValueError, "num_envs must be at least 1; got 0"),
        (lambda: to_vec_env(warehouse(), 1.5), TypeError, r"num_envs must be an integer; got 1\.5"),
        (lambda: to_vec_env(warehouse(), 1, seed=-1), ValueError, "seed must be a nonnegative integer"),
        (lambda: to_vec_env(warehouse(obs_mode="discrete")), ValueError, "needs an environment with obs_mode='box'"),
    ],
)
def test_bad_arguments(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def plain_game() -> TabularGame:
    """s_g is drawn uniformly whatever is done; a_g = 1 - s_g pays 1 and a_l = s_g pays 1 to each local agent."""
    return TabularGame(
        global_transition=np.full((2, 2, 2), 0.5),
        local_transition=np.full((1, 2, 2, 1), 1.0),
        global_reward=1 - np.eye(2),
        local_reward=np.eye(2)[None],
        discount=0.5,
    )


def test_ppo_learns_both_sides_of_a_plain_game() -> None:
    """Both sides must play as they should everywhere: the type in the observation tells them apart."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    vec = to_vec_env(PopulationEnv(plain_game(), n_agents=2, max_cycles=25), num_envs=8, seed=0)
    settings = {"n_steps": 25, "batch_size": 200, "n_epochs": 10, "learning_rate": 3e-3, "ent_coef": 0.01}
    net = {"net_arch": [32]}
    model = sb3.PPO("MlpPolicy", vec, gamma=0.5, seed=0, device="cpu", policy_kwargs=net, **settings)
    model.learn(15 * 25 * vec.num_envs)
    env: Any = homogenize(PopulationEnv(plain_game(), n_agents=2, max_cycles=25))
    observations, _ = env.reset(seed=1)
    while env.agents:
        s_g = int(env.population.simulator.global_states[0])
        played = joint_actions(model, observations)
        assert played == {"global_0": 1 - s_g, "local_0": s_g, "local_1": s_g}
        observations, *_ = env.step(played)
