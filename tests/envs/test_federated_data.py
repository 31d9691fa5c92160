"""Splits that do not leak, domains that group classes, and clients whose samples follow the stated law."""

import importlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kofn.envs.federated_data import DATASETS, FederatedData, deal, draw_members, load_data, members


@pytest.fixture(scope="module", params=DATASETS)
def data(request: pytest.FixtureRequest) -> FederatedData:
    return load_data(request.param)


@pytest.fixture(scope="module")
def digits() -> FederatedData:
    return load_data("digits")


def test_every_sample_is_used_once(data: FederatedData) -> None:
    sizes = {"digits": (1797, 65, 10), "breast_cancer": (569, 31, 2)}
    n_samples, n_features, n_classes = sizes[data.name]
    assert data.features.shape == (n_samples, n_features)
    assert (data.n_features, data.n_classes) == (n_features, n_classes)
    split = np.concatenate([data.train, data.validation, data.test])
    np.testing.assert_array_equal(np.sort(split), np.arange(n_samples))
    # Three, one and one of every five.
    assert abs(len(data.train) - 0.6 * n_samples) < 2
    assert abs(len(data.validation) - 0.2 * n_samples) < 1
    assert abs(len(data.test) - 0.2 * n_samples) < 1


def test_features_are_standardised_by_the_training_samples_alone(data: FederatedData) -> None:
    train = data.features[data.train, :-1]
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-12)
    deviation = train.std(axis=0)
    constant = deviation < 1e-12
    np.testing.assert_allclose(deviation[~constant], 1, rtol=1e-12)
    assert constant.sum() == (3 if data.name == "digits" else 0)  # pixels that are always empty
    assert (data.features[:, -1] == 1).all()
    # Had all samples been used, the mean over all would vanish instead.
    assert np.abs(data.features[:, :-1].mean(axis=0)).max() > 1e-3


def test_a_drawn_order_is_another_split(digits: FederatedData) -> None:
    first, again, other = (load_data("digits", rng=np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.train, again.train)
    np.testing.assert_array_equal(first.features, again.features)
    assert set(first.train) != set(other.train)
    assert set(first.train) != set(digits.train)
    np.testing.assert_array_equal(np.sort(np.concatenate([first.train, first.validation, first.test])), np.arange(1797))


@pytest.mark.parametrize("n_domains", [2, 3, 4, 7, 10])
def test_domains_of_digits_are_groups_of_classes(n_domains: int) -> None:
    data = load_data("digits", n_domains=n_domains)
    domain_of_class = [np.unique(data.domains[data.labels == c]) for c in range(10)]
    assert all(len(domains) == 1 for domains in domain_of_class)
    sizes = np.bincount([int(domains[0]) for domains in domain_of_class], minlength=n_domains)
    assert sizes.max() - sizes.min() <= 1
    assert sizes.min() >= 1


def test_similar_classes_share_a_domain(digits: FederatedData) -> None:
    """Classes of one domain are nearer to each other than in 99.9% of all groupings into 3, 3, 2 and 2 classes."""
    train = digits.train
    means = np.stack([digits.features[train[digits.labels[train] == c]].mean(axis=0) for c in range(10)])
    apart = np.linalg.norm(means[:, None] - means[None], axis=-1)

    def within(domain: Any) -> float:
        return float(apart[domain[:, None] == domain[None]].sum())

    found = np.array([digits.domains[digits.labels == c][0] for c in range(10)])
    rng = np.random.default_rng(0)
    others = [within(rng.permutation(found)) for _ in range(2000)]
    assert (np.array(others) <= within(found) + 1e-9).mean() < 1e-3


@pytest.mark.parametrize(("n_domains", "of_class"), [(3, [2, 1]), (4, [2, 2]), (5, [3, 2])])
def test_two_classes_are_cut_into_domains_at_quantiles(n_domains: int, of_class: list[int]) -> None:
    data = load_data("breast_cancer", n_domains=n_domains)
    first = 0
    for c, count in enumerate(of_class):
        own = data.labels == c
        np.testing.assert_array_equal(np.unique(data.domains[own]), np.arange(first, first + count))
        sizes = np.bincount(data.domains[data.train[own[data.train]]] - first)
        assert sizes.max() - sizes.min() <= 2  # quantiles cut the training samples evenly
        first += count


def test_clients_hold_training_samples_of_the_asked_size(data: FederatedData) -> None:
    samples = deal(data, 300, np.random.default_rng(0))
    assert samples.shape == (300, 20)
    assert np.isin(samples, data.train).all()
    assert deal(data, 3, np.random.default_rng(0), n_samples=7).shape == (3, 7)
    np.testing.assert_array_equal(samples, deal(data, 300, np.random.default_rng(0)))
    assert (samples != deal(data, 300, np.random.default_rng(1))).any()


@pytest.mark.parametrize("alpha", [0.05, 0.3, 5.0])
def test_classes_are_skewed_as_the_dirichlet_law_says(digits: FederatedData, alpha: float) -> None:
    """Two samples of a client are of one class with probability (1 + alpha) / (1 + C alpha), each alone 1 / C."""
    n_clients = 4000
    classes = digits.labels[deal(digits, n_clients, np.random.default_rng(0), alpha=alpha, n_samples=2)]
    same = classes[:, 0] == classes[:, 1]
    wanted = (1 + alpha) / (1 + 10 * alpha)
    assert abs(same.mean() - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / n_clients)
    shares = np.bincount(classes[:, 0], minlength=10) / n_clients
    assert (np.abs(shares - 0.1) < 4 * np.sqrt(0.09 / n_clients)).all()


def test_samples_of_a_class_are_drawn_uniformly(digits: FederatedData, assert_law: Callable[[Any, Any], None]) -> None:
    own = members(digits.labels, digits.train, 10)
    drawn = draw_members(np.random.default_rng(0), own, np.full(20_000, 3))
    assert (digits.labels[drawn] == 3).all()
    assert_law(np.bincount(np.searchsorted(np.sort(own.of(3)), drawn)), np.full(own.sizes[3], 1 / own.sizes[3]))


def test_members_are_sorted_by_group() -> None:
    found = members(np.array([2, 0, 2, 1, 0, 2]), np.array([5, 4, 3, 0]), 3)
    assert [found.of(group).tolist() for group in range(3)] == [[4], [3], [5, 0]]
    with pytest.raises(ValueError, match="every group must hold a sample; group 1 of 3 holds none"):
        members(np.array([0, 2, 2]), np.arange(3), 3)


def test_arrays_are_read_only(digits: FederatedData) -> None:
    for name in ("features", "labels", "domains", "train", "validation", "test"):
        assert not getattr(digits, name).flags.writeable


def test_arrays_of_the_caller_stay_as_they_are(digits: FederatedData) -> None:
    labels = digits.labels.copy()
    made = replace(digits, labels=labels)
    labels[0] = 5
    np.testing.assert_array_equal(made.labels, digits.labels)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "mnist"}, ValueError, "data must be one of 'digits', 'breast_cancer'; got 'mnist'"),
        ({"n_domains": 1}, ValueError, "n_domains must be at least 2; got 1"),
        ({"n_domains": 2.0}, TypeError, "n_domains must be an integer; got 2.0 (float)"),
    ],
)
def test_bad_data_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        load_data(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_clients": 0}, ValueError, "n_clients must be at least 1; got 0"),
        ({"n_samples": 0}, ValueError, "n_samples must be at least 1; got 0"),
        ({"alpha": 0}, ValueError, "alpha must be positive and finite; got 0"),
        ({"alpha": -0.3}, ValueError, "alpha must be positive and finite; got -0.3"),
        ({"alpha": "low"}, TypeError, "alpha must be a number; got 'low' (str)"),
        (
            {"alpha": 1e308},
            ValueError,
            "DirichletStart.concentration must have a finite sum; it overflows at entry [1], 1e+308",
        ),
    ],
)
def test_bad_deals_are_refused(
    digits: FederatedData, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        deal(digits, **{"n_clients": 3, "rng": np.random.default_rng(0), **arguments})


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=re.escape("'digits' comes with scikit-learn: pip install 'kofn[federated]'")):
        load_data("digits")
