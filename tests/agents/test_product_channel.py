"""Channels of product form against their laws, written out, and against each other."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import multinomial, multivariate_hypergeom

from kofn.agents import product_channel
from kofn.agents.observation_channel import lift, project
from kofn.agents.product_channel import expect, gather, hypergeometric_weights, multinomial_weights
from kofn.envs.histograms import enumerate_histograms

Array = npt.NDArray[np.float64]

ROUNDING = 1e-12
"""Of sums of products of some dozen factors: chances and values are at most 1 here."""


def crowds_of(n_agents: int, n_states: int, n_crowds: int = 7) -> Array:
    """Random crowds [crowd, s_l], one of them with everybody in one state."""
    rng = np.random.default_rng([n_agents, n_states])
    held = rng.multinomial(n_agents, rng.dirichlet(np.full(n_states, 0.5), n_crowds))
    held[0] = 0
    held[0, -1] = n_agents
    return held.astype(float)


def chances(channel: str, held: Array, k: int) -> tuple[Array, Array]:
    """(weights, O(F | c) [crowd, F] by scipy)."""
    n_agents = int(held[0].sum())
    seen = enumerate_histograms(k, held.shape[1])
    if channel == "multinomial":
        shares = held / n_agents
        law = np.stack([multinomial.pmf(seen, k, share / share.sum()) for share in shares])
        return multinomial_weights(shares, k), law
    law = np.stack([multivariate_hypergeom.pmf(seen, crowd.astype(int), k) for crowd in held])
    return hypergeometric_weights(held, n_agents, k), law


@pytest.mark.parametrize("channel", ["multinomial", "hypergeometric"])
@pytest.mark.parametrize(("n_states", "k"), [(1, 3), (2, 5), (3, 4), (4, 3), (5, 6), (7, 2)])
def test_expectations_and_sums_against_the_law(channel: str, n_states: int, k: int) -> None:
    for n_agents in (k, 9):
        weights, law = chances(channel, crowds_of(n_agents, n_states), k)
        rng = np.random.default_rng(1)
        values, columns = rng.random((law.shape[1], 3)), rng.random((len(law), 2))
        assert np.abs(expect(weights, values) - law @ values).max() < ROUNDING
        assert np.abs(gather(weights, columns) - law.T @ columns).max() < ROUNDING


def test_many_crowds_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three parts, the last one shorter."""
    monkeypatch.setattr(product_channel, "BLOCK_ENTRIES", 1)
    weights, law = chances("multinomial", crowds_of(30, 5, 150), 6)
    values = np.random.default_rng(2).random((law.shape[1], 2))
    assert np.abs(expect(weights, values) - law @ values).max() < ROUNDING
    assert np.abs(gather(weights, np.ones((150, 1)))[:, 0] - law.sum(axis=0)).max() < 150 * ROUNDING


@pytest.mark.parametrize("k", [400, 3000])
def test_thousands_of_agents_seen_do_not_overflow(k: int) -> None:
    """Two states: the binomial law, to the relative rounding of logarithms of size k log k."""
    shares = np.array([[0.5, 0.5], [1e-9, 1 - 1e-9], [0.0, 1.0], [0.37, 0.63]])
    law = expect(multinomial_weights(shares, k), np.eye(k + 1))
    assert np.abs(law.sum(axis=1) - 1).max() < k * np.log(k) * 1e-15
    ones = enumerate_histograms(k, 2)[:, 0]
    assert law @ ones == pytest.approx(k * shares[:, 0], rel=k * np.log(k) * 1e-15)
    held = np.array([[k, 0.0], [1.0, k - 1.0]])
    assert expect(hypergeometric_weights(held, k, k), ones[:, None].astype(float))[:, 0] == pytest.approx(held[:, 0])


def test_nobody_there_gives_zeros() -> None:
    weights = multinomial_weights(np.empty((0, 3)), 4)
    assert (gather(weights, np.empty((0, 2))) == np.zeros((15, 2))).all()
    assert expect(weights, np.ones((15, 2))).shape == (0, 2)


def test_lift_and_project_are_adjoint_through_the_multinomial_channel() -> None:
    rng = np.random.default_rng(3)
    seen, weights = rng.random((70, 2, 3)), rng.random((35, 2, 3))
    lifted = lift(seen, 4, 3, 5, "multinomial")
    projected = project(weights, 4, 3, 5, "multinomial")
    assert lifted.shape == weights.shape
    assert np.vdot(lifted, weights) == pytest.approx(np.vdot(seen, projected), rel=ROUNDING)
