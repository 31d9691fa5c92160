r"""The N agents of a chained MDP: one by one (`Replicas`), or counted by local state (`Counts`).

In a macro step the agents act stage by stage, h = 0..L-1, under one global state s_g. A crowd says which configurations
there are at a stage and how they are numbered, who acts, and where those who act may land; the numbering is arithmetic,
so that a configuration can be drawn and numbered without a list of all of them.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import gammaln, xlogy

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.histograms import enumerate_histograms, n_histograms, rank_histograms
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.population import conditional_probabilities, count_states, sample_multinomial
from kofn.envs.start_law import StartLaw


class Crowd(Protocol):
    """The N agents of a chain: configurations are rows of integers, int64 [..., width], numbered stage by stage."""

    @property
    def n_stages(self) -> int:
        """L, micro-steps per macro step."""

    def size(self, stage: int) -> int:
        """Number of configurations at a stage."""

    def rows(self, stage: int) -> IntArray:
        """All configurations at a stage in the order of their numbers, int64 [size, width]."""

    def index(self, stage: int, rows: IntArray) -> IntArray:
        """Numbers of configurations [..., width], int64 [...]."""

    def counts(self, rows: IntArray) -> IntArray:
        """Histograms of all N agents at stage 0, int64 [..., s_l]."""

    def acting(self, stage: int, rows: IntArray) -> IntArray:
        """s_h, the local state of those who act, int64 [...]."""

    def share(self, stage: int, rows: IntArray) -> FloatArray:
        """w_h, the weight of their r_l in the reward, float [...]."""

    def n_outcomes(self, stage: int) -> int:
        """J, the most configurations that may follow one at a stage."""

    def outcomes(self, stage: int, local_transition: FloatArray) -> tuple[IntArray, FloatArray]:
        """(numbers at the next stage [size, J], their probabilities [size, s_g, a_l, J]); spare entries are 0."""

    def start_law(self, law: StartLaw) -> FloatArray:
        """Law of the configuration at stage 0 of an episode, float [size(0)]."""

    def draw_start(self, rng: np.random.Generator, law: StartLaw) -> IntArray:
        """A configuration drawn from `start_law`, int64 [width]."""

    def n_acting(self, stage: int, row: IntArray) -> int:
        """How many agents of a configuration [width] act at a stage."""

    def moved(self, stage: int, row: IntArray, landed: IntArray) -> IntArray:
        """The configuration [width] after those who act have landed, `landed` [s_l'] of them in each state."""


@dataclass(frozen=True)
class Replicas:
    """N agents kept one by one: a configuration is (s_1, .., s_N), numbered in mixed radix, s_1 first."""

    n_agents: int
    n_local_states: int

    @property
    def n_stages(self) -> int:
        """One per replica."""
        return self.n_agents

    def size(self, stage: int) -> int:  # noqa: ARG002  # one interface for all crowds
        """|S_l|^N, at every stage."""
        return int(self.n_local_states**self.n_agents)

    def _radix(self) -> IntArray:
        return self.n_local_states ** np.arange(self.n_agents - 1, -1, -1, dtype=np.int64)

    def rows(self, stage: int) -> IntArray:
        """All tuples, int64 [size, N]."""
        return np.arange(self.size(stage))[:, None] // self._radix() % self.n_local_states

    def index(self, stage: int, rows: IntArray) -> IntArray:  # noqa: ARG002  # one interface for all crowds
        """Numbers of tuples [..., N]."""
        return np.asarray(rows @ self._radix())

    def counts(self, rows: IntArray) -> IntArray:
        """Histograms of tuples [m, N]."""
        return count_states(rows, self.n_local_states)

    def acting(self, stage: int, rows: IntArray) -> IntArray:
        """s_h."""
        return np.asarray(rows[..., stage])

    def share(self, stage: int, rows: IntArray) -> FloatArray:  # noqa: ARG002  # one interface for all crowds
        """1/N."""
        return np.full(rows.shape[:-1], 1 / self.n_agents)

    def n_outcomes(self, stage: int) -> int:  # noqa: ARG002  # one interface for all crowds
        """|S_l|."""
        return self.n_local_states

    def outcomes(self, stage: int, local_transition: FloatArray) -> tuple[IntArray, FloatArray]:
        """Replica h moves, the others stay."""
        acting = self.acting(stage, self.rows(stage))
        shift = np.arange(self.n_local_states) - acting[:, None]
        return np.arange(len(acting))[:, None] + shift * self._radix()[stage], local_transition[acting]

    def start_law(self, law: StartLaw) -> FloatArray:
        """Replicas are exchangeable: every order of a histogram is equally likely."""
        counts = self.counts(self.rows(0))
        orders = np.exp(gammaln(self.n_agents + 1) - gammaln(counts + 1).sum(axis=1))
        return np.asarray(law.histogram_law(self.n_agents)[rank_histograms(counts)] / orders)

    def draw_start(self, rng: np.random.Generator, law: StartLaw) -> IntArray:
        """Independent given the episode's distribution."""
        thresholds = cumulative_thresholds(law.draw(rng, 1))
        return sample_rows(rng.random(self.n_agents), thresholds)

    def n_acting(self, stage: int, row: IntArray) -> int:  # noqa: ARG002  # one interface for all crowds
        """Replica h alone."""
        return 1

    def moved(self, stage: int, row: IntArray, landed: IntArray) -> IntArray:
        """Replica h is in another state."""
        moved = row.copy()
        moved[stage] = landed.argmax()
        return moved


@dataclass(frozen=True)
class Counts:
    """N agents counted by local state, one of them by itself if `tagged`.

    A configuration at bin b is a histogram of the counted agents over 2S-b cells: the bins b..S-1 not yet moved, then
    the S states of those that have moved (at the first bin nobody has, and these are left out). The tagged agent's
    state, if any, stands before it. Numbers are ranks of histograms, the tagged agent's state most significant.
    """

    n_agents: int
    n_local_states: int
    tagged: bool

    @property
    def n_stages(self) -> int:
        """One per local state, and one for the tagged agent."""
        return self.n_local_states + self.tagged

    @property
    def _n_counted(self) -> int:
        return self.n_agents - self.tagged

    def _bin(self, stage: int) -> int:
        """b; -1 when the tagged agent moves."""
        return stage % self.n_stages - self.tagged

    def _n_cells(self, stage: int) -> int:
        """Cells that the counted agents occupy at a stage."""
        moving = self._bin(stage)
        return 2 * self.n_local_states - moving if moving > 0 else self.n_local_states

    def _n_counts(self, stage: int) -> int:
        """Number of histograms of the counted agents at a stage."""
        return n_histograms(self._n_counted, self._n_cells(stage))

    def size(self, stage: int) -> int:
        """Histograms, times the tagged agent's states."""
        return self._n_counts(stage) * (self.n_local_states if self.tagged else 1)

    def rows(self, stage: int) -> IntArray:
        """All configurations, int64 [size, width]."""
        counted = enumerate_histograms(self._n_counted, self._n_cells(stage))
        if not self.tagged:
            return counted
        tags = np.repeat(np.arange(self.n_local_states), len(counted))
        return np.column_stack([tags, np.tile(counted, (self.n_local_states, 1))])

    def index(self, stage: int, rows: IntArray) -> IntArray:
        """Numbers of configurations [..., width]."""
        ranks = rank_histograms(rows[..., self.tagged :])
        return rows[..., 0] * self._n_counts(stage) + ranks if self.tagged else ranks

    def counts(self, rows: IntArray) -> IntArray:
        """The others, and the tagged agent."""
        if not self.tagged:
            return rows
        return rows[..., 1:] + np.eye(self.n_local_states, dtype=np.int64)[rows[..., 0]]

    def acting(self, stage: int, rows: IntArray) -> IntArray:
        """The bin, or the tagged agent's state."""
        moving = self._bin(stage)
        return np.asarray(rows[..., 0] if moving < 0 else np.full(rows.shape[:-1], moving))

    def share(self, stage: int, rows: IntArray) -> FloatArray:
        """c_b/N; if one agent is tagged, 1 for it and 0 for the others."""
        if self.tagged:
            return np.full(rows.shape[:-1], float(stage == 0))
        return np.asarray(rows[..., 0] / self.n_agents)

    def n_outcomes(self, stage: int) -> int:
        """Histograms of all counted agents, when they stand in one bin; |S_l| for the tagged agent."""
        return self.n_local_states if self._bin(stage) < 0 else n_histograms(self._n_counted, self.n_local_states)

    def outcomes(self, stage: int, local_transition: FloatArray) -> tuple[IntArray, FloatArray]:
        """The agents of bin b spread multinomially; the tagged agent goes anywhere."""
        rows = self.rows(stage)
        if self._bin(stage) < 0:
            others = np.arange(len(rows)) % self._n_counts(stage)
            states = np.arange(self.n_local_states)
            return others[:, None] + states * self._n_counts(stage), local_transition[rows[:, 0]]
        laws = local_transition[self._bin(stage)]
        successors = np.zeros((len(rows), self.n_outcomes(stage)), dtype=np.int64)
        chances = np.zeros((len(rows), *laws.shape[:2], successors.shape[1]))
        for leaving in range(self._n_counted + 1):
            members = np.flatnonzero(rows[:, int(self.tagged)] == leaving)
            arrivals = enumerate_histograms(leaving, self.n_local_states)
            landed = self._land(stage, rows[members, None, :], arrivals)
            successors[members, : len(arrivals)] = self.index((stage + 1) % self.n_stages, landed)
            chances[members, ..., : len(arrivals)] = _multinomial_law(arrivals, laws)
        return successors, chances

    def _land(self, stage: int, rows: IntArray, arrivals: IntArray) -> IntArray:
        """Configurations after bin b has emptied and its agents have arrived in states [..., s_l]."""
        shape = np.broadcast_shapes(rows.shape[:-1], arrivals.shape[:-1])
        ahead = np.broadcast_to(rows, (*shape, rows.shape[-1]))
        before = np.zeros((*shape, self.n_local_states if self._bin(stage) == 0 else 0), dtype=np.int64)
        tag, waiting = ahead[..., : self.tagged], ahead[..., self.tagged + 1 :]
        landed = np.concatenate([tag, waiting, before], axis=-1)
        landed[..., -self.n_local_states :] += arrivals
        return landed

    def start_law(self, law: StartLaw) -> FloatArray:
        """Agents are exchangeable: of those of a histogram, each is equally likely to be the tagged one."""
        histograms = law.histogram_law(self.n_agents)
        if not self.tagged:
            return histograms
        rows = self.rows(0)
        counts = self.counts(rows)
        return histograms[rank_histograms(counts)] * counts[np.arange(len(rows)), rows[:, 0]] / self.n_agents

    def draw_start(self, rng: np.random.Generator, law: StartLaw) -> IntArray:
        """Independent given the episode's distribution."""
        start = law.draw(rng, 1)[0]
        tag = [draw(rng, start)] if self.tagged else []
        counted = sample_multinomial(rng, np.array(self._n_counted), conditional_probabilities(start))
        return np.array([*tag, *counted])

    def n_acting(self, stage: int, row: IntArray) -> int:
        """The bin's agents, or the tagged one."""
        return 1 if self._bin(stage) < 0 else int(row[int(self.tagged)])

    def moved(self, stage: int, row: IntArray, landed: IntArray) -> IntArray:
        """The bin is empty, or the tagged agent in another state."""
        if self._bin(stage) < 0:
            return np.array([landed.argmax(), *row[1:]])
        return self._land(stage, row, landed)


def draw(rng: np.random.Generator, law: FloatArray) -> int:
    """One outcome of a distribution."""
    return int(sample_rows(rng.random(1), cumulative_thresholds(law))[0])


def draw_landing(rng: np.random.Generator, n_agents: int, law: FloatArray) -> IntArray:
    """Where agents land that move by one distribution [s_l'], int64 [s_l']."""
    if n_agents == 1:  # by inversion, several times faster
        return np.asarray(np.eye(len(law), dtype=np.int64)[draw(rng, law)])
    return sample_multinomial(rng, np.array(n_agents), conditional_probabilities(law))


def _multinomial_law(counts: IntArray, laws: FloatArray) -> FloatArray:
    """Probabilities of count vectors [j, s_l] under distributions [s_g, a_l, s_l], float [s_g, a_l, j]."""
    log_orders = gammaln(counts.sum(axis=1) + 1) - gammaln(counts + 1).sum(axis=1)
    return np.asarray(np.exp(log_orders + xlogy(counts, laws[:, :, None, :]).sum(axis=-1)))
