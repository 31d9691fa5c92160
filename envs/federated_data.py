r"""Real data for federated games: scikit-learn's bundled sets, split, grouped into domains, dealt to clients.

* Split: of every five samples three are for training, one for validation and one for testing, in the order of the
  data set or in one drawn from a generator. Features are standardised by the mean and the deviation of the TRAINING
  samples (constant features are only centred), and a last feature that is always 1 carries the intercept.
* Domains: D groups of similar labels. With at least D classes they are groups of classes: the leaves of a dendrogram
  of the class means (average linkage, neighbours as near as can be), cut into D runs as equal as can be. With fewer
  classes, each class is cut into domains at quantiles along its first principal direction. Means, directions and
  quantiles are those of the training samples.
* Clients: client i draws a law p_i ~ Dirichlet(alpha, .., alpha) over the classes, and its samples independently: a
  class from p_i, then a training sample of that class, uniformly. Small alpha gives clients of few classes. Clients may
  hold the same sample, as there may be more of them than samples.

No data is downloaded.
"""

import importlib
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage

from kofn.envs.arrays import FloatArray, IntArray, freeze_copies, integer, one_of, positive, restore_frozen
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.start_law import DirichletStart

DATASETS = ("digits", "breast_cancer")


@dataclass(frozen=True, eq=False, kw_only=True)
class FederatedData:
    """Samples of a data set, split and grouped.

    Attributes:
        name: of the data set.
        features: standardised, the last one always 1, float [sample, feature].
        labels: classes, int64 [sample].
        domains: int64 [sample].
        n_classes: number of classes C.
        n_domains: number of domains D.
        train: training samples, int64 indices into the samples.
        validation: likewise.
        test: likewise.
    """

    name: str
    features: FloatArray
    labels: IntArray
    domains: IntArray
    n_classes: int
    n_domains: int
    train: IntArray
    validation: IntArray
    test: IntArray

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Freeze."""
        freeze_copies(self, "features", "labels", "domains", "train", "validation", "test")

    @property
    def n_features(self) -> int:
        """Number of features, the constant one included."""
        return int(self.features.shape[1])


def load_data(name: str = "digits", *, n_domains: int = 4, rng: np.random.Generator | None = None) -> FederatedData:
    """A data set of scikit-learn, ready for federated games.

    Args:
        name: "digits" (1797 samples, 64 features, 10 classes) or "breast_cancer" (569 samples, 30 features, 2 classes).
        n_domains: D, at least 2.
        rng: orders the samples before they are split; None keeps the order of the data set.

    Raises:
        TypeError, ValueError: an unknown name, or a number of domains out of range.
        ImportError: scikit-learn is not installed.
    """
    n_domains = integer("n_domains", n_domains, 2)
    raw, labels = _bundled(one_of("data", name, DATASETS))
    train, validation, test = _split(rng.permutation(len(labels)) if rng is not None else np.arange(len(labels)))
    features = _standardised(raw, train)
    return FederatedData(
        name=name,
        features=np.column_stack([features, np.ones(len(features))]),
        labels=labels,
        domains=_domains(features, labels, train, n_domains),
        n_classes=int(labels.max()) + 1,
        n_domains=n_domains,
        train=train,
        validation=validation,
        test=test,
    )


def deal(
    data: FederatedData, n_clients: int, rng: np.random.Generator, *, alpha: float = 0.3, n_samples: int = 20
) -> IntArray:
    """Training samples of every client, with skewed classes, int64 [client, n_samples] indices into the samples.

    Args:
        data: the data.
        n_clients: number of clients.
        rng: source of randomness.
        alpha: concentration of the clients' class laws; the smaller, the fewer classes a client holds.
        n_samples: samples per client.

    Raises:
        TypeError, ValueError: a number of the wrong type or out of range.
    """
    n_clients = integer("n_clients", n_clients, 1)
    n_samples = integer("n_samples", n_samples, 1)
    laws = DirichletStart.symmetric(positive("alpha", alpha), data.n_classes).draw(rng, n_clients)
    classes = sample_rows(rng.random((n_clients, n_samples)), cumulative_thresholds(laws)[:, None, :])
    return draw_members(rng, members(data.labels, data.train, data.n_classes), classes)


@dataclass(frozen=True, eq=False)
class Members:
    """Samples sorted by group.

    Attributes:
        samples: int64 indices, those of group 0 first.
        sizes: samples per group, int64 [group].
        starts: position of each group's first sample, int64 [group].
    """

    samples: IntArray
    sizes: IntArray
    starts: IntArray

    def of(self, group: int) -> IntArray:
        """The samples of a group."""
        return self.samples[self.starts[group] : self.starts[group] + self.sizes[group]]


def members(groups: IntArray, chosen: IntArray, n_groups: int) -> Members:
    """The `chosen` samples by their group (`groups` [sample]); ValueError if a group has none."""
    of_chosen = groups[chosen]
    sizes = np.bincount(of_chosen, minlength=n_groups)
    if (sizes == 0).any():
        raise ValueError(f"every group must hold a sample; group {int(sizes.argmin())} of {n_groups} holds none")
    return Members(chosen[np.argsort(of_chosen, kind="stable")], sizes, np.cumsum(sizes) - sizes)


def draw_members(rng: np.random.Generator, members: Members, groups: IntArray) -> IntArray:
    """One uniform sample of each group asked for, independently; int64 of the shape of `groups`."""
    return np.asarray(members.samples[members.starts[groups] + rng.integers(members.sizes[groups])])


def _bundled(name: str) -> tuple[FloatArray, IntArray]:
    """Features [sample, feature] and labels [sample] as scikit-learn ships them."""
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ImportError:
        raise ImportError(f"the data set {name!r} comes with scikit-learn: pip install 'kofn[federated]'") from None
    bundle = getattr(datasets, f"load_{name}")()
    return np.asarray(bundle.data, dtype=np.float64), np.asarray(bundle.target, dtype=np.int64)


def _split(order: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Training, validation and test samples."""
    turn = np.arange(len(order)) % 5
    return order[turn < 3], order[turn == 3], order[turn == 4]


def _standardised(raw: FloatArray, train: IntArray) -> FloatArray:
    deviation = raw[train].std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    return np.asarray((raw - raw[train].mean(axis=0)) / scale)


def _domains(features: FloatArray, labels: IntArray, train: IntArray, n_domains: int) -> IntArray:
    """Domain of every sample, int64 [sample]."""
    n_classes = int(labels.max()) + 1
    if n_classes < n_domains:
        return _split_classes(features, labels, train, np.array_split(np.arange(n_domains), n_classes))
    means = np.stack([features[train[labels[train] == c]].mean(axis=0) for c in range(n_classes)])
    order = leaves_list(linkage(means, "average", optimal_ordering=True))
    domain_of_class = np.empty(n_classes, dtype=np.int64)
    for domain, classes in enumerate(np.array_split(order, n_domains)):
        domain_of_class[classes] = domain
    return domain_of_class[labels]


def _split_classes(
    features: FloatArray, labels: IntArray, train: IntArray, domains_of_class: list[IntArray]
) -> IntArray:
    """Each class cut, at quantiles along the first principal direction of its training samples, into its domains."""
    domains = np.empty(len(labels), dtype=np.int64)
    for c, numbers in enumerate(domains_of_class):
        known = features[train[labels[train] == c]]
        direction = np.linalg.svd(known - known.mean(axis=0), full_matrices=False)[2][0]
        # A singular vector is unique up to its sign: the largest entry is made positive.
        direction = direction * np.sign(direction[np.abs(direction).argmax()])
        edges = np.quantile(known @ direction, np.arange(1, len(numbers)) / len(numbers))
        of_class = labels == c
        domains[of_class] = numbers[np.searchsorted(edges, features[of_class] @ direction)]
    return domains
