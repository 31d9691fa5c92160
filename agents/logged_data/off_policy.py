r"""Off-policy G-LEARN: the global agent's response learnt from transitions, without tables (paper, Appendix E).

Along transitions of a behaviour policy pi_b against a fixed local policy only the visited entry moves (equation 38):

    Q(s, a) <- Q(s, a) + alpha(s, a) [ r_D + gamma max_{a'} Q(s', a') - Q(s, a) ],   s = (s_g, F_D), s' = (s_g', F'_D),

from Q = 0, with the SAME agents D behind s and s' (see `transitions`). When every entry is visited again
and again Q tends to Q*_k, the fixed point of `g_learn`, whether D is one set of k agents for ever or drawn
afresh between transitions: given s and a_g the law of s' is the same. Step sizes are

    alpha(s, a) = c / (1 + visits(s, a))^w

    w in (1/2, 1], c = 1  converges with probability one (default w = 0.7);
    w = 0                 a constant step: the error settles at a floor of mean square proportional to c.

The paper's rates (Theorems E.4, E.5) are governed by N_min = min_{s,a} mu_b(s) pi_b(a | s), reported here as it was
met, and by the mixing time of the behaviour (`behaviour`). They come without a stopping rule, and sampled
values without a certificate. `converged` therefore says no more than that every entry has been visited, and that over
the last tenth of the updates no entry moved by more than a tolerance.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pettingzoo import ParallelEnv

from kofn.agents.alternation.setting import finite_setting
from kofn.agents.global_response.g_learn import check_table, greedy_policy
from kofn.agents.logged_data.collect import chance, collect_transitions
from kofn.agents.logged_data.oracle_walk import OracleWalk
from kofn.agents.logged_data.q_updates import Rule, WalkTables, draw_start, replay, walk
from kofn.agents.logged_data.transitions import Transitions
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import FloatArray, IntArray, integer, positive
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame
from kofn.envs.histograms import n_histograms
from kofn.envs.model import Sizes
from kofn.envs.observations import Observation
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.streams import Seed, child, seed_sequence

LAST_TENTH = 0.9
"""Share of the updates after which the change of Q is measured."""


@dataclass(frozen=True, kw_only=True)
class StepRule:
    """Step sizes alpha = step_size / (1 + visits)^decay.

    Args:
        step_size: c in (0, 1].
        decay: w in [0, 1]; 0: constant.

    Raises:
        TypeError, ValueError: a number of the wrong type or out of range.
    """

    step_size: float = 1.0
    decay: float = 0.7

    def __post_init__(self) -> None:
        """Validate."""
        object.__setattr__(self, "step_size", positive("step_size", chance("step_size", self.step_size)))
        object.__setattr__(self, "decay", chance("decay", self.decay))


DEFAULT_STEP = StepRule()


@dataclass(frozen=True, eq=False, kw_only=True)
class OffPolicyResult:
    """What was learnt.

    Attributes:
        policy: greedy policy of `q_values`, lowest action on ties. Entries never visited count with value 0.
        q_values: float [s_g, histogram, a_g].
        visits: updates of every entry, int64 [s_g, histogram, a_g].
        n_steps: transitions used; those of a log once for every pass.
        last_change: largest change of an entry over the last tenth of the updates.
        converged: every entry was visited, and `last_change` is within the tolerance. No certificate: nothing bounds
            the distance to Q*_k.
        wall_time: seconds.
    """

    policy: GlobalPolicy
    q_values: FloatArray
    visits: IntArray
    n_steps: int
    last_change: float
    converged: bool
    wall_time: float

    @property
    def n_unvisited(self) -> int:
        """Entries never visited: their values are the initial 0."""
        return int((self.visits == 0).sum())

    @property
    def n_min(self) -> float:
        """N_min as it was met: the smallest share of the updates that an entry received."""
        return float(self.visits.min() / self.visits.sum())


@checked_types
def off_policy_g_learn(
    transitions: Transitions,
    *,
    discount: float,
    step: StepRule = DEFAULT_STEP,
    n_passes: int = 1,
    tolerance: float = 0.01,
) -> OffPolicyResult:
    """Learn from a log, in its order, one or several times.

    Several passes approach the fixed point of the log's own empirical model, not more: they are worth it where steps
    are dear and updates are cheap.

    Args:
        transitions: of the global agent against the local policy that it is to respond to.
        discount: gamma in (0, 1).
        step: step sizes; visits are counted through all passes.
        n_passes: passes over the log.
        tolerance: `last_change` accepted as converged, as a fraction of the largest |Q|.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range, or a table that does not fit into memory.
    """
    sizes = transitions.sizes
    table = _Table(sizes, transitions.k, _discount(discount), step, tolerance)
    n_updates = integer("n_passes", n_passes, 1) * len(transitions)
    begun = 0
    for end in (_mark(n_updates), n_updates):
        table.replay(transitions, begun, end)
        begun = end
        table.remember()
    return table.result()


@checked_types
def off_policy_in_env(
    env: ParallelEnv[str, Observation, int],
    *,
    n_steps: int,
    local_policy: LocalPolicy | None = None,
    epsilon: float = 1.0,
    step: StepRule = DEFAULT_STEP,
    tolerance: float = 0.01,
    seed: Seed = None,
) -> OffPolicyResult:
    """Learn while playing: an episode with the behaviour policy, an update per step of it, the next episode.

    Args:
        env: a PopulationEnv, usually limited by SubsampleObservation.
        n_steps: environment steps.
        local_policy: pi_l; omitted: uniform actions.
        epsilon: probability of a uniform global action, otherwise the greedy one for Q at the start of the episode;
            1 is the uniform behaviour policy, 0.2 a usual greedier one.
        step: step sizes.
        tolerance: as in `off_policy_g_learn`.
        seed: source of all randomness.

    Raises:
        TypeError, ValueError: as `collect_transitions` and `off_policy_g_learn`.
    """
    setting = finite_setting(env)
    n_steps = integer("n_steps", n_steps, 1)
    game, root = setting.game, seed_sequence(seed)
    table = _Table(game, setting.k, game.discount, step, tolerance)
    begun = 0
    for episode, end in enumerate(_episodes(n_steps, setting.max_cycles)):
        log = collect_transitions(
            env,
            n_steps=end - begun,
            global_policy=table.policy(),
            local_policy=local_policy,
            epsilon=epsilon,
            seed=child(root, episode),
        )
        table.replay(log, 0, len(log))
        begun = end
        if end in (_mark(n_steps), n_steps):
            table.remember()
    return table.result()


@checked_types
def off_policy_in_surrogate(
    game: TabularGame | GenerativeGame,
    local_policy: LocalPolicy,
    *,
    k: int,
    n_steps: int,
    epsilon: float = 1.0,
    step: StepRule = DEFAULT_STEP,
    tolerance: float = 0.01,
    seed: Seed = None,
) -> OffPolicyResult:
    """Learn along one trajectory of the surrogate game of k persistent agents.

    The paper's setting, at a fraction of a microsecond per step; a game that can only be sampled is asked for some
    hundred draws of a row at once. The trajectory starts from the game's initial law and is never restarted.

    Args:
        game: the game.
        local_policy: pi_l, held fixed.
        k: number of agents.
        n_steps: steps of the trajectory.
        epsilon: probability of a uniform global action, otherwise the greedy one for the current Q.
        step: step sizes.
        tolerance: as in `off_policy_g_learn`.
        seed: source of all randomness.

    Raises:
        TypeError, ValueError: an argument out of range, a policy of another game, or a table that does not fit.
    """
    local_policy.check_fits(game)
    epsilon, n_steps = chance("epsilon", epsilon), integer("n_steps", n_steps, 1)
    table = _Table(game, k, game.discount, step, tolerance)
    rng = np.random.default_rng(seed_sequence(seed))
    proceed, begun = _walker(game, local_policy, table, epsilon, rng), 0
    for end in (_mark(n_steps), n_steps):
        proceed(end - begun)
        begun = end
        table.remember()
    return table.result()


class _Table:
    """Q and its visits while they are learnt, [state, a_g] with states numbered as in `Transitions`."""

    def __init__(self, sizes: Sizes, k: int, discount: float, step: StepRule, tolerance: float) -> None:
        self.began = time.perf_counter()
        check_table(sizes, k)
        self.sizes, self.k = sizes, k
        self.rule = Rule(discount, step.step_size, step.decay)
        self.tolerance = positive("tolerance", tolerance)
        self.shape = (sizes.n_global_states, n_histograms(k, sizes.n_local_states), sizes.n_global_actions)
        self.q_values = np.zeros((self.shape[0] * self.shape[1], self.shape[2]))
        self.visits = np.zeros(self.q_values.shape, dtype=np.int64)
        self._remembered = [self.q_values.copy()]

    def replay(self, log: Transitions, begun: int, end: int) -> None:
        """Updates number `begun` .. `end` - 1 along a log that is read round and round."""
        states, next_states = log.surrogate_states
        rewards, actions = log.sampled_rewards, log.global_actions
        replay(self.q_values, self.visits, states, actions, rewards, next_states, (begun, end), self.rule)

    def remember(self) -> None:
        """Keep a copy of Q; the change between the last two copies is reported."""
        self._remembered = [self._remembered[-1], self.q_values.copy()]

    def policy(self) -> GlobalPolicy:
        """Greedy policy of the current Q."""
        return greedy_policy(self.q_values.reshape(self.shape), self.sizes, self.k)

    def result(self) -> OffPolicyResult:
        """The outcome, once two copies have been kept."""
        change = float(np.abs(self._remembered[1] - self._remembered[0]).max())
        scale = float(np.abs(self.q_values).max())
        return OffPolicyResult(
            policy=self.policy(),
            q_values=self.q_values.reshape(self.shape),
            visits=self.visits.reshape(self.shape),
            n_steps=int(self.visits.sum()),
            last_change=change,
            converged=bool(self.visits.all() and change <= self.tolerance * scale),
            wall_time=time.perf_counter() - self.began,
        )


def _mark(n_updates: int) -> int:
    """The update after which the change of Q is measured."""
    return int(LAST_TENTH * n_updates)


def _episodes(n_steps: int, max_cycles: int) -> list[int]:
    """Where episodes end: every `max_cycles` steps, at the mark, and at the last step."""
    return sorted({*range(max_cycles, n_steps, max_cycles), _mark(n_steps), n_steps} - {0})


def _walker(
    game: TabularGame | GenerativeGame, policy: LocalPolicy, table: _Table, epsilon: float, rng: np.random.Generator
) -> Callable[[int], None]:
    """What takes a number of steps along one trajectory of the surrogate game, and learns from each."""
    agents = draw_start(game, table.k, rng)
    if isinstance(game, GenerativeGame):
        oracle = OracleWalk(game, policy, epsilon, rng, agents)
        return lambda n_steps: oracle.walk(table.q_values, table.visits, n_steps, table.rule)
    tables = WalkTables.of(game, policy, table.k)
    return lambda n_steps: walk(table.q_values, table.visits, rng, tables, agents, n_steps, epsilon, table.rule)


def _discount(discount: float) -> float:
    """Gamma, after checking that it lies strictly between 0 and 1."""
    if not positive("discount", discount) < 1:
        raise ValueError(f"discount must lie strictly between 0 and 1; got {discount}")
    return float(discount)
