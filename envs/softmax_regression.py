r"""Softmax regression of many clients at once: losses, gradients, proximal SGD, federated averaging.

A client's model is a matrix w [feature, class] (the last feature is always 1 and carries the intercept). On samples
(x_b, y_b), b = 1..B, with p(c | x) ~ exp((x w)_c),

    f(w) = -(1/B) sum_b ln p(y_b | x_b)         grad f(w) = (1/B) sum_b x_b (p(. | x_b) - e_{y_b})^T

Proximal SGD steps (FedProx) pull towards an anchor theta, and a server averages (FedAvg):

    w_i <- w_i - eta_i (grad f_{B_i}(w_i) + mu_i (w_i - theta_i))        theta <- sum_i n_i w_i / sum_i n_i

Models are stacked, float [client, feature, class]; samples are one set for all, float [sample, feature] and int64
[sample], or one set per client, [client, sample, feature] and [client, sample].

References: McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data" (FedAvg), 2017;
Li et al., "Federated Optimization in Heterogeneous Networks" (FedProx), 2020.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, IntArray, first_index

Batch = tuple[FloatArray, IntArray]
"""Samples: features and labels."""


def losses(models: FloatArray, features: FloatArray, labels: IntArray) -> FloatArray:
    """Mean cross-entropy of every model, float [client]."""
    log_odds = _shifted_logits(models, features)
    log_total = np.log(np.exp(log_odds).sum(axis=-1))
    of_label = np.take_along_axis(log_odds, _label_index(labels, log_odds), axis=-1)[..., 0]
    mean: FloatArray = (log_total - of_label).mean(axis=-1)
    return mean


def losses_and_gradients(models: FloatArray, features: FloatArray, labels: IntArray) -> tuple[FloatArray, FloatArray]:
    """`losses`, float [client], and their gradients, float [client, feature, class]."""
    log_odds = _shifted_logits(models, features)
    index = _label_index(labels, log_odds)
    errors = np.exp(log_odds)
    totals = errors.sum(axis=-1, keepdims=True)
    loss = (np.log(totals) - np.take_along_axis(log_odds, index, axis=-1))[..., 0].mean(axis=-1)
    errors /= totals
    np.put_along_axis(errors, index, np.take_along_axis(errors, index, axis=-1) - 1, axis=-1)
    return loss, (features.swapaxes(-1, -2) @ errors) / features.shape[-2]


def gradients(models: FloatArray, features: FloatArray, labels: IntArray) -> FloatArray:
    """Gradients of `losses`, float [client, feature, class]."""
    return losses_and_gradients(models, features, labels)[1]


def accuracies(models: FloatArray, features: FloatArray, labels: IntArray) -> FloatArray:
    """Share of the samples whose most likely class is their label, float [client]."""
    share: FloatArray = ((features @ models).argmax(axis=-1) == labels).mean(axis=-1)
    return share


def proximal_sgd(
    models: FloatArray,
    draw: Callable[[IntArray], Batch],
    n_steps: IntArray,
    *,
    step_size: npt.ArrayLike,
    anchor: FloatArray | None = None,
    proximal_weight: npt.ArrayLike = 0.0,
) -> FloatArray:
    """Models after every client's own number of proximal SGD steps; new, the given ones are left alone.

    Args:
        models: float [client, feature, class].
        draw: (clients) -> a fresh minibatch for each of them, [len(clients), sample, feature] and [.., sample].
        n_steps: int64 [client]; 0 leaves the client's model as it is.
        step_size: eta, one number or one per client.
        anchor: theta, one model or one per client; needed where the proximal weight is not 0.
        proximal_weight: mu, one number or one per client.

    Raises:
        ValueError: a proximal weight without an anchor.
    """
    models = models.copy()
    eta, mu = (np.broadcast_to(np.asarray(x, dtype=np.float64), len(models)) for x in (step_size, proximal_weight))
    if anchor is None and mu.any():
        index = first_index(mu != 0)
        raise ValueError(f"proximal_weight must be 0 without an anchor; entry {list(index)} is {mu[index]}")
    anchors = np.broadcast_to(anchor, models.shape) if anchor is not None else None
    for step in range(int(n_steps.max(initial=0))):
        active = np.flatnonzero(n_steps > step)
        direction = gradients(models[active], *draw(active))
        if anchors is not None:
            direction += mu[active, None, None] * (models[active] - anchors[active])
        models[active] -= eta[active, None, None] * direction
    return models


def average(models: FloatArray, sizes: npt.ArrayLike) -> FloatArray:
    """Federated average of models weighted by `sizes` [client], float [feature, class]."""
    weights = np.asarray(sizes, dtype=np.float64)
    return np.asarray(np.tensordot(weights / weights.sum(), models, axes=1))


def _shifted_logits(models: FloatArray, features: FloatArray) -> FloatArray:
    """Logits less their largest, [client, sample, class], so that no exponential overflows."""
    logits: FloatArray = features @ models
    logits -= logits.max(axis=-1, keepdims=True)
    return logits


def _label_index(labels: IntArray, like: FloatArray) -> IntArray:
    """The labels as an index into the last axis of an array [client, sample, class]."""
    return np.broadcast_to(labels, like.shape[:-1])[..., None]
