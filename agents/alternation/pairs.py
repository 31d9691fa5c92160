"""Pairs of policies of every kind that the alternation plays: tables, or networks where states are continuous.

What the driver asks of a pair: to fit the setting, to be compared and named by its numbers, and files.

| game | global policy | local policy | files |
|---|---|---|---|
| TabularGame, GenerativeGame | GlobalPolicy | LocalPolicy | `global_policy.npz`, `local_policy.npz` |
| ContinuousGame | MlpGlobalPolicy | MlpLocalPolicy | the same, `.safetensors` |
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kofn.agents.alternation.setting import Setting
from kofn.envs.continuous import ContinuousGame
from kofn.envs.files import naming_damage
from kofn.envs.game import TabularGame
from kofn.envs.line_policies import MlpGlobalPolicy, MlpLocalPolicy, uniform_layers
from kofn.envs.policies import GlobalPolicy, LocalPolicy, as_global_policy, as_local_policy

HIDDEN = (64, 64)
"""Hidden layers of networks that nobody gave (Table 4)."""

Pair = tuple[Any, Any]
"""(pi_g, pi_l), both of the kind that the game wants."""


def fitting_global(policy: Any, setting: Setting, seed: np.random.SeedSequence | None = None) -> Any:
    """A global policy given as object, table or name (None: the default start), checked against the setting.

    `seed` draws the inner layers of a network that starts uniform.
    """
    game = setting.game
    if not isinstance(game, ContinuousGame):
        if policy is None:
            policy = "keep" if isinstance(game, TabularGame) else "uniform"
        return as_global_policy(policy, game, setting.k)
    if policy is None or (isinstance(policy, str) and policy == "uniform"):
        seen = game.observe_global_state
        n_inputs = len(game.bin_edges) - 1 + int(seen)
        layers = uniform_layers(n_inputs, game.n_global_actions, HIDDEN, np.random.default_rng(seed))
        return MlpGlobalPolicy(layers=layers, k=setting.k, sees_global_state=seen)
    if not isinstance(policy, MlpGlobalPolicy):
        raise TypeError(f"a continuous game's global policy must be an MlpGlobalPolicy or 'uniform'; got {policy!r}")
    policy.check_fits(game)
    if policy.k != setting.k:
        raise ValueError(f"the global policy observes k={policy.k} agents; k={setting.k} was asked for")
    return policy


def fitting_local(policy: Any, setting: Setting, seed: np.random.SeedSequence | None = None) -> Any:
    """A local policy given as object, table or name, checked against the setting; `seed` as above."""
    game = setting.game
    if not isinstance(game, ContinuousGame):
        return as_local_policy(policy, game)
    if isinstance(policy, str) and policy == "uniform":
        return MlpLocalPolicy(layers=uniform_layers(2, game.n_local_actions, HIDDEN, np.random.default_rng(seed)))
    if not isinstance(policy, MlpLocalPolicy):
        raise TypeError(f"a continuous game's local policy must be an MlpLocalPolicy or 'uniform'; got {policy!r}")
    policy.check_fits(game)
    return policy


def numbers_of(policy: Any) -> list[npt.NDArray[Any]]:
    """All numbers of a policy: its table, or its network's layers."""
    if isinstance(policy, GlobalPolicy | LocalPolicy):
        return [policy.table]
    return [array for layer in policy.layers for array in layer]


def pair_digest(global_policy: Any, local_policy: Any) -> str:
    """Sixteen hexadecimal digits that name a pair of policies, by the bytes of their numbers."""
    digest = hashlib.sha256()
    for array in numbers_of(global_policy) + numbers_of(local_policy):
        digest.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()[:16]


def same_pair(one: Pair, other: Pair) -> bool:
    """Whether two pairs have the same numbers: on the same random numbers they have the same returns."""
    arrays = [numbers_of(pair[0]) + numbers_of(pair[1]) for pair in (one, other)]
    return len(arrays[0]) == len(arrays[1]) and all(map(np.array_equal, *arrays))


def save_pair(folder: Path, pair: Pair) -> None:
    """Write both policies."""
    for name, policy in zip(("global_policy", "local_policy"), pair, strict=True):
        suffix = ".npz" if isinstance(policy, GlobalPolicy | LocalPolicy) else ".safetensors"
        policy.save(folder / f"{name}{suffix}")


def load_pair(folder: Path, game: Any) -> Pair:
    """Read both policies; FileNotFoundError or ValueError name the file at fault."""
    if isinstance(game, ContinuousGame):
        return (
            MlpGlobalPolicy.load(folder / "global_policy.safetensors"),
            MlpLocalPolicy.load(folder / "local_policy.safetensors"),
        )
    return GlobalPolicy.load(folder / "global_policy.npz"), LocalPolicy.load(folder / "local_policy.npz")


def check_loaded(folder: Path, setting: Setting, pair: Pair) -> None:
    """Raise ValueError that names the file whose policy does not fit the setting."""
    suffix = "safetensors" if isinstance(setting.game, ContinuousGame) else "npz"
    with naming_damage(folder / f"global_policy.{suffix}"):
        fitting_global(pair[0], setting)
    with naming_damage(folder / f"local_policy.{suffix}"):
        fitting_local(pair[1], setting)
