r"""A lower bound on the Nash gap at any number of agents, from rollouts, that holds with a stated confidence.

The exact gap (`nash`) needs the chain of all n agents. With too many of them, deviations are tried by
rollouts with common random numbers, in two rounds with fresh randomness each, so that choosing does not bias what is
reported:

    choose      every candidate against the pair; keep the best per player
    confirm     the best alone: one-sided interval  mean gain - t_q se - gamma^H r~/(1-gamma) <= its true gain

with t_q Student's quantile and the last term for what rollouts of length H leave out of a difference of two returns (of
a single one, gamma^H times the largest size of a return, which is more where all rewards are negative). A gap is at
least the gain of any deviation, so each bound is one of that player's gap. With q = 1 - (1 - level)/3 the two bounds
and the one on Phi (below) hold together with probability `level`, up to the normal approximation of means of n_rollouts
returns.

Upper bounds come from `relaxed_potential`, less the lower bound on Phi; they are loose. Of a game that can only be
sampled they are confirmed on draws of their own (`sampled_relaxed_potential`); they may fail as well, each with
probability (1 - level)/5, and q = 1 - (1 - level)/5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from kofn.agents.alternation.update import sufficient_horizon
from kofn.agents.equilibrium.relaxation import relaxed_potential, sampled_relaxed_potential
from kofn.agents.evaluation import Evaluation, evaluate, standard_error
from kofn.agents.global_response.g_learn import g_learn
from kofn.agents.local_response.l_learn import l_learn
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import FloatArray, integer
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame, sampled_game
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.streams import Seed, child, seed_sequence

Pair = tuple[GlobalPolicy, LocalPolicy]

CHOOSING, CONFIRMING, LEARNING, GLOBAL_LIMIT, LOCAL_LIMIT = range(5)
"""Children of the seed."""

DRAWS_PER_ROLLOUT = 10
"""Draws of every row behind a sampled upper bound, per rollout."""

ROW_SAMPLES = 1000
"""Draws of every row of a game that can only be sampled, for candidates that are read off its rows."""

TRUNCATION = 1e-4
"""Part of r~/(1-gamma) that rollouts may leave out by default."""


@dataclass(frozen=True, kw_only=True)
class SampledGap:
    """One player's side of a `SampledNashGap`.

    Attributes:
        candidate: name of the best deviation found.
        gain: its estimated gain in the confirming round.
        standard_error: of `gain`.
        lower: bound on the player's gap from below; 0 when no deviation is confirmed to gain.
        upper: bound on the player's gap from above.
    """

    candidate: str
    gain: float
    standard_error: float
    lower: float
    upper: float


@dataclass(frozen=True, kw_only=True)
class SampledNashGap:
    """Outcome of `sampled_nash_gap`.

    Attributes:
        potential: estimated Phi of the pair (confirming round).
        standard_error: of `potential`.
        global_gap, local_gap: the two players' sides.
        level: probability with which all bounds hold together.
        horizon: H, steps per rollout.
        n_rollouts: rollouts per pair and round.
    """

    potential: float
    standard_error: float
    global_gap: SampledGap
    local_gap: SampledGap
    level: float
    horizon: int
    n_rollouts: int

    @property
    def lower(self) -> float:
        """With probability `level` the pair is no epsilon-equilibrium for any epsilon below this."""
        return max(self.global_gap.lower, self.local_gap.lower)


@checked_types
def sampled_nash_gap(
    game: TabularGame | GenerativeGame,
    global_policy: GlobalPolicy,
    local_policy: LocalPolicy,
    *,
    n_agents: int,
    global_candidates: Mapping[str, GlobalPolicy] | None = None,
    local_candidates: Mapping[str, LocalPolicy] | None = None,
    n_rollouts: int = 2000,
    level: float = 0.95,
    seed: Seed = None,
) -> SampledNashGap:
    """Bounds on what either player can gain by deviating, in the game of `n_agents`, any number.

    Args:
        game: the game; rollouts of one that can only be sampled draw every agent.
        global_policy: pi_g.
        local_policy: pi_l.
        n_agents: n.
        global_candidates: deviations of the global agent by name, which see as many agents as `global_policy`; omitted:
            `named_global_candidates`.
        local_candidates: deviations of the fleet by name; omitted: `named_local_candidates`.
        n_rollouts: rollouts per pair and round; the upper bounds of a game that can only be sampled take ten times as
            many draws of every row.
        level: probability with which all bounds hold together.
        seed: source of all randomness.

    Raises:
        TypeError, ValueError: an argument out of range, or a policy that does not fit.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1; got {level}")
    n_rollouts = integer("n_rollouts", n_rollouts, 2)
    root = seed_sequence(seed)
    if global_candidates is None:
        global_candidates = named_global_candidates(game, local_policy, global_policy.k, child(root, LEARNING))
    _check_class(global_policy.k, global_candidates)
    if local_candidates is None:
        local_candidates = named_local_candidates(game, global_policy, local_policy, child(root, LEARNING))
    error = TRUNCATION * (game.value_bound or game.return_bound)
    horizon = sufficient_horizon(game.return_bound, game.discount, error)
    trials = _Trials(game, n_agents, horizon, n_rollouts)
    global_pairs = {name: (policy, local_policy) for name, policy in global_candidates.items()}
    local_pairs = {name: (global_policy, policy) for name, policy in local_candidates.items()}
    return _bounds(trials, (global_policy, local_policy), (global_pairs, local_pairs), level, root)


def _check_class(k: int, candidates: Mapping[str, GlobalPolicy]) -> None:
    """Refuse candidates outside the class of policies whose gap is bounded."""
    for name, policy in candidates.items():
        if policy.k != k:
            raise ValueError(
                f"global_candidates must observe k={k} agents as global_policy does; {name!r} has k={policy.k}"
            )


def _bounds(
    trials: "_Trials", pair: Pair, deviations: Sequence[Mapping[str, Pair]], level: float, root: np.random.SeedSequence
) -> SampledNashGap:
    """Choose the best deviation of either player, and confirm it on fresh random numbers."""
    chosen = [trials.best(pair, candidates, child(root, CHOOSING)) for candidates in deviations]
    current = trials.returns(pair, child(root, CONFIRMING))
    share = (1 - level) / trials.n_statements
    quantile = float(stdtrit(trials.n_rollouts - 1, 1 - share))
    lowest_potential = current.mean - quantile * current.standard_error - trials.left_out_of_one
    limits = (
        trials.limit(pair[1], share, child(root, GLOBAL_LIMIT)),
        trials.limit(None, share, child(root, LOCAL_LIMIT)),
    )
    sides = []
    for (name, deviation), limit in zip(chosen, limits, strict=True):
        gains = trials.returns(deviation, child(root, CONFIRMING)).returns - current.returns
        sides.append(_side(name, gains, quantile, trials.left_out, limit - lowest_potential))
    return SampledNashGap(
        potential=current.mean,
        standard_error=current.standard_error,
        global_gap=sides[0],
        local_gap=sides[1],
        level=level,
        horizon=trials.horizon,
        n_rollouts=trials.n_rollouts,
    )


def _side(name: str, gains: FloatArray, quantile: float, left_out: float, upper: float) -> SampledGap:
    """One player's bounds from the paired gains of its best candidate."""
    gain, error = float(gains.mean()), standard_error(gains)
    lower = max(0.0, gain - quantile * error - left_out)
    return SampledGap(candidate=name, gain=gain, standard_error=error, lower=lower, upper=max(0.0, upper))


@dataclass(frozen=True, eq=False)
class _Trials:
    """Rollouts of pairs, on the random numbers of the seed given."""

    game: TabularGame | GenerativeGame
    n_agents: int
    horizon: int
    n_rollouts: int

    @property
    def n_statements(self) -> int:
        """Bounds that may fail: three from rollouts, and the two limits where they are sampled."""
        return 5 if isinstance(self.game, GenerativeGame) else 3

    def limit(self, local_policy: LocalPolicy | None, delta: float, seed: np.random.SeedSequence) -> float:
        """What no pair is worth, or no global policy against `local_policy`; sampled, it fails with `delta`."""
        if isinstance(self.game, GenerativeGame):
            return sampled_relaxed_potential(
                self.game, local_policy, n_samples=DRAWS_PER_ROLLOUT * self.n_rollouts, delta=delta, seed=seed
            )
        return relaxed_potential(self.game, local_policy)

    @property
    def left_out(self) -> float:
        """Largest change of a difference of returns by steps after the horizon."""
        return self.game.discount**self.horizon * self.game.value_bound

    @property
    def left_out_of_one(self) -> float:
        """Largest size of what a return owes to steps after the horizon."""
        return self.game.discount**self.horizon * self.game.return_bound

    def returns(self, pair: Pair, seed: np.random.SeedSequence) -> Evaluation:
        """Returns of a pair."""
        return evaluate(self.game, *pair, self.n_agents, horizon=self.horizon, n_rollouts=self.n_rollouts, seed=seed)

    def best(self, pair: Pair, candidates: Mapping[str, Pair], seed: np.random.SeedSequence) -> tuple[str, Pair]:
        """The candidate with the highest mean return; the pair itself, as "none", when there is no candidate."""
        means = {name: self.returns(candidate, seed).mean for name, candidate in candidates.items()}
        if not means:
            return "none", pair
        name = max(means, key=lambda name: means[name])
        return name, candidates[name]


def named_global_candidates(
    game: TabularGame | GenerativeGame, local_policy: LocalPolicy, k: int, seed: Seed = None
) -> dict[str, GlobalPolicy]:
    """Deviations of the global agent that are always worth trying: keep, each constant action, G-LEARN."""
    constants = {f"constant {a}": GlobalPolicy.constant(game, k, a) for a in range(game.n_global_actions)}
    learnt = g_learn(game, local_policy, k=k, seed=seed).policy
    return {"keep": GlobalPolicy.named("keep", _rows(game, seed), k), **constants, "g_learn": learnt}


def named_local_candidates(
    game: TabularGame | GenerativeGame, global_policy: GlobalPolicy, local_policy: LocalPolicy, seed: Seed = None
) -> dict[str, LocalPolicy]:
    """Deviations of the fleet that are always worth trying: stay, uniform, its own mode, L-LEARN from it."""
    mode = LocalPolicy(np.eye(game.n_local_actions)[local_policy.table.argmax(axis=2)])
    learnt = l_learn(game, global_policy, start=local_policy, seed=seed).policy
    names = {name: LocalPolicy.named(name, _rows(game, seed)) for name in ("stay", "uniform")}
    return {**names, "mode": mode, "l_learn": learnt}


def _rows(game: TabularGame | GenerativeGame, seed: Seed) -> TabularGame:
    """The game, or an estimate of it where it can only be sampled."""
    return game if isinstance(game, TabularGame) else sampled_game(game, ROW_SAMPLES, seed)
