"""Every registered game gives the same whole episode from the same seed, and another from another.

PettingZoo 1.27's `parallel_seed_test` stops after one step. `assert_same_episode` plays to the end and compares all
that an environment returns; the last tests show that it finds noise of every kind, however late.
"""

from typing import Any

import numpy as np
import pytest
from episodes import assert_same_episode, episode, every_game, every_game_and_mode, every_limit, maker
from gymnasium.utils.env_checker import data_equivalence
from pettingzoo.utils import BaseParallelWrapper


@every_game_and_mode
@every_limit
def test_same_seed_same_episode(name: str, limit: dict[str, Any], obs_mode: Any) -> None:
    make = maker("parallel", name, obs_mode=obs_mode, max_cycles=30, **limit)
    used = make()
    list(episode(used, seed=5, action_seed=9))
    assert_same_episode(make(), used, seed=42)


@every_game
@pytest.mark.parametrize("k", [None, 3])
def test_same_seed_same_sequence_of_episodes(name: str, k: int | None) -> None:
    first, second = maker("parallel", name, k=k)(), maker("parallel", name, k=k)()
    histories = [[list(episode(env, seed)) for seed in (7, None, None)] for env in (first, second)]
    assert data_equivalence(*histories, exact=True)
    states = [np.array([step[-1] for step in one]) for one in histories[0]]
    assert not np.array_equal(states[0], states[1]), "an unseeded reset repeats the episode before it"
    assert not np.array_equal(states[1], states[2])


@every_game
@every_limit
def test_other_seed_other_episode(name: str, limit: dict[str, Any]) -> None:
    make = maker("parallel", name, **limit)
    assert not data_equivalence(list(episode(make(), 1)), list(episode(make(), 2)), exact=True)
    states = [np.array([step[-1] for step in episode(make(), seed)]) for seed in (1, 2)]
    assert not np.array_equal(*states)


class Noisy(BaseParallelWrapper[str, Any, int]):
    """Disturbs one of the returned things by unseeded noise, in the last but one step only."""

    def __init__(self, env: Any, what: str) -> None:
        super().__init__(env)
        self.what = what
        self.disturbed_state = 0.0

    def step(self, actions: dict[str, int]) -> Any:
        values = self.env.step(actions)
        population: Any = self.env.unwrapped
        if population.timestep != population.max_cycles - 1:
            return values
        noise = np.random.default_rng().random()
        observations, rewards, terminations, truncations, infos = values
        match self.what:
            case "observations":
                observations["local_3"] = observations["local_3"] + np.float32(noise)
            case "rewards":
                rewards["local_3"] += 1e-12 * noise
            case "terminations" | "truncations":
                flags = terminations if self.what == "terminations" else truncations
                flags["local_3"] = self.unlike()
            case "infos":
                infos["local_3"]["noise"] = noise
            case "state":
                self.disturbed_state = noise
        return values

    def state(self) -> Any:
        return self.env.state() + self.disturbed_state

    def unlike(self) -> bool:
        """A flag that differs between two wrappers made one after the other."""
        Noisy.flag = not Noisy.flag
        return Noisy.flag

    flag = False


@pytest.mark.parametrize("what", ["observations", "rewards", "terminations", "truncations", "infos", "state"])
def test_late_noise_is_found(what: str) -> None:
    make = maker("parallel", "warehouse_dispatch", max_cycles=30)
    assert_same_episode(Noisy(make(), "nothing"), Noisy(make(), "nothing"), seed=0)
    with pytest.raises(AssertionError, match=f"{what} differ at step 29"):
        assert_same_episode(Noisy(make(), what), Noisy(make(), what), seed=0)


class Forgetful(BaseParallelWrapper[str, Any, int]):
    """Ignores the seed."""

    def reset(self, **_ignored: Any) -> Any:
        return self.env.reset()


class Lengthening(BaseParallelWrapper[str, Any, int]):
    """Every episode is longer than the one before."""

    def reset(self, seed: Any = None, options: Any = None) -> Any:
        population: Any = self.env.unwrapped
        population.max_cycles += 1
        return self.env.reset(seed=seed, options=options)


def test_ignored_seed_is_found() -> None:
    make = maker("parallel", "warehouse_dispatch")
    with pytest.raises(AssertionError, match="differ at step 0"):
        assert_same_episode(Forgetful(make()), Forgetful(make()), seed=0)


def test_memory_of_earlier_episodes_is_found() -> None:
    used, fresh = (Lengthening(maker("parallel", "warehouse_dispatch")()) for _ in range(2))
    used.reset(seed=1)
    with pytest.raises(AssertionError, match="truncations differ at step 7"):
        assert_same_episode(used, fresh, seed=0)
