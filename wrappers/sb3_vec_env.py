"""Any `gymnasium.vector.VectorEnv` as a Stable-Baselines3 `VecEnv`, so that its algorithms train on batched simulators.

What differs between the two, and is translated here:

| | gymnasium | Stable-Baselines3 |
|---|---|---|
| end of an episode | two arrays, terminations and truncations | one array, dones; `info["TimeLimit.truncated"]` |
| last observation | `infos["final_obs"][i]`, or the observation itself | `info["terminal_observation"]` |
| infos | one dict of arrays, with masks `_key` | one dict per environment |
| seeds | argument of `reset` | `seed(...)` before `reset()` |

The environment must begin new episodes in the same step, or leave that to the caller (`AutoresetMode.SAME_STEP` or
`DISABLED`); with the latter, finished episodes are reset here through `options={"reset_mask": ...}`. Stable-Baselines3
adds the value of the last observation at a truncation: with `bootstrap=False` a time limit counts as an end, so that
what is learned is the return of the finite horizon.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv

from kofn.envs.arrays import first_index, positive

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv  # an optional library

Array = npt.NDArray[Any]
Infos = dict[str, Any]


def sb3_vec_env(env: VectorEnv[Any, Any, Any], *, bootstrap: bool = True, reward_scale: float = 1.0) -> "VecEnv":
    """The vector environment as Stable-Baselines3 expects it; needs the extra `deep`.

    Args:
        env: with array observations, in autoreset mode SAME_STEP or DISABLED.
        bootstrap: whether a truncation is one (and the learner adds the value of the last observation) or an end.
        reward_scale: what rewards are multiplied by; critics learn best from returns of the size of ten.

    Raises:
        TypeError: `env` is no VectorEnv.
        ValueError: it begins new episodes only at the next step.
    """
    if not isinstance(env, VectorEnv):
        raise TypeError(f"env must be a gymnasium.vector.VectorEnv; got {type(env).__name__}")
    mode = autoreset_mode(env)
    if mode not in ("SameStep", "Disabled"):
        raise ValueError(
            "env must begin new episodes in the same step, as Stable-Baselines3 does, or leave it to the caller: "
            f"autoreset_mode=AutoresetMode.SAME_STEP or DISABLED; got {mode}"
        )
    adapter: VecEnv = _adapter_class()(env, mode == "Disabled", bootstrap, positive("reward_scale", reward_scale))
    return adapter


def autoreset_mode(env: VectorEnv[Any, Any, Any]) -> str:
    """One of "NextStep", "SameStep" and "Disabled"; what says nothing resets at the next step, as gymnasium 1.0 did."""
    mode = env.metadata.get("autoreset_mode", "NextStep")
    return str(getattr(mode, "value", mode))


def infos_by_environment(infos: Infos, n_envs: int) -> list[Infos]:
    """A vector environment's infos, one dict per environment holding the keys that it has."""
    found: list[Infos] = [{} for _ in range(n_envs)]
    for key, values in infos.items():
        if key.startswith("_"):
            continue
        present = infos.get(f"_{key}")
        rows = infos_by_environment(values, n_envs) if isinstance(values, dict) else values
        for i in range(n_envs) if present is None else np.flatnonzero(present).tolist():
            found[i][key] = rows[i]
    return found


class _Translation:
    """The adapter's methods; its other base, which needs the optional library, joins in `_adapter_class`."""

    num_envs: int
    reset_infos: list[Infos]
    _seeds: list[int | None]
    _options: list[Infos]
    _reset_seeds: Callable[[], None]
    _reset_options: Callable[[], None]
    _get_indices: Callable[[Any], Iterable[int]]

    env: VectorEnv[Any, Any, Any]
    resets: bool
    bootstrap: bool
    scale: float
    _actions: Array

    def reset(self) -> Array:
        """New episodes; seeds given by `seed(s)` are s, s+1, .., which is what `env.reset(seed=s)` means."""
        options = next((options for options in self._options if options), None)
        observations, infos = self.env.reset(seed=self._seeds[0], options=options)
        self.reset_infos = infos_by_environment(infos, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return np.array(observations)

    def step_async(self, actions: Array) -> None:
        """Remember the actions."""
        self._actions = actions

    def step_wait(self) -> tuple[Array, Array, Array, list[Infos]]:
        """Play them."""
        observations, rewards, terminations, truncations, infos = self.env.step(self._actions)
        _check_finite("observations", observations)
        _check_finite("rewards", rewards)
        dones = terminations | truncations
        last = {key: infos.pop(key) for key in list(infos) if key.lstrip("_") in ("final_obs", "final_info")}
        listed = infos_by_environment(infos, self.num_envs)
        observations = np.array(observations)
        if dones.any():
            finals = observations.copy() if self.resets else last["final_obs"]
            ended = infos_by_environment(last.get("final_info", {}), self.num_envs)
            for i in np.flatnonzero(dones).tolist():
                info = listed[i] if self.resets else ended[i]
                limit = bool(truncations[i] and not terminations[i] and self.bootstrap)
                listed[i] = {**info, "terminal_observation": finals[i], "TimeLimit.truncated": limit}
            if self.resets:
                observations = self._begin(observations, dones)
        return observations, np.asarray(rewards * self.scale, dtype=np.float32), dones, listed

    def _begin(self, observations: Array, dones: Array) -> Array:
        """Observations with new episodes in place of finished ones."""
        fresh, infos = self.env.reset(options={"reset_mask": dones})
        begun = infos_by_environment(infos, self.num_envs)
        for i in np.flatnonzero(dones).tolist():
            observations[i] = fresh[i]
            self.reset_infos[i] = begun[i]
        return observations

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The attribute of the vector environment, once per environment asked for."""
        return [getattr(self.env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:  # noqa: ARG002  # they share it
        """Set the attribute of the vector environment."""
        setattr(self.env, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> Any:
        """Call a method of the vector environment, once per environment asked for."""
        method = getattr(self.env, method_name)
        return [method(*method_args, **method_kwargs) for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:  # noqa: ARG002  # none is
        """Never: wrappers of single environments are inside."""
        return [False for _ in self._get_indices(indices)]


def _check_finite(name: str, values: Array) -> None:
    """ValueError names the first environment whose observation or reward is not finite."""
    bad = ~np.isfinite(values)
    if bad.any():
        index = first_index(bad)
        raise ValueError(
            f"{name} must be finite; entry {list(index)} (environment first) is {np.asarray(values)[index]}"
        )


@cache
def _adapter_class() -> Callable[..., Any]:
    """The adapter, made when it is wanted."""
    from stable_baselines3.common.vec_env import VecEnv  # noqa: PLC0415  # an optional library

    def initialise(self: Any, env: VectorEnv[Any, Any, Any], resets: bool, bootstrap: bool, scale: float) -> None:
        self.env, self.resets, self.bootstrap, self.scale = env, resets, bootstrap, scale
        VecEnv.__init__(self, env.num_envs, env.single_observation_space, env.single_action_space)

    return type("Sb3VecEnv", (_Translation, VecEnv), {"__init__": initialise, "__doc__": __doc__})
