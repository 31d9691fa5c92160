"""Stable-Baselines3: all agents share one policy.

With c copies of an environment of n local agents, `to_vec_env` is a VecEnv of c (n+1) slots: slot i (n+1) + j is agent
number j of copy i (the global agent first), in the observation and action spaces of `kofn.wrappers.homogenize`. Every
slot is paid the team reward. All slots of a copy end together, at the time limit: `infos[slot]` then holds
`TimeLimit.truncated` (so that SB3 bootstraps) and the slot's own `terminal_observation`, and the copy has been reset.
What the environment tells the global agent is in `infos` of the copy's first slot.

    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecMonitor
    model = PPO("MlpPolicy", VecMonitor(to_vec_env(env, num_envs=4, seed=0)), gamma=env.unwrapped.discount)

A rollout of PPO holds n_steps * c (n+1) samples: set n_steps to the horizon or a fraction of it, and batch_size to
thousands. Algorithms for a single environment (those with a replay buffer) work too, but store one transition per slot.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pettingzoo import ParallelEnv
from pettingzoo.utils.wrappers import BaseParallelWrapper

from kofn.envs.arrays import integer
from kofn.envs.observations import Observation
from kofn.envs.streams import Seed, seed_sequence
from kofn.experiments.integrations.requirements import not_installed
from kofn.wrappers import Homogenize, homogenize

try:
    from stable_baselines3.common.vec_env import VecEnv
except ImportError:
    raise not_installed("stable_baselines3") from None

Indices = int | Sequence[int] | None


def to_vec_env(env: ParallelEnv[str, Observation, int], num_envs: int = 1, seed: Seed = None) -> "SharedPolicyVecEnv":
    """A VecEnv in which every agent of every copy is a slot; see the module.

    Args:
        env: a PopulationEnv with `obs_mode="box"`, possibly wrapped; it is copied and homogenized, and itself left as
            it is.
        num_envs: c, number of copies.
        seed: source of the copies' seeds, all different; they take effect at the next `reset`. None: fresh entropy.

    Raises:
        TypeError, ValueError: no such environment, or an argument of the wrong type or out of range.
    """
    common = env if isinstance(env, Homogenize) else homogenize(env)
    num_envs = integer("num_envs", num_envs, 1)
    return SharedPolicyVecEnv([copy.deepcopy(common) for _ in range(num_envs)], seed)


def joint_actions(model: Any, observations: Mapping[str, Observation], deterministic: bool = True) -> dict[str, int]:
    """What a model trained on `to_vec_env` plays for all agents, for `step` of the homogenized environment."""
    actions, _ = model.predict(np.stack(list(observations.values())), deterministic=deterministic)
    return dict(zip(observations, np.asarray(actions).tolist(), strict=True))


class SharedPolicyVecEnv(VecEnv):
    """Copies of a homogenized environment, one slot per agent; see the module.

    Args:
        copies: homogenized environments, each its own.
        seed: source of the copies' seeds.
    """

    def __init__(self, copies: Sequence[ParallelEnv[str, Observation, int]], seed: Seed = None) -> None:
        self.copies = list(copies)
        self.agents = list(copies[0].possible_agents)
        self.n_slots = len(self.agents)
        first = self.agents[0]
        spaces = copies[0].observation_space(first), copies[0].action_space(first)
        super().__init__(len(self.copies) * self.n_slots, *spaces)
        self._actions: npt.NDArray[np.int64] = np.zeros(self.num_envs, dtype=np.int64)
        self._plan_seeds(seed)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Give every copy a seed of its own at the next `reset`; returns the seed of each slot's copy."""
        self._plan_seeds(seed)
        return list(self._seeds)

    def _plan_seeds(self, seed: Seed) -> None:
        # 64 bits each, so that no two copies share one; the first copies' seeds do not depend on how many there are.
        seeds = seed_sequence(seed).generate_state(len(self.copies), np.uint64)
        self._seeds = [int(number) for number in np.repeat(seeds, self.n_slots)]

    def reset(self) -> npt.NDArray[np.float32]:
        """Reset all copies, with the seeds set since the last reset; without any their random streams go on."""
        observations = []
        for i, env in enumerate(self.copies):
            slot = i * self.n_slots
            seen, infos = env.reset(seed=self._seeds[slot], options=self._options[slot] or None)
            self._tell(self.reset_infos, i, infos)
            observations.append(_rows(seen))
        self._reset_seeds()
        self._reset_options()
        return np.concatenate(observations)

    def step_async(self, actions: npt.NDArray[np.int64]) -> None:
        """Keep the actions [slot] for `step_wait`."""
        self._actions = np.asarray(actions)

    def step_wait(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.bool_], list[Any]]:
        """(observations [slot, ..], rewards [slot], whether done [slot], infos) after one step of every copy."""
        rewards = np.empty(self.num_envs, dtype=np.float32)
        dones = np.zeros(self.num_envs, dtype=bool)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        observations = []
        for i, env in enumerate(self.copies):
            slots = slice(i * self.n_slots, (i + 1) * self.n_slots)
            actions = dict(zip(self.agents, self._actions[slots].tolist(), strict=True))
            seen, paid, terminations, truncations, told = env.step(actions)
            rows = _rows(seen)
            rewards[slots] = list(paid.values())
            dones[slots] = ended = not env.agents
            self._tell(infos, i, told)
            if ended:
                truncated = list(truncations.values()), list(terminations.values())
                for info, row, late, over in zip(infos[slots], rows, *truncated, strict=True):
                    info["terminal_observation"], info["TimeLimit.truncated"] = row, late and not over
                seen, told = env.reset()
                self._tell(self.reset_infos, i, told)
                rows = _rows(seen)
            observations.append(rows)
        return np.concatenate(observations), rewards, dones, infos

    def _tell(self, infos: list[dict[str, Any]], i: int, told: Mapping[str, dict[str, Any]]) -> None:
        """Put what copy number i tells its agents in place."""
        infos[i * self.n_slots : (i + 1) * self.n_slots] = [told[agent] for agent in self.agents]

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The attribute of the copy behind each of the slots."""
        return [getattr(self.copies[i], attr_name) for i in self._copies_of(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set the attribute on the copies behind the slots, in the wrapper or environment that has it."""
        for i in set(self._copies_of(indices)):
            setattr(_owner(self.copies[i], attr_name), attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Call a method ONCE on each copy behind the slots; its result stands at each of the copy's slots."""
        copies = self._copies_of(indices)
        results = {
            i: getattr(self.copies[i], method_name)(*method_args, **method_kwargs) for i in dict.fromkeys(copies)
        }
        return [results[i] for i in copies]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:  # noqa: ARG002  # SB3's signature
        """No slot is wrapped by a Gymnasium wrapper (use SB3's VecMonitor around all of them)."""
        return [False for _ in self._copies_of(indices)]

    def get_images(self) -> list[Any]:
        """One frame per copy."""
        return [env.render() for env in self.copies]

    def close(self) -> None:
        """Close all copies."""
        for env in self.copies:
            env.close()  # type: ignore[no-untyped-call]  # PettingZoo's

    def _copies_of(self, indices: Indices) -> list[int]:
        """Number of the copy behind each slot."""
        return [int(slot) // self.n_slots for slot in self._get_indices(indices)]


def _owner(env: Any, name: str) -> Any:
    """The outermost wrapper that has the attribute of itself, or the environment inside."""
    while isinstance(env, BaseParallelWrapper) and name not in vars(env) and not hasattr(type(env), name):
        env = env.env
    return env


def _rows(observations: Mapping[str, Observation]) -> npt.NDArray[np.float32]:
    """Observations as an array [agent, ..]."""
    return np.stack(list(observations.values()))
