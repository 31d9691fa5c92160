"""The alternating driver: acceptance, stopping, the same run from the same seed, equilibrium at the end."""

from collections.abc import Callable
from dataclasses import replace
from itertools import cycle, islice, pairwise

import numpy as np
import pytest
from oracle import brute_force
from quick_alternation import QUICK, Proposes, assert_same, keep_local, meeting_game, model_of

from kofn.agents import (
    AlternatingConfig,
    AlternatingMARL,
    AlternatingResult,
    GLearner,
    Problem,
    Proposal,
    evaluate,
    l_learn,
)
from kofn.agents.alternation.history import evaluation_error
from kofn.envs import GlobalPolicy, TabularGame
from kofn.envs.policies import as_global_policy
from kofn.envs.warehouse_dispatch import parallel_env
from kofn.wrappers import SubsampleObservation

Games = Callable[..., TabularGame]


@pytest.fixture(scope="module", params=[0, 3, 9, 36])
def game(request: pytest.FixtureRequest, random_game: Games) -> TabularGame:
    """The verdicts are a a a o o, o a o o, r a o o and a a r o (accept, overlap, reject)."""
    return meeting_game(random_game, request.param)


@pytest.fixture(scope="module")
def outcome(game: TabularGame) -> AlternatingResult:
    """What the alternation finds in `game`."""
    return model_of(game).learn()


def test_games_show_every_course_of_events(random_game: Games) -> None:
    """A first refusal alone does not stop: nothing is known of the local player yet."""
    courses = [model_of(meeting_game(random_game, seed)).learn().history for seed in (0, 3, 9, 36)]
    assert ["".join(p.verdict[0] for p in history) for history in courses] == ["aaaoo", "oaoo", "raoo", "aaro"]


def test_potential_never_decreases_and_accepted_steps_gain_eta(outcome: AlternatingResult) -> None:
    result = outcome
    kept = [p.proposed_potential if p.verdict == "accept" else p.potential for p in result.history]
    assert kept == [p.potential for p in result.history[1:]] + [result.potential]
    for proposal in result.history:
        gain = proposal.proposed_potential - proposal.potential
        assert (proposal.verdict == "accept") == (gain >= QUICK.eta)  # type: ignore[operator] # eta is set
        assert (proposal.verdict == "reject") == (gain < -QUICK.eta)  # type: ignore[operator] # eta is set
    assert result.potential > result.history[0].potential


def test_alternation_stops_after_one_refusal_of_each_player(outcome: AlternatingResult) -> None:
    result = outcome
    refused = [p.verdict != "accept" for p in result.history]
    assert result.converged
    assert refused[-2:] == [True, True]
    assert sum(first and second for first, second in pairwise(refused)) == 1
    assert [p.player for p in result.history] == list(islice(cycle(["global", "local"]), len(refused)))
    assert [p.step for p in result.history] == list(range(1, len(refused) + 1))
    assert len(refused) <= result.proposal_bound


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_max_alternations_is_respected(random_game: Games, rounds: int) -> None:
    """A global agent paid for action 1, whose learner plays it a little more often each time."""
    game = random_game(0)
    game = replace(game, global_reward=np.array([[0.0, 1.0]] * 2), global_transition=np.full((2, 2, 2), 0.5))

    def more(problem: Problem) -> Proposes:
        share = problem.global_policy.probabilities()[0, 0, 1] + 0.2
        return Proposes(np.full((2, 2, 2), [1 - share, share]))

    config = AlternatingConfig(max_alternations=rounds, n_rollouts=200, eta=0.1, horizon=40)
    start = np.full((2, 2, 2), [1.0, 0.0])
    options = {"global_learner": more, "local_learner": keep_local, "global_policy": start}
    model = model_of(game, k=1, config=config, **options)
    result = model.learn()
    assert [p.verdict for p in result.history] == ["accept", "overlap"] * rounds
    assert not result.converged
    assert result.certificate == np.inf
    # A longer budget goes on from there.
    model.config = replace(config, max_alternations=rounds + 1)
    assert len(model.learn().history) == 2 * rounds + 2


def worst_global(problem: Problem) -> Proposes:
    """A global learner that proposes the worst table it can name."""
    tables = [np.full((2, problem.global_policy.table.shape[1]), a) for a in range(2)]
    worths = [
        evaluate(problem.game, as_global_policy(t, problem.game, problem.k), problem.local_policy, 6, seed=0).mean
        for t in tables
    ]
    return Proposes(tables[int(np.argmin(worths))])


def test_worse_proposals_are_rejected(random_game: Games) -> None:
    game = random_game(1, discount=0.8)
    game = replace(game, global_reward=np.array([[0.0, 3.0], [0.0, 3.0]]))
    start = GlobalPolicy.constant(game, 2, 1)
    result = model_of(game, global_learner=worst_global, local_learner=keep_local, global_policy=start).learn()
    assert [p.verdict for p in result.history] == ["reject", "overlap"]
    assert result.converged
    assert (result.global_policy.table == 1).all()
    assert result.history[0].proposed_potential < result.potential - 5


def test_same_seed_same_run(game: TabularGame, outcome: AlternatingResult) -> None:
    assert_same(model_of(game).learn(), outcome)
    assert model_of(game, seed=4).learn().history[0].potential != outcome.history[0].potential


def test_same_seed_same_run_of_sampling_learners(random_game: Games) -> None:
    game = random_game(0, discount=0.8)
    options = {"global_learner": GLearner(operator="monte_carlo", n_samples=5)}
    assert_same(model_of(game, **options).learn(), model_of(game, **options).learn())
    assert_same(model_of(game, seed=[3, 4]).learn(), model_of(game, seed=(3, 4)).learn())


def test_without_a_seed_runs_differ(random_game: Games) -> None:
    first, second = (model_of(random_game(0), seed=None).learn() for _ in range(2))
    assert first.history[0].potential != second.history[0].potential


def test_final_pair_with_full_information_is_an_equilibrium(random_game: Games) -> None:
    """k = n = 2: by the oracle neither player gains more than eta + 2 nu + its learner's own shortfall.

    nu: 4.5 standard errors of the estimated potential and what the horizon leaves out. The global learner is exact
    here; the fleet's shortfall is what exhaustive search finds beyond l_learn's own proposal.
    """
    config = AlternatingConfig(n_rollouts=10_000)
    for seed in range(3):
        game = random_game(40 + seed, discount=0.7)
        result = model_of(game, n_agents=2, k=2, config=config, seed=seed).learn()
        assert result.converged
        tables = result.global_policy.probabilities(), result.local_policy.table
        exact = brute_force.potential(game, *tables, 2, 2)
        nu = 4.5 * result.standard_error + result.eta / 4
        assert abs(result.potential - exact) <= nu
        global_gain = brute_force.optimal_potential(game, tables[1], 2) - exact
        _, best = brute_force.best_local_response(game, tables[0], 2, 2)
        shortfall = best - l_learn(game, result.global_policy, start=result.local_policy).value
        assert -1e-9 <= global_gain <= result.eta + 2 * nu
        assert best - exact <= result.eta + 2 * nu + max(shortfall, 0)
        assert shortfall <= 1e-5  # on these games the fleet's learner is exact, too
        assert result.eta + 2 * nu < 0.06 * game.value_bound  # and all this says something


def test_certificate_is_eta_and_twice_the_error(outcome: AlternatingResult) -> None:
    """Nu: what of a 95% half-width reaches beyond the nearer threshold, -eta or eta."""
    result, eta = outcome, 0.02
    beyond = [0.0]
    for proposal in result.history:
        gain, half_width = proposal.proposed_potential - proposal.potential, 1.96 * proposal.standard_error
        beyond.append(half_width - min(abs(gain - eta), abs(gain + eta)))
    assert result.evaluation_error == pytest.approx(max(beyond))
    assert result.certificate == pytest.approx(eta + 2 * max(beyond))
    assert result.n_iterations == len(result.history)
    assert 0 < result.wall_time < 60


@pytest.mark.parametrize(
    ("gain", "error", "nu"),
    [
        (0.5, 0.25, 0.49 - 0.25),  # the threshold is 0.25 away
        (-0.5, 0.25, 0.49 - 0.25),
        (0.25, 0.25, 0.49),  # at the threshold
        (0.0, 0.25, 0.49 - 0.25),
        (9.0, 0.25, 0.0),  # whatever the error, the verdict is the right one
        (0.0, 0.0, 0.0),
    ],
)
def test_error_that_matters(gain: float, error: float, nu: float) -> None:
    proposal = Proposal(
        step=1,
        player="global",
        potential=4.0,
        proposed_potential=4.0 + gain,
        standard_error=error,
        verdict="overlap",
        learner_iterations=1,
        learner_converged=True,
        learner_certificate=0.0,
        kept_pair="",
    )
    assert evaluation_error([proposal], 0.25) == pytest.approx(nu)
    assert evaluation_error([], 0.25) == 0


def test_warehouse_improves_on_its_start() -> None:
    """n = 1000, k = 5, the paper's game: clearly, and on a fresh seed as well."""
    env = SubsampleObservation(parallel_env(n_agents=1000), 5)
    model = AlternatingMARL(env, AlternatingConfig(n_rollouts=400, max_alternations=2), seed=0)
    start = model.global_policy, model.local_policy
    result = model.learn()
    # The worse of the two equilibria that it may end in pays 95 (the better one 102), the start 82.
    assert result.potential > result.history[0].potential + 20 * result.history[0].standard_error
    returns = [
        evaluate(model.setting.game, *pair, 1000, horizon=100, n_rollouts=100, seed=99).returns
        for pair in (start, (model.global_policy, model.local_policy))
    ]
    gain = returns[1] - returns[0]
    assert gain.mean() > 5 * gain.std(ddof=1) / 10


def test_negative_rewards_are_learned_from(random_game: Games) -> None:
    """A shift of every reward moves potentials by c/(1-gamma) and no policy."""
    game = random_game(6, discount=0.8)
    config = AlternatingConfig(n_rollouts=200, eta=0.02, horizon=150)
    shifted = replace(game, global_reward=game.global_reward - 4)
    first, second = (model_of(g, config=config).learn() for g in (game, shifted))
    assert (first.global_policy.table == second.global_policy.table).all()
    assert first.local_policy.table == pytest.approx(second.local_policy.table, abs=1e-6)
    assert second.potential == pytest.approx(first.potential - 20, abs=1e-3)
