r"""What the global agent loses by learning on k agents and seeing k of n (Theorems 4.2 and 4.4).

pi^est samples k agents afresh in every step and plays greedily on Q^est_{k,m}; pi_g* sees everyone and is the best
response to the same pi_l. With eps = |Q^est_{k,m} - Q*_k| the theorems read, for all s,

    V^{pi_g*}(s) - V^{pi^est}(s)
        <= c r~/(1-gamma)^2 sqrt( (n-k+1)/(2nk) ) sqrt( ln( 40 r~ |S_l||A_g| sqrt k/(1-gamma)^2 ) )
           + 1/(10 sqrt k) + 2 eps/(1-gamma)                                                      (Theorem 4.2)

and with m = m* samples the last two terms become 3/sqrt k (Theorem 4.4). c = 1 in the sibling paper; the chain of
lemmas that is printed gives c = 4. Their proof takes a sup-norm radius for one of total variation and uses Lemma B.18
between different k: both are false. No counterexample to the conclusions is known: they are far above r~/(1-gamma) at
the discounts of the examples.

Safe version. The performance difference lemma and a triangle inequality give, in expectation over the sampled agents,

    V^{pi_g*}(s) - V^{pi^est}(s)
        <= (2/(1-gamma)) ( L E TV + (gamma L/(2(1-gamma))) sqrt(|S_l|-1) (k^-1/2 + n^-1/2) + eps )

with E TV and the second term from `lipschitz` and `sampling`. It holds for all actions at once, so that no union over
A_g is needed, and for k = n only 2 eps/(1-gamma) remains.
"""

from math import log, sqrt

from kofn.agents.bounds.bound import Bound, sampled_of
from kofn.agents.bounds.lipschitz import lipschitz_corrected
from kofn.agents.bounds.sampling import expected_total_variation
from kofn.agents.bounds.sizes import GameSizes
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import positive

EXACT = Bound(value=0.0, source="the exact operator")
"""The noise of G-LEARN without samples."""

PROOF_GAP = "the proof takes a sup-norm radius for total variation and compares Q across k; use safe_global_response"
FRESH_SAMPLES = ("k agents sampled afresh in every step", "rewards in [0, r~]")


def sampling_term(k: int, n_agents: int, sizes: GameSizes, log_union: float, constant: float = 1.0) -> float:
    """First term of the theorems, c r~/(1-gamma)^2 sqrt((n-k+1)/(2nk)) sqrt(log_union)."""
    k, n = sampled_of(k, n_agents)
    scale = positive("constant", constant) * sizes.value_bound / (1 - sizes.discount)
    return scale * sqrt((n - k + 1) / (2 * n * k) * max(log_union, 0.0))


def _log_union(k: int, sizes: GameSizes) -> float:
    """Logarithm of 40 r~ |S_l||A_g| sqrt k/(1-gamma)^2."""
    ratio = sizes.value_bound / (1 - sizes.discount) * sqrt(k)
    return log(40 * sizes.n_local_states * sizes.n_global_actions * ratio)


@checked_types
def theorem_4_2(k: int, n_agents: int, sizes: GameSizes, *, noise: Bound = EXACT, constant: float = 1.0) -> Bound:
    """Loss of the deployed policy against the full-information best response, as printed.

    Assumes rewards in [0, r~], k agents sampled afresh in every step.

    Args:
        k: agents seen.
        n_agents: n.
        sizes: of the game.
        noise: `bellman_noise` of the samples used; `EXACT` for the exact operator.
        constant: c; 1 as in the sibling paper, 4 as the printed lemmas give.
    """
    sampling = sampling_term(k, n_agents, sizes, _log_union(k, sizes), constant)
    return Bound(
        value=sampling + 1 / (10 * sqrt(k)) + 2 * noise.value / (1 - sizes.discount),
        probability=noise.probability,
        source="Theorem 4.2",
        assumptions=(*FRESH_SAMPLES, *noise.assumptions),
        verdict="unproved",
        reconstructed=True,
        note=PROOF_GAP,
    )


@checked_types
def theorem_4_4(k: int, n_agents: int, sizes: GameSizes, *, constant: float = 1.0) -> Bound:
    """Theorem 4.2 with m = m* samples and T sweeps, as printed: probability 1 - 1/(100 sqrt k), remainder 3/sqrt k.

    Arguments as in `theorem_4_2`. The remainder 3/sqrt k would need eps <= 1.45 (1-gamma)/sqrt k, for which m* has to
    grow by 1/(1-gamma)^2; `theorem_4_2` with the noise of m* gives the remainder that m* does support.
    """
    return Bound(
        value=sampling_term(k, n_agents, sizes, _log_union(k, sizes), constant) + 3 / sqrt(k),
        probability=1 - 1 / (100 * sqrt(k)),
        source="Theorem 4.4",
        assumptions=(*FRESH_SAMPLES, "m* samples per entry, T sweeps"),
        verdict="unproved",
        reconstructed=True,
        note=PROOF_GAP,
    )


@checked_types
def safe_global_response(k: int, n_agents: int, sizes: GameSizes, *, noise: Bound = EXACT) -> Bound:
    """The loss of `theorem_4_2` as it can be proved; arguments as there.

    Assumes k agents sampled afresh in every step; sizes taken with the local policy (or covering every one).
    """
    k, n = sampled_of(k, n_agents)
    tv = min(1.0, expected_total_variation(k, n, sizes.n_local_states).value)
    error = lipschitz_corrected(tv, k, n, sizes).value + noise.value
    return Bound(
        value=2 * error / (1 - sizes.discount),
        probability=noise.probability,
        source="replaces Theorem 4.2",
        assumptions=("k agents sampled afresh in every step", *noise.assumptions),
    )
