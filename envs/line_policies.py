r"""Policies of games with continuous states: what one must be able to do, and small neural networks that do it.

    global    pi_g(a_g | s_g, F),  F the shares per bin of the k agents seen        input [s_g, F], or F alone
    local     pi_l(a_l | s_i, s_g)                                                  input [s_i, s_g]

A network is layers x -> tanh(x W + b), the last one without the tanh; its outputs are the logits of the actions. It is
plain arrays in single precision: playing needs no PyTorch, files hold no code, and equal weights are equal policies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import IntArray, freeze, integer, restore_frozen
from kofn.envs.continuous import ContinuousGame
from kofn.envs.files import naming_damage
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.normals import Float32Array
from kofn.envs.tensor_files import read_tensors, write_tensors

Layers = tuple[tuple[Float32Array, Float32Array], ...]
"""(W [inputs, outputs], b [outputs]) of every layer, the first one first."""


class LineGlobalPolicy(Protocol):
    """Chooses a_g from s_g and the bins of k agents."""

    @property
    def k(self) -> int:
        """Agents seen."""

    def act(self, global_states: Float32Array, counts: IntArray, rng: np.random.Generator | None = None) -> IntArray:
        """Actions int64 [batch] at s_g float32 [batch] and counts of the agents seen, int64 [batch, bin].

        `rng` draws them; None takes the most likely.
        """


class LineLocalPolicy(Protocol):
    """Chooses a_l from s_i and s_g."""

    def act(
        self, local_states: Float32Array, global_states: Float32Array, rng: np.random.Generator | None = None
    ) -> IntArray:
        """Actions int64 [...] at s_i float32 [...] and s_g float32 that broadcast to [...]."""


@dataclass(frozen=True)
class UniformLinePolicy:
    """Uniform actions of local agents; without a generator, which it needs for that, the first action.

    Args:
        n_actions: |A_l|.
    """

    n_actions: int

    def act(
        self, local_states: Float32Array, global_states: Float32Array, rng: np.random.Generator | None = None
    ) -> IntArray:
        """See `LineLocalPolicy`."""
        del global_states
        shape = np.shape(local_states)
        return rng.integers(self.n_actions, size=shape) if rng is not None else np.zeros(shape, dtype=np.int64)


@dataclass(frozen=True)
class UniformLineGlobalPolicy:
    """Uniform actions of the global agent; without a generator the first action.

    Args:
        n_actions: |A_g|.
        k: agents seen, which it does not heed.
    """

    n_actions: int
    k: int = 1

    def act(self, global_states: Float32Array, counts: IntArray, rng: np.random.Generator | None = None) -> IntArray:
        """See `LineGlobalPolicy`."""
        del counts
        shape = np.shape(global_states)
        return rng.integers(self.n_actions, size=shape) if rng is not None else np.zeros(shape, dtype=np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class MlpGlobalPolicy:
    """A network over [s_g, shares per bin] or, without s_g, over the shares alone (as the authors' code has it).

    Args:
        layers: the network.
        k: agents seen.
        sees_global_state: whether s_g is an input.

    Raises:
        TypeError, ValueError: layers that do not fit each other.
    """

    layers: Layers
    k: int
    sees_global_state: bool = True

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Validate and freeze."""
        object.__setattr__(self, "k", integer("k", self.k, 1))
        object.__setattr__(self, "layers", checked_layers("global policy", self.layers))

    @property
    def n_bins(self) -> int:
        """Number of bins seen."""
        return len(self.layers[0][0]) - int(self.sees_global_state)

    @property
    def n_actions(self) -> int:
        """|A_g|."""
        return len(self.layers[-1][1])

    def inputs(self, global_states: Float32Array, counts: IntArray) -> Float32Array:
        """What the network sees, float32 [batch, input]; ValueError unless each row of counts sums to k."""
        if counts.shape[-1] != self.n_bins or (counts.sum(axis=-1) != self.k).any():
            raise ValueError(f"counts must be of k={self.k} agents in {self.n_bins} bins; got {counts.tolist()[:3]}")
        shares = (counts / self.k).astype(np.float32)
        return np.concatenate([global_states[:, None], shares], axis=1) if self.sees_global_state else shares

    def act(self, global_states: Float32Array, counts: IntArray, rng: np.random.Generator | None = None) -> IntArray:
        """See `LineGlobalPolicy`."""
        return choose(logits(self.layers, self.inputs(global_states, counts)), rng)

    def check_fits(self, game: ContinuousGame, n_agents: int | None = None) -> None:
        """Raise ValueError unless the network's sizes are those of the game, and k <= n_agents."""
        found, wanted = (self.n_bins, self.n_actions), (len(game.bin_edges) - 1, game.n_global_actions)
        if found != wanted:
            raise ValueError(f"the global policy must match the game's (bins, |A_g|) = {wanted}; it has {found}")
        if n_agents is not None and self.k > n_agents:
            raise ValueError(f"the global policy observes k={self.k} agents, more than n_agents={n_agents}")

    def save(self, path: str | Path) -> None:
        """Write to .safetensors or .npz, by the suffix."""
        sizes = {"k": self.k, "sees_global_state": int(self.sees_global_state)}
        write_tensors(path, "MlpGlobalPolicy", _named(self.layers), sizes)

    @classmethod
    def load(cls, path: str | Path) -> "MlpGlobalPolicy":
        """Read a policy written by `save`, bit-equal.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged or holds something else.
        """
        tensors, sizes = read_tensors(path, "MlpGlobalPolicy")
        with naming_damage(path):
            seen = bool(sizes["sees_global_state"])
            return cls(layers=_layers(tensors), k=sizes["k"], sees_global_state=seen)


@dataclass(frozen=True, eq=False, kw_only=True)
class MlpLocalPolicy:
    """A network over [s_i, s_g], shared by all local agents.

    Args:
        layers: the network.

    Raises:
        TypeError, ValueError: layers that do not fit each other, or another number of inputs than two.
    """

    layers: Layers

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Validate and freeze."""
        object.__setattr__(self, "layers", checked_layers("local policy", self.layers))
        if len(self.layers[0][0]) != 2:
            raise ValueError(f"the local policy must have the inputs [s_i, s_g]; it has {len(self.layers[0][0])}")

    @property
    def n_actions(self) -> int:
        """|A_l|."""
        return len(self.layers[-1][1])

    def logits(self, local_states: Float32Array, global_states: Float32Array) -> Float32Array:
        """Logits, float32 [..., a_l]."""
        inputs = np.stack(np.broadcast_arrays(local_states, global_states), axis=-1)
        return logits(self.layers, inputs.reshape(-1, 2)).reshape(*inputs.shape[:-1], self.n_actions)

    def act(
        self, local_states: Float32Array, global_states: Float32Array, rng: np.random.Generator | None = None
    ) -> IntArray:
        """See `LineLocalPolicy`."""
        return choose(self.logits(local_states, global_states), rng)

    def check_fits(self, game: ContinuousGame) -> None:
        """Raise ValueError unless the network's actions are those of the game."""
        if self.n_actions != game.n_local_actions:
            raise ValueError(
                f"the local policy must match the game's |A_l| = {game.n_local_actions}; it has {self.n_actions}"
            )

    def save(self, path: str | Path) -> None:
        """Write to .safetensors or .npz, by the suffix."""
        write_tensors(path, "MlpLocalPolicy", _named(self.layers), {})

    @classmethod
    def load(cls, path: str | Path) -> "MlpLocalPolicy":
        """Read a policy written by `save`, bit-equal; errors as in `MlpGlobalPolicy.load`."""
        tensors, _ = read_tensors(path, "MlpLocalPolicy")
        with naming_damage(path):
            return cls(layers=_layers(tensors))


def logits(layers: Layers, inputs: Float32Array) -> Float32Array:
    """The network's outputs, float32 [row, output]."""
    hidden = inputs
    for weight, bias in layers[:-1]:
        hidden = hidden @ weight
        hidden += bias
        np.tanh(hidden, out=hidden)
    weight, bias = layers[-1]
    return np.asarray(hidden @ weight + bias)


def choose(scores: Float32Array, rng: np.random.Generator | None) -> IntArray:
    """Actions [...] of logits [..., action]: drawn, or the most likely without `rng` (the lowest on ties)."""
    if rng is None:
        return np.asarray(scores.argmax(axis=-1))
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True)).astype(np.float64)
    weights /= weights.sum(axis=-1, keepdims=True)
    return sample_rows(rng.random(weights.shape[:-1]), cumulative_thresholds(weights))


def uniform_layers(n_inputs: int, n_actions: int, hidden: tuple[int, ...], rng: np.random.Generator) -> Layers:
    """A network that chooses uniformly, ready to be trained: random inner layers, the last one 0."""
    sizes = (n_inputs, *hidden)
    inner = [
        (rng.normal(0, 1 / np.sqrt(before), (before, after)).astype(np.float32), np.zeros(after, dtype=np.float32))
        for before, after in pairwise(sizes)
    ]
    last = (np.zeros((sizes[-1], n_actions), dtype=np.float32), np.zeros(n_actions, dtype=np.float32))
    return (*inner, last)


def checked_layers(owner: str, layers: Any) -> Layers:
    """The layers as frozen single-precision arrays, after checking that each fits the one before."""
    checked, width = [], None
    for number, (weight, bias) in enumerate(layers):
        pair = np.array(weight, dtype=np.float32), np.array(bias, dtype=np.float32)
        if pair[0].ndim != 2 or pair[1].shape != pair[0].shape[1:] or width not in (None, len(pair[0])):
            raise ValueError(
                f"layer {number} of the {owner} must be W [{'any' if width is None else width}, m] and b [m]; "
                f"got shapes {list(pair[0].shape)} and {list(pair[1].shape)}"
            )
        if not all(np.isfinite(array).all() for array in pair):
            raise ValueError(f"layer {number} of the {owner} must be finite")
        for array in pair:
            freeze(array)
        width = pair[0].shape[1]
        checked.append(pair)
    if not checked:
        raise ValueError(f"the {owner} must have at least one layer; got none")
    return tuple(checked)


def _named(layers: Layers) -> dict[str, npt.NDArray[Any]]:
    named = {f"{number}.weight": weight for number, (weight, _) in enumerate(layers)}
    return named | {f"{number}.bias": bias for number, (_, bias) in enumerate(layers)}


def _layers(tensors: Mapping[str, npt.NDArray[Any]]) -> Layers:
    return tuple((tensors[f"{number}.weight"], tensors[f"{number}.bias"]) for number in range(len(tensors) // 2))
