"""Learners with networks on a game solved by hand: they find the best reply, twice the same, and disturb nothing."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from oracle.two_sides import two_sides

from kofn.agents.alternation.learners import Problem
from kofn.agents.deep.best_response import DeepGlobal, DeepLocal
from kofn.agents.deep.clone import clone_global, clone_local
from kofn.agents.deep.mode_classifier import ModeClassifier, mode_accuracy
from kofn.agents.deep.networks import FitConfig, fit_labels
from kofn.agents.line_evaluation import evaluate_line
from kofn.envs import TabularGame
from kofn.envs.cluster_line import game as cluster_line
from kofn.envs.cluster_line_conventions import Chase, Follow
from kofn.envs.line_policies import MlpGlobalPolicy, MlpLocalPolicy, logits, uniform_layers
from kofn.envs.warehouse_dispatch import game as warehouse

N, K, HORIZON = 5, 3, 8
GAME = two_sides()
SMALL: dict[str, Any] = {"n_populations": 40, "n_steps": HORIZON}


def constant(n_inputs: int, n_actions: int, action: int) -> Any:
    """A network that always takes one action."""
    return ((np.zeros((n_inputs, n_actions)), np.eye(n_actions)[action]),)


RIGHT = MlpGlobalPolicy(layers=constant(3, 2, 1), k=K)
STAY = MlpLocalPolicy(layers=constant(2, 2, 0))


def problem(player: str, **changes: Any) -> Problem:
    """A uniform network of the player against the other's constant one."""
    rng = np.random.default_rng(7)
    fresh = {
        "global": {"global_policy": MlpGlobalPolicy(layers=uniform_layers(3, 2, (16,), rng), k=K)},
        "local": {"local_policy": MlpLocalPolicy(layers=uniform_layers(2, 2, (16,), rng))},
    }[player]
    pair: dict[str, Any] = {"global_policy": RIGHT, "local_policy": STAY, **fresh}
    options = {"game": GAME, "n_agents": N, "k": K, "seed": np.random.SeedSequence(3), "max_cycles": HORIZON}
    return Problem(**{**options, **pair, **changes})


def value(global_policy: Any, local_policy: Any) -> Any:
    return evaluate_line(GAME, global_policy, local_policy, N, horizon=HORIZON, n_rollouts=400, seed=11)


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "trpo"])
def test_the_global_learner_finds_the_robots_side(algorithm: Any) -> None:
    """Robots stay where they started, all on one side: the best reply earns 0.8 a step, a constant beacon 0.5."""
    learner = DeepGlobal(algorithm=algorithm, n_updates=12, learning_rate=1e-2, **SMALL)
    found = learner(problem("global")).policy
    gain = value(found, STAY).returns - value(RIGHT, STAY).returns
    best = 0.7 + 0.8 * sum(0.8**t for t in range(1, HORIZON))
    assert gain.mean() > 5 * gain.std(ddof=1) / 20
    assert value(found, STAY).mean == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize(
    ("algorithm", "deviation", "reward"),
    [("trpo", "tagged", "own"), ("ppo", "tagged", "team"), ("ppo", "shared", "team"), ("a2c", "tagged", "own")],
)
def test_the_robots_go_to_where_the_beacon_stands(algorithm: Any, deviation: Any, reward: Any) -> None:
    """It stands on the right: robots on the left change sides once, which pays 0.6 a step for 0.1."""
    n_updates = 60 if algorithm == "a2c" else 15  # it makes one step per update
    n_populations = 8 if deviation == "shared" else 40  # 40 agents learn, either way
    options: dict[str, Any] = {"n_updates": n_updates, "learning_rate": 1e-2, "n_steps": HORIZON}
    notion: dict[str, Any] = {"deviation": deviation, "reward": reward, "n_populations": n_populations}
    learner = DeepLocal(algorithm=algorithm, **notion, **options)
    found = learner(problem("local")).policy
    gain = value(RIGHT, found).returns - value(RIGHT, STAY).returns
    assert gain.mean() > 5 * gain.std(ddof=1) / 20
    places = np.float32([0.2, 0.8])
    assert found.act(places, np.float32([1.0])).tolist() == [1, 0]


def test_the_same_seed_learns_the_same_and_nothing_else_is_disturbed() -> None:
    learner = DeepLocal(n_updates=2, **SMALL)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002  # what must not be touched
    torch.manual_seed(5)
    first, second = (learner(problem("local")) for _ in range(2))
    drawn = random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    assert drawn == (random.random(), np.random.random(), torch.rand(1).item())  # noqa: NPY002
    for one, other in zip(first.policy.layers, second.policy.layers, strict=True):
        assert all((x == y).all() for x, y in zip(one, other, strict=True))
    other = learner(problem("local", seed=np.random.SeedSequence(4))).policy
    assert (other.layers[0][0] != first.policy.layers[0][0]).any()
    assert (first.n_iterations, first.n_samples) == (2, 2 * 40 * HORIZON)
    assert first.statistics["train/explained_variance"] <= 1


def test_the_supervised_step_names_the_fullest_bin() -> None:
    """One side is empty, so that any sample shows the mode; an untrained network is right half the time."""
    response = ModeClassifier(n_steps=60, n_samples=500)(problem("global"))
    assert response.statistics["accuracy"] == 1
    trained = problem("global", global_policy=response.policy)
    assert mode_accuracy(trained, 400, np.random.SeedSequence(1)) == 1
    untrained = mode_accuracy(problem("global"), 400, np.random.SeedSequence(1))
    assert abs(untrained - 0.5) < 4.5 * 0.5 / 20


def test_the_supervised_step_on_the_cluster_line_nears_the_best_guess() -> None:
    """55 of 100 robots are around the true mode: of k = 1 the sampled one's bin is right with probability 0.55."""
    game = cluster_line(observe_global_state=False)
    start = MlpGlobalPolicy(layers=uniform_layers(5, 5, (32,), np.random.default_rng(0)), k=1, sees_global_state=False)
    task = problem("global", game=game, n_agents=100, k=1, global_policy=start)
    found = ModeClassifier(n_steps=150)(task).policy
    accuracy = mode_accuracy(problem("global", game=game, n_agents=100, k=1, global_policy=found), 2000, task.seed)
    assert 0.45 < accuracy < 0.55 + 4.5 * 0.5 / np.sqrt(2000)  # spread beyond the bin costs some of it
    sure = np.eye(5, dtype=int)
    assert found.act(np.zeros(5, dtype=np.float32), sure).tolist() == [0, 1, 2, 3, 4]


def test_clones_act_as_their_teachers() -> None:
    game = cluster_line()
    config = FitConfig(n_steps=300, batch_size=256)
    robots = clone_local(Chase(dead_band=0.3), game, n_situations=20_000, config=config, seed=0)
    rng = np.random.default_rng(1)
    places = rng.uniform(-2, 2, (2, 4000)).astype(np.float32)
    assert (robots.act(*places) == Chase(dead_band=0.3).act(*places)).mean() > 0.93
    teacher = Follow(k=5, margin=0.3)
    beacon = clone_global(teacher, robots, game, 20, horizon=10, n_episodes=50, config=config, seed=0)
    brief = replace(config, n_steps=5)
    one, again = (clone_global(teacher, robots, game, 20, horizon=2, config=brief, seed=0) for _ in range(2))
    counts = rng.multinomial(5, [0.3, 0, 0, 0.6, 0.1], 500)
    at = rng.uniform(-1, 1, 500).astype(np.float32)
    assert (beacon.act(at, counts) == teacher.act(at, counts)).mean() > 0.85
    assert (one.layers[0][0] == again.layers[0][0]).all()


def test_smoothed_labels_leave_room_to_explore() -> None:
    rows, labels = np.zeros((8, 1), dtype=np.float32), np.zeros(8, dtype=np.int64)
    start = uniform_layers(1, 4, (), np.random.default_rng(0))
    config = FitConfig(n_steps=250, learning_rate=0.1, smoothing=0.2)
    layers, met = fit_labels(start, rows, labels, config, np.random.SeedSequence(0))
    scores = np.exp(logits(layers, rows[:1])[0])
    assert met == 1
    assert scores / scores.sum() == pytest.approx([0.85, 0.05, 0.05, 0.05], abs=0.01)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: DeepLocal(algorithm="dqn"), ValueError, "algorithm must be one of 'trpo', 'ppo', 'a2c'; got 'dqn'"),  # type: ignore[arg-type]
        (lambda: DeepLocal(n_updates=0), ValueError, "n_updates must be at least 1; got 0"),
        (lambda: DeepLocal(n_populations=1.5), TypeError, r"n_populations must be an integer; got 1\.5"),  # type: ignore[arg-type]
        (lambda: DeepLocal(n_steps=0), ValueError, "n_steps must be at least 1; got 0"),
        (lambda: DeepLocal(n_agents=0), ValueError, "n_agents must be at least 1; got 0"),
        (lambda: DeepLocal(learning_rate=0), ValueError, "learning_rate must be positive"),
        (lambda: DeepLocal(gae_lambda=1.5), ValueError, r"gae_lambda must lie in \[0, 1\]; got 1\.5"),
        (lambda: DeepLocal(entropy=-1), ValueError, "entropy must not be negative, and finite; got -1"),
        (lambda: DeepLocal(deviation="all"), ValueError, "deviation must be one of 'tagged', 'shared'; got 'all'"),  # type: ignore[arg-type]
        (lambda: DeepLocal(reward="no"), ValueError, "reward must be one of 'own', 'team'; got 'no'"),  # type: ignore[arg-type]
        (lambda: DeepGlobal(n_agents=2)(problem("global")), ValueError, "n_agents must be at least k=3; got 2"),
        (lambda: DeepGlobal().check(warehouse(), 1), TypeError, "need a ContinuousGame; got TabularGame"),
        (lambda: ModeClassifier().check(warehouse(), 1), TypeError, "needs a ContinuousGame; got TabularGame"),
        (lambda: ModeClassifier(n_samples=0), ValueError, "n_samples must be at least 1; got 0"),
        (lambda: FitConfig(n_steps=0), ValueError, "n_steps must be at least 1; got 0"),
        (lambda: FitConfig(batch_size=0), ValueError, "batch_size must be at least 1; got 0"),
        (lambda: FitConfig(learning_rate=-1.0), ValueError, "learning_rate must be positive"),
        (lambda: FitConfig(smoothing=1.0), ValueError, r"smoothing must lie in \[0, 1\); got 1\.0"),
    ],
)
def test_settings_out_of_range_are_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_game_whose_actions_are_not_its_bins_has_no_supervised_step() -> None:
    wider = type(GAME)(**{**GAME.__dict__, "bin_edges": (0.0, 0.3, 0.6, 1.0)})
    with pytest.raises(ValueError, match=r"\|A_g\| must be the number of bins, 3; it is 2"):
        ModeClassifier().check(wider, 1)
    assert not isinstance(wider, TabularGame)
