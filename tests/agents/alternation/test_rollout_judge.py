"""Judging by rollouts: no more of them than a verdict needs, the same verdicts as all of them give."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np
import numpy.typing as npt
import pytest

from kofn.agents import AlternatingConfig, AlternatingMARL
from kofn.agents.alternation import rollout_judge
from kofn.agents.alternation.rollout_judge import (
    FIRST_LOOK,
    RolloutJudge,
    RolloutJudgement,
    early_verdict_is_clear,
    looks,
)
from kofn.agents.alternation.setting import Setting
from kofn.agents.alternation.update import update_verdict
from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame

Games = Callable[..., TabularGame]
Array = npt.NDArray[np.float64]

ETA = 1.0


class Played:
    """Judgements of given returns, and how many chunks of each were asked for."""

    def __init__(self, *returns: Array) -> None:
        bounds = (0, *looks(len(returns[0])))
        self.n_chunks = [0] * len(returns)
        self.judgements = [
            RolloutJudgement(self._counted(i, [one[a:b] for a, b in pairwise(bounds)]), len(bounds) - 1)
            for i, one in enumerate(returns)
        ]

    def _counted(self, i: int, chunks: list[Array]) -> Callable[[int], Array]:
        def play(chunk: int) -> Array:
            assert chunk == self.n_chunks[i]  # each once, in order
            self.n_chunks[i] += 1
            return chunks[chunk]

        return play


def judge_of(game: TabularGame, n_rollouts: int) -> RolloutJudge:
    return RolloutJudge(setting=Setting(game=game, n_agents=4, k=2), horizon=30, n_rollouts=n_rollouts, seed=6)


@pytest.fixture(scope="module")
def judge(random_game: Games) -> RolloutJudge:
    """Of 2000 rollouts: looks at 250, 500, 1000 and 2000."""
    return judge_of(random_game(3, discount=0.8), 2000)


@pytest.fixture(scope="module")
def pairs(
    judge: RolloutJudge,
    random_local: Callable[..., LocalPolicy],
    random_global: Callable[..., GlobalPolicy],
) -> list[tuple[GlobalPolicy, LocalPolicy]]:
    game = judge.setting.game
    return [(random_global(game, 2, seed), random_local(game, seed)) for seed in range(6)]


@pytest.mark.parametrize(
    ("n_rollouts", "numbers"),
    [
        (2, (2,)),
        (250, (250,)),
        (251, (250, 251)),
        (500, (250, 500)),
        (600, (250, 500, 600)),
        (2000, (250, 500, 1000, 2000)),
    ],
)
def test_looks(n_rollouts: int, numbers: tuple[int, ...]) -> None:
    assert looks(n_rollouts) == numbers


def test_chunks_of_a_pair_are_the_same_whenever_they_are_played(judge: RolloutJudge, pairs) -> None:
    piecewise, at_once = (judge.judge(*pairs[0]) for _ in range(2))
    assert len(piecewise.first(1)) == FIRST_LOOK
    begun = piecewise.so_far
    assert begun == (piecewise.first(1).mean(), piecewise.first(1).std(ddof=1) / np.sqrt(FIRST_LOOK))
    assert (piecewise.details == at_once.details).all()
    assert len(at_once.details) == 2000
    assert piecewise.so_far == (piecewise.potential, piecewise.standard_error) != begun
    assert len(np.unique(at_once.details)) == 2000  # no chunk repeats another's numbers


def test_early_verdicts_agree_with_those_of_all_rollouts(judge: RolloutJudge, pairs) -> None:
    """Thirty differences at thresholds from clear to close; one in 10^4 early verdicts may be wrong (`ERROR`)."""
    returns = [judge.judge(*pair).details for pair in pairs]
    n_early = 0
    for old, new in permutations(returns, 2):
        gain = new.mean() - old.mean()
        for eta in (0.02, abs(gain) * 1.3, abs(gain) / 1.1):
            played = Played(old, new)
            found = judge.compare(*played.judgements, eta / 2)
            assert found.verdict == update_verdict(old.mean(), new.mean(), eta / 2)
            # What the history says of a comparison is about the rollouts that it took.
            assert found.verdict == update_verdict(found.potential, found.proposed_potential, eta / 2)
            assert (found.potential, found.proposed_potential) == tuple(one.so_far[0] for one in played.judgements)
            n_early += played.n_chunks[0] < len(judge.looks)
    assert 30 < n_early < 90


def test_clear_gains_take_a_first_look_and_close_ones_all(judge: RolloutJudge) -> None:
    noise = np.random.default_rng(0).normal(size=(2, 2000))
    for gain, n_chunks in ((9.0, 1), (-9.0, 1), (0.0, 1), (ETA + 0.3, 2), (ETA, 4), (-ETA, 4)):
        # Differences of deviation 1: at the second look 0.3 is 6.7 standard errors, at the first 4.7, which suffices
        # too unless the first chunk is against it: its mean is moved there to be 3 standard errors.
        returns = noise[0], noise[0] + noise[1] - noise[1].mean() + gain
        if n_chunks == 2:
            returns[1][:FIRST_LOOK] -= (returns[1] - returns[0])[:FIRST_LOOK].mean() - ETA - 3 / np.sqrt(FIRST_LOOK)
            returns[1][FIRST_LOOK : 2 * FIRST_LOOK] += 0.5
        played = Played(*returns)
        judge.compare(*played.judgements, ETA / 2)
        assert played.n_chunks == [n_chunks, n_chunks]


def test_the_current_pair_proposed_again_takes_one_look(judge: RolloutJudge) -> None:
    played = Played(np.arange(2000.0))
    found = judge.compare(played.judgements[0], played.judgements[0], ETA / 2)
    assert (found.verdict, found.standard_error, played.n_chunks) == ("overlap", 0.0, [1])


def test_differences_that_are_rare_wait_for_all_rollouts(judge: RolloutJudge) -> None:
    """Ninety-nine of the first 250 rollouts differ, by so little that the mean is far from every threshold."""
    zeros = np.zeros(2000)
    for n_different, n_chunks in ((99, 2), (100, 1)):
        other = zeros.copy()
        other[:n_different] = 1e-3 * np.random.default_rng(1).normal(size=n_different)
        other[FIRST_LOOK : 2 * FIRST_LOOK] = 1e-3
        played = Played(zeros, other)
        judge.compare(*played.judgements, ETA / 2)
        assert played.n_chunks == [n_chunks, n_chunks]


@pytest.mark.parametrize("sign", [1, -1])
def test_wrong_early_verdicts_are_as_rare_as_promised(sign: int) -> None:
    """At 5% instead of `ERROR`, so that it can be counted: 2000 comparisons whose true difference is all but eta.

    A wrong verdict takes a mean beyond eta by t standard errors at one of three looks, t of level 5% / 6 on that side:
    between that (one look) and three times that. The bounds are 4.5 standard deviations of the count away.
    """
    rng, n_trials, level, wrong = np.random.default_rng(2), 2000, 0.05, 0
    for _ in range(n_trials):
        differences = rng.normal(sign * (ETA - 1e-9), 1.0, 1000)
        for look in looks(2000)[:-1]:
            if early_verdict_is_clear(differences[:look], ETA / 2, 3, level):
                wrong += abs(differences[:look].mean()) >= ETA
                break
    least, most = n_trials * level / 6, n_trials * level / 2
    assert least - 4.5 * np.sqrt(least) < wrong < most + 4.5 * np.sqrt(most)


def test_a_race_keeps_the_best_and_drops_early_who_loses(judge: RolloutJudge) -> None:
    noise = np.random.default_rng(3).normal(size=(4, 2000))
    shared = 5 * np.random.default_rng(4).normal(size=2000)
    means = (0.0, 2.0, 2.02, 1.5)
    played = Played(*(shared + noise[i] - noise[i].mean() + mean for i, mean in enumerate(means)))
    assert judge.best(played.judgements) == 2
    assert played.n_chunks[0] == 1
    assert played.n_chunks[1] == played.n_chunks[2] == 4
    assert played.n_chunks[3] < 4
    alone = Played(shared)
    assert judge.best(alone.judgements) == 0
    assert alone.n_chunks == [4]


def test_a_race_decides_equal_pairs_by_their_order(judge: RolloutJudge, pairs) -> None:
    twins = [judge.judge(*pairs[1]) for _ in range(2)]
    assert judge.best(twins) == 0


def test_without_a_seed_pairs_still_share_their_numbers(random_game: Games, pairs) -> None:
    game = random_game(3, discount=0.8)
    judge = RolloutJudge(setting=Setting(game=game, n_agents=4, k=2), horizon=5, n_rollouts=20, seed=None)
    one, other = (judge.judge(*pairs[0]).details for _ in range(2))
    assert (one == other).all()


def test_settled_runs_play_fewer_rollouts(random_game: Games, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole alternation, counted: every pair but the last is played no further than its verdicts need."""
    counted: list[int] = []
    original = rollout_judge.evaluate_sampled

    def counting(*args, **options):
        counted.append(options["n_rollouts"])
        return original(*args, **options)

    monkeypatch.setattr(rollout_judge, "evaluate_sampled", counting)
    game = random_game(3, n_local=3, discount=0.8)
    game = replace(game, local_reward=game.local_reward + np.eye(3)[:, :2, None])  # paid for being where s_g is
    config = AlternatingConfig(n_rollouts=4000, horizon=20)
    model = AlternatingMARL(Setting(game=game, n_agents=6, k=2), config, seed=3)
    result = model.learn()
    assert [proposal.verdict[0] for proposal in result.history] == ["o", "a", "o", "o"]
    # The pair at the start, a first look; the one accepted, the same and at the end the rest.
    assert counted == [250, 250, 250, 500, 1000, 2000]
    judge = model._judge()
    assert result.potential == judge.judge(result.global_policy, result.local_policy).potential
