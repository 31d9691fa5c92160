r"""Clients of the anchored federated game: models of their own, real gradients, and what is observed of them.

Client i has a domain d and a model w_i. Its loss f_d is softmax regression's on a fixed evaluation set of its domain
(validation samples). The server's state s_g = 2 c + e emphasises domain c with steps of level e: it broadcasts a
checkpoint theta_c, which FedAvg learnt beforehand from clients that share out domain c's training samples. In a round
every client takes in a share of the broadcast and then makes m = 0, 1 or 5 proximal minibatch steps on its own domain:

    w <- w + 0.2 (theta_c - w)        m times:  w <- w - eta_e (grad f_B(w) + mu (w - theta_c))

with eta = (0.012, 0.03)[e], mu = 1 and minibatches B of 10 training samples of domain d, drawn independently. So all
clients follow one law, given (d, w_i), (c, e) and the action. At time 0 a client near its optimum holds theta_d, one
far from it the model 0, which guesses.

Observed of a client are d and the bins of |grad f_d(w_i)| and of |w_i - theta_c|, three of each, with fixed edges: the
terciles over a pilot run under random actions (`pilot_edges`).
"""

from dataclasses import dataclass

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray, freeze_copies, restore_frozen
from kofn.envs.federated_data import FederatedData, Members, draw_members, members
from kofn.envs.softmax_regression import Batch, average, losses_and_gradients, proximal_sgd

PULL = 0.2
STEP_SIZES = np.array([0.012, 0.03])
PROXIMAL_WEIGHT = 1.0
LOCAL_STEPS = np.array([0, 1, 5])
BATCH_SIZE = 10
EVALUATION_SIZE = 50
N_BINS = 3

SHARD_SIZE = 20
CHECKPOINT_ROUNDS, CHECKPOINT_STEPS, CHECKPOINT_STEP_SIZE = 10, 5, 0.1


@dataclass(frozen=True, eq=False, kw_only=True)
class AnchoredTask:
    """What the clients learn from, and how they are observed.

    Attributes:
        data: the samples.
        pools: training samples by domain.
        checkpoints: theta, float [domain, feature, class].
        evaluation: samples of f_d, int64 [domain, sample].
        gradient_edges: ascending bin edges of gradient norms, float [2].
        distance_edges: ascending bin edges of distances, float [2].
    """

    data: FederatedData
    pools: Members
    checkpoints: FloatArray
    evaluation: IntArray
    gradient_edges: FloatArray
    distance_edges: FloatArray

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Freeze."""
        freeze_copies(self, "checkpoints", "evaluation", "gradient_edges", "distance_edges")

    @property
    def n_domains(self) -> int:
        """D."""
        return self.data.n_domains

    @property
    def n_observations(self) -> int:
        """Number of different observations of a client."""
        return self.n_domains * N_BINS**2

    @property
    def chance_loss(self) -> float:
        """The loss of a model that guesses, ln C."""
        return float(np.log(self.data.n_classes))


@dataclass(frozen=True, eq=False)
class Clients:
    """States of the clients.

    Attributes:
        domains: d, int64 [client].
        models: w, float [client, feature, class].
    """

    domains: IntArray
    models: FloatArray


@dataclass(frozen=True, eq=False)
class Measures:
    """What is measured of the clients, given the server's state.

    Attributes:
        losses: f_d(w_i), float [client].
        gradient_norms: |grad f_d(w_i)|, float [client].
        distances: |w_i - theta_c|, float [client].
    """

    losses: FloatArray
    gradient_norms: FloatArray
    distances: FloatArray


def make_task(data: FederatedData, gradient_edges: FloatArray, distance_edges: FloatArray) -> AnchoredTask:
    """The clients' task on a data set: checkpoints by FedAvg, evaluation sets from the validation samples."""
    pools = members(data.domains, data.train, data.n_domains)
    held_out = members(data.domains, data.validation, data.n_domains)
    size = min(EVALUATION_SIZE, int(held_out.sizes.min()))
    return AnchoredTask(
        data=data,
        pools=pools,
        checkpoints=np.stack([_checkpoint(data, pools.of(domain)) for domain in range(data.n_domains)]),
        evaluation=np.stack([held_out.of(domain)[:size] for domain in range(data.n_domains)]),
        gradient_edges=gradient_edges,
        distance_edges=distance_edges,
    )


def _checkpoint(data: FederatedData, pool: IntArray) -> FloatArray:
    """FedAvg of clients that share out the training samples `pool`, each taking full-batch steps."""
    shards = pool[: len(pool) // SHARD_SIZE * SHARD_SIZE].reshape(-1, SHARD_SIZE)
    features, labels = data.features[shards], data.labels[shards]
    model = np.zeros((data.n_features, data.n_classes))
    steps = np.full(len(shards), CHECKPOINT_STEPS)
    for _ in range(CHECKPOINT_ROUNDS):
        copies = np.broadcast_to(model, (len(shards), *model.shape))
        learnt = proximal_sgd(
            copies, lambda chosen: (features[chosen], labels[chosen]), steps, step_size=CHECKPOINT_STEP_SIZE
        )
        model = average(learnt, np.full(len(shards), SHARD_SIZE))
    return model


def start(task: AnchoredTask, states: IntArray) -> Clients:
    """Clients in states 2 d (near: w = theta_d) and 2 d + 1 (far: w = 0); `states` int64 [client]."""
    domains, far = np.divmod(states, 2)
    return Clients(domains, np.where(far[:, None, None] == 1, 0.0, task.checkpoints[domains]))


def advance(
    task: AnchoredTask, rng: np.random.Generator, clients: Clients, global_state: int, actions: IntArray
) -> Clients:
    """The clients after a round under s_g = `global_state`; `actions` int64 [client] choose 0, 1 or 5 steps."""
    emphasised, level = divmod(global_state, 2)
    anchor = task.checkpoints[emphasised]

    def draw(chosen: IntArray) -> Batch:
        groups = np.broadcast_to(clients.domains[chosen, None], (len(chosen), BATCH_SIZE))
        samples = draw_members(rng, task.pools, groups)
        return task.data.features[samples], task.data.labels[samples]

    models = proximal_sgd(
        clients.models + PULL * (anchor - clients.models),
        draw,
        LOCAL_STEPS[actions],
        step_size=STEP_SIZES[level],
        anchor=anchor,
        proximal_weight=PROXIMAL_WEIGHT,
    )
    return Clients(clients.domains, models)


def measure(task: AnchoredTask, clients: Clients, global_state: int) -> Measures:
    """Losses, gradient norms and distances of the clients under s_g = `global_state`."""
    loss, norm = np.empty((2, len(clients.domains)))
    for domain, samples in enumerate(task.evaluation):
        own = np.flatnonzero(clients.domains == domain)
        loss[own], gradient = losses_and_gradients(
            clients.models[own], task.data.features[samples], task.data.labels[samples]
        )
        norm[own] = _norms(gradient)
    return Measures(loss, norm, _norms(clients.models - task.checkpoints[global_state // 2]))


def observe(task: AnchoredTask, clients: Clients, measures: Measures) -> IntArray:
    """Observations, int64 [client]: number 9 d + 3 (gradient bin) + (distance bin)."""
    gradient_bins = np.searchsorted(task.gradient_edges, measures.gradient_norms)
    distance_bins = np.searchsorted(task.distance_edges, measures.distances)
    return (clients.domains * N_BINS + gradient_bins) * N_BINS + distance_bins


def _norms(models: FloatArray) -> FloatArray:
    """Euclidean norm of every model, float [client]."""
    return np.asarray(np.sqrt(np.einsum("nfc,nfc->n", models, models)))
