r"""A game estimated from logged transitions, so that every learner works where no tables are known.

Transition rows are relative frequencies: N(s_g, a_g, s_g') over steps, N(x, s_g, a, y) over all observed local agents,
who follow one law. Global rewards are means. Local rewards are means of own rewards where the log holds them; otherwise
what is observed is their mean over D, linear in r_l,

    r_D - r_g = sum_{x, a} z(x, a)/k r_l(x, s_g, a),       z(x, a) agents of D in x that took a,

so that r_l(., s_g, .) solves a least-squares problem over the steps in s_g; where rewards are not random it is exact as
soon as the columns are independent.

Confidence. For one row with N visits and S outcomes Weissman's inequality bounds the L1 error of the frequencies. N may
depend on the outcomes, so it is applied at every N at once, at level delta_row/(N(N+1)) (which sums to delta_row):

    |p^ - p|_1 <= sqrt( 2 ln( (2^S - 2) N (N+1) / delta_row ) / N ),       delta_row = delta / number of rows,

for all rows of the game together with probability 1 - delta. Rewards come with standard errors.

Rows never visited are not guessed. By default they are an error; told so, the estimate fills them in, and lists them:
an unvisited row keeps its state ("stay") or is uniform ("uniform"), and what was never paid counts as the lowest
reward that is known for that player. Local rewards that the log visits but does not determine (dependent columns) are
listed too; there the least-squares solution of smallest norm stands in.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from kofn.agents.logged_data.collect import chance
from kofn.agents.logged_data.reward_sums import means_and_deviations
from kofn.agents.logged_data.transitions import Transitions
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import BoolArray, FloatArray, IntArray, one_of, positive
from kofn.envs.game import TabularGame
from kofn.envs.model import Game

OnUnvisited = Literal["error", "stay", "uniform"]
ON_UNVISITED = ("error", "stay", "uniform")

DETERMINED = 1e-9
"""A reward is determined if its unit vector lies in the row space of the regression, within this squared distance."""

LISTED = 8
"""Rows that an error names."""


@dataclass(frozen=True, eq=False, kw_only=True)
class GameEstimate:
    """An estimated game, and how far it can be trusted.

    Attributes:
        game: the estimate.
        global_counts: visits of every global row, int64 [s_g, a_g].
        local_counts: visits of every local row, int64 [s_l, s_g, a_l].
        global_radius: bound on the L1 error of P_g's rows, float [s_g, a_g]; 2 where it says nothing.
        local_radius: the same of P_l's rows, float [s_l, s_g, a_l].
        global_reward_error: standard errors of r_g, float [s_g, a_g]; inf where fewer than two visits were made.
        local_reward_error: standard errors of r_l, float [s_l, s_g, a_l]; inf where they are not known.
        unvisited_global: rows (s_g, a_g) never visited, int64 [row, 2].
        unvisited_local: rows (s_l, s_g, a_l) never visited, int64 [row, 3].
        undetermined_rewards: (s_l, s_g, a_l) whose local reward the log does not determine, int64 [row, 3].
        on_unvisited: how unvisited rows were to be filled in.
        delta: probability that some row is further off than its radius.
    """

    game: TabularGame
    global_counts: IntArray
    local_counts: IntArray
    global_radius: FloatArray
    local_radius: FloatArray
    global_reward_error: FloatArray
    local_reward_error: FloatArray
    unvisited_global: IntArray
    unvisited_local: IntArray
    undetermined_rewards: IntArray
    on_unvisited: OnUnvisited
    delta: float

    @property
    def complete(self) -> bool:
        """Whether everything in the game was estimated and nothing filled in."""
        return not (len(self.unvisited_global) or len(self.unvisited_local) or len(self.undetermined_rewards))


@checked_types
def estimate_game(
    transitions: Transitions,
    *,
    discount: float,
    like: Game | None = None,
    on_unvisited: OnUnvisited = "error",
    delta: float = 0.05,
) -> GameEstimate:
    """The game behind a log, by counting.

    Args:
        transitions: the log.
        discount: gamma in (0, 1).
        like: a game with the initial laws and labels that the estimate is to have; omitted: uniform starts, numbered
            labels. A log of steps does not tell how episodes start.
        on_unvisited: "error", or how unvisited rows are filled in: "stay" or "uniform".
        delta: probability that some row may be further off than its radius, in (0, 1].

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range; or, with on_unvisited="error", rows that
            were never visited and rewards that are not determined, by index.
    """
    one_of("on_unvisited", on_unvisited, ON_UNVISITED)
    delta = positive("delta", chance("delta", delta))
    global_moves = _global_moves(transitions)
    global_counts, local_counts = global_moves.sum(axis=2), transitions.local_moves.sum(axis=3)
    global_rewards = _global_rewards(transitions, global_counts)
    local_rewards = _own_rewards(transitions) if transitions.own_rewards is not None else _regressed(transitions)
    undetermined = ~local_rewards.determined & (local_counts > 0)
    if on_unvisited == "error":
        _demand_all(global_counts == 0, local_counts == 0, undetermined)
    n_rows = global_counts.size + local_counts.size
    game = TabularGame(
        global_transition=_frequencies(global_moves, on_unvisited),
        local_transition=_frequencies(transitions.local_moves, on_unvisited),
        global_reward=global_rewards.filled(),
        local_reward=local_rewards.filled(),
        discount=discount,
        **({} if like is None else {name: getattr(like, name) for name in _TAKEN_OVER}),
    )
    return GameEstimate(
        game=game,
        global_counts=global_counts,
        local_counts=local_counts,
        global_radius=l1_radius(global_counts, global_moves.shape[-1], delta / n_rows),
        local_radius=l1_radius(local_counts, len(local_counts), delta / n_rows),
        global_reward_error=global_rewards.errors,
        local_reward_error=local_rewards.errors,
        unvisited_global=np.argwhere(global_counts == 0),
        unvisited_local=np.argwhere(local_counts == 0),
        undetermined_rewards=np.argwhere(undetermined),
        on_unvisited=on_unvisited,
        delta=delta,
    )


_TAKEN_OVER = ("initial_global", "initial_local", "labels")


def l1_radius(counts: IntArray, n_outcomes: int, delta: float) -> FloatArray:
    """Bound on the L1 error of relative frequencies, at level `delta` whatever decided the counts; at most 2.

    Args:
        counts: visits, int [...].
        n_outcomes: S.
        delta: probability that the bound of one entry fails.
    """
    if n_outcomes == 1:
        return np.zeros(counts.shape)
    visits = np.maximum(counts, 1)
    log_sets = n_outcomes * np.log(2) + np.log1p(-(2.0 ** (1 - n_outcomes)))  # ln(2^S - 2)
    radius = np.sqrt(2 * (log_sets + np.log(visits * (visits + 1.0) / delta)) / visits)
    return np.where(counts > 0, np.minimum(radius, 2.0), 2.0)


class _Rewards(NamedTuple):
    """Estimated rewards, whether anything was paid there, whether they are determined, and their standard errors."""

    means: FloatArray
    paid: BoolArray
    determined: BoolArray
    errors: FloatArray

    def filled(self) -> FloatArray:
        """The means; where nothing was paid, the lowest of those that are determined (if none is, of all)."""
        known = self.determined if self.determined.any() else self.paid
        return np.where(self.paid, self.means, self.means[known].min())


def _global_moves(transitions: Transitions) -> IntArray:
    """N(s_g, a_g, s_g')."""
    n_states, n_actions = transitions.sizes.n_global_states, transitions.n_global_actions
    moves = np.zeros((n_states, n_actions, n_states), dtype=np.int64)
    np.add.at(moves, (transitions.global_states, transitions.global_actions, transitions.next_global_states), 1)
    return moves


def _global_rewards(transitions: Transitions, counts: IntArray) -> _Rewards:
    """Means of r_g [s_g, a_g]."""
    at = transitions.global_states, transitions.global_actions
    sums, squares = np.zeros(counts.shape), np.zeros(counts.shape)
    np.add.at(sums, at, transitions.global_rewards)
    means = sums / np.maximum(counts, 1)
    np.add.at(squares, at, (transitions.global_rewards - means[at]) ** 2)
    return _Rewards(means, counts > 0, counts > 0, _standard_errors(squares, counts))


def _own_rewards(transitions: Transitions) -> _Rewards:
    """Means of the agents' own rewards [s_l, s_g, a_l]."""
    assert transitions.own_rewards is not None
    assert transitions.own_offsets is not None
    counts = transitions.local_moves.sum(axis=3)
    means, centred = means_and_deviations(transitions.own_rewards, transitions.own_offsets, counts)
    return _Rewards(means, counts > 0, counts > 0, _standard_errors(centred, counts))


def _standard_errors(squares: FloatArray, counts: IntArray) -> FloatArray:
    """Of means, from the sums of squared deviations; inf where fewer than two rewards were paid."""
    errors = np.sqrt(squares / (np.maximum(counts - 1, 1) * np.maximum(counts, 1)))
    return np.where(counts > 1, errors, np.inf)


def _regressed(transitions: Transitions) -> _Rewards:
    """r_l [s_l, s_g, a_l] by least squares on the means over D, one regression per s_g."""
    sizes = transitions.sizes
    shares = transitions.sampled_counts.reshape(len(transitions), -1) / transitions.k
    paid = transitions.sampled_rewards - transitions.global_rewards
    rows = [transitions.global_states == s_g for s_g in range(sizes.n_global_states)]
    columns = zip(*[_least_squares(shares[row], paid[row]) for row in rows], strict=True)
    shape = (sizes.n_global_states, sizes.n_local_states, sizes.n_local_actions)
    return _Rewards(*(np.stack(column).reshape(shape).swapaxes(0, 1) for column in columns))


def _least_squares(rows: FloatArray, values: FloatArray) -> _Rewards:
    """The coefficients of smallest norm [column], and whether their column occurs at all."""
    # The triangle poses the same problem in as many rows as there are columns, and one more.
    triangle: FloatArray = np.asarray(np.linalg.qr(np.column_stack([rows, values]), mode="r"))
    left, scales, right = np.linalg.svd(triangle[:, :-1], full_matrices=False)
    rank = int((scales > scales.max(initial=0.0) * max(rows.shape) * np.finfo(np.float64).eps).sum())
    left, scales, right = left[:, :rank], scales[:rank], right[:rank]
    coefficients = right.T @ (left.T @ triangle[:, -1] / scales)
    occurs = np.asarray(rows.any(axis=0))
    determined = (right**2).sum(axis=0) > 1 - DETERMINED
    freedom = len(rows) - rank
    if freedom == 0:
        return _Rewards(coefficients, occurs, determined, np.full(len(occurs), np.inf))
    variance = ((triangle[:, -1] - triangle[:, :-1] @ coefficients) ** 2).sum() / freedom
    errors = np.sqrt(variance * ((right / scales[:, None]) ** 2).sum(axis=0))
    return _Rewards(coefficients, occurs, determined, np.where(determined, errors, np.inf))


def _frequencies(moves: IntArray, on_unvisited: OnUnvisited) -> FloatArray:
    """Relative frequencies [state, .., outcome]; unvisited rows keep their state or are uniform."""
    totals = moves.sum(axis=-1, keepdims=True)
    n_outcomes = moves.shape[-1]
    if on_unvisited == "stay":
        rest = np.eye(n_outcomes).reshape(n_outcomes, *[1] * (moves.ndim - 2), n_outcomes)
    else:
        rest = np.full(n_outcomes, 1 / n_outcomes)
    return np.where(totals > 0, moves / np.maximum(totals, 1), rest)


def _demand_all(unvisited_global: BoolArray, unvisited_local: BoolArray, undetermined: BoolArray) -> None:
    """Raise ValueError that lists what the log does not tell."""
    gaps = {
        "never visits the global rows (s_g, a_g)": unvisited_global,
        "never visits the local rows (s_l, s_g, a_l)": unvisited_local,
        "does not determine the local rewards (s_l, s_g, a_l)": undetermined,
    }
    found = [f"{what} {_listed(np.argwhere(where))}" for what, where in gaps.items() if where.any()]
    if found:
        raise ValueError(
            f"the log {'; it '.join(found)}. Log more steps, or have them filled in: on_unvisited='stay' or 'uniform'"
        )


def _listed(rows: IntArray) -> str:
    """The first rows, and how many there are."""
    shown = ", ".join(str(tuple(row)) for row in rows[:LISTED].tolist())
    return shown if len(rows) <= LISTED else f"{shown}, .. ({len(rows)} in all)"
