"""A gymnasium vector environment as Stable-Baselines3 sees it: ends, last observations, infos and seeds."""

from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from stable_baselines3 import PPO

from kofn.wrappers.sb3_vec_env import autoreset_mode, infos_by_environment, sb3_vec_env


class Count(gymnasium.Env):
    """Counts from its seed; ends (True: terminates, else truncates) after `length` steps."""

    observation_space = Box(-1e6, 1e6, (1,), np.float32)
    action_space = Discrete(3)
    render_mode = None

    def __init__(self, length: int, terminates: bool) -> None:
        self.length, self.terminates = length, terminates

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.start = 100 * seed if seed is not None else getattr(self, "start", 0) + 10
        self.t = 0
        return self._see(), {"begun": self.start}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.t += 1
        done = self.t == self.length
        return self._see(), float(action), done and self.terminates, done and not self.terminates, {"t": self.t}

    def _see(self) -> Any:
        return np.array([self.start + self.t], dtype=np.float32)


def counters(mode: AutoresetMode) -> SyncVectorEnv:
    """Two environments: one truncates after 2 steps, the other terminates after 3."""
    return SyncVectorEnv([lambda: Count(2, False), lambda: Count(3, True)], autoreset_mode=mode)


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_episodes_end_as_stable_baselines3_expects(mode: AutoresetMode) -> None:
    env = sb3_vec_env(counters(mode))
    env.seed(5)
    assert env.reset().tolist() == [[500], [600]]
    assert [info["begun"] for info in env.reset_infos] == [500, 600]
    observations, rewards, dones, infos = env.step(np.array([1, 2]))
    assert (observations.tolist(), rewards.tolist(), dones.tolist()) == ([[501], [601]], [1, 2], [False, False])
    assert [info["t"] for info in infos] == [1, 1]
    observations, _, dones, infos = env.step(np.array([0, 0]))
    assert (observations.tolist(), dones.tolist()) == ([[510], [602]], [True, False])
    assert (infos[0]["terminal_observation"].tolist(), infos[0]["TimeLimit.truncated"]) == ([502], True)
    assert infos[0]["t"] == 2  # of the step that ended it, not of the reset
    assert "terminal_observation" not in infos[1]
    observations, _, dones, infos = env.step(np.array([0, 0]))
    assert (observations.tolist(), dones.tolist()) == ([[511], [610]], [False, True])
    assert (infos[1]["terminal_observation"].tolist(), infos[1]["TimeLimit.truncated"]) == ([603], False)


def test_without_bootstrap_a_time_limit_is_an_end() -> None:
    env = sb3_vec_env(counters(AutoresetMode.SAME_STEP), bootstrap=False)
    env.reset()
    env.step(np.array([0, 0]))
    _, _, dones, infos = env.step(np.array([0, 0]))
    assert dones[0]
    assert not infos[0]["TimeLimit.truncated"]


def test_observations_are_not_overwritten() -> None:
    env = sb3_vec_env(SyncVectorEnv([lambda: Count(9, True)], copy=False, autoreset_mode=AutoresetMode.SAME_STEP))
    env.seed(1)
    first = env.reset()
    env.step(np.array([0]))
    assert first.tolist() == [[100]]


def test_an_algorithm_of_stable_baselines3_trains_on_it() -> None:
    """The reward is the action: any learner finds action 2 in some hundred steps of each environment."""
    env = sb3_vec_env(SyncVectorEnv([lambda: Count(4, False)] * 8, autoreset_mode=AutoresetMode.SAME_STEP))
    model = PPO("MlpPolicy", env, n_steps=16, batch_size=64, learning_rate=1e-2, seed=0, device="cpu")
    model.learn(1500)
    observation = np.array([[3.0]], dtype=np.float32)
    assert model.predict(observation, deterministic=True)[0].tolist() == [2]


def test_attributes_and_methods_are_those_of_the_vector_environment() -> None:
    env = sb3_vec_env(counters(AutoresetMode.SAME_STEP))
    env.set_attr("discount", 0.9)
    assert env.get_attr("discount") == [0.9, 0.9]
    assert env.get_attr("discount", indices=0) == [0.9]
    assert env.has_attr("discount")
    assert not env.has_attr("no_such")
    assert len(env.env_method("reset", indices=[1])) == 1
    assert env.env_is_wrapped(gymnasium.Wrapper) == [False, False]
    env.close()


def test_infos_are_split_by_their_masks() -> None:
    infos = {
        "a": np.array([1, 2]),
        "_a": np.array([True, False]),
        "part": {"b": np.array([3.0, 4.0]), "_b": np.array([False, True])},
        "_part": np.array([False, True]),
        "all": ["x", "y"],
    }
    assert infos_by_environment(infos, 2) == [{"a": 1, "all": "x"}, {"part": {"b": 4.0}, "all": "y"}]


def test_what_it_cannot_adapt_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must begin new episodes in the same step.*DISABLED; got NextStep"):
        sb3_vec_env(counters(AutoresetMode.NEXT_STEP))
    with pytest.raises(TypeError, match=r"env must be a gymnasium\.vector\.VectorEnv; got Count"):
        sb3_vec_env(Count(2, True))  # type: ignore[arg-type] # what is tested

    class Silent(VectorEnv):
        metadata: ClassVar[dict[str, Any]] = {}

    assert autoreset_mode(Silent()) == "NextStep"
