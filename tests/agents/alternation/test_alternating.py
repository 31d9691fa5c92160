"""The alternating driver: acceptance, stopping, equilibrium at the end, interruption, plugged-in learners."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents import (
    AlternatingConfig,
    AlternatingMARL,
    AlternatingResult,
    GLearner,
    LLearner,
    Problem,
    Proposal,
    evaluate,
    l_learn,
)
from kofn.agents.alternation.history import evaluation_error
from kofn.agents.alternation.setting import Setting
from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.policies import as_global_policy, as_local_policy
from kofn.envs.warehouse_dispatch import parallel_env
from kofn.wrappers import SubsampleObservation

Games = Callable[..., TabularGame]

QUICK = AlternatingConfig(n_rollouts=200, eta=0.02, horizon=40)


@dataclass(frozen=True)
class Proposes:
    """What a learner returns: a policy, or a table of one."""

    policy: Any


def lines(history: tuple[Proposal, ...]) -> list[tuple[str, ...]]:
    """Comparable lines of a history (nan is not equal to itself)."""
    return [tuple(map(repr, asdict(proposal).values())) for proposal in history]


def assert_same(first: AlternatingResult, second: AlternatingResult) -> None:
    assert lines(first.history) == lines(second.history)
    assert (first.global_policy.table == second.global_policy.table).all()
    assert (first.local_policy.table == second.local_policy.table).all()
    assert (first.potential, first.standard_error) == (second.potential, second.standard_error)
    assert first.converged == second.converged


def model_of(game: TabularGame, n_agents: int = 6, k: int = 2, **options: Any) -> AlternatingMARL:
    options = {"config": QUICK, "seed": 3} | options
    return AlternatingMARL(Setting(game=game, n_agents=n_agents, k=k), options.pop("config"), **options)


def meeting_game(random_game: Games, seed: int) -> TabularGame:
    """Both players matter: agents are paid for being where the global agent is."""
    game = random_game(seed, n_local=3, discount=0.8)
    rewards = game.local_reward.copy()
    rewards[0, 0] += 1
    rewards[2, 1] += 1
    return replace(game, local_reward=rewards)


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


def keep_local(problem: Problem) -> Proposes:
    """A local learner that proposes the current policy."""
    return Proposes(problem.local_policy)


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


def test_learners_are_given_the_problem(random_game: Games) -> None:
    game = random_game(2, discount=0.8)
    seen: list[Problem] = []

    def record(problem: Problem) -> Proposes:
        seen.append(problem)
        return Proposes(problem.global_policy)

    model = model_of(game, n_agents=7, k=3, global_learner=record, local_learner=keep_local)
    start = model.global_policy, model.local_policy
    model.learn()
    assert len(seen) == 1
    assert (seen[0].game, seen[0].n_agents, seen[0].k) == (game, 7, 3)
    assert (seen[0].global_policy, seen[0].local_policy) == start


def test_every_proposal_has_a_seed_of_its_own(random_game: Games) -> None:
    states = set()

    def record(problem: Problem) -> Proposes:
        states.add(tuple(problem.seed.generate_state(4).tolist()))
        table = problem.global_policy.table
        return Proposes(replace(problem.global_policy, table=1 - table))

    game = replace(random_game(2), global_reward=np.array([[0.0, 3.0], [0.0, 3.0]]))
    config = replace(QUICK, max_alternations=4, eta=1e-9)
    local = np.random.default_rng(0)

    def wander(problem: Problem) -> Proposes:
        states.add(tuple(problem.seed.generate_state(4).tolist()))
        return Proposes(local.dirichlet(np.ones(2), (2, 2)))

    result = model_of(game, config=config, global_learner=record, local_learner=wander).learn()
    assert len(states) == len(result.history) > 2


def test_plugged_in_learners_are_recorded(random_game: Games) -> None:
    """A bare policy object has no iterations, no certificate, and counts as converged; what is there is recorded."""
    game = random_game(3, discount=0.8)

    @dataclass(frozen=True)
    class Outcome:
        policy: LocalPolicy
        n_iterations: int = 17
        converged: bool = False
        certificate: float = 0.25

    model = model_of(
        game,
        global_learner=lambda _: Proposes(np.ones((2, 3), dtype=int)),
        local_learner=lambda problem: Outcome(as_local_policy("stay", problem.game)),
    )
    first, second = model.learn().history[:2]
    assert (first.player, first.learner_iterations, first.learner_converged) == ("global", -1, True)
    assert np.isnan(first.learner_certificate)
    assert (second.player, second.learner_iterations, second.learner_converged) == ("local", 17, False)
    assert second.learner_certificate == 0.25


def test_our_learners_are_recorded(random_game: Games) -> None:
    history = model_of(random_game(3, discount=0.8)).learn().history
    assert all(p.learner_iterations >= 0 and p.learner_converged for p in history)
    assert history[0].learner_iterations > 1
    assert 0 < history[0].learner_certificate <= 1e-6


def test_proposals_of_another_game_are_refused(random_game: Games) -> None:
    def too_small(problem: Problem) -> Proposes:
        return Proposes(GlobalPolicy.named("keep", problem.game, 1))

    def too_wide(problem: Problem) -> Proposes:
        return Proposes(np.full((3, 2, 2), 0.5))

    with pytest.raises(ValueError, match="the global policy observes k=1 agents; k=2 was asked for"):
        model_of(random_game(0), global_learner=too_small).learn()
    with pytest.raises(ValueError, match="the local policy must match the game's"):
        model_of(random_game(0), local_learner=too_wide).learn()


def stop_after(step: int) -> Callable[[Proposal], None]:
    def stop(proposal: Proposal) -> None:
        if proposal.step == step:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize(("game_seed", "n_rollouts"), [(0, 200), (9, 600)])
def test_interrupted_run_resumes_bit_for_bit(
    random_game: Games, tmp_path: Path, game_seed: int, n_rollouts: int
) -> None:
    """Interrupted after every proposal in turn, saved, loaded, gone on with; also where some verdicts come early."""
    game = meeting_game(random_game, game_seed)
    options: dict[str, Any] = {
        "config": replace(QUICK, n_rollouts=n_rollouts),
        "global_learner": GLearner(operator="monte_carlo", n_samples=20),
        "local_learner": LLearner(operator="monte_carlo", n_samples=20),
        "seed": 7,
    }
    whole = model_of(game, **options)
    result = whole.learn()
    whole.save(tmp_path / "whole")
    assert len(result.history) >= 3
    for step in range(1, len(result.history) + 1):
        model = model_of(game, **options)
        with pytest.raises(KeyboardInterrupt):
            model.learn(on_proposal=stop_after(step))
        assert lines(model.history) == lines(result.history[:step])
        model.save(tmp_path / f"{step}")
        resumed = AlternatingMARL.load(tmp_path / f"{step}")
        assert_same(resumed.learn(), result)
        resumed.save(tmp_path / f"{step}")
        for file in (tmp_path / "whole").iterdir():
            assert (tmp_path / f"{step}" / file.name).read_bytes() == file.read_bytes()
        assert_same(model.learn(), result)  # the interrupted object itself goes on as well


def test_run_without_a_seed_resumes_too(random_game: Games, tmp_path: Path) -> None:
    """The entropy that the operating system gave is stored."""
    model = model_of(random_game(4, discount=0.8), seed=None)
    with pytest.raises(KeyboardInterrupt):
        model.learn(on_proposal=stop_after(1))
    model.save(tmp_path)
    assert_same(AlternatingMARL.load(tmp_path).learn(), model.learn())


def test_learning_again_after_convergence_changes_nothing(random_game: Games) -> None:
    model = model_of(random_game(0, discount=0.8))
    assert_same(model.learn(), model.learn())


def test_on_proposal_sees_every_proposal_as_it_is_recorded(random_game: Games) -> None:
    model = model_of(random_game(5, discount=0.8))
    seen: list[Proposal] = []

    def check(proposal: Proposal) -> None:
        seen.append(proposal)
        assert model.history == tuple(seen)

    result = model.learn(on_proposal=check)
    assert tuple(seen) == result.history


def test_progress_bar_writes_to_stderr_only(random_game: Games, capfd: pytest.CaptureFixture[str]) -> None:
    model_of(random_game(5, discount=0.8)).learn(progress_bar=True)
    assert capfd.readouterr().out == ""


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


def test_defaults_of_eta_and_horizon(random_game: Games) -> None:
    """eta is 0.5% of the range of values; the horizon leaves out at most a quarter of it."""
    game = random_game(0)
    model = model_of(game, config=None)
    assert model.eta == pytest.approx(0.005 * game.value_bound)
    assert 0.9**model.horizon * game.value_bound <= model.eta / 4 < 0.9 ** (model.horizon - 1) * game.value_bound
    assert model.config == AlternatingConfig()
    assert model_of(game).horizon == 40
    assert model_of(game).eta == 0.02


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


def test_local_policy_may_be_given_as_a_table(random_game: Games) -> None:
    table = np.full((2, 2, 2), [0.25, 0.75])
    model = model_of(random_game(0), local_policy=table, global_policy=np.array([[0, 1, 1], [1, 0, 1]]))
    assert (model.local_policy.table == table).all()
    assert model.global_policy.table.tolist() == [[0, 1, 1], [1, 0, 1]]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"global_policy": "best"}, ValueError, "global_policy must be one of 'uniform', 'keep'; got 'best'"),
        ({"local_policy": "best"}, ValueError, "local_policy must be one of 'uniform', 'stay'; got 'best'"),
        ({"local_policy": np.ones((2, 2, 2))}, ValueError, r"rows that sum to 1 .* row \[0, 0\] sums to 2"),
        ({"local_policy": np.full((2, 3, 2), 0.5)}, ValueError, "the local policy must match the game's"),
        ({"global_policy": np.zeros((2, 4), dtype=int)}, ValueError, r"must have shape \[any, 3\]; got \[2, 4\]"),
        ({"seed": -1}, ValueError, "seed must be a nonnegative integer"),
        ({"seed": 1.5}, TypeError, "seed must be a nonnegative integer"),
    ],
)
def test_arguments_out_of_range_are_refused(
    random_game: Games, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        model_of(random_game(0), **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_alternations": 0}, ValueError, "max_alternations must be at least 1; got 0"),
        ({"max_alternations": 1.0}, TypeError, r"max_alternations must be an integer; got 1\.0"),
        ({"n_rollouts": 1}, ValueError, "n_rollouts must be at least 2; got 1"),
        ({"eta": 0.0}, ValueError, r"eta must be positive and finite; got 0\.0"),
        ({"eta": float("inf")}, ValueError, "eta must be positive and finite; got inf"),
        ({"eta": "small"}, TypeError, "eta must be a number; got 'small'"),
        ({"horizon": 0}, ValueError, "horizon must be at least 1; got 0"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        AlternatingConfig(**options)


@pytest.mark.parametrize("learner", [GLearner, LLearner])
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"operator": "best"}, ValueError, "operator must be one of 'auto', 'exact', 'monte_carlo'"),
        ({"n_samples": 0}, ValueError, "n_samples must be at least 1; got 0"),
        ({"tolerance": 0.0}, ValueError, r"tolerance must be positive and finite; got 0\.0"),
        ({"tolerance": True}, TypeError, "tolerance must be a number; got True"),
        ({"max_iterations": 1.5}, TypeError, r"max_iterations must be an integer; got 1\.5"),
    ],
)
def test_learners_refuse_settings_out_of_range(
    learner: type[GLearner] | type[LLearner], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        learner(**options)


def test_forgetting_to_limit_the_global_agent_is_said() -> None:
    """A table over all histograms of 1000 agents would need a terabyte."""
    with pytest.raises(ValueError, match=r"k=1000 needs a table of \d+ entries .*SubsampleObservation\(env, k\)"):
        AlternatingMARL(parallel_env(n_agents=1000))


def test_game_without_rewards_needs_an_eta(random_game: Games) -> None:
    empty = replace(random_game(0), global_reward=np.zeros((2, 2)), local_reward=np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="every reward of the game is 0, so eta must be given"):
        model_of(empty, config=AlternatingConfig())
    result = model_of(empty, config=AlternatingConfig(eta=0.1, n_rollouts=5)).learn()
    assert (result.converged, result.potential, len(result.history)) == (True, 0, 2)


def test_negative_rewards_are_learned_from(random_game: Games) -> None:
    """A shift of every reward moves potentials by c/(1-gamma) and no policy."""
    game = random_game(6, discount=0.8)
    config = AlternatingConfig(n_rollouts=200, eta=0.02, horizon=150)
    shifted = replace(game, global_reward=game.global_reward - 4)
    first, second = (model_of(g, config=config).learn() for g in (game, shifted))
    assert (first.global_policy.table == second.global_policy.table).all()
    assert first.local_policy.table == pytest.approx(second.local_policy.table, abs=1e-6)
    assert second.potential == pytest.approx(first.potential - 20, abs=1e-3)
