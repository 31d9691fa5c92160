r"""The potential Phi by rollouts, and UPDATE on no more of them than its verdict needs.

Rollouts come in chunks, and chunk i of every pair meets the same starts, global noise and samples (common random
numbers). There is a look at two pairs after `FIRST_LOOK` rollouts, and whenever their number has doubled, up to all R
of them. With d the differences of the n rollouts that both pairs have then, s the standard error of their mean, L early
looks and h the half-width of UPDATE, whose thresholds are -2h and 2h, a look decides if

    | |mean d| - 2h | > t s,        t the quantile of Student's law of n-1 degrees at 1 - ERROR / (2 L),

and at least `TOLD_APART` of the differences are not 0. Otherwise more rollouts are played; all R of them decide as they
are. The verdict is UPDATE's on the means of the rollouts played.

An early verdict is not UPDATE's on the true potentials only where mean d is more than t s from the true difference: as
far as means of 250 and more returns are normal, this happens in at most `ERROR` of all comparisons (Bonferroni). Nor is
it likelier that all R rollouts would have told otherwise: they would have to make up for what was clear after some.
Looks are taken in the same order whatever has been played before: an interrupted run goes on to the same verdicts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import stdtrit

from kofn.agents.alternation.judges import Compared
from kofn.agents.alternation.setting import Setting
from kofn.agents.alternation.update import update_verdict
from kofn.agents.evaluation import standard_error
from kofn.agents.line_evaluation import evaluate_line
from kofn.agents.sampled_evaluation import evaluate_sampled
from kofn.envs.arrays import FloatArray
from kofn.envs.continuous import ContinuousGame
from kofn.envs.streams import Seed, child, seed_sequence
from kofn.wrappers.sampler_files import describe_sampler
from kofn.wrappers.samplers import Uniform

FIRST_LOOK = 250
"""Rollouts before the first look: enough for means of returns to be about normal."""

ERROR = 1e-4
"""Chance that an early verdict, or what a race drops, is wrong."""

TOLD_APART = 100
"""Differences that must not be 0 for a look to decide: the few that rare events make have no normal mean."""


def looks(n_rollouts: int) -> tuple[int, ...]:
    """Rollouts played at every look: `FIRST_LOOK`, twice as many, and so on; all at the last."""
    numbers = [min(FIRST_LOOK, n_rollouts)]
    while numbers[-1] < n_rollouts:
        numbers.append(min(2 * numbers[-1], n_rollouts))
    return tuple(numbers)


def clear_quantile(n_rollouts: int, tail: float) -> float:
    """Standard errors that a mean of `n_rollouts` normal numbers exceeds its expectation by with chance `tail`."""
    return float(stdtrit(n_rollouts - 1, 1 - tail))


def early_verdict_is_clear(differences: FloatArray, half_width: float, n_early: int, error: float = ERROR) -> bool:
    """Whether a look decides, one of `n_early` before the last.

    Args:
        differences: of paired rollouts, float [rollout].
        half_width: h.
        n_early: L.
        error: chance of a wrong verdict, over all looks.
    """
    if np.count_nonzero(differences) < TOLD_APART:
        return False
    distance = abs(abs(differences.mean()) - 2 * half_width)
    quantile = clear_quantile(len(differences), error / (2 * n_early))
    return bool(distance > quantile * standard_error(differences))


class RolloutJudgement:
    """Discounted returns of one pair, played when they are asked for.

    Args:
        play: returns of the chunk of a number, float [rollout].
        n_chunks: chunks in all.
    """

    def __init__(self, play: Callable[[int], FloatArray], n_chunks: int) -> None:
        self._play = play
        self._n_chunks = n_chunks
        self._played: list[FloatArray] = []

    def first(self, n_chunks: int) -> FloatArray:
        """Returns of the first chunks, float [rollout]."""
        while len(self._played) < n_chunks:
            self._played.append(self._play(len(self._played)))
        return np.concatenate(self._played[:n_chunks])

    @property
    def so_far(self) -> tuple[float, float]:
        """Phi and its standard error over the rollouts played so far, at least the first chunk."""
        returns = self.first(max(1, len(self._played)))
        return float(returns.mean()), standard_error(returns)

    @property
    def details(self) -> FloatArray:
        """Returns of all rollouts, float [rollout]."""
        return self.first(self._n_chunks)

    @property
    def potential(self) -> float:
        """Phi over all rollouts."""
        return float(self.details.mean())

    @property
    def standard_error(self) -> float:
        """Of `potential`."""
        return standard_error(self.details)


@dataclass(frozen=True, eq=False, kw_only=True)
class RolloutJudge:
    """Phi by rollouts, always on the same random numbers.

    Args:
        setting: game, n and k.
        horizon: steps per rollout.
        n_rollouts: R, the most rollouts per pair.
        seed: source of the random numbers.
    """

    setting: Setting
    horizon: int
    n_rollouts: int
    seed: Seed

    def __post_init__(self) -> None:
        """Validate."""
        continuous = isinstance(self.setting.game, ContinuousGame)
        if continuous and not isinstance(self.setting.sampler, Uniform):
            name = describe_sampler(self.setting.sampler)["name"]
            raise ValueError(f"pairs of a continuous game are judged on agents sampled uniformly, not by {name}")
        object.__setattr__(self, "seed", seed_sequence(self.seed))

    @property
    def looks(self) -> tuple[int, ...]:
        """Rollouts played at every look."""
        return looks(self.n_rollouts)

    def judge(self, global_policy: Any, local_policy: Any) -> RolloutJudgement:
        """Mean discounted return; networks take their most likely actions. Nothing is played yet."""
        return RolloutJudgement(partial(self._play, global_policy, local_policy), len(self.looks))

    def _play(self, global_policy: Any, local_policy: Any, chunk: int) -> FloatArray:
        """Returns of the rollouts between two looks, float [rollout]."""
        bounds, root = (0, *self.looks), seed_sequence(self.seed)
        options: dict[str, Any] = {
            "horizon": self.horizon,
            "n_rollouts": bounds[chunk + 1] - bounds[chunk],
            "seed": child(root, chunk) if chunk > 0 else root,
        }
        setting = self.setting
        pair = global_policy, local_policy, setting.n_agents
        if isinstance(setting.game, ContinuousGame):
            return evaluate_line(setting.game, *pair, **options).returns
        return evaluate_sampled(setting.game, *pair, setting.sampler, **options).returns

    def compare(self, old: RolloutJudgement, new: RolloutJudgement, half_width: float) -> Compared:
        """UPDATE on the potentials, as early as it is clear; the standard error is that of paired rollouts."""
        n_early = len(self.looks) - 1
        look = 1
        differences = new.first(look) - old.first(look)
        while look <= n_early and new is not old and not early_verdict_is_clear(differences, half_width, n_early):
            look += 1
            differences = new.first(look) - old.first(look)
        potentials = float(old.first(look).mean()), float(new.first(look).mean())
        return Compared(
            verdict=update_verdict(*potentials, half_width),
            potential=potentials[0],
            proposed_potential=potentials[1],
            standard_error=standard_error(differences),
        )

    def best(self, judgements: Sequence[RolloutJudgement]) -> int:
        """Position of the pair of the largest mean: a race, in which every look but the last drops who clearly loses.

        Who loses is told from the leader with chance `ERROR`, over all looks and pairs, of telling it wrongly. The last
        look is at all rollouts of the pairs that are left, unless one is left before.
        """
        left = list(range(len(judgements)))
        tail = ERROR / (len(self.looks) * len(judgements))
        for look, n_played in enumerate(self.looks, start=1):
            returns = {position: judgements[position].first(look) for position in left}
            leader = max(left, key=lambda position: float(returns[position].mean()))
            quantile = clear_quantile(n_played, tail)
            left = [p for p in left if not _loses(returns[p] - returns[leader], quantile)]
        return leader


def _loses(differences: FloatArray, quantile: float) -> bool:
    return bool(differences.mean() < -quantile * standard_error(differences))
