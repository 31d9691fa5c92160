r"""Return against k on the warehouse: the authors' code, the paper's learner, ours, and the ceiling.

    python benchmarks/reward_vs_k.py      train, evaluate, print, draw docs/images/reward_vs_k.png
    python benchmarks/reward_vs_k.py --k 1 --seeds 3     some k only, more training seeds
    python benchmarks/reward_vs_k.py --draw              table and figure from the rows kept in --rows

Every pair is evaluated at n = 1000, H = 100 on the same random numbers: 15 seeds of 50 rollouts each, from which the
standard error comes. The gain over the paper's pair (same run, `MultiStart`'s start "paper") is taken apart as in
`kofn.agents.alternation.gain_split`: what a better dispatcher and a better fleet bring from the paper's pair on, and
what the choice of the equilibrium brings.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from ceiling import ceiling
from warehouse_training import authors_returns

from kofn.agents import MultiStart, evaluate, split_gain
from kofn.agents.starts import chase, focal
from kofn.envs.arrays import FloatArray
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.warehouse_dispatch import DEFAULTS, game, parallel_env
from kofn.experiments.figures import save_figure
from kofn.experiments.tables import text_table
from kofn.wrappers import SubsampleObservation

KS = (1, 2, 5, 10, 20, 30)
FLOORS = {1: 111.0, 2: 111.0, 5: 111.0, 10: 112.0, 20: 114.5, 30: 116.0}
EVALUATION_SEEDS, ROLLOUTS = 15, 50
IMAGE = Path(__file__).parents[1] / "docs" / "images" / "reward_vs_k.png"
HEADER = [
    "k",
    "authors",
    "paper",
    "ours",
    "s.e.",
    "floor",
    "ceiling",
    "to it",
    "dispatcher",
    "fleet",
    "equilibrium",
    "cpu s",
    "trainings",
]


def returns(dispatcher: GlobalPolicy, fleet: LocalPolicy) -> FloatArray:
    """Mean return of each evaluation seed, float [seed]."""
    found = [
        evaluate(
            game(),
            dispatcher,
            fleet,
            DEFAULTS.n_agents,
            horizon=DEFAULTS.max_cycles,
            n_rollouts=ROLLOUTS,
            seed=[100, seed],
        ).mean
        for seed in range(EVALUATION_SEEDS)
    ]
    return np.array(found)


def row(k: int, seed: int) -> dict[str, Any]:
    """Train once at k and measure."""
    began = time.process_time()
    model = MultiStart(SubsampleObservation(parallel_env(), k), seed=seed)
    result = model.learn()
    seconds = time.process_time() - began
    split = split_gain(model, returns)
    ours = split.paper + split.total
    return {
        "k": k,
        "seed": seed,
        "best": result.best,
        "equilibria": [[one.start, one.potential, one.same_as] for one in result.equilibria],
        "paper": split.paper.mean(),
        "ours": ours.mean(),
        "standard_error": ours.std(ddof=1) / np.sqrt(len(ours)),
        "dispatcher": split.dispatcher.mean(),
        "fleet": split.fleet.mean(),
        "equilibrium": split.equilibrium.mean(),
        "ceiling": ceiling(game(), model.local_policy, DEFAULTS.max_cycles),
        "cpu_seconds": seconds,
    }


def highest_ceiling(rows: list[dict[str, Any]]) -> float:
    """The largest of the full-information ceilings, over the fleets trained and those that searches begin with."""
    simple = [ceiling(game(), fleet, DEFAULTS.max_cycles) for fleet in (chase(game()), focal(game(), 0))]
    return max([*simple, *(one["ceiling"] for one in rows)])


def merged(rows: list[dict[str, Any]], k: int) -> dict[str, float]:
    """Means over the training seeds at k; of the standard errors of an evaluation and between seeds the larger."""
    here = [one for one in rows if one["k"] == k]
    names = ("paper", "ours", "standard_error", "dispatcher", "fleet", "equilibrium", "cpu_seconds")
    means = {name: float(np.mean([one[name] for one in here])) for name in names}
    if len(here) > 1:  # of the mean over trainings, whose evaluations share their random numbers
        means["standard_error"] = max(
            means["standard_error"], float(np.std([one["ours"] for one in here], ddof=1) / np.sqrt(len(here)))
        )
    return means


def table(rows: list[dict[str, Any]], top: float) -> str:
    """The printed table."""
    authors, lines = authors_returns(), []
    for k in sorted({one["k"] for one in rows}):
        one = merged(rows, k)
        figures = [one["paper"], one["ours"], one["standard_error"], FLOORS.get(k, authors[k]), top, top - one["ours"]]
        figures += [one["dispatcher"], one["fleet"], one["equilibrium"], one["cpu_seconds"]]
        trainings = sum(row["k"] == k for row in rows)
        lines.append([str(k), f"{authors[k]:.1f}", *(f"{figure:.2f}" for figure in figures), str(trainings)])
    return text_table(HEADER, lines)


def draw(rows: list[dict[str, Any]], top: float) -> None:
    """Return against k."""
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415  # only where a figure is wanted

    figure = Canvas(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    ks = sorted({one["k"] for one in rows})
    authors = authors_returns()
    axes.plot(list(authors), list(authors.values()), "o--", color="0.5", label="authors' code")
    axes.plot(
        ks, [merged(rows, k)["paper"] for k in ks], "s-", label='start "paper" (from k = 13 with a small-crowd fleet)'
    )
    ours = [merged(rows, k) for k in ks]
    errors = [1.96 * one["standard_error"] for one in ours]
    axes.errorbar(
        ks, [one["ours"] for one in ours], errors, fmt="D-", capsize=2, label="several starts, the best kept (95%)"
    )
    axes.axhline(top, color="k", linewidth=0.8, linestyle=":", label="ceiling: all robots seen")
    axes.set(
        xlabel="robots seen per step, k", ylabel="discounted return", title="warehouse dispatch, n = 1000, H = 100"
    )
    axes.set_xscale("log")
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.minorticks_off()
    figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    save_figure(figure, IMAGE)


def main() -> None:
    """Measure, keep the rows, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--k", type=int, nargs="+", default=KS)
    parser.add_argument("--seeds", type=int, default=1, help="training seeds per k")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--rows", type=Path, default=Path("runs/reward_vs_k"), help="folder that keeps the rows")
    parser.add_argument("--draw", action="store_true", help="train nothing: table and figure from the rows kept")
    options = parser.parse_args()
    options.rows.mkdir(parents=True, exist_ok=True)
    for k in [] if options.draw else options.k:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            (options.rows / f"k{k}-seed{seed}.json").write_text(json.dumps(row(k, seed)))
    rows = [json.loads(path.read_text()) for path in sorted(options.rows.glob("*.json"))]
    top = highest_ceiling(rows)
    print(table(rows, top))
    draw(rows, top)


if __name__ == "__main__":
    main()
