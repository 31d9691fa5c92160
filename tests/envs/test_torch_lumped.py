"""The lumped simulator on a device against the law of one step; here on the processor, if PyTorch is installed."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from kofn.envs import RewardLaw, TabularGame
from kofn.envs.histograms import enumerate_histograms, n_histograms, rank_histograms
from kofn.envs.torch_lumped import TorchLumpedSimulator

torch = pytest.importorskip("torch")

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]
Games = Callable[..., TabularGame]


def started(game: TabularGame, n_agents: int, n_populations: int, seed: int = 0) -> TorchLumpedSimulator:
    simulator = TorchLumpedSimulator(game, n_agents, n_populations=n_populations)
    simulator.reset(seed)
    return simulator


def test_one_step_has_the_exact_law(random_game: Games, assert_law: AssertLaw) -> None:
    """(s_g', histogram') of two agents that start in different states, and what they are paid on average."""
    game = random_game(5, n_local=3)
    policy = np.random.default_rng(6).dirichlet(np.ones(2), (3, 2))
    simulator = started(game, 2, 20_000)
    simulator.global_states = torch.ones(20_000, dtype=torch.int64)
    simulator.counts = torch.tensor([[1.0, 0.0, 1.0]] * 20_000, dtype=torch.float64)
    actions = torch.ones(20_000, dtype=torch.int64)
    paid, local = simulator.step(actions, policy)
    law = np.zeros((2, n_histograms(2, 3)))
    rows = [np.einsum("a,ay->y", policy[x, 1], game.local_transition[x, 1]) for x in (0, 2)]
    for s_g, y, z in itertools.product(range(2), range(3), range(3)):
        histogram = np.bincount([y, z], minlength=3)
        law[s_g, rank_histograms(histogram)] += game.global_transition[1, 1, s_g] * rows[0][y] * rows[1][z]
    ranks = rank_histograms(simulator.counts.numpy().astype(np.int64))
    assert_law(np.bincount(simulator.global_states.numpy() * law.shape[1] + ranks, minlength=law.size), law)
    assert (paid == game.global_reward[1, 1]).all()
    mean = sum((policy[x, 1] * game.local_reward[x, 1]).sum() for x in (0, 2)) / 2
    assert abs(float(local.mean()) - mean) <= 4.5 * float(local.std()) / 20_000**0.5


def test_starts_have_their_law(random_game: Games, assert_law: AssertLaw) -> None:
    game = random_game(7)
    simulator = started(game, 3, 20_000)
    ranks = rank_histograms(simulator.counts.numpy().astype(np.int64))
    law = np.outer(game.initial_global, game.initial_local.histogram_law(3))
    assert_law(np.bincount(simulator.global_states.numpy() * 4 + ranks, minlength=8), law)
    assert len(enumerate_histograms(3, 2)) == 4


@pytest.mark.parametrize("n", [200, 10**6])
def test_large_counts_are_binomial(n: int, random_game: Games) -> None:
    """All agents in one state under one action: Kolmogorov-Smirnov against the binomial law, p > 1e-4."""
    game = random_game(8)
    simulator = started(game, n, 4000, seed=1)
    simulator.global_states = torch.zeros(4000, dtype=torch.int64)
    simulator.counts = torch.tensor([[float(n), 0.0]] * 4000, dtype=torch.float64)
    always = np.tile([1.0, 0.0], (2, 2, 1))
    simulator.step(torch.zeros(4000, dtype=torch.int64), always)
    p = game.local_transition[0, 0, 0, 0]
    drawn = simulator.counts[:, 0].numpy()
    jitter = np.random.default_rng(0).uniform(-0.5, 0.5, 4000)
    spread = (n * p * (1 - p)) ** 0.5
    # Off by 0.48 / spread (Berry-Esseen) at most, 0.07 at n = 200, where the exact law is used instead.
    if n == 10**6:
        assert stats.kstest((drawn - n * p + jitter) / spread, "norm").pvalue > 1e-4
    else:
        expected = stats.binom.rvs(n, p, size=40_000, random_state=2)
        assert stats.ks_2samp(drawn, expected).pvalue > 1e-4


def test_the_seed_decides_everything(warehouse3: TabularGame) -> None:
    def run(seed: int) -> list[Any]:
        simulator = started(warehouse3, 100, 5, seed)
        for _ in range(3):
            simulator.step(simulator.global_states, np.full((3, 3, 3), 1 / 3))
            assert (simulator.counts.sum(dim=1) == 100).all()
        return [simulator.counts.tolist(), simulator.global_states.tolist()]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_other_games_and_sizes_are_refused(random_game: Games) -> None:
    game = random_game(1)
    with pytest.raises(TypeError, match="game must be a TabularGame; got str"):
        TorchLumpedSimulator("warehouse_dispatch", 3)  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(ValueError, match="n_agents must be between 1 and 1000000; got 1000001"):
        TorchLumpedSimulator(game, 10**6 + 1)
    lottery = TabularGame(**{**vars(game), "local_reward_law": RewardLaw.certain(game.local_reward)})
    with pytest.raises(ValueError, match="game must have certain rewards on a device; it has a RewardLaw"):
        TorchLumpedSimulator(lottery, 3)


@pytest.mark.parametrize(
    ("actions", "error", "message"),
    [
        ([0, -1], ValueError, r"global_actions must lie in \[0, 2\); entry \[1\] is -1"),
        ([2, 0], ValueError, r"global_actions must lie in \[0, 2\); entry \[0\] is 2"),
        ([0, 1, 0], ValueError, r"global_actions must have shape \[2\]; got \[3\]"),
        ([0.0, 1.0], TypeError, "global_actions must be integers; got float32"),
        ([False, True], TypeError, "global_actions must be integers; got bool"),
    ],
)
def test_other_actions_are_refused(
    random_game: Games, actions: list[Any], error: type[Exception], message: str
) -> None:
    simulator, twin = (started(random_game(1), 3, 2) for _ in range(2))
    policy = np.full((2, 2, 2), 0.5)
    with pytest.raises(error, match=f"^{message}$"):
        simulator.step(torch.tensor(actions), policy)
    for one in (simulator, twin):  # nothing was drawn
        one.step(torch.tensor([0, 1]), policy)
    assert (simulator.global_states == twin.global_states).all()
    assert (simulator.counts == twin.counts).all()


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (np.full((2, 2, 3), 1 / 3), r"local_policy must have shape \[2, 2, 2\]; got \[2, 2, 3\]: axis 2 has size 3"),
        (np.full((2, 2, 2), 0.4), r"local_policy must have rows that sum to 1 .*; row \[0, 0\] sums to 0.8"),
        (np.tile([1.5, -0.5], (2, 2, 1)), r"local_policy must be nonnegative .*; entry \[0, 0, 1\] is -0.5"),
    ],
)
def test_other_policies_are_refused(random_game: Games, policy: Any, message: str) -> None:
    simulator = started(random_game(1), 3, 2)
    before = simulator.counts.tolist(), simulator.global_states.tolist()
    with pytest.raises(ValueError, match=message):
        simulator.step(torch.tensor([0, 1]), policy)
    assert (simulator.counts.tolist(), simulator.global_states.tolist()) == before
