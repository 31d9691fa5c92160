"""The papers' theorems as functions, with what is known to be wrong in them and what holds instead.

`Bound` and `Count` carry a number with its source, probability and verdict; `GameSizes.of(game)` extracts what the
functions need of a game. docs/theory.md sets every statement beside what was measured.
"""

from kofn.agents.bounds.bellman import (
    bellman_noise,
    iterations_for,
    log_columns,
    log_entries,
    samples_for,
    theoretical_iterations,
    theoretical_samples,
)
from kofn.agents.bounds.bound import Bound, Count, Verdict, union
from kofn.agents.bounds.equilibrium import (
    EquilibriumBound,
    accepted_proposals,
    evaluation_error,
    rollouts_for,
    stopping_gap,
    theorem_4_8,
)
from kofn.agents.bounds.global_response import EXACT, safe_global_response, theorem_4_2, theorem_4_4
from kofn.agents.bounds.lipschitz import lipschitz_corrected, lipschitz_printed, sampling_gap_predictor
from kofn.agents.bounds.local_response import (
    ChainSize,
    chain_size,
    cheapest_chain,
    local_response_episodes,
    theorem_4_6,
    ucfh_episodes,
)
from kofn.agents.bounds.off_policy import (
    Exploration,
    asynchronous_operator,
    corollary_e_6,
    corollary_e_7,
    off_policy_error,
    off_policy_steps,
    stationary_law,
)
from kofn.agents.bounds.sample_complexity import Method, comparison, global_response_samples, logarithmic_k
from kofn.agents.bounds.sampling import (
    dkw_probability,
    dkw_radius,
    expected_total_variation,
    expected_total_variation_independent,
    total_variation_printed,
    total_variation_quantile,
)
from kofn.agents.bounds.sizes import GameSizes, dobrushin
from kofn.agents.bounds.stochastic_rewards import reward_draws_for, reward_noise, theorem_f_4
from kofn.agents.bounds.subsample_mfq import lemma_0_9, theorem_0_11, theorem_0_13
from kofn.agents.bounds.truncation import truncation_error, truncation_horizon

__all__ = [
    "EXACT",
    "Bound",
    "ChainSize",
    "Count",
    "EquilibriumBound",
    "Exploration",
    "GameSizes",
    "Method",
    "Verdict",
    "accepted_proposals",
    "asynchronous_operator",
    "bellman_noise",
    "chain_size",
    "cheapest_chain",
    "comparison",
    "corollary_e_6",
    "corollary_e_7",
    "dkw_probability",
    "dkw_radius",
    "dobrushin",
    "evaluation_error",
    "expected_total_variation",
    "expected_total_variation_independent",
    "global_response_samples",
    "iterations_for",
    "lemma_0_9",
    "lipschitz_corrected",
    "lipschitz_printed",
    "local_response_episodes",
    "log_columns",
    "log_entries",
    "logarithmic_k",
    "off_policy_error",
    "off_policy_steps",
    "reward_draws_for",
    "reward_noise",
    "rollouts_for",
    "safe_global_response",
    "samples_for",
    "sampling_gap_predictor",
    "stationary_law",
    "stopping_gap",
    "theorem_0_11",
    "theorem_0_13",
    "theorem_4_2",
    "theorem_4_4",
    "theorem_4_6",
    "theorem_4_8",
    "theorem_f_4",
    "theoretical_iterations",
    "theoretical_samples",
    "total_variation_printed",
    "total_variation_quantile",
    "truncation_error",
    "truncation_horizon",
    "ucfh_episodes",
    "union",
]
