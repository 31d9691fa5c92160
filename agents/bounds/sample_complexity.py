r"""How many samples learning takes, and how large its tables are (Table 2, Remark 4.9).

G-LEARN keeps N entries and draws m* next states for each, kept for all sweeps (m* N in total) or drawn anew in each of
the T sweeps, as the papers count (T m* N); one draw is s_g' and k local states. Up to logarithms, with fresh draws,

    meanfield   |S_g||A_g| k^{|S_l|} k r~^2/(1-gamma)^5        standard   |S_g||A_g||S_l|^k k r~^2/(1-gamma)^5.

`comparison` applies one recipe (T sweeps of m* Hoeffding samples for an error of 1/sqrt k in Q) to the table of each
method of Table 2, so that they differ by nothing but what they must tabulate:

    joint Q-learning      |S_g||A_g| (|S_l||A_l|)^n
    mean field (k = n)    |S_g||A_g| C(n + |S_l||A_l| - 1, n): histograms of all n pairs (state, action)
    SUBSAMPLE-MFQ         |S_g||A_g||S_l||A_l| C(k-1 + |S_l||A_l| - 1, k-1)
    ALTERNATING-MARL      |S_g||A_g| C(k + |S_l| - 1, k) + |chain||A_l|   (`local_response`)

The last is per pair of G- and L-steps; `equilibrium` counts the steps. Remark 4.9: with k of the order of log n the
tables of the last two grow as a power of log n, those of the first two exponentially in n or as a power of it.
"""

from dataclasses import dataclass
from math import ceil, exp, log

from kofn.agents.bounds.bellman import Regime, log_entries
from kofn.agents.bounds.bound import LARGEST_EXPONENT, Count, confidence, log_binomial, log_sum, sampled_of
from kofn.agents.bounds.local_response import cheapest_chain, local_response_episodes
from kofn.agents.bounds.sizes import GameSizes
from kofn.agents.bounds.subsample_mfq import mfq_log_entries
from kofn.agents.bounds.truncation import truncation_horizon
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import integer, positive


@dataclass(frozen=True, kw_only=True)
class Method:
    """A row of the comparison.

    Attributes:
        name: the method.
        sees: what it needs to observe when it acts.
        table: entries of its tables.
        samples: transitions it draws.
    """

    name: str
    sees: str
    table: Count
    samples: Count


def logarithmic_k(n_agents: int, multiple: float = 1.0) -> int:
    """The k of Remark 4.9: multiple * ln n rounded up, between 1 and n."""
    n = integer("n_agents", n_agents, 1)
    return min(n, max(1, ceil(positive("multiple", multiple) * log(n))))


@checked_types
def global_response_samples(
    k: int, sizes: GameSizes, *, delta: float | None = None, regime: Regime = "meanfield", resample: bool = True
) -> Count:
    """Draws of G-LEARN with the T and m* of `bellman`: T m* N, or m* N when samples are kept.

    Args:
        k: agents seen.
        sizes: of the game.
        delta: failure probability; None: 1/(100 sqrt k).
        regime: how observations are tabulated.
        resample: whether every sweep draws anew, as the papers count.
    """
    entries = log_entries(k, sizes.n_global_states, sizes.n_global_actions, sizes.n_local_states, regime)
    logarithm = log_samples(entries, k, sizes, confidence(delta, k), resample=resample)
    return Count(log=logarithm, source="Theorem 4.4", reconstructed=True)


def log_samples(log_table: float, k: int, sizes: GameSizes, delta: float, *, resample: bool = True) -> float:
    """Logarithm of T m* N for a table of N entries and an error of 1/sqrt k."""
    scale = sizes.discount * sizes.value_bound / (1 - sizes.discount)
    per_entry = log(k * scale**2 / 2 * (log(2 / delta) + log_table))
    if per_entry < LARGEST_EXPONENT:
        per_entry = log(max(1, ceil(exp(per_entry))))
    sweeps = truncation_horizon(k**-0.5, sizes.reward_bound, sizes.discount) if resample else 1
    return log(max(1, sweeps)) + per_entry + log_table


@checked_types
def comparison(n_agents: int, k: int, sizes: GameSizes, *, delta: float | None = None) -> tuple[Method, ...]:
    """Table 2: tables and samples of four methods, each for an error of 1/sqrt k; arguments as above."""
    k, n = sampled_of(k, n_agents)
    delta = confidence(delta, k)
    pairs = sizes.n_local_states * sizes.n_local_actions
    globally = log(sizes.n_global_states * sizes.n_global_actions)
    tables = {
        ("joint Q-learning", "everyone"): globally + n * log(pairs),
        ("mean-field Q-learning", "the histogram of all n"): globally + log_binomial(n + pairs - 1, n),
        ("SUBSAMPLE-MFQ", "k agents, by everyone"): mfq_log_entries(k, sizes),
    }
    rows = [_method(*names, table, log_samples(table, k, sizes, delta)) for names, table in tables.items()]
    return (*rows, _alternating(k, sizes, delta))


def _method(name: str, sees: str, table: float, samples: float) -> Method:
    return Method(
        name=name,
        sees=sees,
        table=Count(log=table, source="Table 2", reconstructed=True),
        samples=Count(log=samples, source="Table 2", reconstructed=True),
    )


def _alternating(k: int, sizes: GameSizes, delta: float) -> Method:
    """One G-step and one L-step, each with the smaller of its two tables."""
    entries = min(
        log_entries(k, sizes.n_global_states, sizes.n_global_actions, sizes.n_local_states, "standard"),
        log_entries(k, sizes.n_global_states, sizes.n_global_actions, sizes.n_local_states, "meanfield"),
    )
    chain = cheapest_chain(k, sizes)
    local_table = chain.n_states.log + log(sizes.n_local_actions)
    local_samples = local_response_episodes(k, sizes, delta=delta).log + log(chain.horizon(k, sizes))
    return _method(
        "ALTERNATING-MARL, per pair of steps",
        "k agents, by the global agent",
        log_sum(entries, local_table),
        log_sum(log_samples(entries, k, sizes, delta), local_samples),
    )
