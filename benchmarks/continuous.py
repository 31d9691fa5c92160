"""Training on the continuous game (paper, Appendix G.2), beside the authors' figures: prints a table, draws figures.

python benchmarks/continuous.py                      every k, three trainings each, two kinds of learners
python benchmarks/continuous.py --k 10 --seeds 0     one of each

Finished trainings are kept in the folder (`runs/continuous`) and not repeated, nor are those listed in the table of all
trainings (`docs/images/cluster_line_returns.csv`), which `--report-only` brings up to date; every one of them counts.
`--anew` heeds no table. A return is the mean of 1000 rollouts of 50 steps, n = 500, most likely actions, on seeds that
no training uses; the interval is Student's over trainings.
"""

import argparse
import csv
import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import t as student

from kofn.agents.alternation.pairs import load_pair
from kofn.agents.alternation.setting import Setting
from kofn.agents.deep.recipes import cluster_line_starts, deep_model
from kofn.agents.line_evaluation import evaluate_line
from kofn.envs.cluster_line import game
from kofn.envs.files import write_text
from kofn.envs.streams import child, seed_sequence
from kofn.experiments.figures import BLUE, GREEN, GREY, VERMILLION, save_figure
from kofn.experiments.tables import text_table

N_AGENTS, HORIZON, N_ROLLOUTS, EVALUATION_SEED = 500, 50, 1000, 2026
KS = (1, 3, 5, 10, 20, 35, 50, 75)
RECIPES = ("trpo", "reward")
OTHER_SIZES = ((10, 1000), (1000, 500), (100_000, 40))
"""(n, rollouts) of the trained policies' evaluation elsewhere."""
FULL_INFORMATION = 177.0
FLOORS = {
    "trpo": {1: 121.3, 10: 138.2, 35: 143.4, 75: 142.8},
    "reward": {1: 160.0, 10: 165.0, 75: 172.0},
}
SPREAD_AT_75 = 19.0
COLUMNS = ("recipe", "k", "seed", "mean", "standard_error", "cpu_seconds")
REFERENCE = Path(__file__).parent / "reference" / "cluster_line_authors_code.json"
COLOURS = {"trpo": BLUE, "reward": GREEN}
NAMES = {"trpo": "paper's learners (mode classifier, TRPO)", "reward": "reward-driven, observation-aware (PPO)"}


@dataclass(frozen=True)
class Training:
    """One finished training."""

    recipe: str
    k: int
    seed: int
    mean: float
    standard_error: float
    cpu_seconds: float
    start: float | None = None

    @property
    def job(self) -> tuple[str, int, int]:
        """What was trained."""
        return self.recipe, self.k, self.seed


def setting(k: int) -> Setting:
    return Setting(game=game(), n_agents=N_AGENTS, k=k, max_cycles=HORIZON)


def value(pair: Any, n_agents: int = N_AGENTS, n_rollouts: int = N_ROLLOUTS) -> tuple[float, float]:
    """Mean return and its standard error."""
    found = evaluate_line(game(), *pair, n_agents, horizon=HORIZON, n_rollouts=n_rollouts, seed=EVALUATION_SEED)
    return found.mean, found.standard_error


def train(recipe: str, k: int, seed: int, folder: Path) -> None:
    """Train and keep policies, history and returns."""
    began = time.process_time()
    starts = cluster_line_starts(k) if recipe == "reward" else ()
    model = deep_model(setting(k), recipe, seed=child(seed_sequence(seed), k), starts=starts)
    model.learn()
    seconds = time.process_time() - began
    model.save(folder)
    mean, error = value((model.global_policy, model.local_policy))
    kept = ("player", "potential", "proposed_potential", "verdict")
    content = {
        "recipe": recipe,
        "k": k,
        "seed": seed,
        "mean": mean,
        "standard_error": error,
        "start": model.history[0].potential,
        "cpu_seconds": seconds,
        "history": [{name: getattr(proposal, name) for name in kept} for proposal in model.history],
    }
    (folder / "training.json").write_text(json.dumps(content, indent=1))


def path_of(recipe: str, k: int, seed: int, root: Path) -> Path:
    return root / f"{recipe}-k{k}-seed{seed}"


def in_folder(root: Path) -> list[Training]:
    """Trainings whose policies are kept."""
    found = [json.loads(path.read_text()) for path in sorted(root.glob("*/training.json"))]
    return [Training(**{name: entry[name] for name in (*COLUMNS, "start")}) for entry in found]


def listed(table: Path) -> list[Training]:
    """Trainings of the table."""
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        return [Training(*_numbers(list(row.values()))) for row in csv.DictReader(file)]


def _numbers(cells: list[str]) -> list[Any]:
    recipe, k, seed, *numbers = cells
    return [recipe, int(k), int(seed), *(float(number) if number else None for number in numbers)]


def write_table(trainings: Sequence[Training], table: Path) -> None:
    """List all trainings."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["learners", "k", "seed", "return", "standard_error", "cpu_seconds", "start"])
    for one in sorted(trainings, key=lambda training: training.job):
        start = "" if one.start is None else round(one.start, 2)
        writer.writerow([*one.job, round(one.mean, 2), round(one.standard_error, 2), round(one.cpu_seconds, 1), start])
    write_text(table, text.getvalue())


def interval(values: list[float]) -> float:
    """Half-width of Student's 95% interval of the mean (nan for one)."""
    if len(values) < 2:
        return float("nan")
    return float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))


def report(trainings: list[Training]) -> str:
    """The table, one line per k and kind of learner."""
    authors = {row["k"]: row for row in json.loads(REFERENCE.read_text())["rows"]}
    rows = []
    for recipe in RECIPES:
        for k in KS:
            found = [entry for entry in trainings if (entry.recipe, entry.k) == (recipe, k)]
            if found:
                rows.append(_row(recipe, k, found, authors[k]))
    header = ["learners", "k", "mean ± 95%", "trainings", "spread", "start", "to 177", "authors", "floor", "CPU s"]
    return text_table(header, rows)


def _row(recipe: str, k: int, found: list[Training], authors: dict[str, Any]) -> list[str]:
    means = [entry.mean for entry in found]
    mean, spread = float(np.mean(means)), max(means) - min(means)
    floor = FLOORS[recipe].get(k)
    kept = floor is None or (mean >= floor and not (recipe == "trpo" and k == 75 and spread >= SPREAD_AT_75))
    measured = authors.get("measured")
    return [
        recipe,
        str(k),
        f"{mean:.1f} ± {interval(means):.1f}",
        " ".join(f"{value:.1f}" for value in means),
        f"{spread:.1f}",
        " ".join("?" if entry.start is None else f"{entry.start:.1f}" for entry in found),
        f"{FULL_INFORMATION - mean:.1f}",
        f"{authors['published']:.1f}" + (f" ({np.mean(measured):.1f})" if measured else ""),
        "" if floor is None else f"{floor:.1f} {'ok' if kept else 'MISSED'}",
        f"{np.mean([entry.cpu_seconds for entry in found]):.0f}",
    ]


def returns_figure(trainings: list[Training]) -> Figure:
    """Return by k, ours and the authors'."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    authors = json.loads(REFERENCE.read_text())["rows"]
    axes.plot(
        [r["k"] for r in authors], [r["published"] for r in authors], "s--", color=GREY, label="authors, best of 3"
    )
    measured = [(row["k"], value) for row in authors for value in row.get("measured", [])]
    axes.plot(*zip(*measured, strict=True), "x", color=VERMILLION, label="authors' code, each training")
    for recipe in RECIPES:
        ks = sorted({entry.k for entry in trainings if entry.recipe == recipe})
        by_k = [[entry.mean for entry in trainings if (entry.recipe, entry.k) == (recipe, k)] for k in ks]
        means, widths = [np.mean(values) for values in by_k], [interval(values) for values in by_k]
        axes.errorbar(ks, means, yerr=widths, fmt="o-", capsize=3, color=COLOURS[recipe], label=NAMES[recipe])
    axes.axhline(FULL_INFORMATION, color=GREY, linestyle=":", label="all robots in view, made by hand: 177")
    axes.set_xlabel("k, robots seen per step")
    axes.set_ylabel("discounted return, n = 500, 50 steps")
    axes.set_title("cluster line: mean of three trainings, 95% interval")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure


def other_sizes(root: Path, k: int) -> str:
    """The first training's policies of each kind, played with other numbers of robots."""
    rows = []
    for recipe in RECIPES:
        folder = path_of(recipe, k, 0, root)
        if (folder / "training.json").exists():
            pair = load_pair(folder, game())
            cells = [value(pair, *size) for size in OTHER_SIZES if size[0] >= k]
            rows.append([recipe, str(k), *(f"{mean:.1f} ± {1.96 * error:.1f}" for mean, error in cells)])
    return text_table(["learners", "k", *(f"n = {n}" for n, _ in OTHER_SIZES if n >= k)], rows)


def main() -> None:
    """Train what is missing, then report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--k", type=int, nargs="+", default=KS)
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2), help="one training each, per k")
    parser.add_argument("--recipes", nargs="+", default=RECIPES, choices=RECIPES)
    parser.add_argument("--folder", type=Path, default=Path("runs/continuous"))
    parser.add_argument("--report-only", action="store_true", help="other numbers of robots, the table, the figure")
    parser.add_argument("--anew", action="store_true", help="heed no table: train what is not in the folder")
    parser.add_argument("--images", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    table = options.images / "cluster_line_returns.csv"
    known = {} if options.anew else {training.job: training for training in listed(table)}
    known |= {training.job: training for training in in_folder(options.folder)}
    jobs = [(r, k, s) for s in options.seeds for k in options.k for r in options.recipes]
    for job in [] if options.report_only else jobs:
        if job not in known:
            folder = path_of(*job, options.folder)
            folder.mkdir(parents=True, exist_ok=True)
            train(*job, folder)
            print(*job, json.loads((folder / "training.json").read_text())["mean"], flush=True)
    known |= {training.job: training for training in in_folder(options.folder)}
    print(report(sorted(known.values(), key=lambda training: training.job)))
    if options.report_only:
        print(other_sizes(options.folder, 10))
        write_table(list(known.values()), table)
        save_figure(returns_figure(list(known.values())), options.images / "cluster_line_returns.png")


if __name__ == "__main__":
    main()
