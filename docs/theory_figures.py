"""The figures and tables of docs/theory.md: `python docs/theory_figures.py` (two minutes; `--tables` alone is instant).

Tables of bounds are formulas of `kofn.agents.bounds`; everything called "measured" is computed here, by exact solution
of small games or by sampling with the given seed.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kofn.agents import AlternatingConfig, g_learn, proposal_bound
from kofn.agents.alternation.update import sufficient_horizon
from kofn.agents.bounds import (
    GameSizes,
    bellman_noise,
    comparison,
    dkw_radius,
    expected_total_variation,
    lipschitz_corrected,
    lipschitz_printed,
    local_response_episodes,
    logarithmic_k,
    rollouts_for,
    safe_global_response,
    sampling_gap_predictor,
    theorem_0_11,
    theorem_4_2,
    theorem_4_4,
    theorem_4_8,
    theoretical_iterations,
    theoretical_samples,
    total_variation_quantile,
    truncation_horizon,
)
from kofn.agents.lumped_chain import LumpedChain, deployed_kernels
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import enumerate_histograms, rank_histograms
from kofn.envs.population import sample_without_replacement
from kofn.envs.start_law import FixedStart
from kofn.envs.streams import child, seed_sequence
from kofn.envs.warehouse_dispatch import game as warehouse
from kofn.experiments.figures import BLUE, GREEN, GREY, ORANGE, VERMILLION, save_figure

IMAGES = Path(__file__).parent / "images"

GAMMA = r"$\gamma$ = 0.95"

LOSS_AGENTS = 60
LOSS_KS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
LIPSCHITZ_AGENTS = 12
NOISE_K = 3
NOISE_RUNS = 20
NOISE_DELTA = 0.05
TV_STATES, TV_AGENTS, TV_DELTA, TV_DRAWS = 100, 1000, 0.1, 4000


def axes_of(figure: Figure, position: tuple[int, int, int], x_label: str, y_label: str, title: str) -> Axes:
    """Axes with labels, a title and a faint grid."""
    axes = figure.add_subplot(*position)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_title(title, fontsize="medium")
    axes.grid(alpha=0.3)
    return axes


# ---- the value lost by seeing k of n ----


def sampling_losses() -> tuple[list[float], list[float]]:
    """(mean over independent uniform starts, largest over states) of full information less deployed, by k."""
    game = warehouse(n_zones=3)
    policy = LocalPolicy.named("uniform", game)
    kernels = deployed_kernels(game, policy, LOSS_AGENTS)
    best = g_learn(game, policy, k=LOSS_AGENTS, operator="exact", tolerance=1e-6).q_values.max(axis=2)
    start = FixedStart(np.full(3, 1 / 3)).histogram_law(LOSS_AGENTS)
    means, largest = [], []
    for k in LOSS_KS:
        learned = g_learn(game, policy, k=k, operator="exact", tolerance=1e-8).policy
        loss = best - LumpedChain(game, learned, policy, kernels, LOSS_AGENTS).values
        means.append(float((loss @ start).mean()))
        largest.append(float(loss.max()))
    return means, largest


def loss_figure(means: Sequence[float], largest: Sequence[float]) -> Figure:
    """The loss against k, linear beside the predictor and on a logarithmic scale beside the theorems."""
    sizes = GameSizes.of(warehouse(n_zones=3), LocalPolicy.named("uniform", warehouse(n_zones=3)))
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    ks = np.arange(1, LOSS_AGENTS)
    predictor = [sampling_gap_predictor(int(k), LOSS_AGENTS, sizes).value for k in ks]
    near = axes_of(figure, (1, 2, 1), "agents seen, k", "value lost (discounted return)", "Measured and predicted")
    near.plot(LOSS_KS, largest, "s", color=ORANGE, markersize=5, label="measured, worst state")
    near.plot(LOSS_KS, means, "o-", color=BLUE, markersize=5, label="measured, mean over uniform starts")
    near.plot(ks, predictor, "--", color=GREEN, label="predictor")
    near.set_ylim(0, 60)
    near.legend(fontsize="small")
    far = axes_of(figure, (1, 2, 2), "agents seen, k", "value lost (log scale)", "The same beside the theorems")
    safe = [safe_global_response(int(k), LOSS_AGENTS, sizes).value for k in ks]
    far.plot(ks, safe, color=VERMILLION, label="safe version (proved)")
    printed = [theorem_4_4(int(k), LOSS_AGENTS, sizes).value for k in ks]
    far.plot(ks, printed, color=ORANGE, label="Theorem 4.4 (unproved)")
    far.axhline(sizes.value_bound, color=GREY, linestyle=":", label="largest possible value")
    far.plot(ks, predictor, "--", color=GREEN, label="predictor")
    far.plot(LOSS_KS, means, "o-", color=BLUE, markersize=4, label="measured")
    far.set_xscale("log")
    far.set_yscale("log")
    far.set_ylim(1, 1e7)
    far.legend(fontsize="small", loc="upper right", ncols=2)
    figure.suptitle(f"Seeing k of n = {LOSS_AGENTS} robots: warehouse, 3 zones, uniform local policy, " + GAMMA)
    return figure


def loss_report(means: Sequence[float]) -> Iterator[str]:
    """The measured losses and their slopes."""
    yield "| k | " + " | ".join(map(str, LOSS_KS)) + " |"
    yield "|---|" + "---|" * len(LOSS_KS)
    yield "| value lost | " + " | ".join(f"{value:.1f}" for value in means) + " |"
    late = [i for i, k in enumerate(LOSS_KS) if k >= 4]
    logs = np.log(np.take(means, late))
    ks = np.take(LOSS_KS, late)
    for name, x in (("k", ks), ("sqrt((n-k)/(k(n-1)))", np.sqrt((LOSS_AGENTS - ks) / (ks * (LOSS_AGENTS - 1))))):
        yield f"log-log slope for k >= 4 against {name}: {np.polyfit(np.log(x), logs, 1)[0]:.2f}"


# ---- Lipschitz ----


def optimal_q(game: TabularGame, k: int) -> FloatArray:
    """Q*_k under the uniform local policy, float [s_g, histogram, a_g]."""
    return g_learn(game, LocalPolicy.named("uniform", game), k=k, operator="exact", tolerance=1e-6).q_values


def gaps_at_equal_histograms(game: TabularGame, ks: Sequence[int]) -> list[float]:
    """Sup |Q_k - Q_n| at the histograms that both can have, n = 12."""
    everyone = optimal_q(game, LIPSCHITZ_AGENTS)
    gaps = []
    for k in ks:
        same = rank_histograms(enumerate_histograms(k, game.n_local_states) * (LIPSCHITZ_AGENTS // k))
        gaps.append(float(np.abs(optimal_q(game, k) - everyone[:, same]).max()))
    return gaps


def gaps_by_distance(game: TabularGame, k: int) -> tuple[FloatArray, FloatArray]:
    """(TV(F, F'), sup |Q_k(F) - Q_n(F')|) of all pairs of histograms, n = 12."""
    few = enumerate_histograms(k, game.n_local_states) / k
    many = enumerate_histograms(LIPSCHITZ_AGENTS, game.n_local_states) / LIPSCHITZ_AGENTS
    distance = np.abs(few[:, None] - many[None]).sum(axis=2) / 2
    gap = np.abs(optimal_q(game, k)[:, :, None] - optimal_q(game, LIPSCHITZ_AGENTS)[:, None]).max(axis=(0, 3))
    return distance.ravel(), gap.ravel()


def lipschitz_figure(ks: Sequence[int], equal: Sequence[float]) -> Figure:
    """Left: at equal histograms, where the printed bound is zero. Right: against the distance of the histograms."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    five, three = warehouse(), warehouse(n_zones=3)
    sizes = GameSizes.of(five, LocalPolicy.named("uniform", five))
    left = axes_of(figure, (1, 2, 1), "agents seen, k", r"$\sup |Q_k - Q_{12}|$", "Equal histograms, 5 zones")
    corrected = [lipschitz_corrected(0.0, k, LIPSCHITZ_AGENTS, sizes).value for k in ks]
    left.plot(ks, corrected, "^-", color=VERMILLION, label="corrected bound")
    left.plot(ks, equal, "o-", color=BLUE, label="measured")
    left.plot(ks, np.zeros(len(ks)), "x-", color=ORANGE, label="printed bound: 0", clip_on=False)
    left.set_yscale("symlog", linthresh=1)
    left.set_ylim(0, 3e4)
    left.legend(fontsize="small")
    sizes = GameSizes.of(three, LocalPolicy.named("uniform", three))
    right = axes_of(figure, (1, 2, 2), "TV(F, F')", r"$\sup |Q_1(F) - Q_{12}(F')|$", "All pairs, 3 zones, k = 1")
    distance, gap = gaps_by_distance(three, 1)
    line = np.linspace(0, 1, 50)
    corrected = [lipschitz_corrected(t, 1, LIPSCHITZ_AGENTS, sizes).value for t in line]
    right.plot(line, corrected, color=VERMILLION, label="corrected bound")
    right.plot(distance, gap, "o", color=BLUE, markersize=4, label="measured")
    printed = [lipschitz_printed(t, 1, LIPSCHITZ_AGENTS, sizes).value for t in line]
    right.plot(line, printed, color=ORANGE, label="printed bound")
    right.set_yscale("symlog", linthresh=10)
    right.set_ylim(0, 3e4)
    right.legend(fontsize="small")
    figure.suptitle(
        f"Lemma B.18 between k and n = {LIPSCHITZ_AGENTS} agents: warehouse, uniform local policy, " + GAMMA
    )
    return figure


# ---- Lemma 4.3 ----


def sampled_errors(samples: Sequence[int], seed: np.random.SeedSequence) -> FloatArray:
    """|Q^est_{k,m} - Q*_k| of repeated runs, float [m, run]."""
    game = warehouse(n_zones=3)
    policy = LocalPolicy.named("uniform", game)
    exact = optimal_q(game, NOISE_K)
    errors = np.empty((len(samples), NOISE_RUNS))
    for i, run in np.ndindex(errors.shape):
        learned = g_learn(
            game, policy, k=NOISE_K, operator="monte_carlo", n_samples=samples[i], seed=child(seed, 0, i, run)
        )
        errors[i, run] = np.abs(learned.q_values - exact).max()
    return errors


def noise_figure(samples: Sequence[int], errors: FloatArray) -> Figure:
    """Errors of sampled operators beside the lemma, up to the m* that it asks for."""
    sizes = GameSizes.of(warehouse(n_zones=3))
    needed = theoretical_samples(warehouse(n_zones=3), NOISE_K, NOISE_DELTA)
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    title = f"Lemma 4.3: warehouse, 3 zones, k = {NOISE_K}, {GAMMA}, δ = {NOISE_DELTA}"
    axes = axes_of(figure, (1, 1, 1), "samples per entry, m", r"$\sup |Q^{est} - Q^*|$", title)
    line = np.unique(np.geomspace(1, needed, 50).round().astype(np.int64))
    bounds = [bellman_noise(int(m), NOISE_K, sizes, delta=NOISE_DELTA).value for m in line]
    axes.plot(line, bounds, color=VERMILLION, label="Lemma 4.3")
    axes.fill_between(samples, errors.min(axis=1), errors.max(axis=1), color=BLUE, alpha=0.25, linewidth=0)
    axes.plot(
        samples, np.median(errors, axis=1), "o-", color=BLUE, label=f"measured: median and range of {NOISE_RUNS} runs"
    )
    axes.axhline(sizes.value_bound, color=GREY, linestyle=":", label="largest possible value")
    axes.axhline(NOISE_K**-0.5, color=GREEN, linestyle="--", label="target, 1/√k")
    axes.plot([needed], [NOISE_K**-0.5], "*", color=VERMILLION, markersize=12, label=f"m* = {needed:.1e}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend(fontsize="small")
    return figure


# ---- sampled histograms ----


def sampled_distances(ks: Sequence[int], seed: np.random.SeedSequence) -> tuple[FloatArray, FloatArray]:
    """(TV, sup norm) between sample and population, float [k, draw], agents spread equally over the states."""
    population = np.full((TV_DRAWS, TV_STATES), TV_AGENTS // TV_STATES)
    apart = []
    for i, k in enumerate(ks):
        rng = np.random.default_rng(child(seed, 1, i))
        apart.append(np.abs(sample_without_replacement(rng, population, k) / k - 1 / TV_STATES))
    stacked = np.stack(apart)
    return stacked.sum(axis=2) / 2, stacked.max(axis=2)


def distance_figure(ks: Sequence[int], variation: FloatArray, sup_norm: FloatArray) -> Figure:
    """Quantiles of both distances beside the radius of B.26 and what holds for total variation."""
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    title = f"Histograms of k of n = {TV_AGENTS} agents over {TV_STATES} states, δ = {TV_DELTA}"
    axes = axes_of(figure, (1, 1, 1), "agents seen, k", "distance to the population's histogram", title)
    level = 1 - TV_DELTA
    bounds = [total_variation_quantile(k, TV_AGENTS, TV_STATES, TV_DELTA).value for k in ks]
    axes.plot(ks, bounds, "--", color=BLUE, label="bound on the TV quantile")
    axes.plot(ks, np.quantile(variation, level, axis=1), "o-", color=BLUE, label=f"TV, measured {level:.0%} quantile")
    radii = [dkw_radius(k, TV_AGENTS, TV_STATES, TV_DELTA).value for k in ks]
    axes.plot(ks, radii, "--", color=VERMILLION, label="radius of B.26 (for the sup norm)")
    measured = np.quantile(sup_norm, level, axis=1)
    axes.plot(ks, measured, "s-", color=ORANGE, label=f"sup norm, measured {level:.0%} quantile")
    axes.axhline(1, color=GREY, linestyle=":", label="largest possible")
    axes.set_xscale("log")
    axes.set_ylim(0, 3)
    axes.legend(fontsize="small")
    return figure


# ---- tables ----


def bounds_table() -> list[str]:
    """What the theorems say on the warehouse with five zones, in multiples of the largest possible value."""
    sizes = GameSizes.of(warehouse())
    columns = (1, 10, 100, 1000)
    rows = {
        "Theorem 4.2, exact operator, c = 1": lambda k: theorem_4_2(k, 1000, sizes).value,
        "Theorem 4.2, exact operator, c = 4": lambda k: theorem_4_2(k, 1000, sizes, constant=4.0).value,
        "Theorem 4.2 with the noise of m = 30 samples": lambda k: (
            theorem_4_2(k, 1000, sizes, noise=bellman_noise(30, k, sizes)).value
        ),
        "Theorem 4.4": lambda k: theorem_4_4(k, 1000, sizes).value,
        "safe version of Theorem 4.2": lambda k: safe_global_response(k, 1000, sizes).value,
        "Theorem 4.8, gap 2η": lambda k: theorem_4_8(k, 1000, sizes).gap.value,
        "Theorem 0.11 (SUBSAMPLE-MFQ)": lambda k: theorem_0_11(k, 1000, sizes).value,
        "predictor (unproved)": lambda k: sampling_gap_predictor(k, 1000, sizes).value,
        "E TV of the sample (of at most 1)": lambda k: expected_total_variation(k, 1000, 5).value,
    }
    table = ["| n = 1000, gamma = 0.95 | " + " | ".join(f"k = {k}" for k in columns) + " |", "|---|---|---|---|---|"]
    for name, bound in rows.items():
        table.append(f"| {name} | " + " | ".join(_multiple(name, bound(k), sizes.value_bound) for k in columns) + " |")
    return table


def _multiple(name: str, value: float, value_bound: float) -> str:
    return f"{value:.2f}" if "E TV" in name else f"{value:.3g} ({value / value_bound:.2g} times)"


def defaults_table(k: int = 10) -> list[str]:
    """What the theory asks for beside what the package does unless told otherwise, on the warehouse."""
    game, settings = warehouse(), AlternatingConfig()
    sizes = GameSizes.of(game)
    outcome = theorem_4_8(k, 1000, sizes)
    eta = 0.005 * sizes.value_bound
    horizon = sufficient_horizon(sizes.value_bound, game.discount, eta / 4)
    return [
        f"| warehouse, n = 1000, k = {k} | theory | default |",
        "|---|---|---|",
        f"| sweeps T of G-LEARN | {theoretical_iterations(game, k)} | until the span certificate is below 1e-6 |",
        f"| samples per entry m, δ = 1/(100√k) | {theoretical_samples(game, k):.1e} "
        "| exact operator; 30 where sampled |",
        f"| UPDATE's η | {outcome.eta:.3g} ({outcome.eta / sizes.value_bound:.2g} times the largest value) "
        f"| {eta:.3g} (0.5% of it) |",
        f"| proposals N_steps | {outcome.n_steps}; {proposal_bound(sizes.value_bound, eta)} at the default η "
        f"| stops by itself, after {2 * settings.max_alternations} at most |",
        f"| episodes of UCFH on the k-chain (no constants, no logarithms) | {local_response_episodes(k, sizes)} "
        "| shared conservative policy iteration on a model, no episodes |",
        f"| rollouts R of EVAL for an error η/4, δ = 0.05 | {rollouts_for(eta / 4, sizes, 0.05):.1e} "
        f"| {settings.n_rollouts} pairs with common random numbers |",
        f"| horizon H of EVAL, gamma^H r~/(1-gamma) ≤ η/4 (Lemma C.1) "
        f"| {truncation_horizon(eta / 4, sizes.reward_bound, game.discount)} | {horizon} |",
    ]


def comparison_table(n_agents: int = 1000) -> list[str]:
    """Table 2 on the warehouse: entries and samples for an error of 1/sqrt k."""
    sizes = GameSizes.of(warehouse())
    columns = (1, 5, 10, 30)
    rows = list(zip(*(comparison(n_agents, k, sizes) for k in columns), strict=True))
    table = ["| entries / samples | sees | " + " | ".join(f"k = {k}" for k in columns) + " |", "|---|---|" + "---|" * 4]
    for row in rows:
        cells = " | ".join(f"{method.table} / {method.samples}" for method in row)
        table.append(f"| {row[0].name} | {row[0].sees} | {cells} |")
    return table


def logarithmic_table() -> list[str]:
    """Remark 4.9: the tables at k = ln n."""
    sizes = GameSizes.of(warehouse())
    populations = (10**2, 10**4, 10**6, 10**12)
    rows = list(zip(*(comparison(n, logarithmic_k(n), sizes) for n in populations), strict=True))
    heads = " | ".join(f"n = 1e{len(str(n)) - 1}, k = {logarithmic_k(n)}" for n in populations)
    return [
        f"| table entries | {heads} |",
        "|---|---|---|---|---|",
        *(f"| {row[0].name} | " + " | ".join(str(method.table) for method in row) + " |" for row in rows),
    ]


def tables() -> dict[str, list[str]]:
    """Every table that is formulas alone."""
    return {
        "bounds": bounds_table(),
        "defaults": defaults_table(),
        "comparison": comparison_table(),
        "logarithmic": logarithmic_table(),
    }


def main() -> None:
    """Print the tables; measure, print and draw the rest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=IMAGES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tables", action="store_true", help="only the tables that are formulas")
    arguments = parser.parse_args()
    for name, table in tables().items():
        print(f"\n{name}", *table, sep="\n")
    if arguments.tables:
        return
    seed = seed_sequence(arguments.seed)
    means, largest = sampling_losses()
    print("\nvalue lost, n = 60", *loss_report(means), sep="\n")
    save_figure(loss_figure(means, largest), arguments.folder / "theory_sampling_loss.png")
    ks = (1, 2, 3, 4, 6)
    equal = gaps_at_equal_histograms(warehouse(), ks)
    print("\nsup |Q_k - Q_12| at equal histograms", dict(zip(ks, np.round(equal, 1).tolist(), strict=True)))
    save_figure(lipschitz_figure(ks, equal), arguments.folder / "theory_lipschitz.png")
    samples = (1, 3, 10, 30, 100, 300, 1000, 3000)
    errors = sampled_errors(samples, seed)
    print(
        "\n|Q_est - Q*|, median of runs", dict(zip(samples, np.median(errors, axis=1).round(2).tolist(), strict=True))
    )
    save_figure(noise_figure(samples, errors), arguments.folder / "theory_bellman_noise.png")
    ks = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500)
    variation, sup_norm = sampled_distances(ks, seed)
    radius = dkw_radius(10, TV_AGENTS, TV_STATES, TV_DELTA).value
    exceeded = (variation[ks.index(10)] > radius).mean()
    print(f"\nat k = 10, TV exceeds the radius {radius:.3f} in {exceeded:.0%} of {TV_DRAWS} samples")
    save_figure(distance_figure(ks, variation, sup_norm), arguments.folder / "theory_total_variation.png")


if __name__ == "__main__":
    main()
