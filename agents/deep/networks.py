"""Networks of policies as PyTorch modules and back, and their training on labelled observations.

Cross-entropy: minimise the mean of -log p(label | observation) by Adam, gradients clipped to norm 1.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kofn.agents.deep.runtime import integer_seed, private_randomness
from kofn.envs.arguments import check_fields
from kofn.envs.arrays import IntArray, first_index, integer, positive
from kofn.envs.line_policies import Layers
from kofn.envs.normals import Float32Array

if TYPE_CHECKING:
    from torch import nn


def network(layers: Layers) -> "nn.Sequential":
    """The layers as a trainable module, tanh between them."""
    from torch import nn  # noqa: PLC0415  # an optional library

    parts: list[nn.Module] = []
    for weight, bias in layers:
        linear = nn.Linear(*weight.shape)
        set_linear(linear, weight, bias)
        parts += [linear, nn.Tanh()]
    return nn.Sequential(*parts[:-1])


def set_linear(linear: "nn.Linear", weight: Float32Array, bias: Float32Array) -> None:
    """Give a linear module W [inputs, outputs] and b."""
    import torch  # noqa: PLC0415  # an optional library

    with torch.no_grad():
        linear.weight.copy_(torch.tensor(weight.T))
        linear.bias.copy_(torch.tensor(bias))


def layers_of(*modules: "nn.Module") -> Layers:
    """The linear parts of modules, in order."""
    from torch import nn  # noqa: PLC0415  # an optional library

    found = [part for module in modules for part in module.modules() if isinstance(part, nn.Linear)]
    return tuple((_array(part.weight.T), _array(part.bias)) for part in found)


def _array(tensor: Any) -> Float32Array:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Settings of `fit_labels`.

    Args:
        n_steps: gradient steps.
        learning_rate: Adam's.
        batch_size: observations per step, drawn afresh; None: all of them at every step.
        smoothing: share of each label spread over all actions, so that what is learned still explores.

    Raises:
        TypeError, ValueError: a value of the wrong type or out of range.
    """

    n_steps: int = 20
    learning_rate: float = 3e-3
    batch_size: int | None = None
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        """Validate."""
        integer("n_steps", self.n_steps, 1)
        positive("learning_rate", self.learning_rate)
        if self.batch_size is not None:
            integer("batch_size", self.batch_size, 1)
        check_fields(self, "smoothing")
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing must lie in [0, 1); got {self.smoothing}")


def fit_labels(
    start: Layers, observations: Float32Array, labels: IntArray, config: FitConfig, seed: np.random.SeedSequence
) -> tuple[Layers, float]:
    """The network after training on (observations [row, input], labels [row]), and its share of labels met.

    Raises:
        ValueError: an observation or, in training, the loss is not finite, or a label is none of the actions.
    """
    import torch  # noqa: PLC0415  # an optional library

    _check_labelled(observations, labels, len(start[-1][1]))
    with private_randomness():
        torch.manual_seed(integer_seed(seed))
        module = network(start)
        optimizer = torch.optim.Adam(module.parameters(), lr=config.learning_rate)
        inputs, wanted = torch.tensor(observations), torch.tensor(labels)
        rows: Any = slice(None)
        for step in range(config.n_steps):
            if config.batch_size is not None:
                rows = torch.randint(len(inputs), (config.batch_size,))
            loss = torch.nn.functional.cross_entropy(
                module(inputs[rows]), wanted[rows], label_smoothing=config.smoothing
            )
            if not bool(torch.isfinite(loss)):
                raise ValueError(f"the loss is {loss.item()} at gradient step {step}; lower the learning_rate")
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # PyTorch's
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
        with torch.no_grad():
            met = (module(inputs).argmax(dim=1) == wanted).double().mean().item()
        return layers_of(module), met


def _check_labelled(observations: Float32Array, labels: IntArray, n_actions: int) -> None:
    """ValueError names the first observation that is not finite, or label out of range."""
    bad = ~np.isfinite(observations)
    if bad.any():
        index = first_index(bad)
        raise ValueError(f"observations must be finite; entry {list(index)} is {observations[index]}")
    outside = (labels < 0) | (labels >= n_actions)
    if outside.any():
        index = first_index(outside)
        raise ValueError(
            f"actions must lie in [0, {n_actions}); entry {list(index)} is {labels[index]}, for the observation "
            f"{observations[index[0]].tolist()}"
        )
