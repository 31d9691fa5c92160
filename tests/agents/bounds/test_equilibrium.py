"""From responses to an equilibrium: formulas by hand, and the error of evaluation against the exact potential."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from kofn.agents import evaluate, proposal_bound
from kofn.agents.bounds import (
    GameSizes,
    accepted_proposals,
    cheapest_chain,
    evaluation_error,
    global_response_samples,
    local_response_episodes,
    rollouts_for,
    stopping_gap,
    theorem_4_4,
    theorem_4_8,
)
from kofn.agents.lumped_chain import LumpedChain
from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame

Games = Callable[..., TabularGame]


def test_theorem_4_8_by_hand(sizes: GameSizes) -> None:
    """Values lie in [0, 8]; eta is Theorem 4.4's, the larger of the two."""
    outcome = theorem_4_8(4, 10, sizes, delta=0.1)
    eta = theorem_4_4(4, 10, sizes).value
    assert outcome.eta == eta
    assert outcome.gap.value == 2 * eta
    assert outcome.gap.probability == 0.9
    assert outcome.gap.verdict == "unproved"
    assert outcome.n_steps == 2 * (math.ceil(8 / eta) + 1) == proposal_bound(8.0, eta)
    share = 0.1 / outcome.n_steps
    horizon = cheapest_chain(4, sizes).horizon(4, sizes)
    per_pair = global_response_samples(4, sizes, delta=share).value
    per_pair += local_response_episodes(4, sizes, delta=share).value * horizon
    assert outcome.samples.value == pytest.approx(outcome.n_steps * per_pair)


def test_both_learners_share_the_failure_probability() -> None:
    """One robot without choice and gamma = 0.99: here G-LEARN draws nearly all of the samples."""
    patient = GameSizes(
        n_global_states=2,
        n_global_actions=3,
        n_local_states=2,
        n_local_actions=1,
        global_reward_bound=1.0,
        local_reward_bound=1.0,
        discount=0.99,
    )
    outcome = theorem_4_8(1, 1, patient, delta=0.1)
    drawn = outcome.n_steps * global_response_samples(1, patient, delta=0.1 / outcome.n_steps).value
    assert drawn < outcome.samples.value < 1.01 * drawn


def test_eta_is_the_larger_error() -> None:
    """Tiny rewards: Theorem 4.4's remainder 3/sqrt k still exceeds 1/sqrt k."""
    tiny = GameSizes(
        n_global_states=1,
        n_global_actions=1,
        n_local_states=1,
        n_local_actions=1,
        global_reward_bound=1e-9,
        local_reward_bound=0.0,
        discount=0.5,
    )
    assert theorem_4_8(100, 100, tiny).eta == pytest.approx(0.3)
    assert theorem_4_8(100, 100, tiny).n_steps == 4


def test_the_gap_closes_like_one_over_root_k(sizes: GameSizes) -> None:
    first, second = (theorem_4_8(k, 10**12, sizes).gap.value for k in (10**4, 10**8))
    assert first / second == pytest.approx(100, rel=0.2)


@pytest.mark.parametrize(("eta", "accepted"), [(8.0, 1), (3.0, 2), (0.8, 10), (0.1, 80), (9.0, 0)])
def test_accepted_proposals(sizes: GameSizes, eta: float, accepted: int) -> None:
    assert accepted_proposals(eta, sizes) == accepted
    assert proposal_bound(sizes.value_bound, eta) >= 2 * (accepted + 1)


def test_stopping_gap_by_hand() -> None:
    assert stopping_gap(0.5, 0.25, 0.125).value == 1.0
    assert stopping_gap(0.5, 0.0).value == 0.5


def test_evaluation_error_by_hand(sizes: GameSizes) -> None:
    """8 2^-10 + 8 sqrt(ln 40/200)."""
    bound = evaluation_error(100, 10, sizes, 0.05)
    assert bound.value == pytest.approx(8 / 1024 + 8 * math.sqrt(math.log(40) / 200))
    assert bound.probability == 0.95


def test_rollouts_are_the_fewest_that_do(sizes: GameSizes) -> None:
    n = rollouts_for(0.3, sizes, 0.05)
    assert evaluation_error(n, 10_000, sizes, 0.05).value <= 0.3
    assert evaluation_error(n - 1, 10_000, sizes, 0.05).value > 0.3


def test_rollouts_keep_to_their_bound(random_game: Games) -> None:
    """Exact potentials against 40 evaluations; delta = 1/2 so that too small a bound would be found out."""
    game = random_game(3, n_local=2, discount=0.6)
    pi_g, pi_l = GlobalPolicy.named("uniform", game, 2), LocalPolicy.named("uniform", game)
    exact = LumpedChain.exact(game, pi_g, pi_l, 6).potential
    bound = evaluation_error(20, 5, GameSizes.of(game), 0.5)
    errors = [
        abs(evaluate(game, pi_g, pi_l, 6, horizon=5, n_rollouts=20, seed=seed).mean - exact) for seed in range(40)
    ]
    assert np.mean(np.array(errors) <= bound.value) >= 0.5
    assert max(errors) > bound.value / 20


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda s: theorem_4_8(1, 2, s, delta=1.0), "delta must lie strictly between 0 and 1; got 1.0"),
        (lambda s: theorem_4_8(3, 2, s), "k must be between 1 and 2; got 3"),
        (lambda s: accepted_proposals(0.0, s), "eta must be positive and finite; got 0.0"),
        (lambda _: stopping_gap(-1.0, 0.0), "threshold must be positive and finite; got -1.0"),
        (lambda _: stopping_gap(0.0, -1.0), "response_error must be positive and finite; got -1.0"),
        (lambda _: stopping_gap(0.0, 0.0, -1.0), "evaluation_error must be positive and finite; got -1.0"),
        (lambda s: evaluation_error(0, 1, s, 0.1), "n_rollouts must be at least 1; got 0"),
        (lambda s: evaluation_error(1, -1, s, 0.1), "n_steps must be at least 0; got -1"),
        (lambda s: evaluation_error(1, 1, s, 0.0), "delta must be positive and finite; got 0.0"),
        (lambda s: rollouts_for(0.0, s, 0.1), "error must be positive and finite; got 0.0"),
        (lambda s: rollouts_for(1.0, s, 2.0), "delta must lie strictly between 0 and 1; got 2.0"),
    ],
)
def test_rejected(sizes: GameSizes, call: Callable[[GameSizes], object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        call(sizes)
