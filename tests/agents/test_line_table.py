"""A tabulated network acts as the network itself, up to the grid's error."""

import numpy as np
import pytest

from kofn.agents.line_table import TabulatedLocalPolicy
from kofn.envs.cluster_line import game
from kofn.envs.line_policies import MlpLocalPolicy


@pytest.fixture(scope="module")
def policy() -> MlpLocalPolicy:
    rng = np.random.default_rng(0)
    net = ((rng.normal(size=(2, 16)), rng.normal(size=16)), (rng.normal(size=(16, 3)), rng.normal(size=3)))
    return MlpLocalPolicy(layers=net)


def places(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.uniform(-2, 2, (6, n)).astype(np.float32), rng.uniform(-2, 2, (6, 1)).astype(np.float32)


def test_most_likely_actions_differ_only_next_to_a_boundary(policy: MlpLocalPolicy) -> None:
    """The interpolation's error is at most h^2/8 times the logits' curvature per axis; h = 4/256."""
    own, shared = places(5000)
    table = TabulatedLocalPolicy.of(policy, game())
    exact = policy.logits(own, shared)
    axis = np.linspace(-2, 2, 257, dtype=np.float32)
    grid = policy.logits(axis[None, :], axis[:, None]).astype(np.float64)
    bent = [np.abs(np.diff(grid, 2, axis=side)).max() for side in (0, 1)]  # h^2 times the second derivative
    error = 1.5 * sum(bent) / 8
    differs = table.act(own, shared) != exact.argmax(axis=-1)
    best = np.sort(exact, axis=-1)
    assert (best[..., 2] - best[..., 1])[differs].max(initial=0) <= 2 * error
    assert differs.mean() < 0.01
    assert len(np.unique(exact.argmax(axis=-1))) == 3  # and there are boundaries


def test_drawn_actions_have_the_networks_probabilities(policy: MlpLocalPolicy) -> None:
    own, shared = np.full((1, 40_000), 0.3, dtype=np.float32), np.full((1, 1), -0.7, dtype=np.float32)
    scores = policy.logits(own[:, :1], shared)[0, 0].astype(np.float64)
    wanted = np.exp(scores) / np.exp(scores).sum()
    drawn = TabulatedLocalPolicy.of(policy, game()).act(own, shared, np.random.default_rng(0))
    found = np.bincount(drawn[0], minlength=3) / drawn.size
    assert np.abs(found - wanted).max() < 4.5 * np.sqrt(0.25 / drawn.size) + 1e-3


def test_the_ends_of_the_line_are_inside(policy: MlpLocalPolicy) -> None:
    corners = np.float32([[-2, 2], [-2, 2]]), np.float32([[-2], [2]])
    assert TabulatedLocalPolicy.of(policy, game()).act(*corners).tolist() == policy.act(*corners).tolist()
