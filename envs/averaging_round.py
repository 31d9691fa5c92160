r"""One round of federated averaging: clients learn from the server's model, and the server averages what they learnt.

Client i holds a shard of training samples. Of the clients asked, those with m_i > 0 local steps start from the server's
model theta and make m_i proximal minibatch steps on their shard, anchored at theta (FedProx; mu = 0 is FedAvg):

    w_i <- theta        m_i times:  w_i <- w_i - eta (grad f_{B_i}(w_i) + mu (w_i - theta))
    theta <- mean of w_i over those who worked        (unchanged if nobody did)

Shards are of one size, so that the mean is FedAvg's. Minibatches are drawn independently, with replacement.
"""

from dataclasses import dataclass

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray, freeze_copies, restore_frozen
from kofn.envs.softmax_regression import Batch, accuracies, average, losses, proximal_sgd

BATCH_SIZE = 10


@dataclass(frozen=True, eq=False)
class Shards:
    """Samples of every client.

    Attributes:
        features: float [client, sample, feature].
        labels: int64 [client, sample].
    """

    features: FloatArray
    labels: IntArray

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Freeze."""
        freeze_copies(self, "features", "labels")


def averaging_round(
    model: FloatArray,
    shards: Shards,
    asked: IntArray,
    n_steps: IntArray,
    rng: np.random.Generator,
    *,
    step_size: float,
    proximal_weight: float = 0.0,
) -> FloatArray:
    """The server's model after a round, float [feature, class].

    Args:
        model: theta, float [feature, class].
        shards: the clients' samples.
        asked: clients asked to work, int64 [asked].
        n_steps: m, int64 [asked].
        rng: draws minibatches.
        step_size: eta.
        proximal_weight: mu.
    """
    working, n_steps = asked[n_steps > 0], n_steps[n_steps > 0]
    if len(working) == 0:
        return model
    shard_size = shards.labels.shape[1]

    def draw(chosen: IntArray) -> Batch:
        clients = working[chosen, None]
        samples = rng.integers(shard_size, size=(len(chosen), BATCH_SIZE))
        return shards.features[clients, samples], shards.labels[clients, samples]

    copies = np.broadcast_to(model, (len(working), *model.shape))
    learnt = proximal_sgd(copies, draw, n_steps, step_size=step_size, anchor=model, proximal_weight=proximal_weight)
    return average(learnt, np.ones(len(working)))


def loss_on(model: FloatArray, samples: Batch) -> float:
    """Loss of one model on some samples."""
    return float(losses(model[None], *samples)[0])


def accuracy_on(model: FloatArray, samples: Batch) -> float:
    """Accuracy of one model on some samples."""
    return float(accuracies(model[None], *samples)[0])


def shard_losses(model: FloatArray, shards: Shards) -> FloatArray:
    """Loss of one model on every client's shard, float [client]."""
    return losses(model[None], shards.features, shards.labels)
