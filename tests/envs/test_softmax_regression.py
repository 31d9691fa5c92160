"""Losses against their definition, gradients against finite differences, many clients against one after another."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kofn.envs.softmax_regression import accuracies, average, gradients, losses, losses_and_gradients, proximal_sgd

Array = npt.NDArray[Any]
CLIENTS, SAMPLES, FEATURES, CLASSES = 5, 7, 4, 3


@pytest.fixture(scope="module")
def problem() -> tuple[Array, Array, Array]:
    """Models, and samples of every client."""
    rng = np.random.default_rng(3)
    models = rng.normal(size=(CLIENTS, FEATURES, CLASSES))
    return models, rng.normal(size=(CLIENTS, SAMPLES, FEATURES)), rng.integers(CLASSES, size=(CLIENTS, SAMPLES))


def loss_by_definition(model: Array, features: Array, labels: Array) -> float:
    total = 0.0
    for x, y in zip(features.tolist(), labels.tolist(), strict=True):
        scores = [sum(x[f] * model[f, c] for f in range(len(x))) for c in range(model.shape[1])]
        total -= scores[y] - math.log(sum(math.exp(score) for score in scores))
    return total / len(labels)


def test_losses_are_mean_cross_entropies(problem: tuple[Array, Array, Array]) -> None:
    wanted = [loss_by_definition(*client) for client in zip(*problem, strict=True)]
    np.testing.assert_allclose(losses(*problem), wanted, rtol=1e-13)
    np.testing.assert_allclose(losses_and_gradients(*problem)[0], wanted, rtol=1e-13)


def test_one_set_of_samples_serves_all(problem: tuple[Array, Array, Array]) -> None:
    models, features, labels = problem
    shared = losses(models, features[0], labels[0])
    np.testing.assert_allclose(shared, [loss_by_definition(m, features[0], labels[0]) for m in models], rtol=1e-13)
    copies = np.repeat(features[:1], CLIENTS, axis=0), np.repeat(labels[:1], CLIENTS, axis=0)
    np.testing.assert_allclose(gradients(models, features[0], labels[0]), gradients(models, *copies), rtol=1e-13)


def test_gradients_are_derivatives(problem: tuple[Array, Array, Array]) -> None:
    models, features, labels = problem
    found, step = gradients(models, features, labels), 1e-6
    for f in range(FEATURES):
        for c in range(CLASSES):
            change = np.zeros_like(models)
            change[:, f, c] = step
            up, down = losses(models + change, features, labels), losses(models - change, features, labels)
            # Central differences: rounding 1e-16 / 1e-6, truncation 1e-12.
            np.testing.assert_allclose(found[:, f, c], (up - down) / (2 * step), atol=1e-9)


def test_large_scores_do_not_overflow() -> None:
    models = np.array([[[1000.0, 0.0]]])
    right, wrong = np.array([0]), np.array([1])
    assert losses(models, np.ones((1, 1)), right)[0] == 0
    assert losses(models, np.ones((1, 1)), wrong)[0] == 1000
    np.testing.assert_array_equal(gradients(models, np.ones((1, 1)), wrong)[0], [[1.0, -1.0]])


def test_accuracies_count_the_most_likely_class() -> None:
    models = np.stack([np.eye(2), -np.eye(2)])
    features, labels = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), np.array([0, 1, 1])
    np.testing.assert_allclose(accuracies(models, features, labels), [2 / 3, 1 / 3])


def fixed_batch(features: Array, labels: Array) -> Callable[[Array], tuple[Array, Array]]:
    return lambda chosen: (features[chosen], labels[chosen])


def one_by_one(problem: tuple[Array, Array, Array], n_steps: Array, eta: Array, anchor: Array, mu: Array) -> Array:
    """Proximal gradient descent, client after client and step after step."""
    models = problem[0].copy()
    for i, (_, features, labels) in enumerate(zip(*problem, strict=True)):
        for _ in range(n_steps[i]):
            gradient = gradients(models[i : i + 1], features[None], labels[None])[0]
            models[i] = models[i] - eta[i] * (gradient + mu[i] * (models[i] - anchor[i]))
    return models


def test_all_clients_at_once_are_each_alone(problem: tuple[Array, Array, Array]) -> None:
    models, features, labels = problem
    rng = np.random.default_rng(0)
    n_steps, eta, mu = np.array([0, 1, 5, 2, 5]), rng.random(CLIENTS), rng.random(CLIENTS)
    anchor = rng.normal(size=models.shape)
    kept = models.copy()
    found = proximal_sgd(
        models, fixed_batch(features, labels), n_steps, step_size=eta, anchor=anchor, proximal_weight=mu
    )
    np.testing.assert_allclose(found, one_by_one(problem, n_steps, eta, anchor, mu), rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(models, kept)
    np.testing.assert_array_equal(found[0], models[0])


def test_one_anchor_and_one_step_size_serve_all(problem: tuple[Array, Array, Array]) -> None:
    models, features, labels = problem
    anchor, steps = np.ones((FEATURES, CLASSES)), np.full(CLIENTS, 3)
    found = proximal_sgd(
        models, fixed_batch(features, labels), steps, step_size=0.2, anchor=anchor, proximal_weight=0.7
    )
    same = [np.full(CLIENTS, 0.2), np.repeat(anchor[None], CLIENTS, axis=0), np.full(CLIENTS, 0.7)]
    np.testing.assert_allclose(found, one_by_one(problem, steps, *same), rtol=1e-12, atol=1e-13)


def test_no_anchor_is_plain_descent(problem: tuple[Array, Array, Array]) -> None:
    models, features, labels = problem
    steps = np.full(CLIENTS, 3)
    plain = proximal_sgd(models, fixed_batch(features, labels), steps, step_size=0.2)
    zeros = [np.full(CLIENTS, 0.2), np.zeros_like(models), np.zeros(CLIENTS)]
    np.testing.assert_allclose(plain, one_by_one(problem, steps, *zeros), rtol=1e-12, atol=1e-13)


def test_a_proximal_weight_needs_an_anchor(problem: tuple[Array, Array, Array]) -> None:
    models, features, labels = problem
    weights = np.array([0.0, 0.0, 0.5, 0.0, 1.0])
    with pytest.raises(ValueError, match=r"^proximal_weight must be 0 without an anchor; entry \[2\] is 0\.5$"):
        proximal_sgd(models, fixed_batch(features, labels), np.ones(5, int), step_size=0.2, proximal_weight=weights)


def test_the_proximal_term_pulls_to_the_anchor() -> None:
    """Without a gradient (all classes equally wrong) w - theta shrinks by 1 - eta mu per step."""
    features, labels = np.array([[[1.0], [-1.0]]]), np.array([[0, 0]])
    # At w = 0 the two samples' gradients cancel, and stay cancelled for equal columns.
    models, anchor = np.full((1, 1, 2), 3.0), np.full((1, 2), 1.0)
    found = proximal_sgd(
        models, fixed_batch(features, labels), np.array([4]), step_size=0.5, anchor=anchor, proximal_weight=0.6
    )
    np.testing.assert_allclose(found, 1 + 2 * 0.7**4, rtol=1e-12)


def test_every_step_draws_a_minibatch_for_those_who_still_work(problem: tuple[Array, Array, Array]) -> None:
    models, features, labels = problem
    asked: list[list[int]] = []

    def draw(chosen: Array) -> tuple[Array, Array]:
        asked.append(chosen.tolist())
        return features[chosen], labels[chosen]

    proximal_sgd(models, draw, np.array([2, 0, 1, 3, 0]), step_size=0.1)
    assert asked == [[0, 2, 3], [0, 3], [3]]


def test_averages_are_weighted_by_size() -> None:
    models = np.array([[[1.0, 0.0]], [[4.0, 3.0]]])
    np.testing.assert_allclose(average(models, [1, 2]), [[3.0, 2.0]])
    np.testing.assert_allclose(average(models, [5, 5]), [[2.5, 1.5]])


def test_federated_averaging_of_identical_clients_is_descent_of_one(problem: tuple[Array, Array, Array]) -> None:
    models, features, labels = problem
    client = fixed_batch(np.repeat(features[:1], 4, axis=0), np.repeat(labels[:1], 4, axis=0))
    server = alone = models[0]
    for _ in range(3):
        server = average(proximal_sgd(np.stack([server] * 4), client, np.full(4, 5), step_size=0.3), np.arange(1, 5))
        alone = proximal_sgd(alone[None], client, np.array([5]), step_size=0.3)[0]
    np.testing.assert_allclose(server, alone, rtol=1e-12, atol=1e-13)
