r"""The n-agent game under a fixed fleet, played by compiled rollouts: returns, and the gradient in the global policy.

A(s_g, F, a) = dPhi/dpi_g(a | s_g, F) = E sum_t gamma^t 1{s_g(t) = s_g} O(F | mu_t) Q(s_g, mu_t, a). Particles (s_g, mu)
are where rollouts stop at a geometric time, which has the law of the discounted occupancy. At each of them

    Q(s_g, mu, a) = r_g(s_g, a) + <mu, r~(., s_g)> + gamma sum_{s_g'} P_g(s_g' | s_g, a) V(s_g', mu'),

V by one rollout from every s_g', all on the same random numbers, so that differences between actions are known better
than values. Every particle then counts for every F with its probability O(F | mu), which is exact, rather than for one
drawn F: with few particles the rare F are still estimated.

Where the policy's table is coarse (`coarse_policy`), each particle counts for `DRAWS` samples F drawn, rounded.

Above `MAX_INDIVIDUALS` agents the limit n -> infinity is played: histograms differ from it by O(n^{-1/2}). What comes
out is judged in the n-agent game.
"""

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from kofn.agents.global_response.observation_aware.coarse_policy import coarse_histograms, coarse_tails
from kofn.agents.global_response.observation_aware.crowd_play import play
from kofn.agents.operators import induced_reward, induced_transition
from kofn.agents.product_channel import gather, hypergeometric_weights, multinomial_weights
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.game import TabularGame
from kofn.envs.histograms import enumerate_histograms, rank_histograms, rank_terms
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.policies import LocalPolicy
from kofn.envs.population import conditional_probabilities, sample_multinomial, sample_without_replacement
from kofn.envs.side_by_side import parts, side_by_side
from kofn.envs.streams import child

MAX_INDIVIDUALS = 200
"""Agents up to which every one is drawn."""

CUT = 0.01
"""Share of r~/(1-gamma) that rollouts leave out at their end, the same for all."""

DRAWS = 32
"""Samples drawn at each particle where they are too many to be enumerated."""

Crowds = tuple[IntArray, FloatArray, IntArray]
"""Global states [rollout], crowds [rollout, s_l] and streams uint64 [rollout]."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CrowdGame:
    """The game of n agents under a fixed local policy.

    Attributes:
        game: the game.
        local_policy: pi_l.
        n_agents: n.
        k: agents seen.
        seed: source of all randomness.
        resolution: agents that the histograms of tables count (0: k).
    """

    game: TabularGame
    local_policy: LocalPolicy
    n_agents: int
    k: int
    seed: np.random.SeedSequence
    resolution: int = 0

    @property
    def shown(self) -> int:
        """Agents that the histograms of tables count."""
        return self.resolution if self.resolution > 0 else self.k

    @property
    def drawn(self) -> int:
        """Agents drawn one by one; 0: none, the limit is played."""
        return self.n_agents if self.n_agents <= MAX_INDIVIDUALS else 0

    @property
    def horizon(self) -> int:
        """Steps after which less than `CUT` of a return is left."""
        return int(np.ceil(np.log(CUT) / np.log(self.game.discount)))

    @cached_property
    def histograms(self) -> IntArray:
        """Histograms of tables, in rank order."""
        return enumerate_histograms(self.shown, self.game.n_local_states)

    @cached_property
    def _terms(self) -> IntArray:
        tails = coarse_tails(np.arange(self.k + 1), self.k, self.shown)
        return np.ascontiguousarray(rank_terms(self.shown, self.game.n_local_states)[:, tails])

    @cached_property
    def _arrays(self) -> tuple[FloatArray, FloatArray]:
        laws, rewards = induced_transition(self.game, self.local_policy), induced_reward(self.game, self.local_policy)
        return np.ascontiguousarray(laws), np.ascontiguousarray(rewards)

    def starts(self, n_rollouts: int, *key: int) -> Crowds:
        """States at time 0 and streams, named by `key`."""
        rng = np.random.default_rng(child(self.seed, *key))
        crowds = self.game.initial_local.draw(rng, n_rollouts)
        if self.drawn > 0:
            totals = np.full(n_rollouts, self.drawn, dtype=np.int64)
            crowds = sample_multinomial(rng, totals, conditional_probabilities(crowds)) / self.drawn
        thresholds = cumulative_thresholds(self.game.initial_global)
        return sample_rows(rng.random(n_rollouts), thresholds), crowds, _keys(rng, n_rollouts)

    def returns(self, table: IntArray, starts: Crowds, lengths: IntArray | None = None) -> tuple[FloatArray, Crowds]:
        """Discounted returns under pi_g = `table`, and where the rollouts stop."""
        global_states, crowds, keys = starts[0].copy(), starts[1].copy(), starts[2]
        laws, rewards = self._arrays
        lengths = np.full(len(keys), self.horizon) if lengths is None else lengths
        game, sizes = self.game, np.array([self.drawn, self.k])
        table = np.ascontiguousarray(table, dtype=np.int64)
        fixed = (laws, rewards, game.global_transition, game.global_reward, table, self._terms)
        tasks = [
            partial(play, *fixed, global_states[part], crowds[part], keys[part], lengths[part], sizes, game.discount)
            for part in parts(len(keys))
        ]
        found = side_by_side(tasks, len(keys) * self.horizon)
        return np.concatenate(found), (global_states, crowds, keys)

    def gradient(self, table: IntArray, n_particles: int, *key: int) -> tuple[FloatArray, FloatArray]:
        """(A, visits): A as above, float [s_g, F, a_g], and the visits d(s_g, F), float [s_g, F]."""
        game = self.game
        states, crowds, values = self._particles(table, n_particles, *key)
        columns = np.column_stack([values, np.ones(n_particles)])
        if self.shown < self.k:
            found = self._gathered_from_draws(states, crowds, columns, np.random.default_rng(child(self.seed, *key, 2)))
        else:
            here = [states == s_g for s_g in range(game.n_global_states)]
            tasks = [partial(gather, self._channel(crowds[at]), columns[at]) for at in here]
            found = np.stack(side_by_side(tasks, n_particles * len(self.histograms)))
        found /= n_particles * (1 - game.discount)
        return found[..., :-1], found[..., -1]

    def _particles(self, table: IntArray, n_particles: int, *key: int) -> tuple[IntArray, FloatArray, FloatArray]:
        """Particles of the discounted occupancy: s_g, crowd, and Q(s_g, crowd, .) of every one."""
        game, rng = self.game, np.random.default_rng(child(self.seed, *key, 1))
        lengths = np.minimum(rng.geometric(1 - game.discount, size=n_particles) - 1, 10 * self.horizon)
        _, (states, crowds, _) = self.returns(table, self.starts(n_particles, *key), lengths)
        laws, rewards = self._arrays
        ahead = np.einsum("bx,bxy->by", crowds, laws[states])
        if self.drawn > 0:
            moved = [
                sample_multinomial(
                    rng, np.rint(crowds[:, x] * self.drawn).astype(np.int64), conditional_probabilities(laws[states, x])
                )
                for x in range(laws.shape[1])
            ]
            ahead = np.sum(moved, axis=0) / self.drawn
        keys = _keys(rng, n_particles)
        later = [self.returns(table, (np.full(n_particles, s_g), ahead, keys))[0] for s_g in range(len(laws))]
        expected = np.einsum("bap,pb->ba", game.global_transition[states], np.stack(later))
        paid = game.global_reward[states] + np.einsum("bx,bx->b", crowds, rewards[states])[:, None]
        return states, crowds, paid + game.discount * expected

    def _gathered_from_draws(
        self, states: IntArray, crowds: FloatArray, columns: FloatArray, rng: np.random.Generator
    ) -> FloatArray:
        """Sums of `columns` over what is seen at every particle, float [s_g, F, column], from `DRAWS` samples of it."""
        many = np.repeat(crowds, DRAWS, axis=0)
        if self.drawn > 0:
            seen = sample_without_replacement(rng, np.rint(many * self.drawn).astype(np.int64), self.k)
        else:
            seen = sample_multinomial(rng, np.full(len(many), self.k), conditional_probabilities(many))
        ranks = rank_histograms(coarse_histograms(seen, self.k, self.shown))
        found = np.zeros((self.game.n_global_states, len(self.histograms), columns.shape[1]))
        np.add.at(found, (np.repeat(states, DRAWS), ranks), np.repeat(columns, DRAWS, axis=0) / DRAWS)
        return found

    def _channel(self, crowds: FloatArray) -> FloatArray:
        """O(F | crowd) as `product_channel` has it."""
        if self.drawn == 0:
            return multinomial_weights(crowds, self.k)
        return hypergeometric_weights(np.rint(crowds * self.drawn), self.drawn, self.k)


def _keys(rng: np.random.Generator, size: int) -> IntArray:
    keys: IntArray = rng.integers(2**63, size=size, dtype=np.uint64)
    return keys
