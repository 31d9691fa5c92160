r"""One macro step of N agents cut into stages with one local action each: the chained MDPs of L-LEARN as arrays.

The global policy pi_g is fixed. A state of the chain (paper, Algorithms 21 and 28) is

    x = (h; s_g; p; crowd),    h = 0..L-1 the stage,    p the pending next global state, none iff h = 0

and the crowd is the N agents, one by one or counted (`kofn.wrappers.crowds`). One micro-step:

    h = 0      a_g ~ alpha(. | s_g, c), c the histogram of all N agents,  p ~ P_g(. | s_g, a_g);  pays the mean of r_g
    every h    those who act at h move by P_l(. | s_h, s_g, a);  pays w_h r_l(s_h, s_g, a)
    h = L-1    commits: s_g <- p, p <- none, h <- 0

    alpha(a_g | s_g, c) = sum_F [prod_x C(c_x, F_x) / C(N, k)] pi_g(a_g | s_g, F),    F a fresh sample of k agents

p is drawn before anyone moves and everybody uses the OLD s_g, so that L micro-steps have the law of one macro step. The
local policy may look at o(x) = (s_h, s_g) only. States are numbered offset(h) + (s_g P_h + p) size(h) + i with P_0 = 1,
P_h = |S_g|, and i the number of the crowd; every legal state has a number and every number is a legal state.

Of a game that can only be sampled (`GenerativeGame`) micro-steps are drawn in the same law, a_g by the k agents seen,
and pay what was drawn in place of its mean: the returns have the same mean. Its tables are not known.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import gammaln

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.dynamics import Draws
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame
from kofn.envs.histograms import enumerate_histograms, rank_histograms
from kofn.envs.policies import GlobalPolicy
from kofn.envs.population import sample_without_replacement
from kofn.wrappers.crowds import Crowd, draw, draw_landing
from kofn.wrappers.finite_mdp import FiniteMDP

MAX_TABLE_ENTRIES = 2**24
"""States times actions times possible next states that `ChainModel.tables` may hold."""


@dataclass(frozen=True, eq=False)
class ChainState:
    """(h; s_g; p; crowd); `pending` is 0, and means nothing, at stage 0."""

    stage: int
    global_state: int
    pending: int
    row: IntArray


@dataclass(frozen=True, eq=False)
class ChainModel:
    """A game under a fixed global policy, with one local action per micro-step.

    Args:
        game: the game; one that can only be sampled is played, and has no tables.
        global_policy: pi_g, which sees k of the crowd's N agents.
        crowd: the N agents.
    """

    game: TabularGame | GenerativeGame
    global_policy: GlobalPolicy
    crowd: Crowd

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of states of every stage: |S_g| P_h size(h)."""
        n_global = self.game.n_global_states
        pending = [1] + [n_global] * (self.crowd.n_stages - 1)
        return tuple(n_global * options * self.crowd.size(stage) for stage, options in enumerate(pending))

    @property
    def n_states(self) -> int:
        """Number of legal states."""
        return sum(self.sizes)

    @property
    def n_successors(self) -> int:
        """The most states that may follow one."""
        later = [self.crowd.n_outcomes(stage) for stage in range(1, self.crowd.n_stages)]
        return max([self.game.n_global_states * self.crowd.n_outcomes(0), *later])

    def offset(self, stage: int) -> int:
        """Number of the first state of a stage."""
        return sum(self.sizes[:stage])

    def index(self, state: ChainState) -> int:
        """Number of a state."""
        n_pending = self.game.n_global_states if state.stage > 0 else 1
        block = state.global_state * n_pending + state.pending
        crowd = int(self.crowd.index(state.stage, state.row))
        return self.offset(state.stage) + block * self.crowd.size(state.stage) + crowd

    def labels(self) -> tuple[IntArray, IntArray, IntArray]:
        """(h, s_h, s_g) of every state, int64 [state] each."""
        stages = np.repeat(np.arange(self.crowd.n_stages), self.sizes)
        acting, global_states = [], []
        for stage, size in enumerate(self.sizes):
            local = self.crowd.acting(stage, self.crowd.rows(stage))
            acting.append(np.tile(local, size // len(local)))
            global_states.append(np.repeat(np.arange(self.game.n_global_states), size // self.game.n_global_states))
        return stages, np.concatenate(acting), np.concatenate(global_states)

    @property
    def _arrays(self) -> TabularGame:
        """The game, if it has rows of probabilities."""
        if not isinstance(self.game, TabularGame):
            raise TypeError(
                "the tables of a chain need the game's probabilities, and a GenerativeGame only gives samples; play "
                "it with step(), or use sampled_game(game, m) for an estimate of its arrays"
            )
        return self.game

    def tables(self) -> FiniteMDP:
        """Transitions, mean rewards (undiscounted) and start law over all legal states.

        Raises:
            TypeError: a game that can only be sampled.
        """
        game = self._arrays
        shape = (self.n_states, game.n_local_actions, self.n_successors)
        successors, probabilities = np.zeros(shape, dtype=np.int64), np.zeros(shape)
        for stage, size in enumerate(self.sizes):
            block = slice(self.offset(stage), self.offset(stage) + size)
            following, chances = self._moves(stage)
            successors[block, :, : following.shape[2]] = following
            probabilities[block, :, : following.shape[2]] = chances
        start = np.zeros(self.n_states)
        start[: self.sizes[0]] = np.outer(game.initial_global, self.crowd.start_law(game.initial_local)).ravel()
        return FiniteMDP(successors=successors, probabilities=probabilities, rewards=self._rewards(), start=start)

    def _moves(self, stage: int) -> tuple[IntArray, FloatArray]:
        """(successors, probabilities), [state of this stage, a_l, j] each."""
        n_global, n_actions = self.game.n_global_states, self.game.n_local_actions
        crowd, chances = self.crowd.outcomes(stage, self._arrays.local_transition)
        # Axes: s_g, p, crowd, a_l, next p, next crowd. Stage 0 draws p; later stages keep it.
        if stage == 0:
            law = np.einsum("gca,gap->gcp", self._actions(self.crowd.rows(0)), self._arrays.global_transition)
            pending = np.arange(n_global)[None, :]
        else:
            law = np.ones((n_global, len(crowd), 1))
            pending = np.arange(n_global)[:, None]
        ahead = self._block(stage, pending)[:, :, None, None, :, None] + crowd[None, None, :, None, None, :]
        weight = law[:, None, :, None, :, None] * chances.swapaxes(0, 1)[:, None, :, :, None, :]
        shape = (n_global, len(pending), len(crowd), n_actions, pending.shape[1], crowd.shape[1])
        flat = (self.sizes[stage], n_actions, -1)
        return np.broadcast_to(ahead, shape).reshape(flat), np.broadcast_to(weight, shape).reshape(flat)

    def _block(self, stage: int, pending: IntArray) -> IntArray:
        """Number of the first state of the next stage with given s_g and pending [p, next p], [s_g, p, next p]."""
        n_global = self.game.n_global_states
        if stage == self.crowd.n_stages - 1:
            committed = pending * self.crowd.size(0)
            return np.broadcast_to(committed, (n_global, *pending.shape))
        blocks = np.arange(n_global)[:, None, None] * n_global + pending
        following: IntArray = self.offset(stage + 1) + blocks * self.crowd.size(stage + 1)
        return following

    def _rewards(self) -> FloatArray:
        """Mean reward, float [state, a_l]."""
        blocks = []
        for stage, size in enumerate(self.sizes):
            rows = self.crowd.rows(stage)
            local = self._arrays.local_reward[self.crowd.acting(stage, rows)].swapaxes(0, 1)
            paid = self.crowd.share(stage, rows)[:, None] * local
            if stage == 0:
                paid = paid + np.einsum("gca,ga->gc", self._actions(rows), self._arrays.global_reward)[:, :, None]
            n_pending = size // (self.game.n_global_states * len(rows))
            blocks.append(np.repeat(paid[:, None], n_pending, axis=1).reshape(size, -1))
        return np.concatenate(blocks)

    def _actions(self, rows: IntArray) -> FloatArray:
        """Law alpha of a_g at stage 0, float [s_g, row, a_g]."""
        counts = self.crowd.counts(rows)
        if counts[0].sum() == self.global_policy.k:
            return np.asarray(self._policy_table[:, rank_histograms(counts)])
        return np.asarray(np.einsum("cf,gfa->gca", sampling_law(counts, self._seen), self._policy_table))

    @cached_property
    def _policy_table(self) -> FloatArray:
        return self.global_policy.probabilities()

    @cached_property
    def _seen(self) -> IntArray:
        return enumerate_histograms(self.global_policy.k, self.game.n_local_states)

    def draw_start(self, rng: np.random.Generator) -> ChainState:
        """The first state of an episode."""
        global_state = draw(rng, self.game.initial_global)
        return ChainState(0, global_state, 0, self.crowd.draw_start(rng, self.game.initial_local))

    def draw_step(self, rng: np.random.Generator, state: ChainState, action: int) -> tuple[ChainState, float]:
        """(next state, reward) of one micro-step, the mean reward where it is known; needs no tables."""
        game, stage = self.game, state.stage
        tabular = isinstance(game, TabularGame)
        pending, reward = state.pending, 0.0
        if stage == 0:
            pending, reward = self._pend(rng, state) if tabular else self._sample_pending(rng, state)
        landed, paid = self._land(rng, state, action) if tabular else self._sample_landing(rng, state, action)
        row, reward = self.crowd.moved(stage, state.row, landed), reward + paid
        if stage == self.crowd.n_stages - 1:
            return ChainState(0, pending, 0, row), reward
        return ChainState(stage + 1, state.global_state, pending, row), reward

    def _pend(self, rng: np.random.Generator, state: ChainState) -> tuple[int, float]:
        """(p, mean r_g)."""
        game, s_g = self._arrays, state.global_state
        alpha = self._actions(state.row[None])[s_g, 0]
        return draw(rng, alpha @ game.global_transition[s_g]), float(alpha @ game.global_reward[s_g])

    def _land(self, rng: np.random.Generator, state: ChainState, action: int) -> tuple[IntArray, float]:
        """(where those who act land [s_l], their part of the mean reward)."""
        game, stage, s_g = self._arrays, state.stage, state.global_state
        acting = int(self.crowd.acting(stage, state.row))
        law = game.local_transition[acting, s_g, action]
        paid = self.crowd.share(stage, state.row) * game.local_reward[acting, s_g, action]
        return draw_landing(rng, self.crowd.n_acting(stage, state.row), law), float(paid)

    def _sample_pending(self, rng: np.random.Generator, state: ChainState) -> tuple[int, float]:
        """(p, r_g), drawn after a_g by the agents that pi_g sees."""
        s_g, counts = np.array([state.global_state]), self.crowd.counts(state.row[None])
        a_g = self.global_policy.act(s_g, sample_without_replacement(rng, counts, self.global_policy.k), rng)
        rewards, moved = self.game.dynamics().step_global(Draws(rng, rng), s_g, a_g)
        return int(moved[0]), float(rewards[0])

    def _sample_landing(self, rng: np.random.Generator, state: ChainState, action: int) -> tuple[IntArray, float]:
        """(where those who act land [s_l], their part of the reward), each agent drawn."""
        game, stage = self.game, state.stage
        acting, n_acting = int(self.crowd.acting(stage, state.row)), self.crowd.n_acting(stage, state.row)
        s_l, s_g, a_l = (np.full(n_acting, value) for value in (acting, state.global_state, action))
        paid, moved = game.dynamics().step_local(Draws(rng, rng), s_l, s_g, a_l, seen=s_g)
        reward = self.crowd.share(stage, state.row) * paid.sum() / max(n_acting, 1)
        return np.bincount(moved, minlength=game.n_local_states), float(reward)


def sampling_law(counts: IntArray, seen: IntArray) -> FloatArray:
    """prod_x C(c_x, F_x) / C(N, k): law of the histograms F seen when k of N agents are drawn without replacement.

    Args:
        counts: histograms c of N agents, int64 [c, s_l].
        seen: all histograms F of k <= N agents, int64 [F, s_l].

    Returns:
        float [c, F].
    """
    log_law = np.zeros((len(counts), len(seen)))
    for c, f in zip(counts.T[:, :, None], seen.T[:, None, :], strict=True):
        # ln C(c, f); more agents than there are have ln 0, from the poles of gammaln.
        log_law += gammaln(c + 1) - gammaln(f + 1) - gammaln(c - f + 1)
    law = np.exp(log_law - log_law.max(axis=1, keepdims=True))
    return np.asarray(law / law.sum(axis=1, keepdims=True))
