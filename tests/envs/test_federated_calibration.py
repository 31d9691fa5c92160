"""Tables estimated from recorded rounds: against counts one by one, against a game known exactly, and what they say."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kofn.envs.anchored_clients import N_BINS
from kofn.envs.federated_anchored import EDGES, AnchoredGame, game
from kofn.envs.federated_calibration import Calibration, Record, calibrate, pilot_edges, record


@pytest.fixture(scope="module")
def cancer() -> AnchoredGame:
    return game("breast_cancer")


@pytest.fixture(scope="module")
def pilot(cancer: AnchoredGame) -> Record:
    return record(cancer, np.random.default_rng(0), n_clients=60, n_rounds=40, n_episodes=12)


@pytest.fixture(scope="module")
def calibration(cancer: AnchoredGame, pilot: Record) -> Calibration:
    return calibrate(cancer, pilot, np.random.default_rng(0))


def states(pilot: Record) -> Any:
    """s_l = 2 d + [gradient bin above the lowest], int [episode, round, client]."""
    return 2 * (pilot.observations // N_BINS**2) + (pilot.observations // N_BINS % N_BINS > 0)


def test_records_hold_what_happened(cancer: AnchoredGame, pilot: Record) -> None:
    assert pilot.observations.shape == pilot.actions.shape == pilot.rewards.shape == (12, 40, 60)
    assert pilot.global_states.shape == (12, 40)
    assert (np.bincount(pilot.actions.ravel()) > 0.3 * pilot.actions.size).all()
    domains = pilot.observations // N_BINS**2
    assert (domains == domains[:, :1]).all()
    bins = pilot.observations // N_BINS % N_BINS
    np.testing.assert_array_equal(bins, np.searchsorted(cancer.task.gradient_edges, pilot.gradient_norms))
    assert not pilot.rewards.flags.writeable
    # The server moves: requests are uniform, so every state is met.
    assert len(np.unique(pilot.global_states)) == 8


def test_recording_repeats_from_a_seed(cancer: AnchoredGame) -> None:
    sizes = {"n_clients": 5, "n_rounds": 4, "n_episodes": 2}
    first, again, other = (record(cancer, np.random.default_rng(seed), **sizes) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.gradient_norms, again.gradient_norms)
    assert (first.gradient_norms != other.gradient_norms).any()


def test_the_games_edges_are_those_of_a_pilot(cancer: AnchoredGame, pilot: Record) -> None:
    """A record of a twentieth of the clients' rounds; its terciles vary with the few episodes, by a fifth."""
    gradient, distance = pilot_edges(pilot)
    np.testing.assert_allclose(gradient, EDGES["breast_cancer"][0], rtol=0.2)
    np.testing.assert_allclose(distance, EDGES["breast_cancer"][1], rtol=0.2)
    shares = [(pilot.gradient_norms < edge).mean() for edge in gradient]
    np.testing.assert_allclose(shares, [1 / 3, 2 / 3], atol=1e-3)
    np.testing.assert_allclose([(pilot.distances < edge).mean() for edge in distance], [1 / 3, 2 / 3], atol=1e-3)


def test_tables_are_frequencies_and_means(pilot: Record, calibration: Calibration) -> None:
    x = states(pilot)
    now, after, action = x[:, :-1], x[:, 1:], pilot.actions[:, :-1]
    s_g = np.broadcast_to(pilot.global_states[:, :-1, None], now.shape)
    paid = pilot.rewards[:, :-1]
    rng = np.random.default_rng(0)
    checked = 0
    for _ in range(60):
        s, g, a = rng.integers([8, 8, 3])
        met = (now == s) & (s_g == g) & (action == a)
        np.testing.assert_array_equal(calibration.counts[s, g, a], np.bincount(after[met], minlength=8))
        if met.any():
            checked += 1
            np.testing.assert_allclose(
                calibration.game.local_transition[s, g, a], np.bincount(after[met], minlength=8) / met.sum(), atol=1e-12
            )
            np.testing.assert_allclose(calibration.game.local_reward[s, g, a], paid[met].mean(), rtol=1e-12)
    assert checked > 30
    assert calibration.counts.sum() == now.size


def test_rows_never_met_are_those_of_clients_alike(cancer: AnchoredGame, pilot: Record) -> None:
    """Take every client of domain 1 out: its rows become the mean over the others', emphasised or not."""
    kept = states(pilot)[:, 0] // 2 != 1
    clients = kept.sum(axis=1).min()
    fields = ("observations", "actions", "rewards", "gradient_norms", "distances")
    without = Record(
        global_states=pilot.global_states.copy(),
        **{
            name: np.stack([getattr(pilot, name)[i][:, kept[i]][:, :clients] for i in range(len(kept))])
            for name in fields
        },
    )
    found = calibrate(cancer, without, np.random.default_rng(0))
    assert found.counts[2:4].sum() == 0
    for b, c, e, a in ((0, 0, 1, 2), (1, 1, 1, 2), (1, 1, 0, 0)):
        alike = [(2 * d + b, 2 * other + e) for d in (0, 2, 3) for other in range(4) if (d == other) == (c == 1)]
        turned = sum(found.counts[s, g, a, s - b + 1] for s, g in alike) / sum(
            found.counts[s, g, a].sum() for s, g in alike
        )
        np.testing.assert_allclose(found.game.local_transition[2 + b, 2 * c + e, a, 3], turned, rtol=1e-12)


def test_real_clients_behave_like_the_tables_game(calibration: Calibration) -> None:
    """Emphasised clients stay near, and get near by work; neglected ones drift away and do not come back by work."""
    law = calibration.game.local_transition.reshape(4, 2, 4, 2, 3, 4, 2)
    own = np.arange(4)
    weight = calibration.counts.sum(axis=-1).reshape(4, 2, 4, 2, 3)[own, :, own].sum(axis=0)
    far = np.array([law[d, :, d, :, :, d, 1] for d in range(4)])  # [d, b, e, a]
    assert (far[:, 0] < 0.02).all()
    assert weight.min() > 0
    assert (far[:, 1, 1, 2] < far[:, 1, 1, 0]).all()
    neglected = np.array([law[d, :, c, :, :, d, 1] for d in range(4) for c in range(4) if c != d])
    assert neglected[:, 0].mean() > 0.1
    assert neglected[:, 1].mean() > 0.9


def test_bins_are_nearly_but_not_quite_markov(calibration: Calibration) -> None:
    markov = calibration.markov
    assert markov.p_value == 0.01
    assert markov.information > 5 * markov.null_information
    assert markov.information < 0.05
    assert markov.n_samples == 12 * 38 * 60


def test_tables_known_exactly_are_found(cancer: AnchoredGame) -> None:
    """Rounds drawn from a tabular game give back its rows, and pass for Markov."""
    rng, rows = np.random.default_rng(0), cancer.server
    shape = (40, 30, 50)
    s_l, s_g = np.empty(shape, dtype=np.int64), rng.integers(8, size=shape[:2])
    actions = rng.integers(3, size=shape)
    s_l[:, 0] = rng.integers(8, size=(40, 50))
    for t in range(29):
        law = rows.local_transition[s_l[:, t], s_g[:, t, None], actions[:, t]]
        s_l[:, t + 1] = (rng.random((40, 50, 1)) > law.cumsum(axis=-1)).sum(axis=-1)
    drawn = Record(
        observations=9 * (s_l // 2) + 3 * (s_l % 2),
        global_states=s_g,
        actions=actions,
        rewards=rows.local_reward[s_l, s_g[..., None], actions],
        gradient_norms=np.zeros(shape),
        distances=np.zeros(shape),
    )
    found = calibrate(cancer, drawn, rng)
    visits = found.counts.sum(axis=-1, keepdims=True)
    assert visits.min() > 20
    wanted = rows.local_transition
    error = np.sqrt(wanted * (1 - wanted) / visits)
    # 5 standard errors and, for rare moves, the discreteness of counts.
    assert (np.abs(found.game.local_transition - wanted) <= 5 * error + 3 / visits).all()
    np.testing.assert_allclose(found.game.local_reward, rows.local_reward, atol=1e-12)
    assert found.markov.p_value > 0.02
    np.testing.assert_array_equal(found.game.global_transition, rows.global_transition)


def test_a_record_is_a_copy(pilot: Record) -> None:
    rewards = pilot.rewards.copy()
    made = replace(pilot, rewards=rewards)
    rewards[:] = 7
    np.testing.assert_array_equal(made.rewards, pilot.rewards)
    assert not any(array.flags.writeable for array in vars(made).values())


@pytest.mark.parametrize("size", ["n_clients", "n_rounds", "n_episodes"])
def test_empty_records_are_refused(cancer: AnchoredGame, size: str) -> None:
    with pytest.raises(ValueError, match=f"{size} must be at least 1; got 0"):
        record(cancer, np.random.default_rng(0), **{size: 0})


def test_short_records_are_refused(cancer: AnchoredGame) -> None:
    short = record(cancer, np.random.default_rng(0), n_clients=3, n_rounds=2, n_episodes=1)
    with pytest.raises(ValueError, match=re.escape("a record must have at least 3 rounds; it has 2")):
        calibrate(cancer, short, np.random.default_rng(0))


def test_rows_that_no_client_was_like_are_named(cancer: AnchoredGame, pilot: Record) -> None:
    idle = replace(pilot, actions=np.zeros_like(pilot.actions))
    with pytest.raises(ValueError, match="no client with b=0 was recorded under level 0 and action 1 while its domain"):
        calibrate(cancer, idle, np.random.default_rng(0))
